package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestOutcomeAndReceiptStandInOneMessage(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.start(self(), "role=outcome", "{\n \"outcome\": \"Failed\",\n \"result\": [1]\n}")
		p.wantExit(4)
		want := `{"receipt":1,"started":true,"outcome":"ok","says":"Failed"}` + "\n" + `{"outcome":"Failed","result":[1]}`
		if got := p.message(); got != want {
			t.Errorf("message %q, want %q", got, want)
		}
	})
}

func TestTheMessageFollowsEveryChangeSoThatItSurvivesTheLauncher(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor("-deaf")
		steps := []struct {
			outcome string
			want    string
		}{
			{`{"outcome":"Succeeded","result":"first, and rather long"}`, `{"outcome":"Succeeded","result":"first, and rather long"}`},
			{`{"outcome":"Succ`, `{"invalid":"{\"outcome\":\"Succ"}`},
			{`{"outcome":"Cancelled"}`, `{"outcome":"Cancelled"}`},
		}
		for _, step := range steps {
			writeFile(t, p.path("outcome/outcome.json"), step.outcome)
			p.until("the outcome in the message", func() bool { return p.said() == step.want })
		}
		p.post(cancel(1))
		p.until("the stop in the message", func() bool { return p.receipt().Stop != nil })
		must(p.cmd.Process.Signal(syscall.SIGKILL)) // as the kernel does when memory runs out
		<-p.exited
		if p.said() != `{"outcome":"Cancelled"}` {
			t.Errorf("message %q", p.message())
		}
		if r := p.receipt(); r.Stop == nil || r.Stop.Sequence != 1 || r.Outcome != outcomeOK {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestAProgramThatWritesTheTerminationMessageItselfDoesNotEraseTheReceipt(t *testing.T) {
	for name, text := range map[string]string{"short": "goodbye", "long": strings.Repeat("goodbye ", 1000), "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				p.start("/bin/sh", "-c", `printf %s "$0" > "$DESIST_TERMINATION_LOG"; exit 3`, text)
				p.wantExit(3)
				if got, want := p.message(), `{"receipt":1,"started":true,"outcome":"absent"}`; got != want {
					t.Errorf("message %.80q, want %q", got, want)
				}
			})
		})
	}
}

func TestACommandThatCannotBeStartedIsNamedInTheMessage(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir+"/text", "#!/bin/sh\n")
	must(os.WriteFile(dir+"/garbage", []byte("no program"), 0o755))
	must(os.WriteFile(dir+"/orphaned", []byte("#!/no/such/shell\n"), 0o755))
	cases := []struct {
		command string
		code    int
		message string
	}{
		{"/no/such/program", 127, "no such file"},
		{"no-such-program", 127, "not found in PATH"},
		{dir + "/text/below", 127, "not a directory"},
		{dir + "/orphaned", 127, "no such file"},
		{dir + "/text", 126, "permission denied"},
		{"text", 126, "permission denied"},
		{dir + "/garbage", 126, "exec format error"},
		{dir, 126, "permission denied"},
	}
	for _, c := range cases {
		t.Run(filepath.Base(c.command), func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				p.env = append(p.env, "PATH=/nowhere:"+dir)
				p.start(c.command)
				p.wantExit(c.code)
				if r := p.receipt(); r.Started || !strings.Contains(r.Error, c.message) || !strings.Contains(r.Error, c.command) {
					t.Errorf("receipt %+v", r)
				}
			})
		})
	}
}

func TestTheCommandIsFoundInPATHAndGetsItsArgumentsAndEnvironment(t *testing.T) {
	p := newPod(t, false)
	p.env = append(p.env, "FLAVOUR=sour")
	p.start("sh", "-c", `echo "$0 $1 $FLAVOUR $DESIST_OUTCOME" >> "$2/events"`, "zero", "a b", p.dir)
	p.wantExit(0)
	p.wantEvents("zero a b sour " + p.path("outcome/outcome.json"))
}

func TestTheCommandRunsOnWhereNothingCanBeWritten(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.env = append(p.env, "DESIST_TERMINATION_LOG=/no/such/folder/log", "DESIST_OUTCOME=/no/such/folder/outcome.json")
		p.startActor("-code", "3")
		p.post(cancel(1))
		p.wantExit(3)
		if n := strings.Count(p.stderr.String(), "termination message cannot be written"); n != 1 {
			t.Errorf("said %d times: %s", n, p.stderr)
		}
	})
}

func TestAnOutcomeThatIsNoFileIsSaidAndSkipped(t *testing.T) {
	valid := func(path string) { writeFile(t, path+"-valid", `{"outcome":"Succeeded"}`) }
	makers := map[string]func(path string){
		"a pipe":           func(path string) { must(syscall.Mkfifo(path, 0o666)) },
		"a folder":         func(path string) { must(os.Mkdir(path, 0o755)) },
		"a link":           func(path string) { valid(path); must(os.Symlink(path+"-valid", path)) },
		"a link to itself": func(path string) { must(os.Symlink(path, path)) },
		"a device":         func(path string) { must(os.Symlink("/dev/zero", path)) },
	}
	for name, maker := range makers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, false)
			maker(p.path("outcome/outcome.json"))
			p.start("/bin/sh", "-c", "exit 3")
			p.wantExit(3)
			if r := p.receipt(); r.Outcome != outcomeInvalid || !strings.Contains(p.said(), `{"invalid":"cannot be read: `) {
				t.Errorf("message %q", p.message())
			}
		})
	}
}

func TestAnOutcomeOfAnySizeIsReadWithinBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outcome.json")
	sparse := func(size int64) {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		must(err)
		_, err = file.WriteString(`{"outcome":"Succeeded"}`)
		must(errors.Join(err, file.Truncate(size), file.Close()))
	}
	for name, make := range map[string]func(){
		"two MiB of text":   func() { writeFile(t, path, `{"outcome":"Succeeded","result":"`+strings.Repeat("x", 2<<20)+`"}`) },
		"a sparse terabyte": func() { sparse(1 << 40) },
	} {
		make()
		o, err := (&outcomeFile{path: path}).read()
		if err != nil || o.state != outcomeInvalid || len(o.text) > invalidShown {
			t.Errorf("%s: state %q, %d bytes, %v", name, o.state, len(o.text), err)
		}
	}
}

func TestTheReceiptNeverOutgrowsItsPlace(t *testing.T) {
	now := time.Now()
	r := receipt{Receipt: receiptVersion, Started: true, SIGTERM: timestamp(now), LastSIGTERM: timestamp(now),
		Deadline: timestamp(now), Killed: true, Passed: &passed{"SIGVTALRM", timestamp(now)}, Refused: 9999, Outcome: outcomeTooLarge, Says: "Succeeded"}
	for _, sequence := range []int64{1, highestSequence - 2} {
		r := r
		for n := range int64(3) {
			r.read(stop{sequence: sequence + n, commandID: strings.Repeat("I", 26), mode: "Terminate"}, now, byMailbox)
		}
		line := string(r.line(receiptLimit))
		for _, name := range []string{"stop", "last", "passed", "deadline", "refused", "sigterm"} {
			if !strings.Contains(line, `"`+name+`"`) {
				t.Errorf("%s is left out: %s", name, line)
			}
		}
		if sequence == 1 && !strings.Contains(line, `"says"`) {
			t.Errorf("the outcome's value is left out: %s", line)
		}
		r.Error, r.Mailbox = "SIGVTALRM could not be sent to any of 9999 processes", "read /desist/mailbox/stop: input/output error"
		if line := string(r.line(receiptLimit)); len(line) > receiptLimit || !strings.Contains(line, `"last"`) {
			t.Errorf("%d bytes: %s", len(line), line)
		}
	}
	hostile := strings.Repeat("\x01\u2028é", 400)
	for limit := 64; limit <= receiptLimit; limit += 29 {
		r := r
		r.Error, r.Mailbox = hostile, hostile
		r.read(stop{sequence: 1, commandID: hostile, mode: "Kill"}, now, byMailbox)
		if line := r.line(limit); len(line) > limit {
			t.Errorf("%d bytes for %d: %s", len(line), limit, line)
		}
	}
}

func TestAMessageFitsWhateverTheUserWrites(t *testing.T) {
	r := receipt{Receipt: receiptVersion, Error: strings.Repeat("e", 600)}
	for _, text := range []string{strings.Repeat("\x00", 300), strings.Repeat("\xff", 5000), strings.Repeat("é", 200), `{"outcome":"Succeeded"}`} {
		for limit := 100; limit <= 4096; limit += 111 {
			if got := compose(r, judgeOutcome([]byte(text)), limit); len(got) > limit {
				t.Errorf("%d bytes for %d: %q", len(got), limit, got)
			}
		}
	}
}

func TestTheReceiptComesFirstAndNamesTheOutcomeThatMayBeCutOff(t *testing.T) {
	now := time.Now()
	r := receipt{Receipt: receiptVersion, Started: true}
	r.read(stop{sequence: 1, commandID: "command", mode: "Cancel"}, now, byMailbox)
	o := judgeOutcome([]byte(`{"result":"` + strings.Repeat("r", 3000) + `","outcome":"Failed"}`))
	whole := compose(r, o, kubeletMessageBytes)
	for containers := 5; containers <= 16; containers++ { // in a pod that was made with one
		kept := string(whole[:12288/containers])
		line, _, _ := strings.Cut(kept, "\n")
		var got receipt
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.Stop == nil || got.Stop.CommandID != "command" || got.Says != "Failed" {
			t.Errorf("of %d containers: %v, %s", containers, err, line)
		}
	}
}

func TestAShorterMessageLeavesNothingOfALongerOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	m := message{path: path, limit: 4096, log: newLogger(os.Stderr)}
	for _, size := range []int{10, 1000, 30, 0} {
		want := fmt.Sprintf("%0*d", size, 7)
		must(m.replace([]byte(want)))
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%q, want %q (%v)", got, want, err)
		}
	}
}
