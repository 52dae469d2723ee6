package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

func TestASIGHUPBeforeALateStartIsNoStopAndTheCommandGetsIt(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.makeOld(time.Minute)
		p.start("/bin/sleep", "60")
		p.untilLogged("a late start", 1)
		must(p.cmd.Process.Signal(syscall.SIGHUP))
		p.wantExit(128 + 1)
		if r := p.receipt(); !r.Started || r.Passed == nil || r.Passed.Signal != "SIGHUP" {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestASignalThatCameWhenTheWaitEndsCounts(t *testing.T) {
	for range 50 { // a choice among what is ready would be wrong in one of two
		s := &supervisor{log: newLogger(io.Discard), mailbox: newMailbox(t.TempDir(), nil), watch: &watcher{}}
		s.signals = signals{term: make(chan os.Signal, 1), other: make(chan os.Signal, 1)}
		s.signals.term <- syscall.SIGTERM
		s.signals.other <- syscall.SIGCONT
		if !s.stoppedBefore(0) || s.receipt.SIGTERM == "" {
			t.Fatal("it was not heard")
		}
	}
}

func TestAPushThatCameWhenTheWaitEndsCounts(t *testing.T) {
	for range 50 {
		s := &supervisor{log: newLogger(io.Discard), mailbox: newMailbox(t.TempDir(), nil), watch: &watcher{}}
		s.config.push = &pushTo{podUID: examplePod}
		pushes := make(chan pushed, 1)
		pushes <- pushed{request: request{stop: stop{sequence: 1, commandID: "command", mode: "Cancel"}}} // of no size: it is not answered
		s.pushed = pushes
		if !s.stoppedBefore(0) || s.receipt.Stop == nil || s.receipt.Stop.By != byPush {
			t.Fatal("it was not heard")
		}
	}
}

// A launcher without a command is held up where it says how it is used: by a
// pipe that is full. So long it has done nothing yet but to begin.
func TestALauncherTakesSignalsBeforeItDoesAnythingElse(t *testing.T) {
	var ends [2]int
	must(unix.Pipe2(ends[:], unix.O_CLOEXEC))
	reader, writer := os.NewFile(uintptr(ends[0]), "reader"), os.NewFile(uintptr(ends[1]), "writer")
	size, err := unix.FcntlInt(writer.Fd(), unix.F_GETPIPE_SZ, 0)
	must(err)
	_, err = writer.Write(make([]byte, size))
	must(err)
	cmd := exec.Command(build(t), runCommand)
	cmd.Stderr = writer
	must(cmd.Start())
	must(writer.Close())
	proc := fmt.Sprintf("/proc/%d", cmd.Process.Pid)
	writing := func() bool {
		found, err := filepath.Glob(proc + "/task/*/syscall")
		must(err)
		return slices.ContainsFunc(found, func(file string) bool {
			raw, err := os.ReadFile(file)
			return err == nil && strings.HasPrefix(string(raw), fmt.Sprintf("%d 0x2 ", unix.SYS_WRITE))
		})
	}
	const sigterm = 1 << (syscall.SIGTERM - 1)
	if !waitFor(t.TempDir(), patience, writing) {
		t.Fatal("it does not say how it is used")
	}
	must(cmd.Process.Signal(syscall.SIGTERM))
	if !waitFor(t.TempDir(), patience, func() bool { return mask(t, proc+"/status", "ShdPnd")&sigterm == 0 }) {
		t.Fatal("it takes no SIGTERM")
	}
	_, err = io.Copy(io.Discard, reader)
	must(err)
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 2 {
		t.Error(err)
	}
}

// mask reads a set of signals.
func mask(t *testing.T, file, name string) uint64 {
	t.Helper()
	raw, err := os.ReadFile(file)
	must(err)
	_, rest, _ := strings.Cut(string(raw), name+":\t")
	text, _, _ := strings.Cut(rest, "\n")
	set, err := strconv.ParseUint(text, 16, 64)
	must(err)
	return set
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
