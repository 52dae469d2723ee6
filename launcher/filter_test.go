package main

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel itself is asked: a socket with the filter, and one beside it that
// sends each example to it.
func TestTheKernelsFilterPassesWhatLooksLikeADatagramForThisPod(t *testing.T) {
	uid, _ := uuidBytes(examplePod)
	reader := newDatagramReader(uid, nil, "")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(err)
	defer unix.Close(fd)
	must(attachFilter(fd, reader.header))
	must(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := unix.Getsockname(fd)
	must(err)
	c := controllerAt(t, "127.0.0.1", at.(*unix.SockaddrInet4).Port)
	arrives := func(expected bool) (n int) {
		if expected { // on a busy machine the kernel may deliver it later
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		}
		buffer := make([]byte, 65536)
		for {
			got, _, err := unix.Recvfrom(fd, buffer, unix.MSG_DONTWAIT)
			if err != nil {
				return n
			}
			n += got
		}
	}
	passed := 0
	for _, example := range readIndex[pushExample](t, "push") {
		raw, err := hex.DecodeString(strings.TrimSpace(string(readExample(t, "push", example.File))))
		must(err)
		for _, datagram := range [][]byte{raw, append(raw[:len(raw):len(raw)], make([]byte, datagramLimit)...)} {
			c.send(datagram)
			want := 0
			if reader.plausible(datagram) {
				want = len(datagram)
				passed++
			}
			if got := arrives(want > 0); got != want { // loopback has delivered it when the sender is told so
				t.Errorf("%s: %d bytes, want %d", example.File, got, want)
			}
		}
	}
	if passed < 10 {
		t.Errorf("only %d passed", passed)
	}
}

func TestASignatureIsCheckedOnlyWithinTheLimits(t *testing.T) {
	uid, _ := uuidBytes(examplePod)
	l := &listener{reader: newDatagramReader(uid, examplePublic, "run"), limiter: newLimiter(), began: time.Now(), stops: make(chan pushed, pushBacklog)}
	whole := datagramFor(examplePod, bodyOf(exampleNonce, cancel(1).json()), exampleKey)
	forged := append([]byte(string(whole[:headerBytes])), make([]byte, 300)...)
	judge := func(datagram []byte) { l.judge(l.buffer[:copy(l.buffer[:], datagram)]) }
	for range 2 * sourceBurst {
		judge(forged)
	}
	if judge(whole); len(l.stops) != 0 {
		t.Error("one beyond the limit was checked")
	}
	l.from.raw.Addr[15] = 1 // another address
	if judge(whole); len(l.stops) != 1 {
		t.Error("a true one was not heard")
	}
	for range 2 * pushBacklog { // the loop is busy: the rest is dropped
		l.from.raw.Addr[15]++
		judge(whole)
	}
	if len(l.stops) != pushBacklog {
		t.Errorf("%d wait", len(l.stops))
	}
}

func TestWhatIsDroppedCostsNoMemory(t *testing.T) {
	uid, _ := uuidBytes(examplePod)
	l := &listener{reader: newDatagramReader(uid, examplePublic, "run"), limiter: newLimiter(), began: time.Now()}
	whole := datagramFor(examplePod, bodyOf(exampleNonce, cancel(1).json()), exampleKey)
	l.limiter.total.tokens = 0
	l.began = l.began.Add(time.Hour) // no time goes by, so that nothing is checked
	for name, datagram := range map[string][]byte{"garbage": make([]byte, 300), "over the limit": whole} {
		sender := 0
		allocated := testing.AllocsPerRun(1000, func() {
			sender++
			l.from.raw.Addr[14], l.from.raw.Addr[15] = byte(sender>>8), byte(sender)
			l.judge(l.buffer[:copy(l.buffer[:], datagram)])
		})
		if allocated != 0 {
			t.Errorf("%s: %v allocations", name, allocated)
		}
	}
}
