// Command desist-launcher is the entry process of every workflow container.
//
// It runs in front of the template's command, reads stops from a file in the
// pod (the mailbox), tells the command and everything it has started, and
// leaves a receipt in the container's termination message. It needs no token,
// no network, no capability and no user of its own, and works in any image.
// Where there is a network, stops may come sooner, as datagrams (push).
//
// Contract: docs/mailbox.md. The examples that both sides' tests read are in
// tests/contract.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
)

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version = "dev"

// runCommand is the word by which the program is a launcher.
const runCommand = "run"

const usage = `usage:
  desist-launcher run -- COMMAND [ARGUMENT...]   run a command and obey the mailbox
  desist-launcher install PATH                   copy this program to PATH
  desist-launcher version                        print the version
`

// memoryLimit is where the collector starts to work: bytes of all the runtime's
// memory. Below it no collection runs, so an idle launcher wakes up for nothing
// but events. At 4 MiB it would collect without end, at 8 twice as much stays.
const memoryLimit = 5 << 20

func main() {
	runtime.GOMAXPROCS(1) // also ends the runtime's periodic look at the cgroup's CPU limit
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
	os.Exit(dispatch(os.Args[1:], os.Stdout, os.Stderr))
}

func dispatch(args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) >= 3 && args[0] == runCommand && args[1] == "--":
		return run(args[2:], os.Environ())
	case len(args) == 2 && args[0] == "install":
		if err := install(args[1]); err != nil {
			fmt.Fprintln(stderr, "desist-launcher: install:", err)
			return 1
		}
		return 0
	case len(args) == 1 && args[0] == "version":
		fmt.Fprintln(stdout, version)
		return 0
	default:
		fmt.Fprint(stderr, usage)
		return 2
	}
}
