package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Leases that code in the container takes on the launcher's files.

func TestALeaseOnTheOutcomeHoldsNoStopUpAndTheOutcomeCountsInTheEnd(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.start(self(), "role=lease", p.dir, p.path("outcome/outcome.json"))
		p.waitEvent("leased")
		writeFile(t, p.path("outcome/other"), "") // an event: the outcome is read
		p.untilLogged("the outcome cannot be read", 1)
		begin := time.Now()
		p.post(kill(1, 0.2))
		p.wantExit(137)
		if took := time.Since(begin); took > leaseBreak/2 {
			t.Errorf("the stop took %v", took)
		}
		if p.said() != `{"outcome":"Failed"}` {
			t.Errorf("message %q", p.message())
		}
	})
}

// leaseBreak is how long the kernel lets an open wait for a lease's holder.
const leaseBreak = 45 * time.Second

func TestALeaseOnTheOutcomeThatIsGivenBackIsReadWithoutAnEvent(t *testing.T) {
	path := t.TempDir() + "/outcome.json"
	writeFile(t, path, `{"outcome":"Failed"}`)
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	must(lease(file))
	log := newLogger(io.Discard)
	r := newReporter(config{outcomeFile: path, messageFile: path + ".log", messageLimit: kubeletMessageBytes}, log)
	r.report(receipt{Receipt: receiptVersion})
	message := func() string {
		raw, err := os.ReadFile(path + ".log")
		must(err)
		return string(raw)
	}
	if !strings.Contains(message(), "\n"+`{"invalid":"cannot be read`) {
		t.Errorf("message %q", message())
	}
	_, err = unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	must(err)
	if !waitFor(t.TempDir(), patience, func() bool { return strings.HasSuffix(message(), "\n"+`{"outcome":"Failed"}`) }) {
		t.Errorf("message %q", message())
	}
}

func TestNobodyCanTakeALeaseOnTheTerminationMessage(t *testing.T) {
	p := newPod(t, false)
	p.startActor()
	for _, kind := range []int{unix.F_RDLCK, unix.F_WRLCK} {
		file, err := os.Open(p.path("log"))
		must(err)
		defer file.Close()
		if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, kind); err != unix.EAGAIN {
			t.Errorf("kind %d: %v", kind, err)
		}
	}
	p.post(cancel(1))
	p.wantExit(0)
}

func TestNobodyCanTakeALeaseOnTheTerminationMessageBeforeALateStart(t *testing.T) {
	p := newPod(t, false)
	p.makeOld(time.Minute)
	p.start(p.actor()...)
	p.untilLogged("a late start", 1) // an exec session could be there
	file, err := os.Open(p.path("log"))
	must(err)
	defer file.Close()
	if err := lease(file); err != unix.EAGAIN {
		t.Error(err)
	}
	p.post(cancel(1))
	p.wantExit(143)
}

func TestAMessageThatIsHeldUpByALeaseIsWrittenWithoutAnEvent(t *testing.T) {
	path := t.TempDir() + "/log"
	writeFile(t, path, "")
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	must(lease(file))
	r := newReporter(config{outcomeFile: path + ".none", messageFile: path, messageLimit: kubeletMessageBytes}, newLogger(io.Discard))
	r.report(receipt{Receipt: receiptVersion})
	_, err = unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	must(err)
	written := func() bool {
		raw, err := os.ReadFile(path)
		must(err)
		return len(raw) > 0
	}
	if !waitFor(t.TempDir(), patience, written) {
		t.Error("nothing was written")
	}
}

func TestALeaseOnTheMailboxThatIsRenewedKeepsNoStopUnread(t *testing.T) {
	for name, age := range map[string]time.Duration{"while the command runs": 0, "before a late start": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, false)
			p.makeOld(age)
			must(os.Mkdir(p.path("next"), 0o755))
			writeFile(t, p.path("next/stop"), cancel(1).json())
			p.start(p.actor()...)
			if age == 0 {
				p.waitEvent("command ready")
			} else {
				p.untilLogged("a late start", 1)
			}
			holder := exec.Command(self(), "role=renewer", p.dir, fmt.Sprint(p.cmd.Process.Pid))
			must(holder.Start())
			defer holder.Wait()
			defer holder.Process.Kill()
			p.waitEvent("leased")
			must(os.Symlink("../next", p.path("mailbox/..data_tmp")))
			must(os.Rename(p.path("mailbox/..data_tmp"), p.path("mailbox/..data")))
			p.wantExit(map[time.Duration]int{0: 0, time.Minute: 143}[age])
			if r := p.receipt(); r.Stop == nil || r.Stop.Sequence != 1 {
				t.Errorf("receipt %+v", r)
			}
		})
	}
}

// renewerRole has a lease but for some microseconds now and then, and sends its
// launcher signals without a pause in these.
func renewerRole() {
	ignoreSignals(unix.SIGIO)
	pid, err := strconv.Atoi(os.Args[2])
	must(err)
	file, err := os.Open(os.Args[1] + "/next/stop")
	must(err)
	must(lease(file))
	appendLine(os.Args[1], "leased")
	for end := time.Now().Add(actorLifetime); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for range 10 {
			_ = unix.Kill(pid, unix.SIGCONT)
		}
		_, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		must(err)
		for lease(file) != nil { // while the launcher reads it
		}
	}
}

func lease(file *os.File) error {
	_, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	return err
}

// leaseRole keeps a lease, deaf to the kernel's wish to have it back.
func leaseRole() {
	ignoreSignals(unix.SIGIO, unix.SIGTERM)
	must(os.WriteFile(os.Args[2], []byte(`{"outcome":"Failed"}`), 0o644))
	file, err := os.Open(os.Args[2])
	must(err)
	for lease(file) != nil { // while the launcher reads it
		time.Sleep(time.Millisecond)
	}
	appendLine(os.Args[1], "leased")
	time.Sleep(actorLifetime)
}
