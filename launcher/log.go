package main

import (
	"fmt"
	"io"
	"time"
)

const (
	logBacklog  = 64
	logFlushFor = 200 * time.Millisecond
)

// logger writes to stderr, which is the container's log, from a goroutine of
// its own: a reader that stands still must not keep a stop from its command.
// What does not fit into the backlog is dropped.
type logger struct {
	lines chan string
	ended chan struct{} // closed when there will be no more
	done  chan struct{}
}

func newLogger(out io.Writer) *logger {
	l := &logger{lines: make(chan string, logBacklog), ended: make(chan struct{}), done: make(chan struct{})}
	go l.write(out)
	return l
}

func (l *logger) write(out io.Writer) {
	defer close(l.done)
	// There is nowhere left to say that stderr cannot be written.
	for {
		select {
		case line := <-l.lines:
			_, _ = io.WriteString(out, line)
		case <-l.ended:
			for range len(l.lines) {
				_, _ = io.WriteString(out, <-l.lines)
			}
			return
		}
	}
}

func (l *logger) printf(format string, values ...any) {
	select {
	case l.lines <- fmt.Sprintf("desist-launcher: "+format+"\n", values...):
	default:
	}
}

// close writes what is left, unless nobody reads it. What is printed after it
// is lost.
func (l *logger) close() {
	close(l.ended)
	select {
	case <-l.done:
	case <-time.After(logFlushFor):
	}
}
