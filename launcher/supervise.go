package main

import (
	"errors"
	"syscall"
	"time"
)

// killedFor is how long the launcher waits for the end of what it has killed,
// before it exits and leaves the rest to the kernel.
const killedFor = time.Second

// killedStep is how often one looks whether a session of `kubectl exec`, which
// is no child of the launcher, has gone.
const killedStep = 2 * time.Millisecond

// anyChild is what wait4(2) calls them.
const anyChild = -1

// passedInterval is how old the time of a signal in the message may be.
const passedInterval = time.Second

// reapAtOnce bounds how long orphans without end may keep a stop waiting.
const reapAtOnce = 32

// supervisor runs one command. All of its state belongs to one goroutine: each
// event is handled to its end before the next.
type supervisor struct {
	config   config
	log      *logger
	mailbox  *mailbox
	pushed   <-chan pushed // nil: none come
	inbox    inbox
	watch    *watcher
	signals  signals
	reporter *reporter
	stopFile stopFile
	tree     *tree

	receipt   receipt
	deadline  *time.Timer // nil: none
	due       time.Time   // zero: none
	asked     bool        // a stop or a SIGTERM was read
	signalled bool        // the stop signal was sent, for whichever reason
	told      bool        // a stop was read, and its signal sent
	reached   int         // processes that took the stop signal, when it was sent last
	left      leftCount   // as it was last told in an answer
	command   int
	ended     bool
	code      int

	hungUp bool             // a SIGHUP came before the start
	retry  <-chan time.Time // when the mailbox is read again; nil: it can be read
	// noted is when each signal was last written, of those that come again and again.
	noted [lastRealtime + 1]time.Time
}

// supervise gives the exit code.
func (s *supervisor) supervise() int {
	for {
		act := s.next()
		// Of several events that are ready, any may be chosen. An end that came
		// before the event is no answer to it.
		if s.reap() {
			return s.code
		}
		act()
		if s.receipt.Killed {
			return s.codeAfterKill()
		}
	}
}

// next waits for an event and gives what is to be done then.
func (s *supervisor) next() func() {
	select {
	case <-s.signals.child:
		return func() {} // reaping comes first at each event
	case <-s.signals.term:
		return s.onSIGTERM
	case signal := <-s.signals.other:
		return func() { s.pass(signal.(syscall.Signal)) }
	case <-s.watch.mailbox:
		return s.onMailbox
	case found := <-s.mailbox.waited:
		return func() { s.onWaited(found) }
	case asked := <-s.pushed:
		return func() { s.onPush(asked) }
	case <-s.mailboxRetry():
		s.retry = nil
		return s.onMailbox
	case <-s.watch.outcome:
		return func() { s.reporter.report(s.receipt) }
	case <-s.deadlineReached():
		return s.kill
	}
}

// mailboxRetry comes every second while the mailbox cannot be read, however
// many other events there are.
func (s *supervisor) mailboxRetry() <-chan time.Time {
	if s.mailbox.failure != "" && s.retry == nil {
		s.retry = time.After(retryInterval)
	}
	return s.retry
}

// reap takes processes that have ended, the command first, and says whether
// the launcher has to end too: at the command's own end if nothing was asked
// or only the command is told, else when nothing is left. It takes so many at
// once that a stop and the deadline have their turn, and comes back.
func (s *supervisor) reap() (finished bool) {
	if !s.ended {
		_, _ = s.take(s.command) // that there are no children is said below
	}
	for range reapAtOnce {
		pid, err := s.take(anyChild)
		if err != nil { // ECHILD: nothing is left
			return true
		}
		if pid == 0 {
			return s.endsWithCommand()
		}
	}
	select {
	case s.signals.child <- syscall.SIGCHLD:
	default: // another one is waiting there
	}
	return s.endsWithCommand()
}

func (s *supervisor) endsWithCommand() bool {
	return s.ended && (!s.asked || s.config.toMain)
}

// take reaps one process that has ended, this one or any (-1): 0 if none has.
func (s *supervisor) take(which int) (pid int, err error) {
	var status syscall.WaitStatus
	for {
		pid, err = syscall.Wait4(which, &status, syscall.WNOHANG, nil)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil && pid == s.command {
		s.ended, s.code, s.left = true, exitCode(status), leftCount{}
	}
	return pid, err
}

// onSIGTERM is the kubelet's stop (drain, delete, a failed probe), or a signal
// of a process of the container: nothing tells them apart. The kubelet kills
// by itself, so it sets no deadline.
func (s *supervisor) onSIGTERM() {
	now := time.Now()
	s.asked = true
	s.receipt.sigterm(now)
	if !s.signalled {
		s.tell(s.config.stopSignal, "SIGTERM")
	}
	if s.receipt.LastSIGTERM == "" {
		s.reporter.report(s.receipt)
	} else {
		s.reportSignal(syscall.SIGTERM, now)
	}
}

// kill is the deadline's: what may not be signalled ends with the launcher.
func (s *supervisor) kill() {
	s.receipt.Killed, s.left = true, leftCount{}
	s.log.printf("deadline: SIGKILL sent to all processes")
	s.killRest()
}

// killRest sends SIGKILL to all others, and waits for their end: for a while,
// since some may not be signalled, and some do not die in the kernel.
func (s *supervisor) killRest() {
	s.tree.kill()
	for giveUp := time.After(killedFor); s.anyLeft(); {
		select {
		case <-s.signals.child:
		case <-time.After(killedStep):
		case <-giveUp:
			return
		}
	}
}

func (s *supervisor) anyLeft() bool {
	for range reapAtOnce {
		pid, err := s.take(anyChild)
		if err != nil || pid == 0 {
			return s.tree.killAgain() || err == nil
		}
	}
	return true
}

func (s *supervisor) codeAfterKill() int {
	if s.ended {
		return s.code
	}
	return exitSignalled + int(syscall.SIGKILL)
}

// leave is every exit: the last message is written when nobody is left who
// could write another one over it.
func (s *supervisor) leave(code int) int {
	if !s.receipt.Killed {
		s.killRest()
	}
	s.reporter.last(s.receipt)
	return code
}

// pass hands a signal on to the command alone, as a shell's user would. The
// receipt names it before the command may end of it: it may be the STOPSIGNAL
// of an image, with which the runtime stops a pod that is deleted.
func (s *supervisor) pass(signal syscall.Signal) {
	if s.ended || ownLimit(signal) {
		return
	}
	now := time.Now()
	s.receipt.Passed = &passed{Signal: signalName(signal), At: timestamp(now)}
	s.reportSignal(signal, now)
	if err := syscall.Kill(s.command, signal); err != nil {
		s.log.printf("%s cannot be passed on: %v", signalName(signal), err)
	}
}

// reportSignal does not write each time for a flood of signals, each for
// itself: the last message has the last time.
func (s *supervisor) reportSignal(signal syscall.Signal, now time.Time) {
	if now.Sub(s.noted[signal]) > passedInterval {
		s.noted[signal] = now
		s.reporter.report(s.receipt)
	}
}
