package main

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

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
	term  chan os.Signal // SIGTERM: the kubelet's
	other chan os.Signal // to be passed on
}

func catchSignals() signals {
	s := signals{
		child: make(chan os.Signal, 1),
		term:  make(chan os.Signal, 1),
		other: make(chan os.Signal, 64),
	}
	signal.Notify(s.child, syscall.SIGCHLD)
	signal.Notify(s.term, syscall.SIGTERM)
	for number := syscall.Signal(1); number <= lastRealtime; number++ {
		if passedOn(number) {
			signal.Notify(s.other, number)
		}
	}
	// Caught and dropped, not ignored: a command would inherit "ignored".
	signal.Notify(make(chan os.Signal), syscall.SIGPIPE)
	return s
}

// passedOn says which signals go to the command as they come. SIGURG is how
// the Go runtime interrupts its own threads; a SIGPIPE is most likely from
// the launcher's own log line.
func passedOn(number syscall.Signal) bool {
	switch number {
	case syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGURG, syscall.SIGPIPE,
		syscall.SIGKILL, syscall.SIGSTOP, 32, 33:
		return false
	default:
		return true
	}
}
