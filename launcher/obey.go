package main

import (
	"fmt"
	"syscall"
	"time"
)

func (s *supervisor) onMailbox() {
	before := s.mailbox.failure
	stop, ok := s.mailbox.next()
	s.receipt.Mailbox = s.mailbox.failure
	if ok {
		s.hear(stop, byMailbox)
	} else if s.mailbox.failure != before {
		s.reporter.report(s.receipt)
	}
}

// onWaited is for a content that could be read only after a while.
func (s *supervisor) onWaited(found content) {
	if stop, ok := s.mailbox.take(found); ok {
		s.hear(stop, byMailbox)
	}
}

// onPush answers when the act is done: the signal is out, also the last one.
func (s *supervisor) onPush(asked pushed) {
	s.hear(asked.stop, byPush)
	if s.deadline != nil && past(s.due) {
		s.kill()
	}
	s.answer(asked, s.did())
}

func (s *supervisor) hear(stop stop, by string) {
	switch s.inbox.take(stop, by) {
	case newStop:
		s.obey(stop, by)
	case confirmed:
		s.confirm(stop)
	}
}

// obey tells a stop once in the launcher's life: what was started later is
// clean-up, or has to wait for a deadline. What was sent because of a SIGTERM
// from who knows whom is not a stop's; see confirm.
func (s *supervisor) obey(stop stop, by string) {
	now := time.Now()
	s.asked, s.left = true, leftCount{}
	s.receipt.read(stop, now, by)
	s.bringForward(stop.grace, now)
	if stop.grace == nil || *stop.grace > 0 { // else there is no time for it
		s.stopFile.write(stop)
	}
	if by == byMailbox || !s.signalled {
		s.tellOnce(stop)
	}
	if s.deadline == nil || s.due.After(time.Now()) { // else the kill comes first
		s.reporter.report(s.receipt)
	}
}

// confirm is for a pushed stop that the mailbox holds now. After a SIGTERM a
// pushed one is not told, since a pod that is being drained was told by that;
// but such a pod's mailbox does not change any more. So the SIGTERM was some
// process's of the container, and must not use the stop up.
// It brings reason and details, too, which a datagram has no room for.
func (s *supervisor) confirm(stop stop) {
	s.stopFile.write(stop)
	if !s.told {
		s.tellOnce(stop)
		s.reporter.report(s.receipt)
	}
}

// tellOnce sends the stop signal, unless a stop's was sent or SIGKILL is due.
func (s *supervisor) tellOnce(stop stop) {
	if s.told || stop.grace != nil && *stop.grace <= 0 {
		return
	}
	s.told = true
	s.tell(stop.signal, fmt.Sprintf("%s (sequence %d)", stop.mode, stop.sequence))
}

// tell sends the stop signal to whom it goes to, and counts who refused it.
func (s *supervisor) tell(signal syscall.Signal, why string) {
	s.signalled = true
	told, refused := 0, 0
	switch {
	case !s.config.toMain:
		told, refused = s.tree.tell(signal, s.due)
	case !s.ended:
		told, refused = s.tree.tellMain(signal)
	}
	s.log.printf("%s: %s sent to %d processes, refused by %d", why, signalName(signal), told, refused)
	s.reached, s.receipt.Refused = told, refused
	s.receipt.Error = ""
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
