package main

import (
	"io"
	"os"
	"path/filepath"
)

// install copies this program to path: complete and executable, or not at
// all. It is what the init container does where image volumes are missing.
func install(path string) error {
	source, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.CreateTemp(filepath.Dir(path), ".desist-launcher-*")
	if err != nil {
		return err
	}
	defer os.Remove(target.Name()) // of no effect after the rename
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	if err := target.Chmod(0o555); err != nil {
		target.Close()
		return err
	}
	if err := target.Close(); err != nil {
		return err
	}
	return os.Rename(target.Name(), path)
}
