package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
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
	// highestSequence is what every reader of JSON holds exactly. At it no later
	// one can be higher: there each new content counts, or a stop that somebody
	// made up would keep all others from being read.
	highestSequence = 1<<53 - 1

	longestID   = 64   // characters, of runId and commandId
	longestText = 4096 // characters, of reason and details
)

// stop is one posting of the controller.
type stop struct {
	sequence  int64
	runID     string
	commandID string
	mode      string
	signal    syscall.Signal
	grace     *time.Duration // nil: no deadline; zero: SIGKILL at once
	text      string         // as it was posted
}

// parseStop judges the content of the mailbox. Names are matched exactly and
// unknown ones are skipped; what is known must have its type.
func parseStop(raw []byte) (stop, error) {
	fields, err := objectOf(raw)
	if err != nil {
		return stop{}, err
	}
	var s stop
	var signalName, postedAt, reason, details string
	var grace float64
	steps := []struct {
		name     string
		into     any
		required bool
	}{
		{"sequence", &s.sequence, true},
		{"runId", &s.runID, true},
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
	switch {
	case !known:
		return stop{}, fmt.Errorf("signal %.20q is unknown", signalName)
	case !isPostingTime(postedAt):
		return stop{}, errors.New("postedAt is not a time in RFC 3339 between 1970 and 9000")
	case longer(s.runID, longestID), longer(s.commandID, longestID), longer(reason, longestText), longer(details, longestText):
		return stop{}, errors.New("a text is too long")
	}
	s.text = string(raw)
	return s, s.check()
}

// check judges the values that the launcher acts upon.
func (s stop) check() error {
	switch {
	case s.sequence < 1:
		return errors.New("sequence is less than 1")
	case s.sequence > highestSequence:
		return errors.New("sequence is more than 2^53-1")
	case s.commandID == "":
		return errors.New("commandId is empty")
	case s.mode != "Cancel" && s.mode != "Force" && s.mode != "Terminate" && s.mode != "Kill":
		return fmt.Errorf("mode %.20q is unknown", s.mode)
	case s.grace != nil && *s.grace < 0:
		return errors.New("graceSeconds is negative")
	}
	return nil
}

// isPostingTime knows a time in RFC 3339. It is stricter than time.Parse, which
// takes an hour of one digit, a comma, and an offset of a day.
func isPostingTime(text string) bool {
	shape, whole := strings.CutPrefix(strings.Map(zeroOfDigit, text), "0000-00-00T00:00:00")
	if fraction, there := strings.CutPrefix(shape, "."); there {
		shape = strings.TrimLeft(fraction, "0")
		digits := len(fraction) - len(shape)
		whole = whole && digits >= 1 && digits <= 9
	}
	switch {
	case !whole:
		return false
	case shape == "Z":
	case shape == "+00:00" || shape == "-00:00":
		if offset := text[len(text)-len("00:00"):]; offset[:2] > "23" || offset[3:] > "59" {
			return false
		}
	default:
		return false
	}
	at, err := time.Parse(time.RFC3339, text)
	return err == nil && !at.Before(time.Unix(0, 0)) && !at.After(latestPosting)
}

func zeroOfDigit(c rune) rune {
	if '0' <= c && c <= '9' {
		return '0'
	}
	return c
}

// latestPosting keeps each deadline a time that can be told.
var latestPosting = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

func longer(text string, characters int) bool {
	return utf8.RuneCountInString(text) > characters
}

func seconds(s float64) time.Duration {
	return time.Duration(math.Min(s, longestGrace.Seconds()) * float64(time.Second))
}

// objectOf reads a JSON object, its members undecoded: encoding/json alone
// would match names in any case and mend what is not Unicode.
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
	switch found := lookOver(raw); {
	case found.depth > jsonDepth:
		return nil, errors.New("nested too deep")
	case !found.numbersFit:
		return nil, errors.New("a number is too large")
	case !found.unicode:
		return nil, errors.New("half of a surrogate pair")
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

// mailbox hands out each content that is a stop. Whether that is a new one, the
// inbox knows.
type mailbox struct {
	path    string
	log     *logger
	seen    string // the content last judged: one change raises several events
	failure string // why it cannot be read; empty while it can
	waiting bool   // for a lease's end, in a goroutine of its own
	waited  chan content
}

// content is what a reading that had to wait has brought.
type content struct {
	raw []byte
	err error
}

func newMailbox(dir string, log *logger) *mailbox {
	return &mailbox{path: filepath.Join(dir, mailboxName), log: log, waited: make(chan content, 1)}
}

// next reads the file; ok is false when it holds nothing new that is valid.
func (m *mailbox) next() (s stop, ok bool) {
	raw, err := readRegular(m.path, mailboxLimit, 0) // a link: the kubelet's own
	if m.note(err); errors.Is(err, syscall.EAGAIN) {
		m.wait()
	}
	return m.judge(raw, err)
}

// wait is for a file that a program of uid 0, its owner, has a lease on. Who
// renews a lease is never met without one, but a reading that waits is served
// at its next end. Only one waits: the kubelet shows few contents.
func (m *mailbox) wait() {
	if m.waiting {
		return
	}
	m.waiting = true
	go func() {
		raw, err := readHeldUp(m.path, mailboxLimit)
		m.waited <- content{raw, err}
	}()
}

// take judges what was waited for. It may be older than what is there now: the
// failure stays until that is read.
func (m *mailbox) take(found content) (s stop, ok bool) {
	m.waiting = false
	return m.judge(found.raw, found.err)
}

func (m *mailbox) judge(raw []byte, err error) (s stop, ok bool) {
	if err != nil && !errors.Is(err, errTooLarge) {
		return stop{}, false
	}
	if len(raw) == 0 || string(raw) == m.seen {
		return stop{}, false
	}
	m.seen = string(raw)
	if err == nil {
		s, err = parseStop(raw)
	}
	if err != nil {
		m.log.printf("the mailbox holds no valid stop: %v", err)
		return stop{}, false
	}
	return s, true
}

// note keeps why the mailbox cannot be read, and says it once. One that is
// not there holds no stop; one that is too large holds no valid one.
func (m *mailbox) note(err error) {
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errTooLarge) {
		m.failure = ""
		return
	}
	if m.failure != err.Error() {
		m.failure = err.Error()
		m.log.printf("the mailbox cannot be read: %s", m.failure)
	}
}
