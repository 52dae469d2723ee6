package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const patience = 30 * time.Second // for a busy machine; passing tests need far less

// pod is a launcher with its mailbox, outcome and termination message, as a
// kubelet would make them, in a folder of the test's own.
type pod struct {
	t        *testing.T
	dir      string
	isolated bool // as PID 1 of a namespace
	env      []string
	attr     *syscall.SysProcAttr
	cmd      *exec.Cmd
	stderr   *lockedBuffer
	exited   chan struct{}
	posting  int
}

// inBoth runs a test with the launcher as PID 1 of a namespace, and not.
func inBoth(t *testing.T, test func(t *testing.T, p *pod)) {
	t.Helper()
	for _, isolated := range []bool{true, false} {
		name := map[bool]string{true: "as PID 1", false: "not as PID 1"}[isolated]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newPod(t, isolated))
		})
	}
}

func newPod(t *testing.T, isolated bool) *pod {
	t.Helper()
	if isolated && os.Geteuid() != 0 {
		t.Skip("a PID namespace with a /proc of its own needs root")
	}
	p := &pod{t: t, dir: t.TempDir(), isolated: isolated, stderr: &lockedBuffer{}, attr: &syscall.SysProcAttr{}}
	for _, name := range []string{"mailbox", "outcome"} {
		if err := os.Mkdir(p.path(name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, p.path("log"), "")
	p.env = append(os.Environ(), "DESIST_MAILBOX="+p.path("mailbox"),
		"DESIST_OUTCOME="+p.path("outcome/outcome.json"), "DESIST_STOP="+p.path("outcome/stop.json"),
		"DESIST_TERMINATION_LOG="+p.path("log"))
	return p
}

func (p *pod) path(name string) string { return filepath.Join(p.dir, name) }

// start runs the launcher with a command.
func (p *pod) start(command ...string) {
	p.t.Helper()
	args := []string{"role=launcher", "run", "--"}
	if p.isolated {
		args[0] = "role=namespace"
		p.attr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
	}
	p.cmd = exec.Command(self(), append(args, command...)...)
	p.startPrepared()
}

func (p *pod) startPrepared() {
	p.t.Helper()
	p.cmd.Env, p.cmd.Stderr, p.cmd.SysProcAttr = p.env, p.stderr, p.attr
	p.cmd.WaitDelay = 100 * time.Millisecond // survivors keep stderr open
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.exited = make(chan struct{})
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // the code is in ProcessState
	}()
	p.t.Cleanup(p.end)
}

// openToAll lets every user into the pod's folder, and gives a copy of the
// test program there, which every user can run.
func (p *pod) openToAll() (program string) {
	p.t.Helper()
	program = p.path("program")
	raw, err := os.ReadFile(self())
	must(err)
	must(os.WriteFile(program, raw, 0o755))
	writeFile(p.t, p.path("events"), "")
	for _, file := range []string{p.dir, p.path("mailbox"), p.path("outcome"), p.path("log"), p.path("events"), p.dir + "/.."} {
		must(os.Chmod(file, 0o777))
	}
	return program
}

// setuid gives a program that runs as root, whoever starts it.
func (p *pod) setuid() (program string) {
	program = p.openToAll()
	must(os.Chmod(program, 0o755|os.ModeSetuid))
	return program
}

// startUnprivileged runs the launcher as PID 1 of a namespace, as a user
// without any privilege, with a command.
func (p *pod) startUnprivileged(command ...string) {
	p.t.Helper()
	p.startAs([]string{"--reuid=65534", "--clear-groups"}, command...)
}

// startAs is the same with what setpriv(1) is told.
func (p *pod) startAs(who []string, command ...string) {
	p.t.Helper()
	for _, tool := range []string{"unshare", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil {
			p.t.Skipf("%s is missing", tool)
		}
	}
	args := append([]string{"--pid", "--fork", "--kill-child", "--mount-proc", "setpriv"}, who...)
	args = append(args, self(), "role=launcher", "run", "--")
	p.cmd = exec.Command("unshare", append(args, command...)...)
	p.startPrepared()
}

// startActor runs the launcher with an actor and waits until that is ready.
func (p *pod) startActor(flags ...string) {
	p.t.Helper()
	p.start(p.actor(flags...)...)
	p.waitEvent("command ready")
}

func (p *pod) actor(flags ...string) []string {
	return append([]string{self(), "role=actor", "-dir", p.dir}, flags...)
}

// end leaves nothing behind: the launcher, and what mentions this folder.
func (p *pod) end() {
	_ = p.cmd.Process.Kill()
	<-p.exited
	for _, pid := range p.alive() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if p.t.Failed() {
		p.t.Logf("stderr:\n%s\nevents:\n%s\nmessage:\n%s", p.stderr, eventsIn(p.dir), p.message())
	}
}

// alive lists the processes whose arguments name this test's folder.
func (p *pod) alive() (pids []int) {
	entries, err := os.ReadDir("/proc")
	must(err)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		arguments, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err == nil && bytes.Contains(arguments, []byte(p.dir)) { // a zombie has none
			pids = append(pids, pid)
		}
	}
	return pids
}

func (p *pod) waitEvent(event string) {
	p.t.Helper()
	p.until("event "+event, func() bool { return p.count(event) > 0 })
}

func (p *pod) count(event string) int {
	n := 0
	for line := range strings.Lines(eventsIn(p.dir)) {
		if line == event+"\n" {
			n++
		}
	}
	return n
}

func (p *pod) until(what string, condition func() bool) {
	p.t.Helper()
	if !waitFor(p.dir, patience, condition) {
		p.t.Fatalf("waited in vain for %s", what)
	}
}

func (p *pod) untilLogged(text string, times int) {
	p.t.Helper()
	p.until("the log line: "+text, func() bool { return strings.Count(p.stderr.String(), text) >= times })
}

// exit waits for the launcher's end and gives its code.
func (p *pod) exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatal("the launcher does not end")
	}
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		p.t.Fatalf("the launcher itself died of %v", status.Signal())
	}
	return status.ExitStatus()
}

func (p *pod) wantExit(code int) {
	p.t.Helper()
	if got := p.exit(); got != code {
		p.t.Errorf("exit code %d, want %d", got, code)
	}
}

// posting is a valid stop with changes.
type posting struct {
	sequence int
	mode     string
	signal   string
	grace    float64 // negative: absent
}

func cancel(sequence int) posting { return posting{sequence, "Cancel", "SIGTERM", -1} }

func kill(sequence int, grace float64) posting { return posting{sequence, "Kill", "SIGTERM", grace} }

func (s posting) json() string {
	fields := map[string]any{"sequence": s.sequence, "runId": "run", "commandId": fmt.Sprint("command-", s.sequence),
		"mode": s.mode, "signal": s.signal, "postedAt": "2020-01-01T00:00:00.000000Z"}
	if s.grace >= 0 {
		fields["graceSeconds"] = s.grace
	}
	return string(jsonLine(fields))
}

func (p *pod) post(s posting) {
	p.t.Helper()
	p.postText(s.json())
}

// postText shows a new content as the kubelet's atomic writer does: a new
// folder, to which the link ..data is swapped; `stop` is a link through it.
func (p *pod) postText(text string) {
	p.t.Helper()
	p.posting++
	version := fmt.Sprint("..2026_", p.posting)
	must(os.Mkdir(p.path("mailbox/"+version), 0o755))
	writeFile(p.t, p.path("mailbox/"+version+"/stop"), text)
	must(os.Symlink(version, p.path("mailbox/..data_tmp")))
	must(os.Rename(p.path("mailbox/..data_tmp"), p.path("mailbox/..data")))
	if err := os.Symlink("..data/stop", p.path("mailbox/stop")); err != nil && !errors.Is(err, os.ErrExist) {
		p.t.Fatal(err)
	}
}

func (p *pod) message() string {
	raw, err := os.ReadFile(p.path("log"))
	must(err)
	return string(raw)
}

// said reads what stands behind the receipt: the outcome, or why there is none.
func (p *pod) said() string {
	_, rest, _ := strings.Cut(strings.TrimRight(p.message(), "\n"), "\n")
	return rest
}

// receipt reads the message's first line. The launcher writes in place, so
// who reads beside it may meet half a message and reads again; the kubelet
// reads once the container has ended.
func (p *pod) receipt() (r receipt) {
	p.t.Helper()
	whole := func() bool {
		line, _, _ := strings.Cut(p.message(), "\n")
		r = receipt{}
		return json.Unmarshal([]byte(line), &r) == nil
	}
	if !waitFor(p.dir, patience, whole) {
		p.t.Fatalf("no receipt in %q", p.message())
	}
	return r
}

// wantEvents compares all events, in any order. That a process runs again is
// compared only where the test speaks of it: it may have ended before.
func (p *pod) wantEvents(want ...string) {
	p.t.Helper()
	got := strings.Split(strings.TrimSuffix(eventsIn(p.dir), "\n"), "\n")
	continued := func(event string) bool { return strings.HasSuffix(event, " SIGCONT") }
	if !slices.ContainsFunc(want, continued) {
		got = slices.DeleteFunc(got, continued)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.t.Errorf("events\n got %q\nwant %q", got, want)
	}
}

func (p *pod) wantNobodyAlive() {
	p.t.Helper()
	if pids := p.alive(); len(pids) > 0 {
		p.t.Errorf("still alive: %v", pids)
	}
}

type lockedBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}
