package main

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAStatLineIsReadWhateverTheProgramIsCalled(t *testing.T) {
	const after = " 7 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 123456 2000 300"
	cases := map[string]struct {
		line string
		dead bool
		bad  bool
	}{
		"plain":                          {line: "42 (sleep) S" + after},
		"brackets, blanks and a newline": {line: "42 (a) Z 1 (\nb) R" + after},
		"a zombie with threads":          {line: "42 (java) Z" + after},
		"a zombie":                       {line: "42 (sh) Z 7 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 0 0", dead: true},
		"one that is being taken out":    {line: "42 (sh) X 0 -1 -1 0 -1 4194564 1 0 0 0 0 0 0 0 20 0 0 0 123456 0 0", bad: true},
		"cut off":                        {line: "42 (sh) S 7 7", bad: true},
		"empty":                          {line: "", bad: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(42, []byte(c.line))
			if c.bad {
				if err == nil {
					t.Errorf("read as %+v", got)
				}
				return
			}
			want := process{id: identity{42, 123456}, ppid: 7, dead: c.dead}
			if err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestAThreadIsAtRestWhenItRunsNoCode(t *testing.T) {
	for state, want := range map[string]bool{"T": true, "t": true, "Z": true, "X": true, "R": false, "S": false, "D": false, "I": false} {
		if got := resting([]byte("42 (a) T ) " + state + " 7 7")); got != want {
			t.Errorf("%s: %v", state, got)
		}
	}
	if resting(nil) || (identity{pid: os.Getpid()}).atRest() || !(identity{pid: 1 << 22}).atRest() {
		t.Error("a line that is cut off, a process that runs, or one that is gone")
	}
}

func TestAWalkLooksAtTheClockAtEveryProcess(t *testing.T) {
	if table, err := snapshot(time.Now()); err != nil || len(table) != 0 {
		t.Errorf("%d processes read, %v", len(table), err)
	}
	child := exec.Command("sleep", "60")
	must(child.Start())
	defer child.Wait()
	defer child.Process.Kill()
	p, err := readProcess(child.Process.Pid)
	must(err)
	tree := &tree{self: os.Getpid(), command: child.Process.Pid, log: newLogger(io.Discard)}
	if reached, _ := tree.each([]process{p}, unix.SIGTERM, time.Now()); len(reached) != 0 {
		t.Error("signalled after the time")
	}
	if told, _ := tree.tell(unix.SIGTERM, time.Now()); told != 0 {
		t.Errorf("%d told after the deadline", told)
	}
	if table, err := snapshot(time.Time{}); err != nil || table[p.id.pid].id != p.id {
		t.Errorf("a table without a limit is not whole: %v", err)
	}
}

func TestOwnProcessesAreThoseBelowTheLauncher(t *testing.T) {
	cases := map[string]struct {
		parents map[int]int // by pid
		self    int
		mine    []int // nearest first
		sure    bool
	}{
		"all but the launcher":             {map[int]int{1: 0, 5: 1, 3: 5, 2: 3}, 1, []int{5, 3, 2}, true},
		"no exec session, nor what it ran": {map[int]int{1: 0, 2: 1, 8: 0, 9: 8, 10: 9}, 1, []int{2}, true},
		"an orphan of an exec session":     {map[int]int{1: 0, 2: 1, 8: 0, 9: 1}, 1, []int{2, 9}, true},
		"a parent that has just vanished":  {map[int]int{1: 0, 2: 1, 9: 7, 10: 9}, 1, []int{2}, false},
		"not as PID 1":                     {map[int]int{1: 0, 50: 1, 60: 50, 61: 60, 70: 1}, 50, []int{60, 61}, true},
		"a pid used again as a circle":     {map[int]int{1: 0, 2: 1, 8: 9, 9: 8}, 1, []int{2}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			table := map[int]process{}
			for pid, parent := range c.parents {
				table[pid] = process{id: identity{pid: pid}, ppid: parent}
			}
			mine, sure := own(table, c.self)
			var pids []int
			for _, p := range mine {
				pids = append(pids, p.id.pid)
			}
			if !slices.Equal(pids, c.mine) || sure != c.sure {
				t.Errorf("got %v, %v, want %v, %v", pids, sure, c.mine, c.sure)
			}
		})
	}
}

func TestSignalsHaveTheirUsualNames(t *testing.T) {
	for name, number := range map[string]int{"SIGTERM": 15, "SIGHUP": 1, "SIGRTMIN": 34, "SIGRTMIN+3": 37, "SIGRTMAX-1": 63, "SIGRTMAX": 64} {
		if got, ok := signalByName(name); !ok || int(got) != number {
			t.Errorf("%s is %d, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "TERM", "sigterm", "15", "SIGFOO", "SIGRTMIN+31", "SIGRTMAX+1", "SIGRTMIN+x"} {
		if got, ok := signalByName(name); ok {
			t.Errorf("%q is %d", name, got)
		}
	}
}

func TestADamagedEnvironmentIsSaidAndReplaced(t *testing.T) {
	c := configFrom([]string{"DESIST_OUTCOME_LIMIT_BYTES=many", "DESIST_STOP_SIGNAL=15", "nonsense"})
	if c.messageLimit != kubeletMessageBytes || c.stopSignal != 15 || len(c.badEnvironment) != 2 {
		t.Errorf("%+v", c)
	}
	if c := configFrom([]string{"DESIST_OUTCOME_LIMIT_BYTES=1536", "DESIST_STOP_SIGNAL=SIGINT"}); c.messageLimit != 1536 || c.stopSignal != 2 || c.badEnvironment != nil {
		t.Errorf("%+v", c)
	}
}
