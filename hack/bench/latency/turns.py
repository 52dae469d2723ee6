"""The order of all stops: who is prepared when, who is stopped after whom, and what is left out for lack of time.

Contract: `run` measures with every side on one cluster under one operator. Where the release has push, it goes off
first, and what shall hear by mailbox alone is created then; a process that is stopped as soon as it runs is stopped
then, too. Everything else is stopped with push on, sides taking turns: one after the other where stops come one at a
time, storm after storm where they come at once. A part for which there is not enough time left is left out, and said.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from hack.bench.latency.push import Push
from hack.bench.latency.samples import CANCEL, FORCE, IDLE, JOB, KILL, MAILBOX, POD, PUSH, STARTED, STORM
from hack.bench.latency.sides import WAYS
from hack.bench.latency.stage import Stage, Subject

STORM_SECONDS, STARTED_SECONDS = 45.0, 5.0
"""What one storm of forty, and one stop of a process that has just started, take about, on two cores."""
SETTLE = 4.0
"""Seconds after a storm, for the kubelets to be done with it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many stops of each kind a side makes."""

    cancels: int = 12
    forces: int = 12
    kills: int = 5
    started: int = 6
    storm: int = 40
    turns: int = 3
    """Storms of Desist and of the Job, which are compared: one storm is one throw of the dice. The others have one."""
    idle_seconds: float = 8.0
    """That the last one has run before the first is stopped."""
    limit_seconds: float = 840.0

    def idle(self, side: str) -> Iterator[Subject]:
        """What a side stops one at a time."""
        for mode, number in ((CANCEL, self.cancels), (FORCE, self.forces), (KILL, self.kills)):
            if WAYS[side].request(mode) is not None:
                yield from (Subject(side, IDLE, mode, 0, each) for each in range(number))

    def stormed(self, side: str, turn: int) -> list[Subject]:
        """What a side stops at once."""
        return [Subject(side, STORM, CANCEL, turn, each) for each in range(self.storm)]

    def just_started(self, side: str) -> list[Subject]:
        """What a side stops as soon as it runs."""
        return [Subject(side, STARTED, CANCEL, 0, each) for each in range(self.started)]


class Turns:
    """One run of the bench."""

    def __init__(self, stage: Stage, counts: Counts, push: Push | None) -> None:
        self._stage, self._counts, self._push = stage, counts, push
        self._began = time.monotonic()
        self.left_out: list[str] = []
        self.sides = (*((PUSH,) if push else ()), MAILBOX, JOB, POD)

    async def run(self) -> None:
        """All of it."""
        early = self._by_mailbox_alone()
        with self._push.off() if self._push else nullcontext():
            await self._prepare(early)
            await self._all_started((MAILBOX,))
        others = [side for side in self.sides if side != MAILBOX]
        await self._prepare(subject for side in others for subject in self._counts.idle(side))
        await asyncio.sleep(self._counts.idle_seconds)
        # What is compared is stopped in turn: a machine that is slow for half a minute is slow for both.
        for modes in ((CANCEL, FORCE), (KILL,)):
            await self._one_at_a_time(modes)
        for turn in range(self._counts.turns):
            await self._storms(turn)
        await self._all_started(others)

    def _by_mailbox_alone(self) -> list[Subject]:
        """What is prepared while push is off. Where there is none, a storm is prepared when its turn comes."""
        storm = self._counts.stormed(MAILBOX, 0) if self._push else []
        return [*self._counts.idle(MAILBOX), *storm]

    async def _prepare(self, subjects: Iterable[Subject]) -> None:
        taken = list(subjects)
        if taken:
            say(f"{len(taken)} start, {taken[0].side} first")
            await self._stage.prepare(taken)

    async def _one_at_a_time(self, modes: Sequence[str]) -> None:
        parts = [(mode, side) for mode in modes for side in self.sides]
        subjects = alternating([[it for it in self._counts.idle(side) if it.mode == mode] for mode, side in parts])
        say(f"{', '.join(modes)}: {len(subjects)} are stopped, one a second")
        await self._stage.one_at_a_time(subjects)

    async def _storms(self, turn: int) -> None:
        storming = [side for side in self.sides if turn == 0 or side in (self.sides[0], JOB)]
        for side in (storming if turn % 2 == 0 else storming[::-1]) if self._counts.storm else ():
            if not self._time_for(STORM_SECONDS * self._counts.storm / 40, f"storm {turn + 1} of {side}"):
                continue
            subjects = self._counts.stormed(side, turn)
            if side != MAILBOX or not self._push:
                await self._prepare(subjects)
                await asyncio.sleep(self._counts.idle_seconds)
            say(f"{len(subjects)} of {side} are stopped at once")
            await self._stage.at_once(subjects)
            await asyncio.sleep(SETTLE)

    async def _all_started(self, sides: Iterable[str]) -> None:
        for subject in alternating([self._counts.just_started(side) for side in sides]):
            if self._time_for(STARTED_SECONDS, f"just started, {subject.name}"):
                say(f"{subject.name} is stopped as soon as it runs")
                await self._stage.started(subject)

    def _time_for(self, seconds: float, part: str) -> bool:
        enough = time.monotonic() - self._began + seconds <= self._counts.limit_seconds
        if not enough:
            self.left_out.append(part)
        return enough


def alternating(sides: list[list[Subject]]) -> list[Subject]:
    """Subjects of all sides, one of each in turn, as long as a side has any."""
    longest = max(map(len, sides), default=0)
    return [subjects[number] for number in range(longest) for subjects in sides if number < len(subjects)]


def say(line: str) -> None:
    """Progress, for who waits."""
    print(line, file=sys.stderr, flush=True)
