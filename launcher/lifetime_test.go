package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTheKubeletsSIGTERMIsTheStopSignalWithoutADeadline(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor("-spawn", family, "-clean", "300ms", "-code", "7")
		must(p.cmd.Process.Signal(syscall.SIGTERM))
		p.wantExit(7)
		for _, name := range append(familyNames, "command") {
			if p.count(name+" SIGTERM") != 1 || p.count(name+" done") != 1 {
				t.Errorf("%s was not told once, or not waited for", name)
			}
		}
		if r := p.receipt(); r.SIGTERM == "" || r.Stop != nil || r.Deadline != "" || r.Killed {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestTheKubeletsSIGTERMBecomesTheWorkflowsSignal(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.env = append(p.env, "DESIST_STOP_SIGNAL=SIGINT")
		p.startActor("-spawn", "child:child")
		must(p.cmd.Process.Signal(syscall.SIGTERM))
		p.waitEvent("command SIGINT")
		p.waitEvent("child SIGINT")
		p.post(kill(1, 0))
		p.wantExit(137)
		if p.count("command SIGTERM") != 0 {
			t.Error("SIGTERM was passed on")
		}
	})
}

func TestASIGTERMIsPassedOnIfNothingWasSentYetAndUsesNoStopUp(t *testing.T) {
	sigterm := func(p *pod) { must(p.cmd.Process.Signal(syscall.SIGTERM)) }
	stop := func(p *pod) { p.post(cancel(1)) }
	cases := map[string]struct {
		first, second func(p *pod)
		told          int
	}{
		"SIGTERM, then a stop":  {sigterm, stop, 2},
		"a stop, then SIGTERM":  {stop, sigterm, 1},
		"SIGTERM, then another": {sigterm, sigterm, 1},
		"a stop, then another":  {stop, func(p *pod) { p.post(cancel(2)) }, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				p.startActor("-deaf")
				c.first(p)
				p.waitEvent("command SIGTERM")
				before := p.message()
				c.second(p)
				p.until("the second in the receipt", func() bool { return p.message() != before })
				p.until("all signals", func() bool { return p.count("command SIGTERM") >= c.told })
				p.post(kill(3, 0))
				p.wantExit(137)
				if n := p.count("command SIGTERM"); n != c.told {
					t.Errorf("told %d times, want %d", n, c.told)
				}
			})
		})
	}
}

func TestASIGTERMFromInsideIsPassedOnAndALaterStopIsTold(t *testing.T) {
	const script = `trap 'n=$((n+1)); echo "told $n" >> "$0/events"; [ $n = 1 ] || exit 5' TERM
		kill -TERM 1; while :; do sleep 0.01; done`
	p := newPod(t, true)
	p.start("/bin/sh", "-c", script, p.dir)
	p.waitEvent("told 1")
	p.post(cancel(1))
	p.wantExit(5)
	r := p.receipt()
	if r.SIGTERM == "" || r.Stop == nil || between(t, r.SIGTERM, r.Stop.At) <= 0 || r.LastSIGTERM != "" || r.Error != "" {
		t.Errorf("receipt %+v", r)
	}
}

func TestTheFirstAndTheLastSIGTERMStandInTheReceipt(t *testing.T) {
	p := newPod(t, false)
	p.startActor("-deaf")
	for _, known := range []func() string{
		func() string { return p.receipt().SIGTERM },
		func() string { must(p.cmd.Process.Signal(syscall.SIGTERM)); return p.receipt().LastSIGTERM },
	} {
		must(p.cmd.Process.Signal(syscall.SIGTERM))
		p.until("it in the receipt", func() bool { return known() != "" })
	}
	p.post(kill(1, 0))
	p.wantExit(137)
	if r := p.receipt(); between(t, r.SIGTERM, r.LastSIGTERM) <= 0 {
		t.Errorf("receipt %+v", r)
	}
}

func TestOtherSignalsArePassedOnToTheCommandAlone(t *testing.T) {
	numbers := []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGWINCH, syscall.SIGALRM, syscall.SIGCONT, 37}
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor("-spawn", "child:child")
		for _, number := range numbers {
			must(p.cmd.Process.Signal(number))
			p.waitEvent("command " + nameOf(number))
			r := p.receipt()
			if r.Passed == nil || r.Passed.Signal != signalName(number) || r.SIGTERM != "" {
				t.Fatalf("after %s the receipt is %+v", signalName(number), r)
			}
			if ago := between(t, r.Passed.At, timestamp(time.Now())); ago < 0 || ago > patience {
				t.Errorf("it came %v ago", ago)
			}
		}
		p.post(kill(1, 0))
		p.wantExit(137)
		want := []string{"command ready", "child ready"}
		for _, number := range numbers {
			want = append(want, "command "+nameOf(number))
		}
		p.wantEvents(want...)
	})
}

func TestTheLastOfManySignalsIsTheOneWhoseTimeStays(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor()
		must(p.cmd.Process.Signal(syscall.SIGHUP))
		p.waitEvent("command SIGHUP")
		first := p.receipt().Passed.At
		must(p.cmd.Process.Signal(syscall.SIGHUP)) // within a second: not written at once
		p.until("the second signal", func() bool { return p.count("command SIGHUP") == 2 })
		p.post(cancel(1))
		p.wantExit(0)
		if last := p.receipt().Passed; last.Signal != "SIGHUP" || between(t, first, last.At) <= 0 {
			t.Errorf("the receipt has %+v, the first came at %s", last, first)
		}
	})
}

func TestAFloodOfSignalsIsWrittenOnceASecondOfEach(t *testing.T) {
	path := t.TempDir() + "/log"
	s := &supervisor{log: newLogger(io.Discard)}
	s.reporter = newReporter(config{messageFile: path, messageLimit: kubeletMessageBytes}, s.log)
	s.command = 1 << 22 // nobody: it cannot be passed on
	written := func(signal syscall.Signal) bool {
		writeFile(t, path, "")
		s.pass(signal)
		raw, err := os.ReadFile(path)
		must(err)
		return len(raw) > 0
	}
	if !written(syscall.SIGHUP) || written(syscall.SIGHUP) || !written(syscall.SIGINT) || written(syscall.SIGINT) {
		t.Error("each is written at once, and not again")
	}
	if written(syscall.SIGHUP) {
		t.Error("two in turn are written each time")
	}
	s.noted[syscall.SIGINT] = s.noted[syscall.SIGINT].Add(-2 * passedInterval)
	if !written(syscall.SIGINT) || written(syscall.SIGHUP) {
		t.Error("each is written again after a while of its own")
	}
}

func TestTheLauncherEndsWithTheCommandWhenNothingWasAsked(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.start(p.actor("-now", "-code", "6", "-spawn", "child:child,orphan:orphan+setsid+deaf")...)
		p.wantExit(6)
		p.wantNobodyAlive()
		if r := p.receipt(); !r.Started || r.Stop != nil || r.SIGTERM != "" || r.Killed {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestExitCodesAreTheCommands(t *testing.T) {
	cases := map[string]int{"exit 0": 0, "exit 3": 3, "exit 255": 255, "kill -KILL $$": 137, "kill -TERM $$": 143, "kill -SEGV $$": 139}
	for script, code := range cases {
		t.Run(script, func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				p.start("/bin/sh", "-c", script)
				p.wantExit(code)
			})
		})
	}
}

func TestAShellThatDiesFirstDoesNotCutItsProgramsCleanUpShort(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.start("/bin/sh", "-c", strings.Join(p.actor("-clean", "500ms"), " ")+"; echo never")
		p.waitEvent("command ready")
		p.post(cancel(1))
		p.wantExit(143)
		p.wantEvents("command ready", "command SIGTERM", "command done")
	})
}

func TestWhatAShellStartsToCleanUpIsNotToldToStop(t *testing.T) {
	// The handler starts programs at once, while the launcher is still busy.
	const script = `trap 'for i in 1 2 3 4 5; do sleep 0.02 || exit 9; done; (sleep 0.1 && echo clean >> "$0/events"); exit 8' TERM
		echo ready >> "$0/events"; while :; do sleep 0.01; done`
	for round := range 5 {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				p.start("/bin/sh", "-c", script, p.dir)
				p.waitEvent("ready")
				p.post(cancel(1))
				p.wantExit(8)
				p.wantEvents("ready", "clean")
			})
		})
	}
}

func TestForksThatRaceTheWalkAreTold(t *testing.T) {
	// One thread, and no handler: where another thread handles the signal, a
	// fork that the freeze turned back at its very beginning is begun anew when
	// the program goes on, and nothing tells that child from one of a clean-up.
	const storm = `n=0; while [ $n -lt 3000 ]; do sleep 60 & n=$((n+1)); [ $n != 30 ] || echo "storm ready" >> "$0/events"; done; wait`
	for round := range 4 {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				p.start("/bin/sh", "-c", storm, p.dir)
				p.waitEvent("storm ready")
				p.post(cancel(1))
				p.wantExit(143) // and not after the minute that each of its children would live
			})
		})
	}
}

func TestForksThatRaceTheKillAreKilled(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.start(self(), "role=storm", p.dir)
		p.waitEvent("storm ready")
		p.post(kill(1, 0))
		p.wantExit(137)
		p.wantNobodyAlive()
	})
}

func TestZombiesAreReaped(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		// Forty orphans, which end after their parents.
		p.start("/bin/sh", "-c", `for i in $(seq 40); do (sleep 0.05 &) ; done; echo ready >> "$0/events"; exec sleep 60`, p.dir)
		p.waitEvent("ready")
		p.until("the last zombie", func() bool { return len(childrenOf(t, p.cmd.Process.Pid)) == 1 })
		p.post(cancel(1))
		p.wantExit(143)
	})
}

func childrenOf(t *testing.T, pid int) []string {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Skipf("this kernel does not list children: %v", err)
	}
	// Children of the launcher's other threads are counted at the first one.
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	must(err)
	all := strings.Fields(string(raw))
	for _, task := range tasks {
		if task.Name() != fmt.Sprint(pid) {
			raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
			all = append(all, strings.Fields(string(raw))...)
		}
	}
	return all
}

func TestAnExecSessionIsLeftAloneAndItsOrphansAreTold(t *testing.T) {
	p := newPod(t, true)
	p.startActor("-clean", "200ms", "-code", "2")
	startSession(t, p.cmd.Process.Pid, "role=actor", "-dir", p.dir, "-name", "debug", "-spawn", "below:child,orphan:orphan+setsid")
	p.waitEvent("debug ready")
	p.post(cancel(1))
	p.wantExit(2) // a session does not keep the launcher; an orphan would
	p.wantNobodyAlive()
	p.wantEvents("command ready", "command SIGTERM", "command done", "debug ready", "below ready",
		"orphan-parent ready", "orphan-parent done", "orphan ready", "orphan SIGTERM", "orphan done")
	if p.count("debug SIGCONT")+p.count("below SIGCONT") != 0 {
		t.Error("the session was stopped and continued")
	}
}

func TestAnOrphanOfAnExecSessionIsWaitedFor(t *testing.T) {
	p := newPod(t, true)
	p.startActor()
	startSession(t, p.cmd.Process.Pid, "role=actor", "-dir", p.dir, "-name", "debug", "-now", "-spawn-clean", "500ms", "-spawn", "left:child")
	p.waitEvent("debug done")
	p.post(cancel(1))
	p.wantExit(0)
	if p.count("left SIGTERM") != 1 || p.count("left done") != 1 {
		t.Error("the orphan was not told, or not waited for")
	}
}

func TestTheDeadlineEndsExecSessionsToo(t *testing.T) {
	p := newPod(t, true)
	p.startActor("-deaf")
	startSession(t, p.cmd.Process.Pid, "role=actor", "-dir", p.dir, "-name", "debug", "-deaf")
	p.waitEvent("debug ready")
	p.post(kill(1, 0.2))
	p.wantExit(137)
	p.wantNobodyAlive()
}

func TestOthersProcessesAreNeverTouched(t *testing.T) {
	p := newPod(t, false)
	p.startActor("-deaf")
	stranger := exec.Command(self(), "role=actor", "-dir", p.dir, "-name", "stranger")
	must(stranger.Start())
	defer stranger.Wait()
	defer stranger.Process.Kill()
	p.waitEvent("stranger ready")
	p.post(kill(1, 0.2))
	p.wantExit(137)
	if p.count("stranger SIGTERM")+p.count("stranger SIGCONT") != 0 || len(p.alive()) != 1 {
		t.Errorf("a process of somebody else was hit; alive: %v", p.alive())
	}
}

func TestWhatMayNotBeSignalledDoesNotKeepTheLauncher(t *testing.T) {
	p := newPod(t, true)
	p.startUnprivileged(p.setuid(), "role=actor", "-dir", p.dir, "-deaf", "-root")
	p.waitEvent("command ready")
	p.post(kill(1, 0.3))
	p.wantExit(137)
	p.wantNobodyAlive()
	if p.count("command SIGTERM") != 0 {
		t.Error("it could be signalled: the test shows nothing")
	}
	if r := p.receipt(); !r.Killed || r.Refused != 1 || r.Error != "SIGTERM could not be sent to any of 1 processes" {
		t.Errorf("receipt %+v", r)
	}
}

func TestWhoRefusedTheSignalIsCountedAlsoWhereOthersTookIt(t *testing.T) {
	const script = `"$1" role=actor -dir "$0" -name other -deaf -root &
		while ! grep -q "other ready" "$0/events"; do sleep 0.01; done
		trap 'exit 3' TERM; echo ready >> "$0/events"; while :; do sleep 0.01; done`
	for _, to := range []string{"All", "Main"} {
		t.Run(to, func(t *testing.T) {
			p := newPod(t, true)
			p.env = append(p.env, "DESIST_SIGNAL_TO="+to)
			p.startUnprivileged("/bin/sh", "-c", script, p.dir, p.setuid())
			p.waitEvent("ready")
			p.post(posting{1, "Kill", "SIGTERM", 2})
			p.wantExit(3)
			want := map[string]int{"All": 1, "Main": 0}[to] // whom nobody told cannot refuse
			if r := p.receipt(); r.Refused != want || r.Error != "" || p.count("other SIGTERM") != 0 {
				t.Errorf("receipt %+v", r)
			}
		})
	}
}

func TestTheGraceCountsFromTheReading(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) { // postedAt lies years back in every test
		p.startActor("-deaf")
		begin := time.Now()
		p.post(kill(1, 0.7))
		p.wantExit(137)
		if lived := time.Since(begin); lived < 700*time.Millisecond {
			t.Errorf("killed after %v", lived)
		}
	})
}
