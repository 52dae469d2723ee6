package main

// What an answer says that was done.
const (
	didTold         = "told"          // the stop signal was sent, because of this stop or before it
	didKilling      = "killing"       // its grace is over: SIGKILL was sent
	didRefusedStart = "refused-start" // the command is never started
	didNote         = "noted"         // it was read, and nobody was there to be told
)

// answer is what the sender of a datagram hears, once the signal is out.
// Nothing hangs on it: it may be lost, and nobody waits for it.
type answer struct {
	Nonce     string `json:"nonce"`
	PodUID    string `json:"podUid"`
	CommandID string `json:"commandId"`
	Sequence  int64  `json:"sequence"`
	Did       string `json:"did"`
	Told      int    `json:"told"`      // processes that took the stop signal
	Refused   int    `json:"refused"`   // and that did not
	MainEnded bool   `json:"mainEnded"` // the command itself has ended
	Left      int    `json:"left"`      // other processes of the command's that have not
}

// text is the answer within a number of bytes, those of the request: who makes
// the launcher talk to another gains nothing by it. nil: it does not fit.
func (a answer) text(limit int) []byte {
	if line := jsonLine(a); len(line) <= limit {
		return line
	}
	return nil
}
