package main

import (
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	firstRealtime = 34 // as C libraries count: the kernel's 32 and 33 are theirs
	lastRealtime  = 64
)

// signalByName knows SIGTERM and the like, and SIGRTMIN+3, SIGRTMAX-1.
func signalByName(name string) (syscall.Signal, bool) {
	if number := unix.SignalNum(name); number != 0 {
		return number, true
	}
	for prefix, base := range map[string]int{"SIGRTMIN": firstRealtime, "SIGRTMAX": lastRealtime} {
		rest, found := strings.CutPrefix(name, prefix)
		if !found {
			continue
		}
		offset, err := 0, error(nil)
		if rest != "" {
			offset, err = strconv.Atoi(rest)
		}
		number := base + offset
		if err == nil && number >= firstRealtime && number <= lastRealtime {
			return syscall.Signal(number), true
		}
	}
	return 0, false
}

// signalName is the other way round; what has no name is told by its number.
func signalName(number syscall.Signal) string {
	if name := unix.SignalName(number); name != "" {
		return name
	}
	return strconv.Itoa(int(number))
}

// signals are the launcher's own, apart by kind: a flood of one kind cannot
// push out another, as it could in one channel.
type signals struct {
	child chan os.Signal // SIGCHLD: something is to be reaped
	term  chan os.Signal // SIGTERM: the kubelet's, or anybody's
	other chan os.Signal // to be passed on
}

// early are those of a launcher that runs a command, caught before anything of
// this package is run: until then the Go runtime ends PID 1 at a SIGTERM, with
// exit code 2 and without a receipt. Measured as PID 1, with some 2,000 SIGTERMs
// at random times: 1.6 ms are left, from the runtime's own handlers to here; it
// was 2.0 ms, and more with a large environment. Before its handlers, for as
// long, the kernel drops a SIGTERM to a PID 1.
var early = earlySignals(os.Args)

func earlySignals(args []string) signals {
	if len(args) > 1 && args[1] == runCommand {
		return catchSignals()
	}
	return signals{} // the rest is to end by its signals
}

func catchSignals() signals {
	s := signals{
		child: make(chan os.Signal, 1),
		term:  make(chan os.Signal, 1),
		other: make(chan os.Signal, 64),
	}
	signal.Notify(s.term, syscall.SIGTERM) // first: see early
	signal.Notify(s.child, syscall.SIGCHLD)
	for number := syscall.Signal(1); number <= lastRealtime; number++ {
		if passedOn(number) {
			signal.Notify(s.other, number)
		}
	}
	// Caught and dropped, not ignored: a command would inherit "ignored".
	signal.Notify(make(chan os.Signal), syscall.SIGPIPE)
	for _, number := range faults {
		ignore(number)
	}
	ignore(syscall.SIGPROF) // the runtime passes it to nobody: a flood of it is to cost nothing
	return s
}

// faults are the signals by which the kernel tells a program of an error of
// its own. Where one comes with the sender's own code (rt_sigqueueinfo(2), or
// fcntl(2) with F_SETSIG), the Go runtime takes it for such an error and ends.
var faults = []syscall.Signal{
	syscall.SIGILL, syscall.SIGTRAP, syscall.SIGBUS, syscall.SIGFPE,
	syscall.SIGSEGV, syscall.SIGSTKFLT, syscall.SIGSYS,
}

// ignore makes the kernel drop what others send. An error of the launcher's
// own still ends it: the kernel does not let that be ignored. It goes past the
// runtime, which believes that its handler is there: so it gives a command the
// default action back, and os/signal would not tell of a signal as ignored.
func ignore(number syscall.Signal) {
	action := struct{ handler, flags, restorer, mask uintptr }{handler: 1} // SIG_IGN
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
}

// passedOn says which signals go to the command as they come. SIGURG is how
// the Go runtime interrupts its own threads; a SIGPIPE is most likely from
// the launcher's own log line; SIGPROF belongs to the runtime's profiler.
func passedOn(number syscall.Signal) bool {
	switch number {
	case syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGPROF,
		syscall.SIGKILL, syscall.SIGSTOP, 32, 33:
		return false
	default:
		return !slices.Contains(faults, number)
	}
}

// ownLimit says whether a signal is the kernel's answer to what the launcher
// itself has used up: no limit of its own is the command's end.
func ownLimit(number syscall.Signal) bool {
	switch number {
	case syscall.SIGXFSZ:
		return limitOf(unix.RLIMIT_FSIZE) < kubeletMessageBytes
	case syscall.SIGXCPU:
		var used unix.Rusage
		if unix.Getrusage(unix.RUSAGE_SELF, &used) != nil {
			return false
		}
		return limitOf(unix.RLIMIT_CPU) <= uint64(used.Utime.Sec+used.Stime.Sec)+1
	default:
		return false
	}
}

// limitOf gives a limit of this process, as it is now.
func limitOf(resource int) uint64 {
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY}
	_ = unix.Getrlimit(resource, &limit) // fails for no resource that there is
	return limit.Cur
}
