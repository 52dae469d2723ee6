package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnOutcomeIsJudgedWithoutBuildingItsValues(t *testing.T) {
	nested := func(depth int) string {
		return `{"outcome":"Failed","result":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + "}"
	}
	digits := strings.Repeat("9", 309)
	cases := map[string]struct{ text, state, value string }{
		"plain":                            {`{"outcome":"Failed"}`, outcomeOK, "Failed"},
		"blanks everywhere":                {" {\r\n\t\"outcome\" :\n \"Failed\" } \n", outcomeOK, "Failed"},
		"written with escapes":             {`{"\u006futcome":"F\u0061iled"}`, outcomeOK, "Failed"},
		"twice, the last one counts":       {`{"outcome":5,"outcome":"Failed"}`, outcomeOK, "Failed"},
		"twice, the last one is bad":       {`{"outcome":"Failed","outcome":5}`, outcomeInvalid, ""},
		"the name as a value":              {`{"a":"outcome","outcome":"Failed","b":"outcome"}`, outcomeOK, "Failed"},
		"the name below only":              {`{"a":{"outcome":"Failed"}}`, outcomeInvalid, ""},
		"the name below too":               {`{"outcome":"Failed","a":{"outcome":"Cancelled"}}`, outcomeOK, "Failed"},
		"the name in a text":               {`{"a":"\"outcome\":\"Failed\""}`, outcomeInvalid, ""},
		"the name in another case":         {`{"Outcome":"Failed"}`, outcomeInvalid, ""},
		"null":                             {`{"outcome":null}`, outcomeInvalid, ""},
		"an object":                        {`{"outcome":{"a":"Failed"}}`, outcomeInvalid, ""},
		"a list around it":                 {`[{"outcome":"Failed"}]`, outcomeInvalid, ""},
		"two objects":                      {`{"outcome":"Failed"}{}`, outcomeInvalid, ""},
		"not UTF-8":                        {"{\"outcome\":\"Failed\",\"a\":\"\xff\"}", outcomeInvalid, ""},
		"a number that a double holds":     {`{"outcome":"Failed","a":[-1.5e308,1e-999,0]}`, outcomeOK, "Failed"},
		"one that is too large":            {`{"outcome":"Failed","a":[-1.5e309]}`, outcomeInvalid, ""},
		"one of too many digits":           {`{"outcome":"Failed","a":` + digits + `}`, outcomeInvalid, ""},
		"as many behind the point":         {`{"outcome":"Failed","a":0.` + digits + `}`, outcomeOK, "Failed"},
		"a text that looks like a number":  {`{"outcome":"Failed","1e999":"1e999"}`, outcomeOK, "Failed"},
		"brackets in a text":               {`{"outcome":"Failed","a":"` + strings.Repeat("[", 99) + `\\"}`, outcomeOK, "Failed"},
		"nested as deep as allowed":        {nested(jsonDepth), outcomeOK, "Failed"},
		"nested deeper":                    {nested(jsonDepth + 1), outcomeInvalid, ""},
		"both halves of a pair":            {`{"outcome":"Failed","a":"\ud83d\uDE00\\ud800\u0041"}`, outcomeOK, "Failed"},
		"the high half alone":              {`{"outcome":"Failed","a":"\uD83D"}`, outcomeInvalid, ""},
		"the low half alone":               {`{"outcome":"Failed","a":"\udE00\ud83d"}`, outcomeInvalid, ""},
		"two high halves, in a name":       {`{"outcome":"Failed","\ud83d\ud83d":1}`, outcomeInvalid, ""},
		"the high half and a plain escape": {`{"outcome":"Failed","a":"\ud83d\n"}`, outcomeInvalid, ""},
		"larger than any message":          {`{"outcome":"Failed","a":"` + strings.Repeat("a", 5000) + `"}`, outcomeTooLarge, "Failed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := judgeOutcome([]byte(c.text)); got.state != c.state || got.value != c.value {
				t.Errorf("%.60s: %s %q, want %s %q", c.text, got.state, got.value, c.state, c.value)
			}
		})
	}
}

func TestAnOutcomeIsJudgedAnewOnlyWhenItHasChanged(t *testing.T) {
	file := outcomeFile{path: filepath.Join(t.TempDir(), "outcome.json")}
	read := func() outcome {
		t.Helper()
		o, err := file.read()
		must(err)
		return o
	}
	if read().state != outcomeAbsent {
		t.Error("a file that is not there")
	}
	writeFile(t, file.path, `{"outcome":"Failed"}`)
	first, second := read(), read()
	if first.state != outcomeOK || &first.text[0] != &second.text[0] {
		t.Error("the same content was judged twice")
	}
	writeFile(t, file.path, `{"outcome":"Fooled"}`) // of the same size, at the same time perhaps
	if read().state != outcomeInvalid {
		t.Error("a change was not seen")
	}
	writeFile(t, file.path, "")
	if read().state != outcomeAbsent {
		t.Error("an empty file is none")
	}
}

func TestALargeOutcomeCostsLittleMemory(t *testing.T) {
	const most = 16 << 10 // KiB, of which this test program itself takes a part
	fill := func(begin, part, end string) string {
		return begin + strings.Repeat(part, (outcomeFileLimit-100)/len(part)) + end
	}
	for name, text := range map[string]string{
		"a text":  fill(`{"outcome":"Failed","a":"`, "a", `"}`),
		"numbers": fill(`{"outcome":"Failed","a":[1`, ",1", `]}`),
		"lists":   fill(`{"outcome":"Failed","a":[[]`, ",[]", `]}`),
		"members": fill(`{"outcome":"Failed"`, `,"a":1`, `}`),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, false)
			p.startActor()
			writeFile(t, p.path("outcome/outcome.json"), text)
			p.until("the outcome in the message", func() bool { return strings.Contains(p.message(), `"tooLarge"`) })
			if peak := status(t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), "VmHWM"); peak > most {
				t.Errorf("%d KiB were resident", peak)
			} else {
				t.Logf("%d KiB were resident", peak)
			}
		})
	}
}
