package main

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// jsonDepth is how deep lists and objects may be nested, in the outcome and in
// the mailbox: readers in other languages recurse.
const jsonDepth = 64

// overview is what one look over a JSON object tells.
type overview struct {
	depth      int    // of the deepest nesting
	numbersFit bool   // a double can hold each
	unicode    bool   // no text holds half of a surrogate pair
	outcome    []byte // the value of the member "outcome", as it is written; the last one counts
}

// lookOver reads a JSON object that is known to be well-formed. It builds no
// values: those of a file of 1 MiB would take sixty times as much memory.
func lookOver(raw []byte) overview {
	found := overview{numbersFit: true, unicode: true}
	depth := 0
	for at := 0; at < len(raw); {
		end := at + 1
		switch c := raw[at]; {
		case c == '{' || c == '[':
			depth++
			found.depth = max(found.depth, depth)
		case c == '}' || c == ']':
			depth--
		case c == '"':
			end = stringEnd(raw, at)
			found.unicode = found.unicode && paired(raw[at:end])
			if depth == 1 && saysOutcome(raw[at:end]) {
				found.outcome = memberValue(raw[end:], found.outcome)
			}
		case c == '-' || '0' <= c && c <= '9':
			end = numberEnd(raw, at)
			found.numbersFit = found.numbersFit && fits(raw[at:end])
		}
		at = end
	}
	return found
}

// memberValue gives the value behind a member's name: a string whole, of all
// others the first byte. Where it was no name, it gives what was there before.
func memberValue(rest, before []byte) []byte {
	rest, isName := bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte{':'})
	if !isName {
		return before
	}
	rest = bytes.TrimLeft(rest, " \t\r\n")
	if rest[0] == '"' {
		return rest[:stringEnd(rest, 0)]
	}
	return rest[:1]
}

// saysOutcome compares a string, which may be written with escapes.
func saysOutcome(quoted []byte) bool {
	const plain = `"outcome"`
	if !bytes.Contains(quoted, []byte{'\\'}) || len(quoted) > 6*len(plain) {
		return string(quoted) == plain
	}
	var text string
	return json.Unmarshal(quoted, &text) == nil && text == "outcome"
}

func stringEnd(raw []byte, at int) int {
	for at++; raw[at] != '"'; at++ {
		if raw[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// paired says whether a text has both halves of each surrogate pair that is
// written with escapes. encoding/json mends such a text, others refuse it.
func paired(quoted []byte) bool {
	for {
		var found bool
		if _, quoted, found = bytes.Cut(quoted, []byte{'\\'}); !found {
			return true
		}
		first, second := surrogate(quoted), byte(0)
		if first == highHalf && quoted[escapeLength] == '\\' {
			second = surrogate(quoted[escapeLength+1:])
		}
		switch {
		case first == 0:
			quoted = quoted[1:]
		case first == highHalf && second == lowHalf:
			quoted = quoted[2*escapeLength+1:]
		default:
			return false
		}
	}
}

const (
	escapeLength = len("uD800")
	highHalf     = 'h'
	lowHalf      = 'l'
)

// surrogate says which half an escape, behind its backslash, stands for; 0:
// none.
func surrogate(escape []byte) byte {
	if escape[0] != 'u' || escape[1]|0x20 != 'd' {
		return 0
	}
	switch c := escape[2] | 0x20; {
	case c < '8':
		return 0
	case c <= '9' || c == 'a' || c == 'b':
		return highHalf
	default:
		return lowHalf
	}
}

func numberEnd(raw []byte, at int) int {
	for at < len(raw) && bytes.IndexByte([]byte("+-.eE0123456789"), raw[at]) >= 0 {
		at++
	}
	return at
}

// fits says whether a double can hold a number. Of those without an exponent,
// all with less than 309 digits do.
func fits(number []byte) bool {
	if len(number) < 309 && !bytes.ContainsAny(number, "eE") {
		return true
	}
	_, err := strconv.ParseFloat(string(number), 64)
	return err == nil
}
