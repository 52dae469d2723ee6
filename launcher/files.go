package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

var (
	errTooLarge   = errors.New("the file is too large")
	errNotRegular = errors.New("it is not a regular file")
)

// notHeldUp are the flags with which a file that others may have put in place
// is opened: a pipe without a writer and a lease on the file (EAGAIN) do not
// block, a terminal does not become the launcher's.
const notHeldUp = unix.O_NONBLOCK | unix.O_NOCTTY

// readRegular reads a file that others write: never blocks on a pipe or a
// lease, never follows a device, never reads more than limit bytes (then
// errTooLarge, with the first limit bytes). With unix.O_NOFOLLOW in flags, a
// link is no regular file.
func readRegular(path string, limit int64, flags int) ([]byte, error) {
	return readOpened(path, limit, notHeldUp|flags)
}

// readHeldUp reads a file that somebody has a lease on: it waits until that is
// given back, or the kernel takes it (after fs.lease-break-time, 45 seconds).
// While an open waits, nobody can take another lease. So no signal may break it
// off: this thread takes none meanwhile.
func readHeldUp(path string, limit int64) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return nil, err
	}
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }() // as the one before
	return readOpened(path, limit, unix.O_NOCTTY)
}

func readOpened(path string, limit int64, flags int) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|flags, 0)
	if errors.Is(err, syscall.ELOOP) && flags&unix.O_NOFOLLOW != 0 {
		return nil, fmt.Errorf("%s: %w", path, errNotRegular)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, errNotRegular)
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
