package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"syscall"
)

// The kubelet keeps this much of a termination message.
const kubeletMessageBytes = 4096

// config is what the pod's environment says. Everything has a default, so
// that a damaged environment never keeps the command from running.
type config struct {
	mailboxDir     string
	outcomeFile    string
	stopFile       string // where a stop is shown to the program
	messageFile    string
	messageLimit   int            // bytes, of outcome and receipt together
	stopSignal     syscall.Signal // sent when a SIGTERM comes before any stop
	toMain         bool           // the stop signal goes to the command alone
	push           *pushTo        // nil: stops come by the mailbox alone
	commandPath    string         // PATH, for the look-up of the command
	badEnvironment []string       // what was ignored, for the log
}

func configFrom(environ []string) config {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	c := config{
		mailboxDir:   or(env["DESIST_MAILBOX"], "/desist/mailbox"),
		outcomeFile:  or(env["DESIST_OUTCOME"], "/desist/outcome/outcome.json"),
		stopFile:     or(env["DESIST_STOP"], "/desist/outcome/stop.json"),
		messageFile:  or(env["DESIST_TERMINATION_LOG"], "/dev/termination-log"),
		messageLimit: kubeletMessageBytes,
		stopSignal:   syscall.SIGTERM,
		commandPath:  or(env["PATH"], "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
	}
	if text := env["DESIST_OUTCOME_LIMIT_BYTES"]; text != "" {
		if n, err := strconv.Atoi(text); err == nil && n > 0 && n <= kubeletMessageBytes {
			c.messageLimit = n
		} else {
			c.badEnvironment = append(c.badEnvironment, "DESIST_OUTCOME_LIMIT_BYTES="+text)
		}
	}
	if text := env["DESIST_STOP_SIGNAL"]; text != "" {
		if number, ok := signalByName(text); ok {
			c.stopSignal = number
		} else {
			c.badEnvironment = append(c.badEnvironment, "DESIST_STOP_SIGNAL="+text)
		}
	}
	switch text := env["DESIST_SIGNAL_TO"]; text {
	case "", "All":
	case "Main":
		c.toMain = true
	default:
		c.badEnvironment = append(c.badEnvironment, "DESIST_SIGNAL_TO="+text)
	}
	c.readPush(env)
	return c
}

// readPush finds out whether stops are pushed: a damaged setting turns that off.
func (c *config) readPush(env map[string]string) {
	key, port := env["DESIST_PUSH_KEY"], env["DESIST_PUSH_PORT"]
	if key == "" || port == "" || port == "0" {
		return
	}
	to := pushTo{podUID: env["DESIST_POD_UID"], runID: env["DESIST_RUN_ID"]}
	var err error
	var known bool
	if to.key, err = base64.StdEncoding.DecodeString(key); err != nil || len(to.key) != ed25519.PublicKeySize {
		c.badEnvironment = append(c.badEnvironment, "DESIST_PUSH_KEY="+key)
	} else if to.port, err = strconv.Atoi(port); err != nil || to.port < 0 || to.port > math.MaxUint16 {
		c.badEnvironment = append(c.badEnvironment, "DESIST_PUSH_PORT="+port)
	} else if to.header, known = uuidBytes(to.podUID); !known {
		c.badEnvironment = append(c.badEnvironment, "DESIST_POD_UID="+to.podUID)
	} else if to.runID == "" {
		c.badEnvironment = append(c.badEnvironment, "DESIST_RUN_ID=")
	} else {
		c.push = &to
	}
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
