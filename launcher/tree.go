package main

import (
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// sweepFor bounds the walk against a command that forks without end and
	// whose processes may not be signalled.
	sweepFor = 5 * time.Second
	// settleFor bounds the wait for the stopped to come to rest: the parent of
	// a vfork cannot while its child is stopped, nor can one in a broken disk's
	// driver. settleStep is how often that is looked at: no event tells it.
	settleFor  = time.Second
	settleStep = time.Millisecond
	// doubtfulPasses bounds the wait for a walk in which no parent vanished:
	// outside a namespace of its own, the launcher sees others come and go.
	doubtfulPasses = 10
	initPID        = 1
)

// tree signals the command and all that it has started.
type tree struct {
	self    int
	command int // pid and process group; 0: not started
	log     *logger
}

func newTree(log *logger) *tree {
	return &tree{self: os.Getpid(), log: log}
}

// tellMain sends the stop signal to the command alone, then SIGCONT. Its pid
// is its own until it has been waited for.
func (t *tree) tellMain(number unix.Signal) (told, refused int) {
	err := unix.Kill(t.command, number)
	if err != nil {
		t.log.printf("process %d cannot be signalled: %v", t.command, err)
		return 0, 1
	}
	_ = unix.Kill(t.command, unix.SIGCONT) // fails only as the one before would
	return 1, 0
}

// tell sends the stop signal once to every process that there is now, then
// SIGCONT. All of them are stopped first, until a walk finds nothing new: so
// no fork escapes the walk, and what a handler starts in order to clean up is
// told from what was there before and left alone. It returns how many were
// signalled, and how many could not be. At the due time, if there is one, it
// leaves the rest to the kill.
func (t *tree) tell(number unix.Signal, due time.Time) (told, refused int) {
	until := time.Now().Add(sweepFor)
	if !due.IsZero() && due.Before(until) {
		until = due
	}
	processes, err := t.sweep(unix.SIGSTOP, until)
	if err != nil {
		t.log.printf("the process table cannot be read (%v): signalled without it", err)
		told, refused = t.sendBlindly(number)
		t.sendBlindly(unix.SIGCONT)
		return told, refused
	}
	reached, refused := t.each(processes, number, due)
	// Children first: when a session's leader ends while others of it are
	// stopped, the kernel sends them a SIGHUP.
	slices.Reverse(processes)
	t.each(processes, unix.SIGCONT, due)
	return len(reached), refused
}

// sweep signals each process once, pass after pass, until a pass finds no new
// one. Neither a stopped nor a killed process can fork; so the last pass has
// seen them all, if it began when those that were seen had come to rest. A
// walk that time cuts short gives those that it has found.
func (t *tree) sweep(number unix.Signal, until time.Time) ([]process, error) {
	var all, moving []process
	seen := map[identity]bool{}
	doubtful := 0
	settled := time.Now().Add(settleFor)
	for !past(until) {
		moving = slices.DeleteFunc(moving, func(p process) bool { return !past(until) && p.id.atRest() })
		table, err := snapshot(until)
		if err != nil {
			if len(all) == 0 {
				return nil, err
			}
			break
		}
		mine, sure := own(table, t.self)
		fresh := slices.DeleteFunc(mine, func(p process) bool { return p.dead || seen[p.id] })
		switch {
		case len(fresh) > 0:
			doubtful = 0
			for _, p := range fresh {
				seen[p.id] = true
			}
			reached, _ := t.each(fresh, number, until)
			if number == unix.SIGSTOP {
				moving = append(moving, reached...)
			}
			all = append(all, fresh...)
		case len(moving) > 0 && !past(settled):
			time.Sleep(settleStep)
		case !past(until):
			if doubtful++; sure || doubtful == doubtfulPasses {
				return all, nil
			}
		}
	}
	t.log.printf("the walk of /proc did not come to an end: %d processes found", len(all))
	return all, nil
}

// each signals processes, until a time: it returns those that it reached, and
// how many it may not signal (a setuid program's). One that has ended is none.
func (t *tree) each(processes []process, number unix.Signal, until time.Time) (reached []process, refused int) {
	for _, p := range processes {
		if past(until) {
			break
		}
		switch err := p.id.send(number); {
		case err == nil:
			reached = append(reached, p)
		case !errors.Is(err, unix.ESRCH):
			refused++
			if number != unix.SIGSTOP && number != unix.SIGCONT {
				t.log.printf("process %d cannot be signalled: %v", p.id.pid, err)
			}
		}
	}
	return reached, refused
}

// kill sends SIGKILL to every process of the namespace, exec sessions too; in
// a namespace that is not the launcher's own, to the command's.
func (t *tree) kill() {
	if t.self == initPID {
		t.sendBlindly(unix.SIGKILL)
		return
	}
	if _, err := t.sweep(unix.SIGKILL, time.Now().Add(sweepFor)); err != nil {
		t.log.printf("the process table cannot be read (%v): killed without it", err)
		t.sendBlindly(unix.SIGKILL)
	}
}

// killAgain sends SIGKILL to what a process that refused it has made since,
// and says whether anybody is there: an exec session is no child of the
// launcher, and only so its end is seen.
func (t *tree) killAgain() (anybody bool) {
	return t.self == initPID && unix.Kill(everybody, unix.SIGKILL) == nil
}

// everybody means all processes of the namespace but the caller.
const everybody = -1

// sendBlindly does without /proc, and takes all processes for one.
func (t *tree) sendBlindly(number unix.Signal) (told, refused int) {
	target := -t.command
	if t.self == initPID {
		target = everybody
	} else if t.command == 0 {
		return 0, 0
	}
	switch err := unix.Kill(target, number); {
	case err == nil:
		return 1, 0
	case errors.Is(err, unix.ESRCH):
		return 0, 0
	default:
		t.log.printf("signal %d cannot be sent: %v", number, err)
		return 0, 1
	}
}
