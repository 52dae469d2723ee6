package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The examples of push are signed, so that they are made by this program:
//
//	go test -run TestThePushExamplesAreAsTheyAreMade -update
//
// The controller's tests read the files; `from` is what they have to make them of.

var update = flag.Bool("update", false, "write the examples of push anew")

const (
	examplePod     = "3f1c9a52-7b0e-4d86-9a41-c25e8f6d7013"
	exampleOther   = "3f1c9a52-7b0e-4d86-9a41-c25e8f6d7014"
	exampleRun     = "01KB0Q7A2C5E8G1J4M7P0R3T6V"
	exampleCommand = "01KB0Q8Z9T4N7V2M5X1C3R6W8D"
	exampleNonce   = "00112233445566778899aabbccddeeff"
)

var (
	exampleSeed  = sha256.Sum256([]byte("an example, and nobody's key"))
	exampleKey   = ed25519.NewKeyFromSeed(exampleSeed[:])
	strangerSeed = sha256.Sum256([]byte("somebody else's key"))
	strangersKey = ed25519.NewKeyFromSeed(strangerSeed[:])
)

// pushPod is what the pod of the examples is told by its environment, and what
// its controller knows beside it.
type pushPod struct {
	Seed   string `json:"seed"`
	Key    string `json:"key"`
	KeyID  string `json:"keyId"`
	PodUID string `json:"podUid"`
	RunID  string `json:"runId"`
}

type pushExample struct {
	File  string    `json:"file"`
	About string    `json:"about"`
	From  *pushFrom `json:"from"`
	Read  *pushRead `json:"read"`
}

type pushFrom struct {
	Posting string `json:"posting"`
	Nonce   string `json:"nonce"`
}

type pushRead struct {
	Nonce string          `json:"nonce"`
	Stop  json.RawMessage `json:"stop"`
}

func examplePushPod() pushPod {
	public := exampleKey.Public().(ed25519.PublicKey)
	sum := sha256.Sum256(public)
	return pushPod{hex.EncodeToString(exampleSeed[:]), base64.StdEncoding.EncodeToString(public),
		hex.EncodeToString(sum[:4]), examplePod, exampleRun}
}

// datagramFor signs a body for a pod.
func datagramFor(podUID, body string, key ed25519.PrivateKey) []byte {
	raw, ok := uuidBytes(podUID)
	if !ok {
		panic(podUID)
	}
	header := datagramMagic + string(raw[:])
	return []byte(header + string(ed25519.Sign(key, []byte(header+body))) + body)
}

func bodyOf(nonce, stop string) string {
	return `{"nonce":"` + nonce + `","stop":` + stop + `}`
}

// exampleStop is a stop as the controller writes it; what is given comes before
// the time.
func exampleStop(sequence int64, mode, rest string) string {
	return fmt.Sprintf(`{"sequence":%d,"runId":"%s","commandId":"%s","mode":"%s","signal":"SIGTERM"%s,"postedAt":"2026-11-25T17:00:44.123456Z"}`,
		sequence, exampleRun, exampleCommand, mode, rest)
}

type madeExample struct {
	pushExample
	datagram []byte
}

func pushExamples() (made []madeExample) {
	made = append(made, sentExamples()...)
	made = append(made, strangeExamples()...)
	return append(made, droppedExamples()...)
}

// sentExamples are what the controller makes of a posting.
func sentExamples() (made []madeExample) {
	sent := func(name, about, posting, stop string) {
		e := pushExample{name + ".hex", about, &pushFrom{posting, exampleNonce}, &pushRead{exampleNonce, json.RawMessage(stop)}}
		made = append(made, madeExample{e, datagramFor(examplePod, bodyOf(exampleNonce, stop), exampleKey)})
	}
	same := func(name, about, posting string) { sent(name, about, posting, posting) }
	cut := func(name, about, reason, kept string) {
		sent(name, about, exampleStop(1, "Cancel", `,"reason":"`+reason+`"`), exampleStop(1, "Cancel", `,"reason":"`+kept+`"`))
	}
	same("cancel", "A Cancel has no deadline.", exampleStop(1, "Cancel", ""))
	same("kill", "A Kill brings SIGKILL after its grace.", exampleStop(2, "Kill", `,"graceSeconds":2.5`))
	same("force", "Grace 0 is SIGKILL at once.", exampleStop(3, "Force", `,"graceSeconds":0`))
	same("sequence-highest", "The highest sequence.", exampleStop(highestSequence, "Terminate", `,"graceSeconds":0`))
	same("reason", "A reason that is short is whole.", exampleStop(1, "Cancel", `,"reason":"customer asked, \"now\""`))
	sent("details", "Details come by the mailbox alone.",
		exampleStop(1, "Cancel", `,"reason":"customer asked","details":"ticket 4711"`), exampleStop(1, "Cancel", `,"reason":"customer asked"`))
	repeated := strings.TrimSuffix(exampleStop(1, "Cancel", ""), "}") + `,"repeatedAt":"2026-11-25T17:00:47.123456Z"}`
	sent("repeated", "When it was posted again is not said.", repeated, exampleStop(1, "Cancel", ""))
	same("reason-256", "A reason of just 256 bytes is whole.", exampleStop(1, "Cancel", `,"reason":"`+strings.Repeat("x", 256)+`"`))
	cut("reason-cut", "A reason is cut to 256 bytes.", strings.Repeat("x", 257), strings.Repeat("x", 256))
	cut("reason-cut-at-a-character", "It is cut between two characters.", "x"+strings.Repeat("é", 200), "x"+strings.Repeat("é", 127))
	cut("reason-cut-at-a-wide-character", "Also between two that are half of a pair elsewhere.", "x"+strings.Repeat("😀", 100), "x"+strings.Repeat("😀", 63))
	cut("reason-cut-at-an-escape", "No escape is torn.", "x"+strings.Repeat(`\n`, 200), "x"+strings.Repeat(`\n`, 127))
	cut("reason-cut-at-a-backslash", "No backslash is left over.", "x"+strings.Repeat(`\\`, 200), "x"+strings.Repeat(`\\`, 127))
	cut("reason-cut-at-a-long-escape", "No long escape is torn.", strings.Repeat(`\u0001`, 100), strings.Repeat(`\u0001`, 42))
	return made
}

// strangeExamples no controller of this version makes; the launcher obeys them.
func strangeExamples() (made []madeExample) {
	strange := func(name, about, body, stop string) {
		e := pushExample{name + ".hex", about, nil, &pushRead{exampleNonce, json.RawMessage(stop)}}
		made = append(made, madeExample{e, datagramFor(examplePod, body, exampleKey)})
	}
	plain := exampleStop(1, "Cancel", "")
	strange("blanks", "Blanks mean nothing.", " { \"nonce\" : \""+exampleNonce+"\" ,\n\"stop\" : "+plain+" } ", plain)
	strange("unknown-fields", "A newer controller may say more.",
		`{"v":2,"nonce":"`+exampleNonce+`","stop":`+exampleStop(1, "Cancel", `,"why":["x"]`)+`,"hops":[1,{}]}`, plain)
	strange("stop-first", "The order means nothing.", `{"stop":`+plain+`,"nonce":"`+exampleNonce+`"}`, plain)
	surrogates := exampleStop(1, "Cancel", `,"reason":"\ud83d\ude00"`)
	strange("surrogates", "A pair of surrogates is a character.", bodyOf(exampleNonce, surrogates), surrogates)
	whole := bodyOf(exampleNonce, exampleStop(1, "Cancel", `,"details":""`))
	details := strings.Repeat("x", datagramLimit-bodyAt-len(whole))
	longest := exampleStop(1, "Cancel", `,"details":"`+details+`"`)
	strange("longest", "1,200 bytes are not too long.", bodyOf(exampleNonce, longest), longest)
	return made
}

// droppedExamples get no answer, and do nothing.
func droppedExamples() (made []madeExample) {
	dropped := func(name, about string, datagram []byte) {
		made = append(made, madeExample{pushExample{name + ".hex", about, nil, nil}, datagram})
	}
	body := func(name, about, body string) { dropped(name, about, datagramFor(examplePod, body, exampleKey)) }
	stop := func(name, about, stop string) { body(name, about, bodyOf(exampleNonce, stop)) }
	plain := bodyOf(exampleNonce, exampleStop(1, "Cancel", ""))
	whole := datagramFor(examplePod, plain, exampleKey)
	changed := func(at int) []byte {
		other := []byte(string(whole))
		other[(at+len(other))%len(other)] ^= 1
		return other
	}
	dropped("empty", "Nothing.", nil)
	dropped("torn", "The last byte is missing.", whole[:len(whole)-1])
	dropped("torn-at-the-body", "Header and signature alone.", whole[:bodyAt])
	dropped("torn-at-the-signature", "The header alone.", whole[:headerBytes])
	dropped("longer", "A byte too many.", append([]byte(string(whole)), ' '))
	dropped("magic", "Another protocol, or version.", changed(len(datagramMagic)-2))
	dropped("uid-changed", "This pod's, with one bit of the UID changed.", changed(headerBytes-1))
	dropped("signature-changed", "One bit of the signature is changed.", changed(bodyAt-1))
	dropped("body-changed", "One bit of the body is changed.", changed(-30))
	dropped("signature-zero", "A signature of nothing but zeros.", append(append([]byte(string(whole[:headerBytes])), make([]byte, ed25519.SignatureSize)...), plain...))
	dropped("wrong-key", "Signed by somebody else.", datagramFor(examplePod, plain, strangersKey))
	other := datagramFor(exampleOther, plain, exampleKey)
	dropped("another-pod", "Signed by the controller, for another pod.", other)
	dropped("another-pods-body", "The same under this pod's header.", append([]byte(string(whole[:headerBytes])), other[headerBytes:]...))
	header := whole[:headerBytes]
	dropped("body-alone-signed", "The signature is of the body without the header.",
		[]byte(string(header)+string(ed25519.Sign(exampleKey, []byte(plain)))+plain))
	stop("another-run", "The run is another than the pod's.", strings.Replace(exampleStop(1, "Cancel", ""), exampleRun, "01KB0Q7A2C5E8G1J4M7P0R3T6A", 1))
	details := strings.Repeat("x", datagramLimit-bodyAt-len(bodyOf(exampleNonce, exampleStop(1, "Cancel", `,"details":""`)))+1)
	stop("too-long", "1,201 bytes.", exampleStop(1, "Cancel", `,"details":"`+details+`"`))
	body("no-nonce", "There is no nonce.", `{"stop":`+exampleStop(1, "Cancel", "")+`}`)
	for name, nonce := range map[string]string{"short": exampleNonce[1:], "upper-case": strings.ToUpper(exampleNonce), "no-hex": "g" + exampleNonce[1:]} {
		body("nonce-"+name, "A nonce is 32 digits, 0 to 9 and a to f.", bodyOf(nonce, exampleStop(1, "Cancel", "")))
	}
	body("nonce-number", "A nonce is a text.", strings.Replace(plain, `"`+exampleNonce+`"`, "12345678901234567890123456789012", 1))
	body("nonce-null", "A nonce is a text.", strings.Replace(plain, `"`+exampleNonce+`"`, "null", 1))
	body("no-stop", "There is no stop.", `{"nonce":"`+exampleNonce+`"}`)
	stop("stop-null", "A stop is an object.", "null")
	stop("stop-text", "A stop is an object, and no text of one.", string(jsonLine(exampleStop(1, "Cancel", ""))))
	stop("stop-list", "A stop is an object.", "["+exampleStop(1, "Cancel", "")+"]")
	stop("sequence-text", "A sequence is a number.", strings.Replace(exampleStop(1, "Cancel", ""), `:1,`, `:"1",`, 1))
	stop("sequence-zero", "It begins with 1.", exampleStop(0, "Cancel", ""))
	stop("mode-unknown", "There are four modes.", exampleStop(1, "Pause", ""))
	stop("grace-text", "A grace is a number.", exampleStop(1, "Kill", `,"graceSeconds":"5"`))
	stop("half-surrogate", "Half of a surrogate pair is no text.", exampleStop(1, "Cancel", `,"reason":"\ud83d"`))
	body("not-utf8", "The body is no UTF-8.", bodyOf(exampleNonce, exampleStop(1, "Cancel", `,"reason":"`+"\xff"+`"`)))
	body("list", "The body is an object.", "["+plain+"]")
	body("two-values", "There is more after the object.", plain+"{}")
	body("text", "The body is no JSON.", "stop it")
	body("empty-body", "The body is empty.", "")
	return made
}

// pushFiles gives each file's content.
func pushFiles() map[string]string {
	files := map[string]string{"pod.json": indented(examplePushPod())}
	var index []pushExample
	for _, e := range pushExamples() {
		files[e.File] = hex.EncodeToString(e.datagram) + "\n"
		index = append(index, e.pushExample)
	}
	files["index.json"] = indented(byName(index, func(e pushExample) string { return fmt.Sprint(e.Read == nil, e.File) }))
	files["answers.json"] = indented(byName(answerExamples(), func(e answerExample) string { return fmt.Sprint(e.Read == nil, !e.Written, e.About) }))
	return files
}

func TestThePushExamplesAreAsTheyAreMade(t *testing.T) {
	dir := filepath.Join(contractDir, "push")
	files := pushFiles()
	if *update {
		must(os.RemoveAll(dir))
		must(os.Mkdir(dir, 0o755))
		for name, content := range files {
			writeFile(t, filepath.Join(dir, name), content)
		}
	}
	found, err := os.ReadDir(dir)
	must(err)
	if len(found) != len(files) {
		t.Errorf("%d files, %d are made", len(found), len(files))
	}
	for name, content := range files {
		if got := string(readExample(t, "push", name)); got != content {
			t.Errorf("%s is another", name)
		}
	}
}

func byName[T any](all []T, name func(T) string) []T {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(name(a), name(b)) })
	return all
}

func indented(value any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	must(encoder.Encode(value))
	return text.String()
}
