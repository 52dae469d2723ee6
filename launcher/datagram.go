package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
)

// A datagram is HEADER | SIGNATURE | BODY: docs/mailbox.md says what each is.
const (
	datagramMagic  = "desist1\n" // also what makes a signature one of this protocol
	podUIDBytes    = 16
	headerBytes    = len(datagramMagic) + podUIDBytes
	bodyAt         = headerBytes + ed25519.SignatureSize
	datagramLimit  = 1200
	leastDatagram  = bodyAt + len("{}")
	nonceLength    = 32
	uuidTextLength = 36
)

var (
	errNotForUs     = errors.New("the size, the magic or the pod's UID is wrong")
	errNotSigned    = errors.New("the signature is wrong")
	errNonce        = errors.New("nonce is not 32 lower-case hexadecimal digits")
	errAnotherRun   = errors.New("runId is another run's")
	errStopNoObject = errors.New("stop is missing")
)

// request is what a datagram asks.
type request struct {
	nonce string // the answer repeats it
	stop  stop
}

// datagramReader judges datagrams: which are this pod's, by the controller that
// made the pod, for this run. All else means nothing, whoever sent it.
type datagramReader struct {
	header [headerBytes]byte
	key    ed25519.PublicKey
	runID  string
}

func newDatagramReader(podUID [podUIDBytes]byte, key ed25519.PublicKey, runID string) *datagramReader {
	d := &datagramReader{key: key, runID: runID}
	copy(d.header[copy(d.header[:], datagramMagic):], podUID[:])
	return d
}

// plausible is the cheap part of the check, which garbage does not pass. The
// kernel's filter makes the same one, where there is one.
func (d *datagramReader) plausible(datagram []byte) bool {
	return len(datagram) >= leastDatagram && len(datagram) <= datagramLimit &&
		string(datagram[:headerBytes]) == string(d.header[:])
}

// read checks the signature and reads the body. The datagram is spoiled: what
// was signed is put together within it, so that a forged one costs no memory.
func (d *datagramReader) read(datagram []byte) (request, error) {
	if !d.plausible(datagram) {
		return request{}, errNotForUs
	}
	var signature [ed25519.SignatureSize]byte
	copy(signature[:], datagram[headerBytes:bodyAt])
	signed := datagram[bodyAt-headerBytes:]
	copy(signed, d.header[:])
	if !ed25519.Verify(d.key, signed, signature[:]) {
		return request{}, errNotSigned
	}
	return d.readBody(datagram[bodyAt:])
}

// readBody is strict where the mailbox is, and skips what it does not know.
func (d *datagramReader) readBody(body []byte) (request, error) {
	fields, err := objectOf(body)
	if err != nil {
		return request{}, err
	}
	var r request
	if err := field(fields, "nonce", &r.nonce, true); err != nil {
		return request{}, err
	}
	if len(r.nonce) != nonceLength || strings.Trim(r.nonce, "0123456789abcdef") != "" {
		return request{}, errNonce
	}
	var raw json.RawMessage
	if raw = fields["stop"]; raw == nil {
		return request{}, errStopNoObject
	}
	if r.stop, err = parseStop(raw); err != nil {
		return request{}, err
	}
	if r.stop.runID != d.runID {
		return request{}, errAnotherRun
	}
	return r, nil
}

// uuidBytes gives the raw bytes of a UUID in its usual spelling.
func uuidBytes(text string) (raw [podUIDBytes]byte, ok bool) {
	if len(text) != uuidTextLength || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return raw, false
	}
	n, err := hex.Decode(raw[:], []byte(strings.ReplaceAll(text, "-", "")))
	return raw, err == nil && n == podUIDBytes
}
