package main

import (
	"crypto/ed25519"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// pushBacklog is how many stops may wait for the loop; more are dropped.
	pushBacklog = 16
	// pushBatch is how many datagrams are read before others have their turn.
	pushBatch = 32
)

// pushTo is where a pod hears pushes, and by whom they have to be signed.
type pushTo struct {
	key    ed25519.PublicKey
	port   int
	podUID string
	header [podUIDBytes]byte
	runID  string
}

// pushed is a stop that came as a datagram.
type pushed struct {
	request
	back sender
	size int // of the datagram: no answer is longer
}

// sender is whom an answer goes to.
type sender struct {
	socket syscall.RawConn
	name   socketName
}

// socketName is a sockaddr as the kernel writes it, of IPv6 or IPv4.
type socketName struct {
	raw  unix.RawSockaddrInet6
	size uint32
}

// listener reads datagrams in a goroutine of its own, and allocates nothing
// for one that is not true: a flood of them is to cost no memory.
type listener struct {
	socket  syscall.RawConn
	reader  *datagramReader
	limiter *limiter
	began   time.Time
	stops   chan pushed

	buffer [datagramLimit + 1]byte // one more, so that a longer one is seen to be longer
	from   socketName
}

// listen gives the channel on which stops arrive; nil, on which nothing ever
// does, where there is no push. Without it everything goes on by mailbox.
func listen(to *pushTo, log *logger) <-chan pushed {
	if to == nil {
		return nil
	}
	reader := newDatagramReader(to.header, to.key, to.runID)
	socket, err := openSocket(to.port, reader.header)
	if err != nil {
		log.printf("stops come by the mailbox alone: UDP port %d cannot be listened at: %v", to.port, err)
		return nil
	}
	l := &listener{socket: socket, reader: reader, limiter: newLimiter(), began: time.Now(), stops: make(chan pushed, pushBacklog)}
	go l.work()
	return l.stops
}

// openSocket prefers a socket of both families: a pod may have either.
func openSocket(port int, header [headerBytes]byte) (syscall.RawConn, error) {
	fd, err := boundSocket(unix.AF_INET6, &unix.SockaddrInet6{Port: port}, header)
	if err != nil && err != unix.EADDRINUSE {
		fd, err = boundSocket(unix.AF_INET, &unix.SockaddrInet4{Port: port}, header)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "push").SyscallConn() // in the runtime's poller, as it does not block
}

func boundSocket(family int, at unix.Sockaddr, header [headerBytes]byte) (fd int, err error) {
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	_ = attachFilter(fd, header) // before anything can arrive
	if family == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if err == nil {
		err = unix.Bind(fd, at)
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

func (l *listener) work() {
	drain := l.drain
	for l.socket.Read(drain) == nil {
		runtime.Gosched() // one processor has to do for all, also in a flood
	}
}

// drain reads what is there; where that is all, it is called again when there
// is more.
func (l *listener) drain(fd uintptr) (done bool) {
	for range pushBatch {
		size, err := l.from.receive(fd, l.buffer[:])
		if err == unix.EINTR {
			continue
		}
		if err != 0 {
			return false
		}
		l.judge(l.buffer[:min(size, len(l.buffer))])
	}
	return true
}

// judge hands a true one on. All else gets not a word: who sends garbage, or
// too much, learns nothing.
func (l *listener) judge(datagram []byte) {
	from := l.from.address()
	if !l.reader.plausible(datagram) || !l.limiter.allows(from, time.Since(l.began)) {
		return
	}
	asked, err := l.reader.read(datagram)
	if err != nil {
		return
	}
	l.limiter.proves(from)
	select {
	case l.stops <- pushed{asked, sender{l.socket, l.from}, len(datagram)}:
	default:
	}
}

// receive reads a datagram without waiting, and gives its whole size. The
// package unix would make a new address for each.
func (n *socketName) receive(fd uintptr, buffer []byte) (size int, err syscall.Errno) {
	n.size = uint32(unsafe.Sizeof(n.raw))
	got, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, uintptr(unsafe.Pointer(&n.raw)), uintptr(unsafe.Pointer(&n.size)))
	return int(got), err
}

func (n *socketName) address() address {
	if n.raw.Family != unix.AF_INET {
		return n.raw.Addr
	}
	mapped := address{10: 0xff, 11: 0xff}
	copy(mapped[12:], (*unix.RawSockaddrInet4)(unsafe.Pointer(&n.raw)).Addr[:])
	return mapped
}

// send does not wait either, and does not say where it cannot: an answer that
// is lost is no loss.
func (s sender) send(text []byte) {
	_ = s.socket.Write(func(fd uintptr) bool {
		_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)),
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&s.name.raw)), uintptr(s.name.size))
		return true
	})
}
