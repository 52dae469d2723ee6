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
	var runID, signalName, ignored string
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
		{"postedAt", &ignored, true},
		{"graceSeconds", &grace, false},
		{"reason", &ignored, false},
		{"details", &ignored, false},
	}
	for _, step := range steps {
		if err := field(fields, step.name, step.into, step.required); err != nil {
			return stop{}, err
		}
	}
	if _, there := fields["graceSeconds"]; there {
		s.grace = new(seconds(grace))
	}
	return s.checked(signalName, grace)
}

func (s stop) checked(signalName string, grace float64) (stop, error) {
	var known bool
	s.signal, known = signalByName(signalName)
	switch {
	case s.sequence < 1:
		return stop{}, errors.New("sequence is less than 1")
	case s.commandID == "":
		return stop{}, errors.New("commandId is empty")
	case s.mode != "Cancel" && s.mode != "Force" && s.mode != "Terminate" && s.mode != "Kill":
		return stop{}, fmt.Errorf("mode %.20q is unknown", s.mode)
	case !known:
		return stop{}, fmt.Errorf("signal %.20q is unknown", signalName)
	case grace < 0:
		return stop{}, errors.New("graceSeconds is negative")
	}
	return s, nil
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
