package main

import "golang.org/x/sys/unix"

// guard keeps the command, which has the same user as a rule, from tracing the
// launcher, from reading its memory and environment, and from taking its open
// files. A program that the launcher starts is not concerned: exec ends it.
func guard(log *logger) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		log.printf("not guarded against its own user: %v", err)
	}
}
