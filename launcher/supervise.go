package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killedFor is how long the launcher waits for the killed command's end, so
// as to report it, before it exits and leaves the rest to the kernel.
const killedFor = time.Second

// passedInterval is how old the time of a signal in the message may be.
const passedInterval = time.Second

// reapAtOnce bounds how long orphans without end may keep a stop waiting.
const reapAtOnce = 32

// supervisor runs one command. All of its state belongs to one goroutine: each
// event is handled to its end before the next.
type supervisor struct {
	config  config
	log     *logger
	mailbox *mailbox
	watch   *watcher
	signals signals
	outcome outcomeFile
	message message
	tree    *tree

	receipt  receipt
	deadline *time.Timer // nil: none
	due      time.Time   // zero: none
	asked    bool        // a stop or the kubelet's SIGTERM was read
	told     bool        // the stop signal was sent
	command  int
	ended    bool
	code     int

	passedWritten time.Time
}

// run is the whole life of a launcher; it returns the exit code.
func run(argv, environ []string) int {
	log := newLogger(os.Stderr)
	defer log.close()
	c := configFrom(environ)
	for _, entry := range c.badEnvironment {
		log.printf("ignored: %s", entry)
	}
	s := &supervisor{
		config:  c,
		log:     log,
		mailbox: newMailbox(c.mailboxDir, log),
		signals: catchSignals(),
		outcome: outcomeFile{path: c.outcomeFile},
		message: message{path: c.messageFile, limit: c.messageLimit, log: log},
		receipt: receipt{Receipt: receiptVersion},
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil && os.Getpid() != initPID {
		log.printf("orphans will be missed: %v", err)
	}
	s.watch = startWatcher(c, log) // before the first look, so that no change is missed
	if stop, ok := s.mailbox.next(); ok {
		return s.refuse(stop)
	}
	spareThreads(spareThreadCount)
	if code, ok := s.start(argv, environ); !ok {
		return code
	}
	return s.supervise()
}

// refuse ends a container that was stopped before it started.
func (s *supervisor) refuse(stop stop) int {
	s.log.printf("%s (sequence %d) was asked before the start: the command is not started", stop.mode, stop.sequence)
	s.receipt.read(stop, time.Now())
	s.writeMessage()
	return exitSignalled + int(syscall.SIGTERM)
}

func (s *supervisor) start(argv, environ []string) (code int, ok bool) {
	pid, err := startCommand(argv, environ, s.config.commandPath)
	if err != nil {
		s.log.printf("the command cannot be started: %v", err)
		s.receipt.Error = fmt.Sprint(err)
		s.writeMessage()
		return startExitCode(err), false
	}
	s.command, s.tree, s.receipt.Started = pid, newTree(pid, s.log), true
	s.writeMessage()
	return 0, true
}

func (s *supervisor) supervise() int {
	for {
		act := s.next()
		// Of several events that are ready, any may be chosen. An end that came
		// before the event is no answer to it.
		if s.reap() {
			s.writeMessage()
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
	case <-s.watch.outcome:
		return s.writeMessage
	case <-s.deadlineReached():
		return s.kill
	}
}

// reap takes processes that have ended, the command first, and says whether
// the launcher has to end too: at the command's own end if nothing was asked
// (the kernel ends the rest), else when nothing is left. It takes so many at
// once that a stop and the deadline have their turn, and comes back.
func (s *supervisor) reap() (finished bool) {
	if !s.ended {
		_, _ = s.take(s.command) // that there are no children is said below
	}
	for range reapAtOnce {
		pid, err := s.take(-1)
		if err != nil { // ECHILD: nothing is left
			return true
		}
		if pid == 0 {
			return s.ended && !s.asked
		}
	}
	select {
	case s.signals.child <- syscall.SIGCHLD:
	default: // another one is waiting there
	}
	return s.ended && !s.asked
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
		s.ended, s.code = true, exitCode(status)
	}
	return pid, err
}

// onSIGTERM is the kubelet's stop (drain, delete, a failed probe). The kubelet
// kills by itself, so it sets no deadline.
func (s *supervisor) onSIGTERM() {
	if s.receipt.SIGTERM == "" {
		s.receipt.SIGTERM = timestamp(time.Now())
	}
	s.asked = true
	s.tell(s.config.kubeletSignal, "SIGTERM from outside")
	s.writeMessage()
}

func (s *supervisor) onMailbox() {
	stop, ok := s.mailbox.next()
	if !ok {
		return
	}
	now := time.Now()
	s.asked = true
	s.receipt.read(stop, now)
	s.bringForward(stop.grace, now)
	if stop.grace == nil || *stop.grace > 0 {
		s.tell(stop.signal, fmt.Sprintf("%s (sequence %d)", stop.mode, stop.sequence))
	}
	if s.deadline == nil || s.due.After(time.Now()) { // else the kill comes first
		s.writeMessage()
	}
}

// tell sends the stop signal, once in the launcher's life: what was started
// later is clean-up, or has to wait for a deadline.
func (s *supervisor) tell(signal syscall.Signal, why string) {
	if s.told {
		return
	}
	s.told = true
	told, refused := s.tree.tell(signal, s.due)
	s.log.printf("%s: %s sent to %d processes", why, signalName(signal), told)
	if told == 0 && refused > 0 { // the stop was read, and is no reason for the end
		s.receipt.Error = fmt.Sprintf("%s could not be sent to any of %d processes", signalName(signal), refused)
	}
}

// bringForward keeps the earliest deadline. The grace counts from now, by the
// monotonic clock that Go's times carry.
func (s *supervisor) bringForward(grace *time.Duration, now time.Time) {
	if grace == nil {
		return
	}
	due := now.Add(*grace)
	if s.deadline != nil && !due.Before(s.due) {
		return
	}
	if s.deadline != nil {
		s.deadline.Stop()
	}
	s.due, s.deadline = due, time.NewTimer(time.Until(due))
	s.receipt.Deadline = timestamp(due)
}

func (s *supervisor) deadlineReached() <-chan time.Time {
	if s.deadline == nil {
		return nil
	}
	return s.deadline.C
}

// kill ends every process, then the launcher, so that the kernel ends what it
// may not signal.
func (s *supervisor) kill() {
	s.tree.kill()
	s.receipt.Killed = true
	s.log.printf("deadline: SIGKILL sent to all processes")
	s.writeMessage()
	for giveUp := time.After(killedFor); !s.reap() && !(s.ended && s.tree.self == initPID); {
		select {
		case <-s.signals.child:
		case <-giveUp:
			return
		}
	}
	s.writeMessage() // the outcome's last state
}

func (s *supervisor) codeAfterKill() int {
	if s.ended {
		return s.code
	}
	return exitSignalled + int(syscall.SIGKILL)
}

// pass hands a signal on to the command alone, as a shell's user would. The
// receipt names it before the command may end of it: it may be the STOPSIGNAL
// of an image, with which the runtime stops a pod that is deleted. A flood of
// one signal does not write each time; the last message has the last time.
func (s *supervisor) pass(signal syscall.Signal) {
	if s.ended {
		return
	}
	now, last := time.Now(), s.receipt.Passed
	s.receipt.Passed = &passed{Signal: signalName(signal), At: timestamp(now)}
	if last == nil || last.Signal != s.receipt.Passed.Signal || now.Sub(s.passedWritten) > passedInterval {
		s.passedWritten = now
		s.writeMessage()
	}
	if err := syscall.Kill(s.command, signal); err != nil {
		s.log.printf("%s cannot be passed on: %v", signalName(signal), err)
	}
}

func (s *supervisor) writeMessage() {
	o, err := s.outcome.read()
	if err != nil {
		s.log.printf("the outcome cannot be read: %v", err)
	}
	s.message.write(s.receipt, o)
}
