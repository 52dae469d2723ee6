package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// What an answer says that was done.
const (
	didTold         = "told"          // the stop signal was sent, because of this stop or before it
	didKilling      = "killing"       // its grace is over: SIGKILL was sent
	didRefusedStart = "refused-start" // the command is never started
	didNote         = "noted"         // it was read, and nobody was there to be told
)

const (
	// countFor bounds the walk of /proc for an answer, beside the deadline.
	countFor = 200 * time.Millisecond
	// countKeeps is how old a count may be: one datagram that somebody repeats
	// a hundred times a second is to cost few walks.
	countKeeps = 500 * time.Millisecond
)

// answer is what the sender of a datagram hears, once the signal is out.
// Nothing hangs on it: it may be lost, and nobody waits for it.
type answer struct {
	Nonce     string `json:"nonce"`
	PodUID    string `json:"podUid"`
	CommandID string `json:"commandId"`
	Sequence  int64  `json:"sequence"`
	Did       string `json:"did"`
	Told      int    `json:"told"`      // processes that took the stop signal
	Refused   int    `json:"refused"`   // and that did not
	MainEnded bool   `json:"mainEnded"` // the command itself has ended
	Left      int    `json:"left"`      // other processes of the command's that have not
}

// text is the answer within a number of bytes, those of the request: who makes
// the launcher talk to another gains nothing by it. nil: it does not fit.
func (a answer) text(limit int) []byte {
	if line := jsonLine(a); len(line) <= limit {
		return line
	}
	return nil
}

func (s *supervisor) did() string {
	switch {
	case s.receipt.Killed:
		return didKilling
	case s.reached > 0:
		return didTold
	default:
		return didNote
	}
}

func (s *supervisor) answer(asked pushed, did string) {
	a := answer{Nonce: asked.nonce, PodUID: s.config.push.podUID, CommandID: asked.stop.commandID, Sequence: asked.stop.sequence, Did: did,
		Told: s.reached, Refused: s.receipt.Refused, MainEnded: s.ended, Left: s.countLeft(time.Now())}
	if text := a.text(asked.size); text != nil {
		asked.back.send(text)
	}
}

// leftCount is how many there were at a time.
type leftCount struct {
	processes int
	at        time.Time
}

// countLeft counts the command's processes that live, but the command.
func (s *supervisor) countLeft(now time.Time) int {
	if s.command == 0 {
		return 0
	}
	if now.Sub(s.left.at) > countKeeps {
		until := now.Add(countFor)
		if !s.receipt.Killed && s.deadline != nil && s.due.Before(until) {
			until = s.due
		}
		s.left = leftCount{s.tree.others(until, s.ended), now}
	}
	return s.left.processes
}

// others counts what lives of the command's, but the command: nothing, where the
// launcher has no child, as it inherits every orphan. What could not be counted,
// in time or at all, is one: nobody is to read that none is left.
func (t *tree) others(until time.Time, commandEnded bool) (living int) {
	if unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == unix.ECHILD {
		return 0
	}
	table, err := snapshot(until)
	if err != nil {
		return 1
	}
	mine, _ := own(table, t.self)
	for _, p := range mine {
		if !p.dead && (commandEnded || p.id.pid != t.command) {
			living++
		}
	}
	if past(until) {
		living = max(living, 1)
	}
	return living
}
