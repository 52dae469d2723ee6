package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What whoever reaches the port, on the pod network or in the pod, may try.

func TestWhatIsNoDatagramForThisPodDoesNothingAndHearsNothing(t *testing.T) {
	p := newPod(t, true)
	c := p.hearing()
	p.startActor("-deaf")
	plain := c.datagram(posting{9, "Kill", "SIGTERM", 0})
	body := func(from, to string) []byte {
		return datagramFor(examplePod, strings.Replace(string(plain[bodyAt:]), from, to, 1), exampleKey)
	}
	attempts := map[string][]byte{
		"a wrong key":         datagramFor(examplePod, string(plain[bodyAt:]), strangersKey),
		"another pod's":       datagramFor(exampleOther, string(plain[bodyAt:]), exampleKey),
		"an older run's":      body(`"runId":"run"`, `"runId":"rum"`),
		"torn":                plain[:len(plain)-1],
		"too long":            body(`"mode"`, `"details":"`+strings.Repeat("x", datagramLimit)+`","mode"`),
		"very long":           append(plain[:len(plain):len(plain)], make([]byte, 60000)...),
		"nothing":             {},
		"a sequence as text":  body(`"sequence":9`, `"sequence":"9"`),
		"a grace as text":     body(`"graceSeconds":0`, `"graceSeconds":"0"`),
		"a nonce as a number": body(`"nonce":"`+plainNonce(plain)+`"`, `"nonce":1`),
		"a stop as text":      body(`"stop":{`, `"stop":"{`),
		"another magic":       append([]byte("desist2\n"), plain[len(datagramMagic):]...),
	}
	var senders []*controller
	for _, datagram := range attempts {
		sender := c.elsewhere(fmt.Sprint("127.0.1.", len(senders)+1)) // each has a bucket of its own
		sender.send(datagram)
		senders = append(senders, sender)
	}
	c.wantAnswer(c.push(cancel(1)), answer{Did: didTold, Told: 1}) // all before it were judged
	for _, sender := range senders {
		if a, ok := sender.hears(time.Millisecond); ok {
			t.Errorf("answer %+v", a)
		}
	}
	if r := p.receipt(); r.Stop.Sequence != 1 || r.Last != nil || r.Deadline != "" {
		t.Errorf("receipt %+v", r)
	}
	c.push(kill(10, 0))
	p.wantExit(137)
}

func plainNonce(datagram []byte) string {
	return string(datagram[bodyAt+len(`{"nonce":"`):][:nonceLength])
}

func TestADatagramThatIsReplayedIsAnsweredAndChangesNothing(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		c := p.hearing()
		p.startActor("-deaf")
		first, second := c.datagram(cancel(1)), c.datagram(kill(2, 60))
		c.wantAnswer(c.pushAs(first, cancel(1)), answer{Did: didTold, Told: 1})
		c.wantAnswer(c.pushAs(second, kill(2, 60)), answer{Did: didTold, Told: 1})
		before := p.message()
		attacker := c.elsewhere("127.0.0.9")
		for range 3 {
			attacker.wantAnswer(attacker.pushAs(second, kill(2, 60)), answer{Did: didTold, Told: 1})
			attacker.wantAnswer(attacker.pushAs(first, cancel(1)), answer{Did: didTold, Told: 1})
		}
		if got := p.message(); got != before {
			t.Errorf("message %s, before it %s", got, before)
		}
		c.push(kill(3, 0))
		p.wantExit(137)
		if n := p.count("command SIGTERM"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// flood is what comes ten thousand times a second.
const (
	floodStep    = time.Millisecond
	floodPerStep = 10
	floodFor     = 3 * time.Second
	trueOnes     = 4
	// cpuShare is far above what a flood takes, and below what a launcher takes
	// that checks each signature (a tenth of a millisecond), or is woken up twice.
	cpuShare = 0.4
)

func TestAFloodCostsLittleAndATrueStopIsHeard(t *testing.T) {
	truth := datagramFor(examplePod, bodyOf(exampleNonce, cancel(1).json()), exampleKey)
	forged := append([]byte(string(truth[:headerBytes])), make([]byte, len(truth)-headerBytes)...)
	for name, flood := range map[string][]byte{
		"garbage":                   make([]byte, len(truth)),
		"well-formed, badly signed": forged,
		"replayed":                  truth,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, false)
			c := p.hearing()
			p.cmd = exec.Command(build(t), append([]string{"run", "--"}, p.actor("-deaf")...)...)
			p.startPrepared()
			p.waitEvent("command ready")
			pid := p.cmd.Process.Pid
			used, began := cpuTime(t, pid), time.Now()
			sent := c.elsewhere("127.0.0.9").flood(flood)
			share := (cpuTime(t, pid) - used).Seconds() / time.Since(began).Seconds()
			kib := status(t, fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
			t.Logf("%d in %v: %.3f of a core, %d KiB resident", sent, floodFor, share, kib)
			if share > cpuShare || kib > residentLimitKiB {
				t.Error("that is too much")
			}
			c.push(kill(2, 0))
			p.wantExit(137)
		})
	}
}

// flood sends one datagram again and again; in the midst of it, a true stop
// from another address has to be heard: on a machine where the launcher gets
// no processor for a while, the kernel may have had no room for it, so it is
// sent a few times. It gives how many were sent.
func (c *controller) flood(datagram []byte) (sent int) {
	c.t.Helper()
	other := c.elsewhere("127.0.0.3")
	asked := 0
	for begin, end := time.Now(), time.Now().Add(floodFor); time.Now().Before(end); {
		for range floodPerStep {
			_, _ = c.socket.WriteTo(datagram, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.port})
			sent++
		}
		if due := time.Duration(sent/floodPerStep) * floodStep; due > time.Since(begin) {
			time.Sleep(due - time.Since(begin))
		}
		if asked < trueOnes && time.Since(begin) > floodFor/2+time.Duration(asked)*floodFor/10 {
			asked++
			other.send(other.datagram(cancel(1)))
		}
	}
	if a, ok := other.hears(time.Second); !ok || a.Did != didTold {
		c.t.Errorf("the true one was not heard: %+v", a)
	}
	return sent
}

// cpuTime is what a process has used so far.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(err)
	const user, system, tick = 11, 12, 10 * time.Millisecond // counted from the third field
	fields := statFields(line)
	sum := 0
	for _, at := range []int{user, system} {
		n, err := strconv.Atoi(string(fields[at]))
		must(err)
		sum += n
	}
	return time.Duration(sum) * tick
}

func TestAPushIsHeardAlsoWhereTheKernelTakesNoFilter(t *testing.T) {
	p := newPod(t, false)
	c := p.hearing()
	args := []string{"role=filter", strconv.Itoa(unix.SYS_SETSOCKOPT), "role=launcher", "run", "--"}
	p.cmd = exec.Command(self(), append(args, p.actor("-deaf")...)...)
	p.startPrepared()
	p.waitEvent("command ready")
	garbage := c.elsewhere("127.0.0.9")
	for range 100 {
		garbage.send([]byte(strings.Repeat("garbage", 30)))
	}
	c.wantAnswer(c.push(cancel(1)), answer{Did: didTold, Told: 1})
	c.push(kill(2, 0))
	p.wantExit(137)
}

func TestAListenerLeavesNothingBehindAFlood(t *testing.T) {
	c := configFrom([]string{"DESIST_PUSH_KEY=" + examplePushPod().Key, fmt.Sprint("DESIST_PUSH_PORT=", freePort()),
		"DESIST_POD_UID=" + examplePod, "DESIST_RUN_ID=run"})
	stops := listen(c.push, newLogger(os.Stderr))
	sender := controllerAt(t, "127.0.0.9", c.push.port)
	whole := datagramFor(examplePod, bodyOf(exampleNonce, cancel(1).json()), exampleKey)
	forged := append([]byte(string(whole[:headerBytes])), make([]byte, 200)...)
	files, goroutines := openFiles(), runtime.NumGoroutine()
	for range 5000 {
		sender.send(forged)
	}
	controller := controllerAt(t, "127.0.0.3", c.push.port)
	var got pushed
	limit := time.After(patience)
	for heard := false; !heard; { // the kernel had no room for all
		controller.send(whole)
		select {
		case got = <-stops:
			heard = true
		case <-time.After(250 * time.Millisecond):
		case <-limit:
			t.Fatal("the true one was not heard")
		}
	}
	if got.nonce != exampleNonce || got.stop.sequence != 1 || got.size != len(whole) {
		t.Errorf("%+v", got)
	}
	if openFiles() != files+1 || runtime.NumGoroutine() > goroutines { // the second sender's
		t.Errorf("%d files of %d, %d goroutines of %d", openFiles(), files, runtime.NumGoroutine(), goroutines)
	}
}

func openFiles() int {
	found, err := os.ReadDir("/proc/self/fd")
	must(err)
	return len(found)
}
