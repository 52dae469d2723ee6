package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// promptStart is how old the pod's volumes are at most when no image was
	// pulled and nothing else came between them and the start.
	promptStart = 5 * time.Second
	// lateStartWait is how long a late start waits for what a kubelet that was
	// held up has to say: it looks at a pod again at its next relist, a second
	// later.
	lateStartWait = 2 * time.Second
	// clockJitter is by how much a file may seem to lie in the future without
	// a step of the clock.
	clockJitter = time.Second
)

// run is the whole life of a launcher; it returns the exit code.
func run(argv, environ []string) int {
	log := newLogger(os.Stderr)
	defer log.close()
	guard(log)
	s := newSupervisor(configFrom(environ), log)
	if s.stoppedBefore(startWait(s.config.mailboxDir, time.Now())) {
		s.log.printf("the command is not started")
		return s.leave(exitSignalled + int(syscall.SIGTERM))
	}
	spareThreads(spareThreadCount)
	if code, ok := s.start(argv, environ); !ok {
		return s.leave(code)
	}
	return s.leave(s.supervise())
}

func newSupervisor(c config, log *logger) *supervisor {
	for _, entry := range c.badEnvironment {
		log.printf("ignored: %s", entry)
	}
	if early.term == nil {
		early = catchSignals()
	}
	s := &supervisor{
		config:   c,
		log:      log,
		mailbox:  newMailbox(c.mailboxDir, log),
		signals:  early,
		reporter: newReporter(c, log),
		stopFile: stopFile{path: c.stopFile, log: log},
		tree:     newTree(log),
		receipt:  receipt{Receipt: receiptVersion},
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil && os.Getpid() != initPID {
		log.printf("orphans will be missed: %v", err)
	}
	s.watch = startWatcher(c, log) // before the first look, so that no change is missed
	s.pushed = listen(c.push, log)
	return s
}

// startWait says how long to wait before the start. A kubelet that is held up
// by an image pull neither brings the mailbox up to date nor ends a container
// of a pod that was deleted meanwhile: it starts it, and stops it then.
func startWait(mailboxDir string, now time.Time) time.Duration {
	made, known := madeAt(mailboxDir)
	age := now.Sub(made)
	if known && -clockJitter <= age && age <= promptStart {
		return 0
	}
	return lateStartWait // also where the clock was set back, or nothing tells the age
}

// madeAt gives the time when the pod's volumes were made: that of the mailbox,
// which nobody in the pod can write. A new content changes the folder's times,
// but neither its birth nor the link `stop`, which the kubelet makes once (and
// not every file system tells the birth). The wall clock is all that there is:
// only a step back, and by just the age, makes an old volume look new.
func madeAt(mailboxDir string) (made time.Time, known bool) {
	for _, seen := range []struct {
		path string
		mask int
		kind uint16
	}{
		{mailboxDir, unix.STATX_BTIME, unix.S_IFDIR},
		{filepath.Join(mailboxDir, mailboxName), unix.STATX_MTIME, unix.S_IFLNK},
	} {
		var found unix.Statx_t
		err := unix.Statx(unix.AT_FDCWD, seen.path, unix.AT_SYMLINK_NOFOLLOW, seen.mask|unix.STATX_TYPE, &found)
		if err != nil || found.Mask&uint32(seen.mask) == 0 || found.Mode&unix.S_IFMT != seen.kind {
			continue
		}
		at := found.Mtime
		if seen.mask == unix.STATX_BTIME {
			at = found.Btime
		}
		if moment := time.Unix(at.Sec, int64(at.Nsec)); !known || moment.Before(made) {
			made, known = moment, true
		}
	}
	return made, known
}

// stoppedBefore says whether the container was stopped before its command has
// started: the mailbox holds a stop, or within this time one comes, or a signal.
func (s *supervisor) stoppedBefore(wait time.Duration) bool {
	if wait > 0 {
		s.log.printf("a late start: a stop may be on its way, waiting for at most %v", wait)
	}
	stopped := s.readBeforeStart(s.mailbox.next())
	for over := time.After(wait); !stopped; {
		s.receipt.Mailbox = s.mailbox.failure
		select {
		case number := <-s.signals.term:
			stopped = s.stopsBeforeStart(number)
		case number := <-s.signals.other:
			stopped = s.stopsBeforeStart(number)
		case asked := <-s.pushed:
			stopped = s.pushedBeforeStart(asked)
		case <-s.watch.mailbox:
			stopped = s.readBeforeStart(s.mailbox.next())
		case found := <-s.mailbox.waited:
			stopped = s.readBeforeStart(s.mailbox.take(found))
		case <-over:
			return s.stoppedMeanwhile()
		}
	}
	return true
}

// readBeforeStart is for what the mailbox holds, if it is a stop.
func (s *supervisor) readBeforeStart(stop stop, ok bool) bool {
	return ok && s.refuseStart(stop, byMailbox)
}

func (s *supervisor) pushedBeforeStart(asked pushed) bool {
	stopped := s.refuseStart(asked.stop, byPush)
	s.answer(asked, didRefusedStart)
	return stopped
}

func (s *supervisor) refuseStart(stop stop, by string) bool {
	if s.inbox.take(stop, by) != newStop {
		return false
	}
	s.log.printf("%s (sequence %d, %s) was asked before the start", stop.mode, stop.sequence, by)
	s.receipt.read(stop, time.Now(), by)
	return true
}

// stoppedMeanwhile asks for what came before the time was over: of several
// events that are ready, any may have been chosen. The mailbox is watched on.
func (s *supervisor) stoppedMeanwhile() bool {
	for {
		select {
		case number := <-s.signals.term:
			return s.stopsBeforeStart(number)
		case number := <-s.signals.other:
			if s.stopsBeforeStart(number) {
				return true
			}
		case asked := <-s.pushed:
			return s.pushedBeforeStart(asked)
		default:
			return false
		}
	}
}

// stopsBeforeStart takes a signal for the runtime's stop, by the STOPSIGNAL of
// the image: there is hardly anybody else yet. But a terminal tells of its size
// too, SIGCONT stops nothing, and a SIGHUP is more likely an exec session's: it
// is the command's, when that has been started.
func (s *supervisor) stopsBeforeStart(caught os.Signal) bool {
	switch number := caught.(syscall.Signal); {
	case number == syscall.SIGHUP:
		s.hungUp = true
		return false
	case number == syscall.SIGCONT, number == syscall.SIGWINCH && hasTerminal(), ownLimit(number):
		return false
	case number == syscall.SIGTERM:
		s.receipt.sigterm(time.Now())
	default:
		s.receipt.Passed = &passed{Signal: signalName(number), At: timestamp(time.Now())}
	}
	s.log.printf("%s came before the start", signalName(caught.(syscall.Signal)))
	return true
}

func (s *supervisor) start(argv, environ []string) (code int, ok bool) {
	pid, err := startCommand(argv, environ, s.config.commandPath)
	if err != nil {
		s.log.printf("the command cannot be started: %v", err)
		s.receipt.Error = fmt.Sprint(err)
		return startExitCode(err), false
	}
	s.command, s.receipt.Started = pid, true
	s.tree.command = pid
	s.reporter.report(s.receipt)
	if s.hungUp {
		s.pass(syscall.SIGHUP)
	}
	return 0, true
}
