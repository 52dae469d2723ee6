package main

// The ways by which a stop comes.
const (
	byMailbox = "mailbox"
	byPush    = "push"
)

// news is what a stop is to who may have heard of it before.
type news int

const (
	oldNews   news = iota // it was read, or a later one
	newStop               // it is to be obeyed
	confirmed             // it was pushed, and now is in the mailbox too
)

// inbox is the one place where the ways meet: each stop is handed out once, in
// rising sequence, by whichever way it came first. What is slower, late or said
// again means nothing.
type inbox struct {
	last stop
	by   string // the way by which it was last read
}

func (i *inbox) take(s stop, by string) news {
	switch {
	case s.sequence > i.last.sequence, s.sequence == highestSequence && !s.asks(i.last):
		i.last, i.by = s, by
		return newStop
	case s.sequence == i.last.sequence && i.by == byPush && by == byMailbox:
		i.by = byMailbox
		return confirmed
	default:
		return oldNews
	}
}

// asks says whether two stops want the same.
func (s stop) asks(other stop) bool {
	sameGrace := (s.grace == nil) == (other.grace == nil) && (s.grace == nil || *s.grace == *other.grace)
	return sameGrace && s.commandID == other.commandID && s.mode == other.mode && s.signal == other.signal
}
