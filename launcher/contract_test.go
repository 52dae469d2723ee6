package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The examples that the controller's tests read too.
const contractDir = "../tests/contract"

type mailboxExample struct {
	File, About string
	Stop        *struct {
		Sequence     int64
		CommandID    string
		Mode, Signal string
		GraceSeconds *float64
	}
	Readers []string
}

func TestEveryMailboxExampleIsReadAsTheContractSays(t *testing.T) {
	for _, example := range readIndex[mailboxExample](t, "mailbox") {
		if len(example.Readers) > 0 && example.Readers[0] != "launcher" {
			continue
		}
		t.Run(example.File, func(t *testing.T) {
			raw, err := readRegular(filepath.Join(contractDir, "mailbox", example.File), mailboxLimit, 0)
			var got stop
			if err == nil {
				got, err = parseStop(raw)
			}
			if example.Stop == nil {
				if err == nil {
					t.Fatalf("%s read as %+v", example.About, got)
				}
				return
			}
			want := example.Stop
			if err != nil {
				t.Fatalf("%s refused: %v", example.About, err)
			}
			if got.sequence != want.Sequence || got.commandID != want.CommandID || got.mode != want.Mode ||
				unix.SignalName(got.signal) != want.Signal || !sameGrace(got.grace, want.GraceSeconds) {
				t.Errorf("%s read as %+v, want %+v", example.About, got, *want)
			}
		})
	}
}

func sameGrace(got *time.Duration, want *float64) bool {
	if got == nil || want == nil {
		return got == nil && want == nil
	}
	return got.Seconds() == *want
}

type terminationExample struct {
	File, About string
	Writes      *struct {
		Receipt     receipt
		OutcomeFile *string
		LimitBytes  int
	}
}

func TestEveryTerminationMessageIsWrittenAsTheContractSays(t *testing.T) {
	for _, example := range readIndex[terminationExample](t, "termination") {
		if example.Writes == nil {
			continue
		}
		t.Run(example.File, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "outcome.json")
			if example.Writes.OutcomeFile != nil {
				writeFile(t, path, *example.Writes.OutcomeFile)
			}
			o, err := (&outcomeFile{path: path}).read()
			if err != nil {
				t.Fatal(err)
			}
			got := string(compose(example.Writes.Receipt, o, example.Writes.LimitBytes))
			if want := string(readExample(t, "termination", example.File)); got != want {
				t.Errorf("%s\n got %s\nwant %s", example.About, got, want)
			}
		})
	}
}

func readIndex[T any](t *testing.T, kind string) []T {
	t.Helper()
	var examples []T
	if err := json.Unmarshal(readExample(t, kind, "index.json"), &examples); err != nil {
		t.Fatal(err)
	}
	if len(examples) < 20 {
		t.Fatalf("only %d examples in %s", len(examples), kind)
	}
	return examples
}

func readExample(t *testing.T, kind, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(contractDir, kind, file))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEveryDatagramExampleIsReadAsTheContractSays(t *testing.T) {
	var pod pushPod
	must(json.Unmarshal(readExample(t, "push", "pod.json"), &pod))
	key, err := base64.StdEncoding.DecodeString(pod.Key)
	must(err)
	uid, known := uuidBytes(pod.PodUID)
	if !known {
		t.Fatal(pod.PodUID)
	}
	reader := newDatagramReader(uid, key, pod.RunID)
	for _, example := range readIndex[pushExample](t, "push") {
		t.Run(example.File, func(t *testing.T) {
			raw, err := hex.DecodeString(strings.TrimSpace(string(readExample(t, "push", example.File))))
			must(err)
			got, err := reader.read(raw)
			if example.Read == nil {
				if err == nil {
					t.Fatalf("%s read as %+v", example.About, got)
				}
				return
			}
			want, wrong := parseStop(example.Read.Stop)
			if must(wrong); err != nil {
				t.Fatalf("%s refused: %v", example.About, err)
			}
			want.text = got.stop.text // spelled as it came
			if !strings.Contains(string(raw), want.text) || !reflect.DeepEqual(got, request{example.Read.Nonce, want}) {
				t.Errorf("%s read as %+v, want %+v", example.About, got, want)
			}
		})
	}
}
