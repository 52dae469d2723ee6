package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit codes as shells and container runtimes use them.
const (
	exitCannotRun = 126
	exitNotFound  = 127
	exitSignalled = 128
)

// startCommand starts the command in a process group of its own (so that a
// script's `kill 0` spares the launcher) and returns its pid.
func startCommand(argv []string, environ []string, searchPath string) (int, error) {
	program, err := find(argv[0], searchPath)
	if err != nil {
		return 0, err
	}
	pid, err := syscall.ForkExec(program, argv, &syscall.ProcAttr{
		Env:   environ,
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("exec %s: %w", program, err)
	}
	giveTerminal(pid)
	return pid, nil
}

// giveTerminal makes the command's group the foreground one of the launcher's
// terminal, if it has one (`tty: true`). A command that has read from it
// already was stopped for that, hence the SIGCONT.
func giveTerminal(pid int) {
	if !hasTerminal() {
		return
	}
	if unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, pid) == nil {
		_ = unix.Kill(-pid, unix.SIGCONT) // fails only if it has ended
	}
}

func hasTerminal() bool {
	_, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return err == nil
}

// find looks a command up as a container runtime does.
func find(name, searchPath string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	var denied error
	for _, dir := range filepath.SplitList(searchPath) {
		candidate := filepath.Join(or(dir, "."), name)
		info, err := os.Stat(candidate)
		if err != nil || info.IsDir() {
			continue
		}
		if unix.Faccessat(unix.AT_FDCWD, candidate, unix.X_OK, unix.AT_EACCESS) == nil {
			if !strings.Contains(candidate, "/") {
				candidate = "./" + candidate
			}
			return candidate, nil
		}
		denied = fmt.Errorf("%s: %w", candidate, syscall.EACCES)
	}
	if denied != nil {
		return "", denied
	}
	return "", fmt.Errorf("%s: not found in PATH: %w", name, syscall.ENOENT)
}

// startExitCode is 127 for what is not there, 126 for what cannot run.
func startExitCode(err error) int {
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
		return exitNotFound
	}
	return exitCannotRun
}

// exitCode is the command's code, or 128 and its signal.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return exitSignalled + int(status.Signal())
	}
	return status.ExitStatus()
}
