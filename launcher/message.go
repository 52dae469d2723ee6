package main

import (
	"bytes"
	"os"
)

// message is the container's termination message: the user's outcome, then
// the receipt. It is written whenever one of them changes, since an OOM may
// kill the launcher at any time.
type message struct {
	path    string
	limit   int
	log     *logger
	failing bool
}

// compose gives the message's bytes: at most limit, the receipt last. 512
// are set aside for the receipt, so that a receipt that grows never takes
// from an outcome that was shown in full.
func compose(r receipt, o outcome, limit int) []byte {
	text, state := o.line(limit - receiptLimit - 1)
	r.Outcome = state
	line := r.line(min(receiptLimit, limit))
	if len(text) == 0 {
		return line
	}
	return append(append(text[:len(text):len(text)], '\n'), line...)
}

// write puts the message in place. A failure is said once and not fatal. What
// counts is what the file holds: a program may have written it by itself.
func (m *message) write(r receipt, o outcome) {
	text := compose(r, o, m.limit)
	if there, err := readRegular(m.path, int64(m.limit)); err == nil && bytes.Equal(text, there) {
		return
	}
	if err := m.replace(text); err != nil {
		if !m.failing {
			m.log.printf("the termination message cannot be written: %v", err)
		}
		m.failing = true
		return
	}
	m.failing = false
}

// replace writes over the file with one call and then cuts it. The file is a
// mount, so it cannot be renamed into place; truncating first would leave
// nothing if the launcher were killed in between. What a longer predecessor
// leaves behind the end is blank.
func (m *message) replace(text []byte) error {
	file, err := os.OpenFile(m.path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	blank := max(0, min(info.Size(), kubeletMessageBytes)-int64(len(text)))
	padded := append(bytes.Clone(text), bytes.Repeat([]byte{'\n'}, int(blank))...)
	if _, err := file.WriteAt(padded, 0); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	return file.Truncate(int64(len(text)))
}
