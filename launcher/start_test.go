package main

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// makeOld lets the mailbox, as the kubelet made it, look made so long ago.
func (p *pod) makeOld(age time.Duration) {
	p.t.Helper()
	p.postText("")
	at := unix.NsecToTimespec(time.Now().Add(-age).UnixNano())
	must(unix.UtimesNanoAt(unix.AT_FDCWD, p.path("mailbox/stop"), []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW))
}

func TestALateStartThatIsStoppedMeanwhileStartsNothing(t *testing.T) {
	cases := map[string]struct {
		ask  func(p *pod)
		seen func(r receipt) bool
	}{
		"SIGTERM": {
			func(p *pod) { must(p.cmd.Process.Signal(syscall.SIGTERM)) },
			func(r receipt) bool { return r.SIGTERM != "" && r.Stop == nil },
		},
		"the signal of the image": {
			func(p *pod) { must(p.cmd.Process.Signal(syscall.SIGQUIT)) },
			func(r receipt) bool { return r.Passed != nil && r.Passed.Signal == "SIGQUIT" && r.Stop == nil },
		},
		"a stop": {
			func(p *pod) { p.post(kill(4, 60)) },
			func(r receipt) bool { return r.SIGTERM == "" && r.Stop != nil && r.Stop.Sequence == 4 },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				p.makeOld(time.Minute)
				p.start(p.actor()...)
				p.untilLogged("a late start", 1)
				must(p.cmd.Process.Signal(syscall.SIGCONT)) // stops nothing
				c.ask(p)
				p.wantExit(143)
				if r := p.receipt(); r.Started || r.Error != "" || !c.seen(r) {
					t.Errorf("receipt %+v", r)
				}
				if events := eventsIn(p.dir); events != "" {
					t.Errorf("the command ran: %q", events)
				}
			})
		})
	}
}

func TestALateStartThatNobodyStopsStartsTheCommandAfterAWhile(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.makeOld(time.Minute)
		p.postText("new, and no stop") // a new content makes no young mailbox
		begin := time.Now()
		p.startActor("-code", "5")
		if waited := time.Since(begin); waited < lateStartWait {
			t.Errorf("it waited for %v only", waited)
		}
		p.post(cancel(1))
		p.wantExit(5)
	})
}

func TestHowLongAStartWaitsIsToldByTheAgeOfTheMailbox(t *testing.T) {
	cases := []struct {
		age  time.Duration
		want time.Duration
	}{
		{0, 0}, {4 * time.Second, 0}, {6 * time.Second, lateStartWait}, {time.Hour, lateStartWait},
		{-clockJitter / 2, 0}, {-time.Minute, lateStartWait}, // the clock was set back
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.age), func(t *testing.T) {
			p := newPod(t, false)
			p.postText("")
			p.postText(cancel(1).json())
			if got := startWait(p.path("mailbox"), time.Now().Add(c.age)); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	if got := startWait("/no/such/folder", time.Now()); got != lateStartWait {
		t.Errorf("where nothing tells the age: %v", got)
	}
}

func TestTheMailboxIsAsOldAsItsFolderOrTheLinkInIt(t *testing.T) {
	p := newPod(t, false)
	begin := time.Now().Add(-clockJitter)
	p.makeOld(0)
	byFolder, known := madeAt(p.path("mailbox"))
	p.makeOld(time.Hour)
	byLink, _ := madeAt(p.path("mailbox"))
	if !known || byFolder.Before(begin) || begin.Sub(byLink) < 59*time.Minute {
		t.Errorf("by the folder %v, by the link %v", byFolder, byLink)
	}
	must(os.Remove(p.path("mailbox/stop")))
	writeFile(t, p.path("mailbox/stop"), "") // not the kubelet's: it says nothing
	must(os.Chtimes(p.path("mailbox/stop"), time.Time{}, time.Now().Add(-time.Hour)))
	if again, _ := madeAt(p.path("mailbox")); again.Before(begin) {
		t.Errorf("a file told the age: %v", again)
	}
}
