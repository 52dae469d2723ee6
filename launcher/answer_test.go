package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"
)

type answerExample struct {
	About   string  `json:"about"`
	Text    string  `json:"text"`
	Written bool    `json:"written"`
	Read    *answer `json:"read"`
}

func answerExamples() (made []answerExample) {
	written := func(about, did string, told, refused int, mainEnded bool, left int) {
		a := answer{exampleNonce, examplePod, exampleCommand, 1, did, told, refused, mainEnded, left}
		made = append(made, answerExample{about, string(jsonLine(a)), true, &a})
	}
	written("The stop signal was sent to three.", didTold, 3, 0, false, 2)
	written("Of two, one is another user's.", didTold, 1, 1, false, 1)
	written("The main program has ended, two others have not.", didTold, 3, 0, true, 2)
	written("Its grace is over; nobody is left.", didKilling, 0, 0, true, 0)
	written("The command is never started.", didRefusedStart, 0, 0, false, 0)
	written("Nobody was there to be told.", didNote, 0, 0, true, 0)
	read := made[0]
	newer := answerExample{"A newer launcher may say more, and do what this one cannot.",
		strings.TrimSuffix(strings.Replace(read.Text, didTold+`"`, `frozen"`, 1), "}") + `,"v":2}`, false, nil}
	copied := *read.Read
	copied.Did, newer.Read = "frozen", &copied
	made = append(made, newer)
	for about, change := range map[string][2]string{
		"A field is missing.":        {`,"left":2`, ""},
		"A count is no text.":        {`"told":3`, `"told":"3"`},
		"A count is not negative.":   {`"left":2`, `"left":-1`},
		"mainEnded is true or not.":  {`"mainEnded":false`, `"mainEnded":0`},
		"A sequence begins with 1.":  {`"sequence":1`, `"sequence":0`},
		"It is an object.":           {read.Text, "[]"},
		"It is torn.":                {`"left":2}`, `"left":`},
		"A nonce is 32 digits.":      {exampleNonce, exampleNonce[1:]},
		"The command has a name.":    {exampleCommand, ""},
		"What was done has a name.":  {`"did":"told"`, `"did":""`},
		"A count is a whole number.": {`"refused":0`, `"refused":0.5`},
	} {
		made = append(made, answerExample{about, strings.Replace(read.Text, change[0], change[1], 1), false, nil})
	}
	return made
}

func TestEveryAnswerIsWrittenAsTheContractSays(t *testing.T) {
	var examples []answerExample
	must(json.Unmarshal(readExample(t, "push", "answers.json"), &examples))
	for _, example := range examples {
		if !example.Written {
			continue
		}
		if got := string(example.Read.text(datagramLimit)); got != example.Text {
			t.Errorf("%s\n got %s\nwant %s", example.About, got, example.Text)
		}
	}
}

func TestNoAnswerIsLongerThanWhatWasAsked(t *testing.T) {
	a := answer{exampleNonce, examplePod, strings.Repeat("I", 26), highestSequence, didRefusedStart, 99999, 99999, false, 99999}
	asked := datagramFor(examplePod, bodyOf(exampleNonce, cancel(1).json()), exampleKey)
	if a.text(len(asked)) == nil {
		t.Error("the longest of a real command does not fit into the shortest question")
	}
	for _, id := range []string{strings.Repeat("\x01", 64), strings.Repeat("\u2028", 64)} {
		a.CommandID = id
		if got := a.text(len(asked)); len(got) > len(asked) {
			t.Errorf("%d bytes for %d", len(got), len(asked))
		}
	}
}

func TestWhatCouldNotBeCountedIsOne(t *testing.T) {
	child := exec.Command("/bin/sleep", "60")
	must(child.Start())
	defer child.Wait()
	defer child.Process.Kill()
	tree := newTree(nil)
	if got := tree.others(time.Now().Add(-time.Second), true); got < 1 {
		t.Errorf("%d, in no time", got)
	}
	if got := tree.others(time.Now().Add(patience), true); got < 1 {
		t.Errorf("%d, of one at least", got)
	}
}
