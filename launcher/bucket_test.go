package main

import (
	"testing"
	"time"
)

func from(n int) address { return address{14: byte(n >> 8), 15: byte(n)} }

// passes counts how many of so many datagrams, at one moment, are let through.
func (l *limiter) passes(from address, now time.Duration, datagrams int) (n int) {
	for range datagrams {
		if l.allows(from, now) {
			n++
		}
	}
	return n
}

func TestASourceHasItsBurstAndItsRate(t *testing.T) {
	l := newLimiter()
	for _, step := range []struct {
		at   time.Duration
		want int
	}{
		{0, sourceBurst}, {0, 0}, {100 * time.Millisecond, 0}, {200 * time.Millisecond, 1}, {time.Second, 4},
		{time.Hour, sourceBurst}, {time.Hour + time.Second, sourceRate},
	} {
		if got := l.passes(from(1), step.at, 1000); got != step.want {
			t.Errorf("at %v: %d, want %d", step.at, got, step.want)
		}
	}
	if got := l.passes(from(2), time.Hour+time.Second, 1000); got != sourceBurst {
		t.Errorf("another one: %d", got)
	}
}

func TestAllTogetherHaveTheirBurstAndTheirRate(t *testing.T) {
	l := newLimiter()
	sum := 0
	for n := range 10000 {
		sum += l.passes(from(n), 0, 1)
	}
	if sum != totalBurst-totalReserve {
		t.Errorf("%d at once", sum)
	}
	for tick := range 1000 { // ten seconds of made-up addresses
		for n := range 100 {
			sum += l.passes(from(tick*100+n), time.Duration(tick)*10*time.Millisecond, 1)
		}
	}
	if most := totalBurst + 10*totalRate; sum > most || sum < most-2*totalReserve {
		t.Errorf("%d within ten seconds", sum)
	}
}

func TestAFloodOfAddressesLeavesAPartToWhoHasSentATrueOne(t *testing.T) {
	l := newLimiter()
	controller := from(60000)
	l.passes(controller, 0, 1)
	l.proves(controller)
	l.proves(from(60001)) // never heard of: no harm
	for second := range 100 {
		now := time.Duration(second) * time.Second
		for n := range 50000 / 100 {
			l.passes(from(n), now, 20)
		}
		if got := l.passes(controller, now, 1); got != 1 {
			t.Fatalf("not heard after %v", now)
		}
	}
	if got := l.passes(from(60002), 100*time.Second-1, 1); got != 1 {
		t.Error("the reserve starves a new one although the flood is over")
	}
}

func TestThePlaceOfTheOneHeardOfTheLongestAgoIsGivenAway(t *testing.T) {
	l := newLimiter()
	for n := range sourcesKept {
		l.source(from(n), time.Duration(n))
	}
	l.proves(from(0))
	l.source(from(1), 0).bucket.fill(100, sourceRate, sourceBurst)
	l.source(from(1000), 101)
	if l.find(from(0)) < 0 || l.find(from(1)) < 0 || l.find(from(2)) >= 0 || l.find(from(1000)) < 0 {
		t.Error("the wrong one had to go")
	}
	for n := range sourcesKept {
		l.sources[n].proven = true
	}
	l.source(from(2000), 102)
	if l.find(from(0)) >= 0 || l.find(from(2000)) < 0 {
		t.Error("of those that have proven themselves, the oldest goes")
	}
}
