package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// process is one line of the process table. A pid is used again, a pid with
// its start time is not.
type process struct {
	id    identity
	ppid  int
	dead  bool // a zombie, all of whose threads are gone
	depth int  // below the launcher; set by own
}

type identity struct {
	pid   int
	start uint64 // clock ticks since boot
}

const noParent = 0 // what the kernel shows for a parent outside the namespace

var (
	errOtherNamespace = errors.New("/proc shows another PID namespace")
	errHasEnded       = errors.New("the process has ended")
)

// snapshot reads the process table. What ends meanwhile, or is hidden from
// this user, is left out, and so is what it has not come to at a time.
func snapshot(until time.Time) (map[int]process, error) {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return nil, err
	}
	if self != strconv.Itoa(os.Getpid()) {
		return nil, errOtherNamespace
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	table := make(map[int]process, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if past(until) {
			break
		}
		if p, err := readProcess(pid); err == nil {
			table[pid] = p
		}
	}
	return table, nil
}

// past says whether a time has come; a zero one never does.
func past(t time.Time) bool {
	return !t.IsZero() && !time.Now().Before(t)
}

func readProcess(pid int) (process, error) {
	line, err := readStat("/proc/" + strconv.Itoa(pid))
	if err != nil {
		return process{}, err
	}
	return parseStat(pid, line)
}

// readStat reads the line of a process or of a thread.
func readStat(dir string) ([]byte, error) {
	fd, err := unix.Open(dir+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var line [1024]byte
	n, err := unix.Read(fd, line[:])
	if err != nil {
		return nil, err
	}
	return line[:n], nil
}

// statFields gives the fields of proc_pid_stat(5) from the third one on. The
// second is the program's name in brackets, which may itself hold blanks and
// brackets.
func statFields(line []byte) [][]byte {
	return bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
}

func parseStat(pid int, line []byte) (process, error) {
	rest := statFields(line)
	const state, ppid, threads, start = 0, 1, 17, 19 // counted from the third field
	if len(rest) <= start {
		return process{}, fmt.Errorf("/proc/%d/stat is cut off", pid)
	}
	p := process{id: identity{pid: pid}}
	var err [3]error
	var count int
	p.ppid, err[0] = strconv.Atoi(string(rest[ppid]))
	count, err[1] = strconv.Atoi(string(rest[threads]))
	p.id.start, err[2] = strconv.ParseUint(string(rest[start]), 10, 64)
	p.dead = bytes.ContainsAny(rest[state], "ZXx") && count <= 1
	if err := errors.Join(err[:]...); err != nil {
		return process{}, err
	}
	if count == 0 { // it is being taken out of the table, and shows no parent any more, as an exec session does
		return process{}, errHasEnded
	}
	return p, nil
}

// own gives the command's processes, those nearest to the launcher first: all
// that descend from the launcher, to whom the kernel also gives every orphan.
// As PID 1 that is all but the exec sessions and what they have started: such
// a session's first process has its parent outside the namespace. sure is
// false when a parent vanished between two reads, so that one cannot tell.
func own(table map[int]process, self int) (mine []process, sure bool) {
	depths := map[int]int{self: 0}
	sure = true
	for pid := range table {
		depth := depthBelow(table, depths, pid)
		switch {
		case depth > 0:
			p := table[pid]
			p.depth = depth
			mine = append(mine, p)
		case depth == unknown:
			sure = false
		}
	}
	slices.SortFunc(mine, func(a, b process) int {
		if a.depth != b.depth {
			return a.depth - b.depth
		}
		return a.id.pid - b.id.pid
	})
	return mine, sure
}

const (
	foreign = -1
	unknown = -2
)

// depthBelow follows the parents up to the launcher (whose depth is in depths
// from the start) and keeps what it learns there.
func depthBelow(table map[int]process, depths map[int]int, pid int) int {
	var path []int
	depth := unknown
	for at := pid; ; {
		if known, ok := depths[at]; ok {
			depth = known
			break
		}
		p, ok := table[at]
		if !ok || len(path) > len(table) {
			break
		}
		path = append(path, at)
		if p.ppid == noParent {
			depth = foreign
			break
		}
		at = p.ppid
	}
	for i := len(path) - 1; i >= 0; i-- {
		if depth >= 0 {
			depth++
		}
		depths[path[i]] = depth
	}
	return depth
}

// atRest says whether a process has stopped or ended in all of its threads.
// SIGSTOP is only asked for when it is sent: a thread that is in the midst of
// a fork finishes that first, and the child appears later.
func (id identity) atRest() bool {
	tasks := "/proc/" + strconv.Itoa(id.pid) + "/task"
	dir, err := os.Open(tasks)
	if err != nil {
		return true // it has ended
	}
	defer dir.Close()
	threads, err := dir.Readdirnames(-1)
	if err != nil {
		return true
	}
	for _, thread := range threads {
		line, err := readStat(tasks + "/" + thread)
		if err == nil && !resting(line) {
			return false
		}
	}
	return true
}

// resting knows the states of a thread that runs no code: stopped, stopped by
// a tracer, ended.
func resting(line []byte) bool {
	fields := statFields(line)
	return len(fields) > 0 && bytes.ContainsAny(fields[0], "TtZXx")
}

// send signals exactly this process, never one that got its pid later. Where
// there are no pidfds, or may not be signals to them (an old kernel, a seccomp
// filter), the start time has to do.
func (id identity) send(number unix.Signal) error {
	fd, err := unix.PidfdOpen(id.pid, 0)
	if err == nil {
		defer unix.Close(fd)
	} else if errors.Is(err, unix.ESRCH) {
		return err
	}
	p, unreadable := readProcess(id.pid)
	if unreadable != nil || p.id != id {
		return unix.ESRCH
	}
	if err == nil {
		err = unix.PidfdSendSignal(fd, number, nil, 0)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return unix.Kill(id.pid, number)
	}
	return err
}
