package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
)

const (
	outcomeFileLimit = 1 << 20
	outcomeDepth     = 64  // nesting; readers in other languages recurse
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
// and the whole in one line (or, when invalid, as it is).
type outcome struct {
	state string
	value string
	text  []byte
}

// readOutcome reads the user's file. An empty one counts as absent: it is
// being written.
func readOutcome(path string) (outcome, error) {
	raw, err := readRegular(path, outcomeFileLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return outcome{state: outcomeAbsent}, nil
	case errors.Is(err, errTooLarge):
		return outcome{state: outcomeInvalid, text: raw[:invalidShown]}, nil
	case err != nil:
		return outcome{state: outcomeAbsent}, err
	}
	return judgeOutcome(raw), nil
}

func judgeOutcome(raw []byte) outcome {
	if len(bytes.TrimSpace(raw)) == 0 {
		return outcome{state: outcomeAbsent}
	}
	invalid := outcome{state: outcomeInvalid, text: raw}
	fields, err := objectOf(raw)
	if err != nil || depthOf(raw) > outcomeDepth {
		return invalid
	}
	var value string
	if err := field(fields, "outcome", &value, true); err != nil {
		return invalid
	}
	if value != "Cancelled" && value != "Succeeded" && value != "Failed" {
		return invalid
	}
	var anything any // refuses numbers that no double can hold
	var line bytes.Buffer
	if json.Unmarshal(raw, &anything) != nil || json.Compact(&line, raw) != nil {
		return invalid
	}
	return outcome{state: outcomeOK, value: value, text: line.Bytes()}
}

// depthOf counts nesting in JSON that is known to be well-formed.
func depthOf(raw []byte) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
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
	if len(o.text) <= budget {
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
	shown := string(o.text[:min(len(o.text), invalidShown)])
	for ; shown != ""; shown = shown[:len(shown)*3/4] {
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
