package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Everything that a command may have started, each in its own way.
const family = "child:child,session:setsid,orphan:orphan,frozen:stopped,lost:orphan+setsid+stopped"

var familyNames = []string{"child", "session", "orphan", "frozen", "lost"}

func TestAStopThatIsThereAtTheStartKeepsTheCommandFromStarting(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.post(kill(3, 20))
		p.start(p.actor()...)
		p.wantExit(143)
		r := p.receipt()
		if r.Started || r.Stop == nil || r.Stop.Sequence != 3 || r.Stop.Mode != "Kill" || r.Stop.By != "mailbox" {
			t.Errorf("receipt %+v", r)
		}
		if events := eventsIn(p.dir); events != "" {
			t.Errorf("the command ran: %q", events)
		}
	})
}

func TestAStopWithoutDeadlineTellsEveryDescendantOnceAndKillsNone(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor("-spawn", family, "-clean", "300ms", "-code", "3")
		p.post(cancel(1))
		p.wantExit(3)
		want := []string{"orphan-parent ready", "orphan-parent done", "lost-parent ready", "lost-parent done"}
		for _, name := range append(familyNames, "command") {
			for _, event := range []string{" ready", " SIGTERM", " done"} {
				want = append(want, name+event)
			}
			if n := p.count(name + " SIGCONT"); n > 1 {
				t.Errorf("%s got %d times SIGCONT", name, n)
			}
		}
		p.wantEvents(want...)
		if r := p.receipt(); !r.Started || r.Stop.CommandID != "command-1" || r.Deadline != "" || r.Killed || r.Last != nil {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestAStopWithADeadlineTellsAndThenKillsWhatIsDeaf(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor("-deaf", "-spawn", "child:deaf,orphan:orphan+deaf,session:setsid+deaf,frozen:stopped+deaf")
		p.post(kill(1, 3)) // in which all of them note that they were told
		p.wantExit(137)
		p.wantNobodyAlive()
		for _, name := range []string{"command", "child", "orphan", "session", "frozen"} {
			if p.count(name+" SIGTERM") != 1 {
				t.Errorf("%s was not told once", name)
			}
		}
		r := p.receipt()
		if !r.Killed || between(t, r.Stop.At, r.Deadline) != 3*time.Second {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestACommandThatObeysInTimeIsNotKilled(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor("-clean", "200ms", "-code", "5")
		p.post(kill(1, 60))
		p.wantExit(5)
		if r := p.receipt(); r.Killed || between(t, r.Stop.At, r.Deadline) != time.Minute {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestGraceZeroKillsAtOnceWithoutAStopSignal(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor("-spawn", family)
		p.post(posting{1, "Force", "SIGTERM", 0})
		p.wantExit(137)
		p.wantNobodyAlive()
		for _, name := range append(familyNames, "command") {
			if p.count(name+" SIGTERM") != 0 {
				t.Errorf("%s got the stop signal", name)
			}
		}
		if r := p.receipt(); !r.Killed || r.Stop.Mode != "Force" || r.Deadline != r.Stop.At {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestTheStopSignalIsTheOneOfTheMailbox(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor("-spawn", "child:child")
		p.post(posting{1, "Cancel", "SIGUSR2", -1})
		p.waitEvent("command SIGUSR2")
		p.waitEvent("child SIGUSR2")
		p.post(kill(2, 0))
		p.wantExit(137)
		if p.count("command SIGTERM")+p.count("child SIGTERM") != 0 {
			t.Error("another signal was sent")
		}
	})
}

func TestALaterStopOnlyBringsTheDeadlineForward(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor("-deaf")
		p.post(cancel(1))
		p.waitEvent("command SIGTERM")
		p.post(kill(2, 50))
		p.until("the second stop", func() bool { return p.receipt().Last != nil })
		p.post(kill(3, 3)) // in which the fourth is read
		p.until("the third stop", func() bool { return p.receipt().Last.Sequence == 3 })
		earliest := p.receipt().Deadline
		p.post(kill(4, 50))
		p.wantExit(137)
		r := p.receipt()
		if r.Stop.Sequence != 1 || r.Stop.Mode != "Cancel" || r.Last.Sequence != 4 || r.Last.CommandID != "command-4" || r.Deadline != earliest {
			t.Errorf("receipt %+v %+v %+v", r, *r.Stop, *r.Last)
		}
		if n := p.count("command SIGTERM"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestWhatIsNoNewStopDoesNothing(t *testing.T) {
	const refused = "holds no valid stop"
	inBoth(t, func(t *testing.T, p *pod) {
		p.postText("")
		p.startActor("-deaf")
		p.postText(" \n")
		p.untilLogged(refused, 1)
		p.postText(kill(1, 0).json()[:60])
		p.untilLogged(refused, 2)
		p.postText(`{"sequence":"1"}`)
		p.untilLogged(refused, 3)
		p.postText(string(make([]byte, 1<<20)))
		p.untilLogged("too large", 1)
		p.post(cancel(5))
		p.waitEvent("command SIGTERM")
		p.post(kill(5, 0)) // repeated
		p.post(kill(4, 0)) // lower
		p.postText("")
		p.postText("}")
		p.untilLogged(refused, 5)
		p.post(kill(6, 0))
		p.wantExit(137)
		if r := p.receipt(); r.Stop.Sequence != 5 || r.Last == nil || r.Last.Sequence != 6 {
			t.Errorf("receipt %+v", r)
		}
		if n := p.count("command SIGTERM"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestAStopIsReadAfterOneOfTheHighestSequence(t *testing.T) {
	p := newPod(t, false)
	p.startActor("-deaf")
	p.post(cancel(highestSequence))
	p.waitEvent("command SIGTERM")
	p.post(kill(highestSequence+1, 0)) // malformed
	p.untilLogged("holds no valid stop", 1)
	p.post(kill(highestSequence, 0)) // what the controller posts above the first
	p.wantExit(137)
}

func TestAStopIsReadHoweverTheFileIsWritten(t *testing.T) {
	writers := map[string]func(p *pod, text string){
		"in place": func(p *pod, text string) { writeFile(p.t, p.path("mailbox/stop"), text) },
		"renamed": func(p *pod, text string) {
			writeFile(p.t, p.path("stop"), text)
			must(syscall.Rename(p.path("stop"), p.path("mailbox/stop")))
		},
	}
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, false)
			p.startActor()
			write(p, cancel(1).json())
			p.wantExit(0)
			if p.receipt().Stop == nil {
				t.Error("no stop in the receipt")
			}
		})
	}
}

func TestAMailboxThatCannotBeWatchedIsReadAllTheSame(t *testing.T) {
	p := newPod(t, false)
	must(syscall.Rmdir(p.path("mailbox")))
	p.startActor()
	must(syscall.Mkdir(p.path("mailbox"), 0o755))
	p.post(cancel(1))
	p.wantExit(0)
	if p.receipt().Stop == nil {
		t.Error("no stop in the receipt")
	}
}

func TestAMailboxThatCannotBeReadIsReadAgainEverySecondAndSaid(t *testing.T) {
	p := newPod(t, true)
	p.postText("")
	program := p.openToAll()
	p.startUnprivileged(program, "role=actor", "-dir", p.dir)
	p.waitEvent("command ready")
	must(os.Mkdir(p.path("hidden"), 0o755))
	writeFile(t, p.path("hidden/stop"), cancel(1).json())
	must(os.Chmod(p.path("hidden"), 0)) // a change of rights raises no event
	must(os.Symlink("../hidden", p.path("mailbox/..data_tmp")))
	must(os.Rename(p.path("mailbox/..data_tmp"), p.path("mailbox/..data")))
	p.until("the failure in the receipt", func() bool { return strings.Contains(p.receipt().Mailbox, "permission denied") })
	must(os.Chmod(p.path("hidden"), 0o755))
	p.wantExit(0)
	if r := p.receipt(); r.Stop == nil || r.Mailbox != "" || strings.Count(p.stderr.String(), "cannot be read") != 1 {
		t.Errorf("receipt %+v", r)
	}
}

func TestAMailboxIsReadAgainHoweverManyOtherEventsThereAre(t *testing.T) {
	s := &supervisor{mailbox: &mailbox{failure: "why"}}
	first := s.mailboxRetry()
	if first == nil || s.mailboxRetry() != first {
		t.Error("an event put the next reading off")
	}
	s.retry, s.mailbox.failure = nil, ""
	if s.mailboxRetry() != nil {
		t.Error("it wakes up for nothing")
	}
}

func TestAMailboxWhoseWatchTellsNothingIsKnownByItsFileSystem(t *testing.T) {
	for number, want := range map[int64]bool{0x65735546: true, 0x01021997: true, unix.TMPFS_MAGIC: false, unix.OVERLAYFS_SUPER_MAGIC: false, 0: false} {
		if got := silent(number); got != want {
			t.Errorf("%#x: %v", number, got)
		}
	}
	if fileSystem("/proc") != unix.PROC_SUPER_MAGIC || fileSystem("/no/such/folder") != 0 {
		t.Error("the type of a file system is read wrongly")
	}
}

func between(t *testing.T, from, to string) time.Duration {
	t.Helper()
	start, err := time.Parse(time.RFC3339Nano, from)
	if err != nil {
		t.Fatal(err)
	}
	end, err := time.Parse(time.RFC3339Nano, to)
	if err != nil {
		t.Fatal(err)
	}
	return end.Sub(start)
}
