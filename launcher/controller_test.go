package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// controller sends stops to one pod, as a controller does.
type controller struct {
	t      *testing.T
	pod    *pod
	port   int
	socket *net.UDPConn
	sent   int
}

// lastPort is below those that the kernel gives to sockets without one.
var lastPort atomic.Int32

func init() { lastPort.Store(int32(20000 + os.Getpid()%10000)) }

// freePort does not try a port out: a child that another test is just starting
// would hold that socket too, until its exec.
func freePort() int {
	for {
		port := int(lastPort.Add(1))
		taken := fmt.Sprintf(":%04X ", port)
		if !slices.ContainsFunc([]string{"/proc/net/udp", "/proc/net/udp6"}, func(table string) bool {
			raw, err := os.ReadFile(table)
			return err == nil && strings.Contains(string(raw), taken)
		}) {
			return port
		}
	}
}

// hearing gives the pod what it needs for pushes, and its controller.
func (p *pod) hearing() *controller {
	p.t.Helper()
	port := freePort()
	p.env = append(p.env, "DESIST_PUSH_KEY="+examplePushPod().Key, fmt.Sprint("DESIST_PUSH_PORT=", port),
		"DESIST_POD_UID="+examplePod, "DESIST_RUN_ID=run")
	c := controllerAt(p.t, "127.0.0.2", port)
	c.pod = p
	return c
}

// controllerAt is one with an address of its own.
func controllerAt(t *testing.T, address string, port int) *controller {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address)})
	must(err)
	t.Cleanup(func() { _ = socket.Close() })
	return &controller{t: t, port: port, socket: socket}
}

func (c *controller) elsewhere(address string) *controller {
	other := controllerAt(c.t, address, c.port)
	other.pod = c.pod
	return other
}

// datagram is a stop, with a new nonce each time.
func (c *controller) datagram(s posting) []byte {
	c.sent++
	return datagramFor(examplePod, bodyOf(fmt.Sprintf("%032x", c.sent), s.json()), exampleKey)
}

func (c *controller) send(datagram []byte) {
	c.t.Helper()
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.port}
	if c.socket.LocalAddr().(*net.UDPAddr).IP.To4() == nil {
		to.IP = net.IPv6loopback
	}
	if _, err := c.socket.WriteTo(datagram, to); err != nil {
		c.t.Fatal(err)
	}
}

// hears waits for an answer; none comes within the time: ok is false.
func (c *controller) hears(within time.Duration) (a answer, ok bool) {
	c.t.Helper()
	must(c.socket.SetReadDeadline(time.Now().Add(within)))
	buffer := make([]byte, 2*datagramLimit)
	n, err := c.socket.Read(buffer)
	if err != nil {
		return answer{}, false
	}
	if err := json.Unmarshal(buffer[:n], &a); err != nil {
		c.t.Fatalf("%v: %s", err, buffer[:n])
	}
	return a, true
}

// push sends a stop and gives the answer.
func (c *controller) push(s posting) answer {
	c.t.Helper()
	return c.pushAs(c.datagram(s), s)
}

func (c *controller) pushAs(datagram []byte, s posting) answer {
	c.t.Helper()
	c.send(datagram)
	a, ok := c.hears(patience)
	if !ok {
		c.t.Fatalf("no answer to %s", datagram[bodyAt:])
	}
	if a.PodUID != examplePod || a.CommandID != fmt.Sprint("command-", s.sequence) || a.Sequence != int64(s.sequence) || len(a.Nonce) != nonceLength {
		c.t.Errorf("answer %+v to %s", a, datagram[bodyAt:])
	}
	return a
}

// what is what was done: the rest of an answer names the question.
func (a answer) what() answer {
	return answer{Did: a.Did, Told: a.Told, Refused: a.Refused, MainEnded: a.MainEnded, Left: a.Left}
}

// wantAnswer takes a 1 for what could not be counted in time, where the process
// table is the whole machine's.
func (c *controller) wantAnswer(got, want answer) {
	c.t.Helper()
	what := got.what()
	if !c.pod.isolated && what.Left == 1 && want.Did != didRefusedStart {
		what.Left = want.Left
	}
	if what != want {
		c.t.Errorf("answer %+v, want %+v", what, want)
	}
}

// untilLiving waits until the launcher has so many descendants, however long
// those take to go that have ended.
func (p *pod) untilLiving(n int) {
	p.t.Helper()
	p.until(fmt.Sprint("descendants: ", n), func() bool {
		table, err := snapshot(time.Time{})
		must(err)
		mine, _ := own(table, p.cmd.Process.Pid)
		return len(slices.DeleteFunc(mine, func(p process) bool { return p.dead })) == n
	})
}
