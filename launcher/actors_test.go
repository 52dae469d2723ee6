package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The test program plays every part: started again with role=..., it is the
// launcher, the first process of a namespace, or a command under the launcher.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if role, found := strings.CutPrefix(os.Args[1], "role="); found {
			os.Args = append(os.Args[:1], os.Args[2:]...)
			roles[role]()
			return
		}
	}
	os.Exit(m.Run())
}

var roles = map[string]func(){
	"launcher":  main,
	"namespace": namespaceRole,
	"actor":     actorRole,
	"storm":     stormRole,
	"outcome":   outcomeRole,
	"limiter":   limiterRole,
	"reaper":    reaperRole,
	"late":      lateRole,
	"filter":    filterRole,
	"spy":       spyRole,
	"lease":     leaseRole,
	"forger":    forgerRole,
	"queue":     queueRole,
	"renewer":   renewerRole,
}

// actorLifetime ends an actor that a failed test has left behind.
const actorLifetime = 60 * time.Second

// namespaceRole gives the new namespace its own /proc and becomes its PID 1,
// the launcher.
func namespaceRole() {
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount("proc", "/proc", "proc", 0, ""))
	must(unix.Exec(self(), append([]string{self(), "role=launcher"}, os.Args[1:]...), os.Environ()))
}

// actorRole is a command that notes what happens to it in <dir>/events: it
// starts others, says "ready", notes signals and ends at its stop signal.
func actorRole() {
	dir := flag.String("dir", "", "where events are noted")
	name := flag.String("name", "command", "who notes them")
	deaf := flag.Bool("deaf", false, "ignore the stop signal")
	clean := flag.Duration("clean", 0, "how long the clean-up takes")
	code := flag.Int("code", 0, "exit code after the stop signal")
	now := flag.Bool("now", false, "end at once, without a signal")
	stopped := flag.Bool("stopped", false, "stop oneself when ready")
	root := flag.Bool("root", false, "become root (of a setuid program)")
	spawnClean := flag.Duration("spawn-clean", -1, "how long theirs takes, where that differs")
	spawn := flag.String("spawn", "", "actors to start: name:kind[+deaf], comma separated")
	flag.Parse()
	received := make(chan os.Signal, 64)
	signal.Notify(received)
	time.AfterFunc(actorLifetime, func() { os.Exit(99) })
	if *root {
		must(unix.Setresuid(0, 0, 0))
	}
	note := func(event string) { appendLine(*dir, *name+" "+event) }
	for _, spec := range strings.Split(*spawn, ",") {
		if spec != "" {
			startActor(*dir, spec, max(*clean, *spawnClean))
		}
	}
	note("ready")
	if *stopped {
		must(unix.Kill(os.Getpid(), unix.SIGSTOP))
	}
	for !*now {
		number := (<-received).(syscall.Signal)
		if number == syscall.SIGURG || number == syscall.SIGCHLD {
			continue
		}
		note(nameOf(number))
		if number == syscall.SIGTERM && !*deaf {
			break
		}
	}
	time.Sleep(*clean) // the work of cleaning up
	note("done")
	os.Exit(*code)
}

// startActor starts one below this actor, and returns when it is ready.
func startActor(dir, spec string, clean time.Duration) {
	name, kinds, _ := strings.Cut(spec, ":")
	args := []string{"role=actor", "-dir", dir, "-name", name, "-clean", clean.String()}
	ready, attributes := name+" ready", &syscall.SysProcAttr{}
	if rest, double := strings.CutPrefix(kinds, "orphan"); double { // the one between ends
		args = []string{"role=actor", "-dir", dir, "-name", name + "-parent", "-now", "-spawn", name + ":child" + rest,
			"-spawn-clean", clean.String()}
		ready, kinds = name+"-parent done", ""
	}
	for _, kind := range strings.Split(kinds, "+") {
		switch kind {
		case "deaf", "stopped":
			args = append(args, "-"+kind)
		case "setsid":
			attributes.Setsid = true
		}
	}
	cmd := exec.Command(self(), args...)
	cmd.SysProcAttr = attributes
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	must(cmd.Start())
	go cmd.Wait()
	waitFor(dir, 20*time.Second, func() bool {
		return strings.Contains(eventsIn(dir), ready+"\n") && (!strings.Contains(kinds, "stopped") || isStopped(dir, name))
	})
}

// stormRole forks without end, and dies of its stop signal as it comes.
func stormRole() {
	dir := os.Args[1]
	time.AfterFunc(actorLifetime, func() { os.Exit(99) })
	for n := 1; n < 3000; n++ {
		cmd := exec.Command("/bin/sleep", "60")
		must(cmd.Start())
		if n == 30 {
			appendLine(dir, "storm ready")
		}
	}
	select {}
}

// outcomeRole writes its argument to $DESIST_OUTCOME and ends with code 4.
func outcomeRole() {
	must(os.WriteFile(os.Getenv("DESIST_OUTCOME"), []byte(os.Args[1]), 0o644))
	os.Exit(4)
}

// limiterRole refuses its launcher any further thread, and becomes a command.
func limiterRole() {
	must(unix.Prlimit(os.Getppid(), unix.RLIMIT_NPROC, &unix.Rlimit{Cur: 1, Max: 1}, nil))
	must(unix.Exec(os.Args[1], os.Args[1:], os.Environ()))
}

// reaperRole reaps, in two turns, more than it takes at once: its command last.
func reaperRole() {
	s := &supervisor{asked: true, signals: signals{child: make(chan os.Signal, 1)}}
	for range reapAtOnce + 2 {
		s.command = zombie(7)
	}
	for range 2 {
		fmt.Println(s.reap(), s.ended, s.code, len(s.signals.child))
	}
}

// lateRole is a launcher that was held up: its command has ended, and two stops,
// SIGTERM, another signal and the deadline have come since, all to be read now.
func lateRole() {
	for range 20 {
		s := &supervisor{
			command: zombie(7),
			log:     newLogger(io.Discard),
			watch:   &watcher{mailbox: make(chan struct{}, 1), outcome: make(chan struct{}, 1)},
			signals: signals{child: make(chan os.Signal, 1), term: make(chan os.Signal, 1), other: make(chan os.Signal, 1)},
		}
		s.reporter = newReporter(config{messageFile: os.DevNull, messageLimit: kubeletMessageBytes}, s.log)
		s.mailbox, s.tree = newMailbox(os.Args[1], s.log), &tree{self: os.Getpid(), command: s.command, log: s.log}
		s.deadline = time.NewTimer(0)
		mark(s.watch.mailbox)
		pushes := make(chan pushed, 1)
		pushes <- pushed{request: request{stop: stop{sequence: 1, mode: "Cancel", signal: syscall.SIGTERM}}}
		s.pushed = pushes
		s.signals.child <- syscall.SIGCHLD
		s.signals.term <- syscall.SIGTERM
		s.signals.other <- syscall.SIGQUIT
		time.Sleep(time.Millisecond) // for the timer
		if code := s.supervise(); code != 7 || !reflect.DeepEqual(s.receipt, receipt{}) {
			fmt.Printf("code %d, receipt %s\n", code, s.receipt.line(receiptLimit))
		}
	}
}

// filterRole becomes a program whose kernel refuses a system call, by number.
func filterRole() {
	number, err := strconv.Atoi(os.Args[1])
	must(err)
	const load, ifEqual, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load, K: 0}, // the system call's number comes first
		{Code: ifEqual, K: uint32(number), Jt: 0, Jf: 1},
		{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the thread that gets the filter is the one that stays
	must(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	must(unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0))
	must(unix.Exec(self(), append([]string{self()}, os.Args[2:]...), os.Environ()))
}

// zombie makes a child that has ended and was not waited for.
func zombie(code uintptr) (pid int) {
	child, _, _ := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if child == 0 { // one thread of a torn runtime: nothing but system calls
		unix.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
	}
	must(unix.Waitid(unix.P_PID, int(child), nil, unix.WEXITED|unix.WNOWAIT, nil))
	return int(child)
}

// startSession starts an actor in the PID namespace of another process, with
// its parent outside of it: what `kubectl exec` does.
func startSession(t *testing.T, target int, args ...string) {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", target))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(self(), args...)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWPID); err != nil {
			started <- err
			return
		}
		started <- cmd.Start()
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // the namespace ends only when the session is reaped: a runtime's part
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
}

func appendLine(dir, line string) {
	file, err := os.OpenFile(filepath.Join(dir, "events"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	must(err)
	_, err = file.WriteString(line + "\n")
	must(err)
	must(file.Close())
}

func eventsIn(dir string) string {
	raw, err := os.ReadFile(filepath.Join(dir, "events"))
	if err != nil && !os.IsNotExist(err) {
		panic(err)
	}
	return string(raw)
}

// waitFor looks whenever something changes in dir, and now and then for what
// cannot be watched. It says whether the condition came true in time.
func waitFor(dir string, timeout time.Duration, condition func() bool) bool {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	must(err)
	defer unix.Close(fd)
	_, err = unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO)
	must(err)
	buffer := make([]byte, 4096)
	for end := time.Now().Add(timeout); time.Now().Before(end); {
		if condition() {
			return true
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20)
		_, _ = unix.Read(fd, buffer)
	}
	return condition()
}

func nameOf(number syscall.Signal) string {
	if name := unix.SignalName(number); name != "" {
		return name
	}
	return fmt.Sprint("signal ", int(number))
}

func self() string {
	path, err := os.Executable()
	must(err)
	return path
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
