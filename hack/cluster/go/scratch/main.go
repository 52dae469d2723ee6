// Command app is the only file of the image localhost/desist-scratch:1: a workload for images that have no shell.
//
// It prints what it does, and on SIGTERM either exits after a while or prints that it stays. Arguments that it does
// not know are allowed after "--": tests put a marker there and look for it in the node's process table.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	onTerm := flag.String("on-term", "exit", "what SIGTERM does: exit or ignore")
	after := flag.Duration("after", 0, "how long the clean-up takes after SIGTERM")
	exitCode := flag.Int("exit-code", 0, "exit code, after SIGTERM and after -run-for")
	runFor := flag.Duration("run-for", 0, "exit by itself after this time; 0 means never")
	flag.Parse()

	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM)
	var done <-chan time.Time
	if *runFor > 0 {
		done = time.After(*runFor)
	}
	fmt.Println("started")
	for {
		select {
		case <-done:
			fmt.Println("finished")
			os.Exit(*exitCode)
		case <-signals:
			if *onTerm == "ignore" {
				fmt.Println("SIGTERM ignored")
				continue
			}
			fmt.Printf("SIGTERM: cleaning up for %s\n", *after)
			time.Sleep(*after)
			fmt.Println("cleaned up")
			os.Exit(*exitCode)
		}
	}
}
