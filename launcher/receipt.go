package main

import (
	"strings"
	"time"
)

const (
	receiptVersion = 1
	// receiptLimit and the newline after it are 512 bytes.
	receiptLimit = 511
	// commandIDShown is more than a ULID; a longer id is cut in the receipt.
	commandIDShown = 64
)

// receipt is the first line of the termination message: what was read and
// when, by the launcher's own clock.
type receipt struct {
	Receipt     int          `json:"receipt"`
	Started     bool         `json:"started"`
	Stop        *receiptStop `json:"stop,omitempty"`
	Last        *receiptStop `json:"last,omitempty"`
	SIGTERM     string       `json:"sigterm,omitempty"`
	LastSIGTERM string       `json:"lastSigterm,omitempty"` // where it is another
	Passed      *passed      `json:"passed,omitempty"`      // the last other signal
	Deadline    string       `json:"deadline,omitempty"`
	Killed      bool         `json:"killed,omitempty"`
	Refused     int          `json:"refused,omitempty"` // processes that did not take the stop signal
	Mailbox     string       `json:"mailbox,omitempty"` // why it cannot be read
	Error       string       `json:"error,omitempty"`
	Outcome     string       `json:"outcome"`
	Says        string       `json:"says,omitempty"` // the value of a valid outcome
}

// receiptStop is a stop that was read; By is left out where a later one came by
// the mailbox.
type receiptStop struct {
	Sequence  int64  `json:"sequence"`
	CommandID string `json:"commandId"`
	Mode      string `json:"mode"`
	At        string `json:"at"`
	By        string `json:"by,omitempty"`
}

// passed is a signal that was passed on to the command.
type passed struct {
	Signal string `json:"signal"`
	At     string `json:"at"`
}

func timestamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// read notes a stop: the first one stays, of later ones the last.
func (r *receipt) read(s stop, at time.Time, by string) {
	entry := &receiptStop{Sequence: s.sequence, CommandID: cut(s.commandID, commandIDShown), Mode: s.mode, At: timestamp(at), By: by}
	if r.Stop == nil {
		r.Stop = entry
		return
	}
	if by == byMailbox {
		entry.By = ""
	}
	r.Last = entry
}

// sigterm notes a SIGTERM: the first one stays, of later ones the last.
func (r *receipt) sigterm(at time.Time) {
	if r.SIGTERM == "" {
		r.SIGTERM = timestamp(at)
	} else {
		r.LastSIGTERM = timestamp(at)
	}
}

// line encodes the receipt within limit bytes. Only texts of others can be
// too long; they are shortened before anything is left out, the first stop
// last.
func (r receipt) line(limit int) []byte {
	for {
		line := jsonLine(r)
		switch {
		case len(line) <= limit:
			return line
		case r.Error != "":
			r.Error = cut(r.Error, len(r.Error)*3/4)
		case r.Mailbox != "":
			r.Mailbox = cut(r.Mailbox, len(r.Mailbox)*3/4)
		case r.LastSIGTERM != "":
			r.LastSIGTERM = ""
		case r.Says != "": // the outcome itself says it, unless the kubelet cuts it
			r.Says = ""
		case r.Last != nil:
			r.Last = nil
		default:
			return jsonLine(receipt{Receipt: r.Receipt, Started: r.Started, Outcome: r.Outcome, Says: r.Says})
		}
	}
}

// cut shortens a text to at most n bytes and keeps it UTF-8.
func cut(text string, n int) string {
	return strings.ToValidUTF8(text[:min(len(text), n)], "")
}
