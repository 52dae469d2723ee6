package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAForkThatIsUnderWayIsWaitedForAndTold(t *testing.T) {
	// So big a shell forks for some milliseconds, in which SIGSTOP has to wait.
	// SIGABRT, as the kernel lets a signal that dumps no core break up a fork.
	const slow = `ulimit -c 0; big=0123456789abcdef; n=0; while [ $n -lt 24 ]; do big=$big$big; n=$((n+1)); done; echo ready >> "$0/events"
		n=0; while [ $n -lt 40 ]; do sleep 60 & n=$((n+1)); done; wait`
	for round := range 4 {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) { // one at a time: each needs 300 MB
			p := newPod(t, true)
			p.start("/bin/sh", "-c", slow, p.dir)
			p.waitEvent("ready")
			p.post(posting{1, "Cancel", "SIGABRT", -1})
			p.wantExit(134) // and not after the minute that a worker would live
		})
	}
}

func TestOrphansWithoutEndLeaveOthersTheirTurn(t *testing.T) {
	output, err := exec.Command(self(), "role=reaper").CombinedOutput()
	want := "false true 7 1\ntrue true 7 1\n" // not finished, the command's end seen at once, and a mark to come back
	if err != nil || string(output) != want {
		t.Errorf("%q, %v, want %q", output, err, want)
	}
}

func TestAnEndThatCameFirstIsNoAnswerToWhatCameLater(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir+"/stop", cancel(1).json())
	if output, err := exec.Command(self(), "role=late", dir).CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("%v\n%s", err, output)
	}
}

func TestTheLauncherNeedsNoThreadThatAPidLimitWouldRefuse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a user of its own, with a limit of its own, needs root")
	}
	p := newPod(t, false)
	const userOfItsOwn = 54321
	p.attr.Credential = &syscall.Credential{Uid: userOfItsOwn, Gid: userOfItsOwn}
	program := p.openToAll()
	p.cmd = exec.Command(program, "role=launcher", "run", "--", program, "role=limiter",
		"/bin/sh", "-c", `for i in $(seq 40); do sleep 60 & done; echo ready >> "$0/events"; wait`, p.dir)
	p.startPrepared()
	p.waitEvent("ready")
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
	must(err)
	if len(tasks) < spareThreadCount {
		t.Errorf("%d threads: it may need more", len(tasks))
	}
	for range 20 { // events of all kinds at once
		must(p.cmd.Process.Signal(syscall.SIGWINCH))
		writeFile(t, p.path("outcome/outcome.json"), `{"outcome":"Cancelled"}`)
	}
	p.post(cancel(1))
	p.wantExit(143)
}

func TestAStopIsSentAlsoWherePidfdsAreRefused(t *testing.T) {
	for name, number := range map[string]int{"pidfd_open": unix.SYS_PIDFD_OPEN, "pidfd_send_signal": unix.SYS_PIDFD_SEND_SIGNAL} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, false)
			args := []string{"role=filter", fmt.Sprint(number), "role=launcher", "run", "--"}
			p.cmd = exec.Command(self(), append(args, p.actor("-code", "3", "-spawn", "child:child")...)...)
			p.startPrepared()
			p.waitEvent("command ready")
			p.post(cancel(1))
			p.wantExit(3)
			if p.count("child SIGTERM") != 1 || p.receipt().Error != "" {
				t.Errorf("receipt %+v", p.receipt())
			}
		})
	}
}
