package main

import (
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestWithSignalToMainTheCommandAloneIsTold(t *testing.T) {
	asks := map[string]func(p *pod){
		"a stop":                 func(p *pod) { p.post(cancel(1)) },
		"a stop with a deadline": func(p *pod) { p.post(kill(1, 60)) },
		"SIGTERM":                func(p *pod) { must(p.cmd.Process.Signal(syscall.SIGTERM)) },
	}
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				p.env = append(p.env, "DESIST_SIGNAL_TO=Main")
				p.startActor("-spawn", family, "-clean", "100ms", "-spawn-clean", "30s", "-code", "3")
				ask(p)
				p.wantExit(3) // and not when those that were not told have ended
				p.wantNobodyAlive()
				if p.count("command SIGTERM") != 1 || p.count("command done") != 1 {
					t.Error("the command was not told once")
				}
				for _, name := range familyNames {
					if p.count(name+" SIGTERM")+p.count(name+" SIGCONT") != 0 {
						t.Errorf("%s was told", name)
					}
				}
			})
		})
	}
}

func TestWithSignalToMainTheCommandAloneGoesOnWhereItWasStopped(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.env = append(p.env, "DESIST_SIGNAL_TO=Main")
		p.start(p.actor("-name", "command", "-stopped", "-code", "4")...)
		p.until("the command to be stopped", func() bool { return isStopped(p.dir, "command") })
		p.post(cancel(1))
		p.wantExit(4)
	})
}

func TestWithSignalToMainSIGKILLGoesToAll(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.env = append(p.env, "DESIST_SIGNAL_TO=Main")
		p.startActor("-deaf", "-spawn", "child:deaf,orphan:orphan+deaf,session:setsid+deaf")
		p.post(kill(1, 0.5))
		p.wantExit(137)
		p.wantNobodyAlive()
	})
}

func TestAWrapperThatPassesTheSignalOnTellsItsChildOnceUnderMain(t *testing.T) {
	const wrapper = `trap 'kill -TERM $child' TERM
		"$@" & child=$!
		while kill -0 $child 2>/dev/null; do wait $child; code=$?; done; exit $code`
	inBoth(t, func(t *testing.T, p *pod) { // (under All twice, or once where the two meet in a process that is stopped)
		p.env = append(p.env, "DESIST_SIGNAL_TO=Main")
		p.start(append([]string{"/bin/sh", "-c", wrapper, "wrapper"}, p.actor("-deaf")...)...)
		p.waitEvent("command ready")
		p.post(cancel(1))
		p.waitEvent("command SIGTERM")
		p.post(kill(2, 0.2))
		p.wantExit(137)
		if n := p.count("command SIGTERM"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestWhomTheSignalGoesToIsReadFromTheEnvironment(t *testing.T) {
	for text, main := range map[string]bool{"": false, "All": false, "Main": true, "main": false} {
		c := configFrom([]string{"DESIST_SIGNAL_TO=" + text})
		said := slices.ContainsFunc(c.badEnvironment, func(entry string) bool { return strings.HasSuffix(entry, text) })
		if c.toMain != main || said != (text == "main") {
			t.Errorf("%q: %+v", text, c)
		}
	}
}
