package main

import (
	"bytes"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// message is the container's termination message: the receipt, then the
// user's outcome. It is written whenever one of them changes, since an OOM may
// kill the launcher at any time.
type message struct {
	path    string
	limit   int
	log     *logger
	file    *os.File // stays open: nobody can take a lease on a file that is open for writing
	failing bool
}

// compose gives the message's bytes: at most limit, the receipt first. Where a
// pod has got more containers than it was made with, the kubelet cuts what
// stands at the end; so the receipt also names the outcome's value. 512 bytes
// are set aside for the receipt, so that a receipt that grows never takes from
// an outcome that was shown in full.
func compose(r receipt, o outcome, limit int) []byte {
	text, state := o.line(limit - receiptLimit - 1)
	r.Outcome, r.Says = state, o.value
	line := r.line(min(receiptLimit, limit))
	if len(text) == 0 {
		return line
	}
	return append(append(line[:len(line):len(line)], '\n'), text...)
}

// write puts the message in place. A failure is said once and not fatal. What
// counts is what the file holds: a program may have written it by itself.
func (m *message) write(r receipt, o outcome) error {
	err := m.replace(compose(r, o, m.limit))
	if err != nil {
		if !m.failing {
			m.log.printf("the termination message cannot be written: %v", err)
		}
	}
	m.failing = err != nil
	return err
}

// replace writes over the file with one call and then cuts it. The file is a
// mount, so it cannot be renamed into place; truncating first would leave
// nothing if the launcher were killed in between. What a longer predecessor
// leaves behind the end is blank.
func (m *message) replace(text []byte) error {
	if err := m.open(); err != nil {
		return err
	}
	info, err := m.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() == int64(len(text)) && m.holds(text) {
		return nil
	}
	blank := max(0, min(info.Size(), kubeletMessageBytes)-int64(len(text)))
	padded := append(bytes.Clone(text), bytes.Repeat([]byte{'\n'}, int(blank))...)
	if _, err := m.file.WriteAt(padded, 0); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	return m.file.Truncate(int64(len(text)))
}

func (m *message) open() error {
	if m.file != nil {
		return nil
	}
	file, err := os.OpenFile(m.path, os.O_RDWR|os.O_CREATE|notHeldUp|unix.O_NOFOLLOW, 0o644)
	if err == nil {
		m.file = file
	}
	return err
}

func (m *message) holds(text []byte) bool {
	there := make([]byte, len(text))
	_, err := m.file.ReadAt(there, 0)
	return (err == nil || errors.Is(err, io.EOF)) && bytes.Equal(there, text)
}
