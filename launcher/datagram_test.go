package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"testing"
)

var examplePublic = exampleKey.Public().(ed25519.PublicKey)

func TestAUUIDHasOneSpelling(t *testing.T) {
	for text, want := range map[string]string{
		"3f1c9a52-7b0e-4d86-9a41-c25e8f6d7013":  "3f1c9a527b0e4d869a41c25e8f6d7013",
		"3F1C9A52-7B0E-4D86-9A41-C25E8F6D7013":  "3f1c9a527b0e4d869a41c25e8f6d7013",
		"3f1c9a52-7b0e-4d86-9a41-c25e8f6d701":   "",
		"3f1c9a52-7b0e-4d86-9a41-c25e8f6d70134": "",
		"3f1c9a527b0e4d869a41c25e8f6d7013":      "",
		"3f1c9a52-7b0e-4d86-9a41-c25e8f6d70-3":  "",
		"3f1c9a5-27b0e-4d86-9a41-c25e8f6d7013":  "",
		"3f1c9a52-7b0e-4d86-9a41-c25e8f6d701g":  "",
		"------------------------------------":  "",
		"":                                      "",
	} {
		raw, ok := uuidBytes(text)
		if ok != (want != "") || ok && hex.EncodeToString(raw[:]) != want {
			t.Errorf("%q: %x, %v", text, raw, ok)
		}
	}
}

// FuzzNoDatagramDoesHarm runs each text as a whole datagram, and, rightly
// signed, as a body: what is read is a stop that may be obeyed.
func FuzzNoDatagramDoesHarm(f *testing.F) {
	for _, example := range pushExamples() {
		f.Add(example.datagram)
		if len(example.datagram) > bodyAt {
			f.Add(example.datagram[bodyAt:])
		}
	}
	uid, _ := uuidBytes(examplePod)
	reader := newDatagramReader(uid, examplePublic, exampleRun)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := reader.read(bytes.Clone(raw)); err == nil {
			wantObeyable(t, r)
			if !signedByTheExampleKey(raw) {
				t.Errorf("a forged one was read: %x", raw)
			}
		}
		signed := datagramFor(examplePod, string(raw), exampleKey)
		r, err := reader.read(bytes.Clone(signed))
		if err == nil {
			wantObeyable(t, r)
		}
		if fits := len(signed) <= datagramLimit && len(raw) >= len("{}"); !fits && err == nil {
			t.Errorf("%d bytes were read", len(signed))
		}
		if again, errAgain := reader.read(bytes.Clone(signed)); fmt.Sprint(err) != fmt.Sprint(errAgain) || again.nonce != r.nonce {
			t.Error("it was read in two ways")
		}
	})
}

func signedByTheExampleKey(datagram []byte) bool {
	message := string(datagram[:headerBytes]) + string(datagram[bodyAt:])
	return ed25519.Verify(examplePublic, []byte(message), datagram[headerBytes:bodyAt])
}

func wantObeyable(t *testing.T, r request) {
	t.Helper()
	if s := r.stop; len(r.nonce) != nonceLength || s.runID != exampleRun || s.check() != nil || s.signal < 1 || s.signal > lastRealtime {
		t.Errorf("%+v", r)
	}
}
