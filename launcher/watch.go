package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// The kubelet swaps a symlink (MOVED_TO); others may write in place.
	watchedEvents = unix.IN_MOVED_TO | unix.IN_CREATE | unix.IN_CLOSE_WRITE | unix.IN_DELETE
	eventHeader   = unix.SizeofInotifyEvent
	// unwatchedInterval is used where the kernel gives no watch (their number
	// is limited per user and node, over all pods), or one that tells nothing.
	unwatchedInterval = time.Second
)

// watcher says that the mailbox or the outcome may have changed. Each channel
// holds one mark, so that many changes cost one look.
type watcher struct {
	mailbox chan struct{}
	outcome chan struct{}
	marks   map[int32]chan struct{} // by watch descriptor
}

func startWatcher(c config, log *logger) *watcher {
	w := &watcher{
		mailbox: make(chan struct{}, 1),
		outcome: make(chan struct{}, 1),
		marks:   map[int32]chan struct{}{},
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		log.printf("no inotify (%v): the mailbox is read every second", err)
		go w.tick()
		return w
	}
	if err := w.add(fd, filepath.Dir(c.outcomeFile), w.outcome); err != nil {
		log.printf("the outcome's folder cannot be watched (%v): the outcome is read at the exit", err)
	}
	if err := w.add(fd, c.mailboxDir, w.mailbox); err != nil {
		log.printf("the mailbox cannot be watched (%v): it is read every second", err)
		go w.tick()
	} else if silent(fileSystem(c.mailboxDir)) {
		log.printf("the mailbox's file system tells no changes: it is read every second")
		go w.tick()
	}
	go w.read(os.NewFile(uintptr(fd), "inotify"))
	return w
}

func (w *watcher) add(fd int, dir string, to chan struct{}) error {
	descriptor, err := unix.InotifyAddWatch(fd, dir, watchedEvents)
	if err == nil {
		w.marks[int32(descriptor)] = to
	}
	return err
}

// fileSystem gives the type of a folder's file system, 0 where it is unknown.
func fileSystem(dir string) int64 {
	var found unix.Statfs_t
	if unix.Statfs(dir, &found) != nil {
		return 0
	}
	return int64(found.Type)
}

// silent knows the file systems by which a sandboxed container (gVisor, Kata)
// sees the node's files: the sandbox's kernel gives a watch, and never learns
// of a change that the kubelet makes outside.
func silent(fileSystem int64) bool {
	return fileSystem == unix.FUSE_SUPER_MAGIC || fileSystem == unix.V9FS_MAGIC
}

// read blocks in the runtime's poller, not in a thread.
func (w *watcher) read(events *os.File) {
	buffer := make([]byte, 4096)
	for {
		n, err := events.Read(buffer)
		if err != nil {
			return
		}
		for at := 0; at+eventHeader <= n; {
			descriptor := int32(binary.NativeEndian.Uint32(buffer[at:]))
			if to, known := w.marks[descriptor]; known {
				mark(to)
			} else { // an overflow: anything may have changed
				mark(w.mailbox)
				mark(w.outcome)
			}
			at += eventHeader + int(binary.NativeEndian.Uint32(buffer[at+12:]))
		}
	}
}

func (w *watcher) tick() {
	for range time.Tick(unwatchedInterval) {
		mark(w.mailbox)
		mark(w.outcome)
	}
}

func mark(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
