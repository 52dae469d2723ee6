package main

import "time"

// How many datagrams a second are checked: a signature costs a tenth of a
// millisecond. All that is over it is dropped unchecked, true ones too.
const (
	sourceRate  = 5 // of one address
	sourceBurst = 10
	totalRate   = 100
	totalBurst  = 50
	// totalReserve is what only those may use who have sent a true one before:
	// whoever makes up an address for each datagram leaves it to them.
	totalReserve = 10
	// sourcesKept is how many addresses are told apart.
	sourcesKept = 64
)

// address is an IPv6 address, or a mapped IPv4 one.
type address [16]byte

// bucket is filled with time, and emptied by what it lets through.
type bucket struct {
	tokens float64
	filled time.Duration // when it was last
}

func (b *bucket) fill(now time.Duration, rate, burst float64) {
	b.tokens = min(burst, b.tokens+(now-b.filled).Seconds()*rate)
	b.filled = now
}

// source is what is known of an address: its bucket's last filling is when it
// was heard of last.
type source struct {
	address address
	bucket  bucket
	proven  bool
}

// limiter says which datagrams are worth a look. It needs no memory but its
// own, whatever comes. Its times are those since one beginning.
type limiter struct {
	total   bucket
	sources [sourcesKept]source
	known   int
}

func newLimiter() *limiter {
	return &limiter{total: bucket{tokens: totalBurst}}
}

func (l *limiter) allows(from address, now time.Duration) bool {
	s := l.source(from, now)
	s.bucket.fill(now, sourceRate, sourceBurst)
	l.total.fill(now, totalRate, totalBurst)
	least := 1.0
	if !s.proven {
		least += totalReserve
	}
	if s.bucket.tokens < 1 || l.total.tokens < least {
		return false
	}
	s.bucket.tokens--
	l.total.tokens--
	return true
}

// proves notes that an address has sent a true one.
func (l *limiter) proves(from address) {
	if at := l.find(from); at >= 0 {
		l.sources[at].proven = true
	}
}

func (l *limiter) find(from address) int {
	for at := range l.known {
		if l.sources[at].address == from {
			return at
		}
	}
	return -1
}

// source finds an address, or gives it a place: a free one, or that of the one
// of which was heard the longest ago, those that have proven nothing first.
func (l *limiter) source(from address, now time.Duration) *source {
	at := l.find(from)
	switch {
	case at >= 0:
		return &l.sources[at]
	case l.known < sourcesKept:
		at = l.known
		l.known++
	default:
		at = l.oldest()
	}
	l.sources[at] = source{address: from, bucket: bucket{sourceBurst, now}}
	return &l.sources[at]
}

func (l *limiter) oldest() int {
	found := 0
	for at := range l.sources {
		one, least := &l.sources[at], &l.sources[found]
		if one.proven != least.proven {
			if least.proven {
				found = at
			}
		} else if one.bucket.filled < least.bucket.filled {
			found = at
		}
	}
	return found
}
