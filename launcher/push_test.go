package main

import (
	"encoding/base64"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
)

func TestAPushedStopIsToldToAllAndAnswered(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		c := p.hearing()
		p.startActor("-spawn", family, "-clean", "2s", "-code", "3") // they are counted while they clean up
		p.untilLiving(6)
		c.wantAnswer(c.push(cancel(1)), answer{Did: didTold, Told: 6, Left: 5})
		p.wantExit(3)
		for _, name := range append(familyNames, "command") {
			if p.count(name+" SIGTERM") != 1 {
				t.Errorf("%s was not told once", name)
			}
		}
		r := p.receipt()
		if r.Stop == nil || r.Stop.By != byPush || r.Stop.CommandID != "command-1" || r.Last != nil || r.Deadline != "" {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestAPushedForceIsAnsweredWhenAllAreDead(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		c := p.hearing()
		p.startActor("-spawn", family)
		c.wantAnswer(c.push(posting{1, "Force", "SIGTERM", 0}), answer{Did: didKilling, MainEnded: true})
		p.wantExit(137)
		p.wantNobodyAlive()
		if r := p.receipt(); !r.Killed || r.Stop.By != byPush || r.Deadline != r.Stop.At || p.count("command SIGTERM") != 0 {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestAPushReachesAPodOfEitherFamily(t *testing.T) {
	p := newPod(t, false)
	c := p.hearing()
	if socket, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback}); err != nil {
		t.Skip("no IPv6 here: ", err)
	} else {
		must(socket.Close())
	}
	p.startActor("-deaf")
	c.wantAnswer(c.elsewhere("::1").push(cancel(1)), answer{Did: didTold, Told: 1})
	c.wantAnswer(c.push(kill(2, 0)), answer{Did: didKilling, Told: 1, MainEnded: true})
	p.wantExit(137)
}

func TestAStopByBothWaysIsToldOnce(t *testing.T) {
	for by, first := range map[string]func(p *pod, c *controller){
		byPush: func(p *pod, c *controller) {
			c.wantAnswer(c.push(kill(1, 60)), answer{Did: didTold, Told: 1})
			p.post(kill(1, 60))
		},
		byMailbox: func(p *pod, c *controller) {
			p.post(kill(1, 60))
			p.waitEvent("command SIGTERM")
			c.wantAnswer(c.push(kill(1, 60)), answer{Did: didTold, Told: 1})
		},
	} {
		t.Run(by+" first", func(t *testing.T) {
			inBoth(t, func(t *testing.T, p *pod) {
				c := p.hearing()
				p.startActor("-deaf")
				first(p, c)
				deadline := p.receipt().Deadline
				time.Sleep(50 * time.Millisecond) // a later deadline would be another
				c.wantAnswer(c.push(kill(1, 60)), answer{Did: didTold, Told: 1})
				r := p.receipt()
				if r.Stop.By != by || r.Last != nil || r.Deadline != deadline || between(t, r.Stop.At, r.Deadline) != time.Minute {
					t.Errorf("receipt %+v", r)
				}
				c.wantAnswer(c.push(kill(2, 0)), answer{Did: didKilling, Told: 1, MainEnded: true})
				p.wantExit(137)
				if n := p.count("command SIGTERM"); n != 1 {
					t.Errorf("told %d times", n)
				}
			})
		})
	}
}

func TestTheWaysAreOneInRisingSequence(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		c := p.hearing()
		p.startActor("-deaf")
		c.push(cancel(2))
		p.post(kill(1, 0))                       // late, and overtaken
		c.push(posting{1, "Kill", "SIGTERM", 0}) // the same
		p.post(kill(3, 60))
		p.until("the Kill by mailbox", func() bool { return p.receipt().Last != nil })
		if r := p.receipt(); r.Stop.By != byPush || r.Last.Sequence != 3 || r.Last.By != "" || r.Deadline == "" {
			t.Errorf("receipt %+v", r)
		}
		c.wantAnswer(c.push(posting{4, "Terminate", "SIGTERM", 0}), answer{Did: didKilling, Told: 1, MainEnded: true})
		p.wantExit(137)
		if r := p.receipt(); r.Last.Sequence != 4 || r.Last.By != byPush || p.count("command SIGTERM") != 1 {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestADrainedPodIsKilledByTheDeadlineOfAPush(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		c := p.hearing()
		p.startActor("-deaf")
		must(p.cmd.Process.Signal(syscall.SIGTERM)) // the kubelet's
		p.waitEvent("command SIGTERM")
		for range 3 { // the controller says it again and again
			c.wantAnswer(c.push(kill(1, 3)), answer{Did: didTold, Told: 1})
		}
		p.wantExit(137)
		r := p.receipt()
		if !r.Killed || r.Stop.By != byPush || r.SIGTERM == "" || between(t, r.Stop.At, r.Deadline) != 3*time.Second {
			t.Errorf("receipt %+v", r)
		}
		if n := p.count("command SIGTERM"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestASIGTERMFromWithinUsesNoPushedStopUp(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		c := p.hearing()
		p.startActor("-deaf")
		must(p.cmd.Process.Signal(syscall.SIGTERM)) // some process's of the container
		p.waitEvent("command SIGTERM")
		c.push(cancel(1))
		p.post(cancel(1)) // no pod that is being drained gets that
		p.until("the signal of the stop", func() bool { return p.count("command SIGTERM") == 2 })
		p.postText(cancel(1).json() + " ") // and it counts once
		c.push(kill(2, 0))
		p.wantExit(137)
		if n := p.count("command SIGTERM"); n != 2 || p.receipt().Stop.By != byPush {
			t.Errorf("told %d times, receipt %+v", n, p.receipt())
		}
	})
}

func TestAPushBeforeALateStartKeepsTheCommandFromStarting(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		c := p.hearing()
		p.makeOld(time.Minute)
		p.start(p.actor()...)
		p.untilLogged("a late start", 1)
		c.wantAnswer(c.push(cancel(1)), answer{Did: didRefusedStart})
		p.wantExit(143)
		if r := p.receipt(); r.Started || r.Stop == nil || r.Stop.By != byPush || eventsIn(p.dir) != "" {
			t.Errorf("receipt %+v", r)
		}
	})
}

func TestAnAnswerSaysWhoIsLeftWhenTheCommandHasEnded(t *testing.T) {
	inBoth(t, func(t *testing.T, p *pod) {
		c := p.hearing()
		p.startActor("-spawn", "child:child+deaf,orphan:orphan+deaf")
		p.untilLiving(3)
		c.wantAnswer(c.push(cancel(1)), answer{Did: didTold, Told: 3, Left: 2})
		p.waitEvent("command done")
		p.untilLiving(2)
		c.wantAnswer(c.push(kill(2, 60)), answer{Did: didTold, Told: 3, MainEnded: true, Left: 2})
		c.wantAnswer(c.push(kill(3, 0)), answer{Did: didKilling, Told: 3, MainEnded: true})
		p.wantExit(0)
	})
}

func TestWithoutAKeyOrAPortNothingListens(t *testing.T) {
	for name, env := range map[string][]string{
		"empty":              {"DESIST_PUSH_KEY=", "DESIST_PUSH_PORT="},
		"no key":             {"DESIST_PUSH_KEY="},
		"no port":            {"DESIST_PUSH_PORT=0"},
		"a damaged key":      {"DESIST_PUSH_KEY=" + base64.StdEncoding.EncodeToString([]byte("short"))},
		"a damaged port":     {"DESIST_PUSH_PORT=65536"},
		"a UID that is none": {"DESIST_POD_UID=pod-1"},
		"no run":             {"DESIST_RUN_ID="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, false)
			c := p.hearing()
			p.env = append(p.env, env...)
			p.startActor()
			socket, err := net.ListenUDP("udp", &net.UDPAddr{Port: c.port})
			if err != nil {
				t.Fatalf("it listens: %v", err)
			}
			must(socket.Close())
			p.post(cancel(1))
			p.wantExit(0)
		})
	}
}

func TestAPortThatIsTakenIsSaidOnceAndTheMailboxIsObeyed(t *testing.T) {
	p := newPod(t, false)
	c := p.hearing()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{Port: c.port})
	must(err)
	defer socket.Close()
	p.startActor()
	p.untilLogged(fmt.Sprintf("UDP port %d cannot be listened at: address already in use", c.port), 1)
	c.send(c.datagram(cancel(1)))
	p.post(cancel(2))
	p.wantExit(0)
	if r := p.receipt(); r.Stop.Sequence != 2 || r.Stop.By != byMailbox {
		t.Errorf("receipt %+v", r)
	}
}
