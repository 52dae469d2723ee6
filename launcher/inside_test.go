package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What code of the same user, in the launcher's own container, may try.

func TestTheLaunchersOwnUserCanNeitherTraceNorReadIt(t *testing.T) {
	users := map[string][]string{
		"without privilege": {"--reuid=65534", "--clear-groups"},
		"root, as a container has it": {"--bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap," +
			"+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"},
	}
	for name, who := range users {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, true)
			program := p.openToAll()
			p.startAs(who, program, "role=spy", p.dir)
			p.wantExit(0)
			for line := range strings.Lines(eventsIn(p.dir)) {
				if !strings.Contains(line, "refused") {
					t.Error(line)
				}
			}
			if n := strings.Count(eventsIn(p.dir), "refused"); n != len(spyings) {
				t.Errorf("%d of %d were tried", n, len(spyings))
			}
			if r := p.receipt(); !r.Started || r.Error != "" {
				t.Errorf("receipt %+v", r)
			}
		})
	}
}

// spyings are system calls against PID 1; each has to be refused.
var spyings = map[string]func() error{
	"trace it": func() error { return unix.PtraceSeize(initPID) },
	"read its memory": func() error {
		_, err := os.Open("/proc/1/mem")
		return err
	},
	"read its environment": func() error {
		_, err := os.ReadFile("/proc/1/environ")
		return err
	},
	"see its files": func() error {
		_, err := os.Readlink("/proc/1/fd/2")
		return err
	},
	"see its root": func() error {
		_, err := os.Readlink("/proc/1/root")
		return err
	},
	"copy from its memory": func() error {
		var there [8]byte
		local := []unix.Iovec{{Base: &there[0], Len: 8}}
		_, err := unix.ProcessVMReadv(initPID, local, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
		return err
	},
	"take a file of its": func() error {
		fd, err := unix.PidfdOpen(initPID, 0)
		if err != nil {
			return nil
		}
		_, err = unix.PidfdGetfd(fd, 2, 0)
		return err
	},
}

func spyRole() {
	for name, spying := range spyings {
		if err := spying(); err == nil {
			appendLine(os.Args[1], name+": done")
		} else if os.IsPermission(err) {
			appendLine(os.Args[1], name+": refused")
		} else {
			appendLine(os.Args[1], name+": "+err.Error())
		}
	}
}

func TestNoEventWaitsLongForAMessageThatIsHeldUp(t *testing.T) {
	r := &reporter{pending: make(chan report, 1), log: newLogger(io.Discard)} // nobody works
	begin := time.Now()
	for range 1000 {
		r.report(receipt{})
	}
	if took := time.Since(begin); took < reportPatience || took > patience/2 {
		t.Errorf("a thousand events took %v", took)
	}
	r.message = message{path: os.DevNull, limit: kubeletMessageBytes, log: r.log}
	go r.work()
	if !waitAtMost(r.written, patience) {
		t.Error("the newest report was lost")
	}
}

func TestTheLastMessageIsTheLaunchersWhoeverElseWritesIt(t *testing.T) {
	for round := range 8 {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				p.env = append(p.env, "DIR="+p.dir)
				p.start("/bin/sh", "-c", `for i in 1 2 3; do setsid "$0" role=forger "$1" "$DESIST_TERMINATION_LOG" & done
					while [ $(grep -c forging "$1/events") != 3 ]; do sleep 0.01; done; exit 3`, self(), p.dir)
				p.wantExit(3)
				want := `{"receipt":1,"started":true,"outcome":"absent"}`
				if got := p.message(); got != want {
					t.Errorf("message %q", got)
				}
				p.wantNobodyAlive()
			})
		})
	}
}

// forgerRole writes another message, again and again.
func forgerRole() {
	ignoreSignals(unix.SIGTERM)
	forged := []byte(`{"receipt":1,"started":true,"outcome":"ok"}` + "\n" + `{"outcome":"Succeeded"}`)
	for n, end := 0, time.Now().Add(actorLifetime); time.Now().Before(end); n++ {
		must(os.WriteFile(os.Args[2], forged, 0o644))
		if n == 10 {
			appendLine(os.Args[1], "forging")
		}
	}
}

func ignoreSignals(numbers ...unix.Signal) {
	for _, number := range numbers {
		ignore(number)
	}
}

func TestASignalOfAProgramsErrorThatSomebodySendsDoesNotEndTheLauncher(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.start(self(), "role=queue", p.dir)
		p.waitEvent("sent")
		for _, number := range faults {
			must(queue(p.cmd.Process.Pid, number))
			must(p.cmd.Process.Signal(number))
		}
		p.post(cancel(1))
		p.wantExit(143)
		if r := p.receipt(); r.Stop == nil || r.Passed != nil {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestAFloodOfSIGPROFCostsTheLauncherNothing(t *testing.T) {
	p := newPod(t, false)
	p.startActor()
	if mask(t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), "SigIgn")&(1<<(unix.SIGPROF-1)) == 0 {
		t.Error("it wakes the launcher up")
	}
	for range 1000 {
		must(p.cmd.Process.Signal(unix.SIGPROF))
	}
	p.post(cancel(1))
	p.wantExit(0)
	if p.count("command SIGPROF") != 0 || p.receipt().Passed != nil {
		t.Errorf("receipt %+v", p.receipt())
	}
}

func TestACommandInheritsNoIgnoredOrBlockedSignal(t *testing.T) {
	p := newPod(t, false)
	// 32 and 33 are the C library's own: whatever started the tests by its
	// posix_spawn(3), such as make, leaves them ignored.
	p.start("/bin/sh", "-c", `
		of() { sed -n "s/^$1:[^0-9a-f]*/0x/p" /proc/self/status; }
		echo "$(($(of SigBlk))) $(($(of SigIgn) & ~0x180000000))" >> "$0/events"; kill -SEGV $$`, p.dir)
	p.wantExit(139)
	p.wantEvents("0 0")
}

// queueRole sends its launcher such signals in all ways that there are for one
// user: with a code of its own, as a plain kill, and by a file's readiness.
func queueRole() {
	for range 3 {
		for _, number := range faults {
			must(queue(os.Getppid(), number))
			must(unix.Kill(os.Getppid(), number))
			must(byReadiness(os.Getppid(), number))
		}
	}
	appendLine(os.Args[1], "sent")
	time.Sleep(actorLifetime)
}

// queue is sigqueue(3).
func queue(pid int, number unix.Signal) error {
	const byQueue = -1
	info := [128 / 4]int32{int32(number), 0, byQueue} // siginfo_t
	_, _, err := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(number), uintptr(unsafe.Pointer(&info)))
	if err != 0 {
		return err
	}
	return nil
}

// byReadiness lets the kernel send a signal because a pipe can be read.
func byReadiness(pid int, number unix.Signal) error {
	reader, writer, err := os.Pipe()
	must(err)
	defer reader.Close()
	defer writer.Close()
	for _, call := range [][2]int{{unix.F_SETOWN, pid}, {unix.F_SETSIG, int(number)}, {unix.F_SETFL, unix.O_ASYNC | unix.O_NONBLOCK}} {
		if _, err := unix.FcntlInt(reader.Fd(), call[0], call[1]); err != nil {
			return err
		}
	}
	_, err = writer.WriteString("x")
	return err
}

func TestALimitOfTheLaunchersOwnIsNotTheCommandsEnd(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		p.startActor()
		pid := p.cmd.Process.Pid
		for number, limit := range map[unix.Signal]struct{ resource, value int }{
			unix.SIGXFSZ: {unix.RLIMIT_FSIZE, 10},
			unix.SIGXCPU: {unix.RLIMIT_CPU, 1},
		} {
			var before unix.Rlimit
			low := unix.Rlimit{Cur: uint64(limit.value), Max: unix.RLIM_INFINITY}
			must(unix.Prlimit(pid, limit.resource, &low, &before))
			must(p.cmd.Process.Signal(number)) // as the kernel does then
			must(p.cmd.Process.Signal(unix.SIGHUP))
			p.until("SIGHUP", func() bool { return p.count("command SIGHUP") > 0 })
			if p.count("command "+nameOf(number)) != 0 {
				t.Errorf("%s was passed on", nameOf(number))
			}
			must(unix.Prlimit(pid, limit.resource, &before, nil))
			must(p.cmd.Process.Signal(number)) // somebody's
			p.waitEvent("command " + nameOf(number))
		}
		p.post(cancel(1))
		p.wantExit(0)
	})
}

func TestALimitOnFilesKeepsNoStopFromTheCommand(t *testing.T) {
	p := newPod(t, false)
	p.cmd = exec.Command("/bin/sh", append([]string{"-c", `ulimit -f 0; exec "$0" "$@"`, self(), "role=launcher", "run", "--"},
		"/bin/sh", "-c", `trap 'exit 7' TERM; while :; do sleep 0.01; done`)...)
	p.startPrepared()
	p.untilLogged("the termination message cannot be written", 1)
	p.post(cancel(1))
	p.wantExit(7)
}
