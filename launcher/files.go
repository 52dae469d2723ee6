package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

var errTooLarge = errors.New("the file is too large")

// readRegular reads a file that others write: never blocks on a pipe, never
// follows a device, never reads more than limit bytes (then errTooLarge, with
// the first limit bytes).
func readRegular(path string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	var content bytes.Buffer
	content.Grow(int(min(info.Size(), limit)) + bytes.MinRead) // at once: growing leaves garbage
	_, err = content.ReadFrom(io.LimitReader(file, limit+1))
	raw := content.Bytes()
	if err == nil && int64(len(raw)) > limit {
		return raw[:limit], errTooLarge
	}
	return raw, err
}
