package main

import (
	"testing"
	"time"
)

func TestEachStopIsHandedOutOnceWhicheverWayItComes(t *testing.T) {
	grace := func(d time.Duration) *time.Duration { return &d }
	plain := func(sequence int64) stop { return stop{sequence: sequence, commandID: "c", mode: "Cancel"} }
	highest := func(mode string, d time.Duration) stop {
		return stop{sequence: highestSequence, commandID: "c", mode: mode, grace: grace(d)}
	}
	type step struct {
		stop stop
		by   string
		want news
	}
	for name, steps := range map[string][]step{
		"by push, then by mailbox": {{plain(1), byPush, newStop}, {plain(1), byMailbox, confirmed}, {plain(1), byMailbox, oldNews}, {plain(1), byPush, oldNews}},
		"by mailbox, then by push": {{plain(1), byMailbox, newStop}, {plain(1), byPush, oldNews}, {plain(1), byMailbox, oldNews}},
		"repeated by push":         {{plain(1), byPush, newStop}, {plain(1), byPush, oldNews}, {plain(1), byMailbox, confirmed}},
		"overtaken by push":        {{plain(2), byPush, newStop}, {plain(1), byMailbox, oldNews}, {plain(2), byMailbox, confirmed}},
		"overtaken by mailbox":     {{plain(2), byMailbox, newStop}, {plain(1), byPush, oldNews}, {plain(2), byPush, oldNews}},
		"rising by turns":          {{plain(1), byPush, newStop}, {plain(2), byMailbox, newStop}, {plain(3), byPush, newStop}, {plain(2), byMailbox, oldNews}},
		"another of one sequence":  {{plain(5), byPush, newStop}, {stop{sequence: 5, commandID: "d", mode: "Kill", grace: grace(0)}, byMailbox, confirmed}},
		"the highest sequence": {{highest("Kill", 2), byPush, newStop}, {highest("Kill", 2), byPush, oldNews}, {highest("Kill", 2), byMailbox, confirmed},
			{highest("Kill", 1), byMailbox, newStop}, {highest("Force", 1), byPush, newStop}, {highest("Force", 1), byMailbox, confirmed}},
	} {
		t.Run(name, func(t *testing.T) {
			var i inbox
			for n, step := range steps {
				if got := i.take(step.stop, step.by); got != step.want {
					t.Errorf("step %d: %v, want %v", n, got, step.want)
				}
			}
		})
	}
}
