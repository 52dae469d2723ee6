package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	mailboxName = "stop"
	// mailboxLimit is far above what the controller posts: reason and details
	// are at most 2,048 bytes each, six times that when every byte is escaped.
	mailboxLimit = 64 << 10
	// longestGrace keeps a grace within what a duration can hold.
	longestGrace = 10 * 365 * 24 * time.Hour
	longestID    = 64   // characters, of runId and commandId
	longestText  = 4096 // characters, of reason and details
)

// stop is one posting of the controller.
type stop struct {
	sequence  int64
	commandID string
	mode      string
	signal    syscall.Signal
	grace     *time.Duration // nil: no deadline; zero: SIGKILL at once
}

// parseStop judges the content of the mailbox. Names are matched exactly and
// unknown ones are skipped; what is known must have its type.
func parseStop(raw []byte) (stop, error) {
	fields, err := objectOf(raw)
	if err != nil {
		return stop{}, err
	}
	var s stop
	var runID, signalName, postedAt, reason, details string
	var grace float64
	steps := []struct {
		name     string
		into     any
		required bool
	}{
		{"sequence", &s.sequence, true},
		{"runId", &runID, true},
		{"commandId", &s.commandID, true},
		{"mode", &s.mode, true},
		{"signal", &signalName, true},
		{"postedAt", &postedAt, true},
		{"graceSeconds", &grace, false},
		{"reason", &reason, false},
		{"details", &details, false},
	}
	for _, step := range steps {
		if err := field(fields, step.name, step.into, step.required); err != nil {
			return stop{}, err
		}
	}
	if _, there := fields["graceSeconds"]; there {
		s.grace = new(seconds(grace))
	}
	var known bool
	s.signal, known = signalByName(signalName)
	_, timeError := time.Parse(time.RFC3339Nano, postedAt)
	switch {
	case !known:
		return stop{}, fmt.Errorf("signal %.20q is unknown", signalName)
	case timeError != nil:
		return stop{}, errors.New("postedAt is not a time in RFC 3339")
	case longer(runID, longestID), longer(s.commandID, longestID), longer(reason, longestText), longer(details, longestText):
		return stop{}, errors.New("a text is too long")
	}
	return s, s.check()
}

// check judges the values that the launcher acts upon.
func (s stop) check() error {
	switch {
	case s.sequence < 1:
		return errors.New("sequence is less than 1")
	case s.commandID == "":
		return errors.New("commandId is empty")
	case s.mode != "Cancel" && s.mode != "Force" && s.mode != "Terminate" && s.mode != "Kill":
		return fmt.Errorf("mode %.20q is unknown", s.mode)
	case s.grace != nil && *s.grace < 0:
		return errors.New("graceSeconds is negative")
	}
	return nil
}

func longer(text string, characters int) bool {
	return utf8.RuneCountInString(text) > characters
}

func seconds(s float64) time.Duration {
	return time.Duration(math.Min(s, longestGrace.Seconds()) * float64(time.Second))
}

// objectOf reads a JSON object, its members undecoded: encoding/json alone
// would match names in any case and mend what is not UTF-8.
func objectOf(raw []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("not UTF-8")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, errors.New("not a JSON object")
	}
	return fields, nil
}

func field(fields map[string]json.RawMessage, name string, into any, required bool) error {
	raw, there := fields[name]
	if !there && required {
		return fmt.Errorf("%s is missing", name)
	}
	if !there {
		return nil
	}
	if string(raw) == "null" { // encoding/json would leave the zero value
		return fmt.Errorf("%s is null", name)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// mailbox hands out each stop once, in rising sequence.
type mailbox struct {
	path string
	log  *logger
	seen string // the content last judged: one change raises several events
	last int64
}

func newMailbox(dir string, log *logger) *mailbox {
	return &mailbox{path: filepath.Join(dir, mailboxName), log: log}
}

// next reads the file; ok is false when it holds nothing new that is valid.
func (m *mailbox) next() (s stop, ok bool) {
	raw, err := readRegular(m.path, mailboxLimit)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			m.log.printf("the mailbox cannot be read: %v", err)
		}
		return stop{}, false
	}
	if len(raw) == 0 || string(raw) == m.seen {
		return stop{}, false
	}
	m.seen = string(raw)
	s, err = parseStop(raw)
	if err != nil {
		m.log.printf("the mailbox holds no valid stop: %v", err)
		return stop{}, false
	}
	if s.sequence <= m.last {
		return stop{}, false
	}
	m.last = s.sequence
	return s, true
}
