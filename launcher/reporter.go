package main

import (
	"errors"
	"syscall"
	"time"
)

const (
	// reportPatience is how long an event waits for its message to be written.
	reportPatience = 200 * time.Millisecond
	// lastReportFor is how long the exit waits for it: those who may hold the
	// files' locks have been killed, and may have to finish a system call.
	lastReportFor = time.Second
	// retryInterval is when what could not be read is read again.
	retryInterval = time.Second
)

// reporter reads the user's outcome and writes the termination message, in a
// goroutine of its own: user code can reach both files, and whoever writes a
// gigabyte to one of them keeps its lock for as long as that takes. No stop
// waits longer than reportPatience for that, and only for the first time.
type reporter struct {
	outcome outcomeFile
	message message
	log     *logger
	pending chan report     // at most one, the newest
	written <-chan struct{} // closed when the last one handed over is written
	failure string          // why the outcome could not be read, as last logged
}

type report struct {
	receipt receipt
	written chan struct{}
}

func newReporter(c config, log *logger) *reporter {
	r := &reporter{
		outcome: outcomeFile{path: c.outcomeFile},
		message: message{path: c.messageFile, limit: c.messageLimit, log: log},
		log:     log,
		pending: make(chan report, 1),
	}
	_ = r.message.open() // before anybody could take a lease on it; why it cannot be, the first report says
	go r.work()
	return r
}

// report hands a receipt over. It waits for the message with it, for a while
// only, and not at all while an earlier one is held up.
func (r *reporter) report(about receipt) {
	heldUp := r.written != nil && !waitAtMost(r.written, 0)
	if r.hand(about); !heldUp {
		waitAtMost(r.written, reportPatience)
	}
}

// last hands over the receipt of the exit, and waits for its message.
func (r *reporter) last(about receipt) {
	r.hand(about)
	if !waitAtMost(r.written, lastReportFor) {
		r.log.printf("the last termination message is held up: it is left out")
	}
}

// hand is called by one goroutine only, so that there is room for the report.
func (r *reporter) hand(about receipt) {
	next := report{about, make(chan struct{})}
	select {
	case overtaken := <-r.pending:
		next.written = overtaken.written
	default:
	}
	r.pending <- next
	r.written = next.written
}

func (r *reporter) work() {
	var now report
	var retry <-chan time.Time
	for {
		select {
		case now = <-r.pending:
		case <-retry:
			now.written = nil
		}
		retry = nil
		if err := r.once(now.receipt); errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
			retry = time.After(retryInterval) // a lease: no event tells its end
		}
		if now.written != nil {
			close(now.written)
		}
	}
}

// once writes the message. It returns why that, or the outcome, could not be
// done; the message then says in the outcome's place why that cannot be read.
func (r *reporter) once(about receipt) error {
	o, err := r.outcome.read()
	failure := ""
	if err != nil {
		failure = err.Error()
		o = outcome{state: outcomeInvalid, text: []byte("cannot be read: " + failure)}
	}
	if failure != r.failure && failure != "" {
		r.log.printf("the outcome cannot be read: %s", failure)
	}
	r.failure = failure
	return errors.Join(err, r.message.write(about, o))
}

// waitAtMost says whether a channel was closed within a time.
func waitAtMost(done <-chan struct{}, patience time.Duration) bool {
	select {
	case <-done:
		return true
	default:
	}
	if patience == 0 {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
