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
	done  chan struct{}
}

func newLogger(out io.Writer) *logger {
	l := &logger{lines: make(chan string, logBacklog), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for line := range l.lines {
			// There is nowhere left to say that stderr cannot be written.
			_, _ = io.WriteString(out, line)
		}
	}()
	return l
}

func (l *logger) printf(format string, values ...any) {
	select {
	case l.lines <- fmt.Sprintf("desist-launcher: "+format+"\n", values...):
	default:
	}
}

// close writes what is left, unless nobody reads it. No printf after it.
func (l *logger) close() {
	close(l.lines)
	select {
	case <-l.done:
	case <-time.After(logFlushFor):
	}
}
