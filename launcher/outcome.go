package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/maphash"
	"io/fs"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	outcomeFileLimit = 1 << 20
	invalidShown     = 256 // bytes of an invalid outcome that are shown
)

// What the receipt says about the user's outcome.
const (
	outcomeAbsent   = "absent"
	outcomeOK       = "ok"
	outcomeInvalid  = "invalid"
	outcomeTooLarge = "tooLarge"
)

// outcome is what the user's file holds: its state, the value of "outcome",
// and the whole in one line (or, when invalid, its beginning).
type outcome struct {
	state string
	value string
	text  []byte
}

// outcomeFile is the user's file. Its content is judged when it has changed,
// not at each writing of the message: a stop must not wait for that.
type outcomeFile struct {
	path   string
	judged outcome
	sum    uint64 // of the content that was judged
}

var sumSeed = maphash.MakeSeed()

// read gives what the file holds now. An empty one counts as absent: it is
// being written.
func (f *outcomeFile) read() (outcome, error) {
	raw, err := readRegular(f.path, outcomeFileLimit, unix.O_NOFOLLOW)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return outcome{state: outcomeAbsent}, nil
	case errors.Is(err, errTooLarge):
		return outcome{state: outcomeInvalid, text: bytes.Clone(raw[:invalidShown])}, nil
	case err != nil:
		return outcome{state: outcomeAbsent}, err
	}
	if sum := maphash.Bytes(sumSeed, raw); f.judged.state == "" || sum != f.sum {
		f.judged, f.sum = judgeOutcome(raw), sum
	}
	return f.judged, nil
}

// judgeOutcome keeps no more of the content than a message can show.
func judgeOutcome(raw []byte) outcome {
	if len(bytes.TrimSpace(raw)) == 0 {
		return outcome{state: outcomeAbsent}
	}
	invalid := outcome{state: outcomeInvalid, text: bytes.Clone(raw[:min(len(raw), invalidShown)])}
	if !utf8.Valid(raw) || !json.Valid(raw) || bytes.TrimSpace(raw)[0] != '{' {
		return invalid
	}
	found := lookOver(raw)
	var value string
	if found.depth > jsonDepth || !found.numbersFit || !found.unicode || json.Unmarshal(found.outcome, &value) != nil {
		return invalid
	}
	if value != "Cancelled" && value != "Succeeded" && value != "Failed" {
		return invalid
	}
	var line bytes.Buffer
	line.Grow(len(raw))
	if json.Compact(&line, raw) != nil {
		return invalid
	}
	if line.Len() > kubeletMessageBytes {
		return outcome{state: outcomeTooLarge, value: value}
	}
	return outcome{state: outcomeOK, value: value, text: bytes.Clone(line.Bytes())}
}

// line gives the outcome's part of the message within budget bytes, and what
// the receipt says about it. What does not fit is said, not torn.
func (o outcome) line(budget int) (text []byte, state string) {
	switch o.state {
	case outcomeAbsent:
		return nil, o.state
	case outcomeInvalid:
		return o.invalidLine(budget), o.state
	}
	if o.state == outcomeOK && len(o.text) <= budget {
		return o.text, outcomeOK
	}
	short := jsonLine(struct {
		Outcome   string `json:"outcome"`
		Truncated bool   `json:"truncated"`
	}{o.value, true})
	if len(short) > budget {
		short = nil
	}
	return short, outcomeTooLarge
}

func (o outcome) invalidLine(budget int) []byte {
	for shown := string(o.text); shown != ""; shown = shown[:len(shown)*3/4] {
		line := jsonLine(struct {
			Invalid string `json:"invalid"`
		}{strings.ToValidUTF8(shown, "\uFFFD")})
		if len(line) <= budget {
			return line
		}
	}
	return nil
}

// jsonLine encodes a value that cannot fail to encode, without a newline.
func jsonLine(value any) []byte {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	return bytes.TrimRight(line.Bytes(), "\n")
}
