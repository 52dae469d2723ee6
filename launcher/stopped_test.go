package main

import (
	"bytes"
	"os"
	"path/filepath"
)

// isStopped says whether the actor of that name has stopped itself. It can say
// that it is ready only before: a signal that comes between finds it running.
func isStopped(dir, name string) bool {
	arguments := []byte("\x00-dir\x00" + dir + "\x00-name\x00" + name + "\x00")
	folders, err := filepath.Glob("/proc/[0-9]*")
	must(err)
	for _, folder := range folders {
		said, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if err != nil || !bytes.Contains(said, arguments) {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(folder, "stat"))
		if err == nil && bytes.HasPrefix(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" T ")) {
			return true
		}
	}
	return false
}
