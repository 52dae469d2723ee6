package main

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// stopFilePatience is how long a stop signal waits for the file at most: a
// disk that hangs must not hold up a stop.
const stopFilePatience = 200 * time.Millisecond

// stopFile tells the program that a stop of its run is why it gets the signal,
// and which: it holds the stop as it was posted, by whichever way that came,
// before the signal is sent. At a drain, where the kubelet's SIGTERM is all,
// there is none. The mailbox itself may come later than a pushed stop.
// It is for the program alone: the launcher never reads it.
type stopFile struct {
	path    string
	log     *logger
	writing chan error // of the last one that was not waited for to its end
}

// write puts the stop in place; one that cannot be is said, and not fatal.
func (f *stopFile) write(s stop) {
	if f.path == "" || s.text == "" || f.busy() {
		return
	}
	f.writing = make(chan error, 1)
	go func(done chan<- error) { done <- replaceFile(f.path, []byte(s.text)) }(f.writing)
	select {
	case err := <-f.writing:
		f.writing = nil
		if err != nil {
			f.log.printf("the stop is not in %s: %v", f.path, err)
		}
	case <-time.After(stopFilePatience):
		f.log.printf("the stop is not in %s yet: its disk does not answer", f.path)
	}
}

func (f *stopFile) busy() bool {
	select {
	case <-f.writing:
		f.writing = nil
	default:
	}
	return f.writing != nil
}

// replaceFile makes a new file and renames it into place: whatever a program
// has put under either name, nothing is followed and nothing is waited for.
func replaceFile(path string, text []byte) error {
	fresh := path + ".new"
	if err := unix.Unlink(fresh); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	file, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL|notHeldUp, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}
