package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onStop copies the file to the events at the stop signal.
const onStop = `trap 'echo "stop $(cat "$DESIST_STOP" 2>/dev/null)" >> "$0/events"; exit 7' TERM; echo started >> "$0/events"; while :; do sleep 0.05; done`

func (p *pod) startLooking() {
	p.start("sh", "-c", onStop, p.dir)
	p.waitEvent("started")
}

func (p *pod) wantSeenStop(test func(seen string) bool) {
	p.t.Helper()
	p.wantExit(7)
	raw, err := os.ReadFile(p.path("events"))
	must(err)
	for _, line := range strings.Split(string(raw), "\n") {
		if seen, there := strings.CutPrefix(line, "stop "); there {
			if !test(seen) {
				p.t.Errorf("the program saw %q", seen)
			}
			return
		}
	}
	p.t.Error("the program was not told")
}

func TestTheProgramFindsTheStopWhenItIsTold(t *testing.T) {
	for by, ask := range map[string]func(p *pod, c *controller){
		byPush:    func(p *pod, c *controller) { c.push(cancel(1)) },
		byMailbox: func(p *pod, c *controller) { p.post(cancel(1)) },
	} {
		t.Run(by, func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				c := p.hearing()
				p.startLooking()
				ask(p, c)
				p.wantSeenStop(func(seen string) bool {
					s, err := parseStop([]byte(seen))
					return err == nil && s.mode == "Cancel" && s.commandID == "command-1"
				})
			})
		})
	}
}

func TestAtASIGTERMAloneThereIsNoStop(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startLooking()
		must(p.cmd.Process.Signal(unix.SIGTERM))
		p.wantSeenStop(func(seen string) bool { return seen == "" })
	})
}

func TestTheMailboxBringsWhatAPushHasNoRoomFor(t *testing.T) {
	p := newPod(t, false)
	c := p.hearing()
	p.startActor("-deaf")
	c.push(cancel(1))
	p.waitEvent("command SIGTERM")
	text := cancel(1).json()
	p.postText(strings.Replace(text, `"mode"`, `"details":"in full","mode"`, 1))
	p.until("the details are there", func() bool {
		raw, _ := os.ReadFile(p.path("outcome/stop.json"))
		return strings.Contains(string(raw), "in full")
	})
	c.push(kill(2, 0))
	p.wantExit(137)
}

func TestNothingInThePlaceOfTheStopHoldsTheSignalUp(t *testing.T) {
	for name, put := range map[string]func(p *pod){
		"a folder": func(p *pod) { must(os.MkdirAll(p.path("outcome/stop.json/x"), 0o755)) },
		"a pipe": func(p *pod) {
			must(unix.Mkfifo(p.path("outcome/stop.json"), 0o644))
			must(unix.Mkfifo(p.path("outcome/stop.json.new"), 0o644))
		},
		"a folder under the other name": func(p *pod) { must(os.MkdirAll(p.path("outcome/stop.json.new/x"), 0o755)) },
		"links": func(p *pod) {
			writeFile(p.t, p.path("kept"), "mine")
			must(os.Symlink(p.path("kept"), p.path("outcome/stop.json")))
			must(os.Symlink(p.path("kept"), p.path("outcome/stop.json.new")))
		},
		"no folder at all": func(p *pod) { p.env = append(p.env, "DESIST_STOP=/no/such/folder/stop.json") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, false)
			put(p)
			p.start("sh", "-c", strings.Replace(onStop, "cat", "true", 1), p.dir)
			p.waitEvent("started")
			p.post(cancel(1))
			p.wantExit(7)
			if raw, err := os.ReadFile(p.path("kept")); err == nil && string(raw) != "mine" {
				t.Errorf("a link was followed: %q", raw)
			}
		})
	}
}
