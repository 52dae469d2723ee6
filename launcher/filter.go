package main

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// What the kernel's filter sees of a datagram begins with its UDP header.
const udpHeader = 8

// filterFor is the cheap check as a program of the kernel's: what does not
// begin as a datagram for this pod, or is too long, is dropped before it takes
// a place in the socket's queue or wakes anybody up.
func filterFor(header [headerBytes]byte) []unix.SockFilter {
	const (
		loadLength = unix.BPF_LD | unix.BPF_W | unix.BPF_LEN
		loadWord   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		ifAtLeast  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ifEqual    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		answer     = unix.BPF_RET | unix.BPF_K
		word       = 4
		everything = 1<<32 - 1
	)
	program := []unix.SockFilter{
		{Code: loadLength},
		{Code: ifAtLeast, K: uint32(udpHeader + leastDatagram)},
		{Code: ifAtLeast, K: uint32(udpHeader + datagramLimit + 1)},
	}
	for at := 0; at < headerBytes; at += word {
		program = append(program,
			unix.SockFilter{Code: loadWord, K: uint32(udpHeader + at)},
			unix.SockFilter{Code: ifEqual, K: binary.BigEndian.Uint32(header[at:])})
	}
	drop := len(program) + 1
	program = append(program, unix.SockFilter{Code: answer, K: everything}, unix.SockFilter{Code: answer, K: 0})
	for at := range drop {
		if jump := &program[at]; jump.Code == ifEqual || jump.Code == ifAtLeast {
			jump.Jf = uint8(drop - at - 1)
		}
	}
	tooLong := &program[2]
	tooLong.Jt, tooLong.Jf = tooLong.Jf, 0
	return program
}

// attachFilter may fail in a sandbox: the launcher checks the same by itself.
func attachFilter(fd int, header [headerBytes]byte) error {
	program := filterFor(header)
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}
