"""History: what happened to the run, in order.

Contract: `seq` rises strictly over the execution's life, and no entry is ever changed. At most 256 are kept: beyond
that the oldest entries about attempts and operations are folded into one that says how many they were; those of
commands and of the end always stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

from desist.api import outside
from desist.api.records import Failure, HistoryEntry
from desist.api.status import Stoppable
from desist.api.vocabulary import HistoryType

S = TypeVar("S", bound=Stoppable)
LIMIT = 256
MOST = 2**53
FOLDABLE = (
    HistoryType.ATTEMPT_FAILED,
    HistoryType.POD_DISRUPTED,
    HistoryType.POD_VANISHED,
    HistoryType.TIMER_CANCELLED,
    HistoryType.OPERATION_CANCELLED,
)
MESSAGE_BYTES = 1024
FOLDABLE_MESSAGE_BYTES = 200
KEY_BYTES = 150
"""Such that a foldable entry is at most 300 bytes as stored, its numbers and its time included."""


def add(
    status: S,
    kind: HistoryType,
    time: datetime,
    command: tuple[str | None, str | None] = (None, None),
    detail: str | Failure | None = None,
    operation: str | None = None,
) -> S:
    """The status with one more entry. `command` is the command's id and reason; `detail` a message or a failure;
    `operation` the key of the operation that it is about.
    """
    seq = status.history_count + 1
    entry = HistoryEntry(
        seq=seq,
        type=kind,
        time=time,
        command_id=command[0],
        reason=command[1],
        operation=outside.fit(operation, KEY_BYTES) if operation is not None else None,
        failure=detail if isinstance(detail, Failure) else None,
        message=_message(kind, detail) if isinstance(detail, str) else None,
    )
    return status.replace(history=fold((*status.history, entry)), history_count=seq)


def remark(status: S, message: str | None) -> S:
    """The same, with a message in the entry that this pass added last."""
    if message is None:
        return status
    last = status.history[-1].replace(message=outside.fit(message, MESSAGE_BYTES))
    return status.replace(history=(*status.history[:-1], last))


def fold(entries: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
    """At most 256 entries; what was folded counts in the oldest one that stays."""
    while len(entries) > LIMIT:
        foldable = list(_foldable(entries))
        if len(foldable) < 2:
            # Nobody but somebody who edits status makes so many others.
            return entries[-LIMIT:]
        first, second = foldable[:2]
        entries = tuple(entry for entry in entries if entry is not second)
        entries = tuple(_folded(first, second) if entry is first else entry for entry in entries)
    return entries


def _message(kind: HistoryType, words: str) -> str:
    return outside.fit(words, FOLDABLE_MESSAGE_BYTES if kind in FOLDABLE else MESSAGE_BYTES)


def _foldable(entries: tuple[HistoryEntry, ...]) -> Iterator[HistoryEntry]:
    return (entry for entry in entries if entry.type in FOLDABLE)


def _folded(first: HistoryEntry, second: HistoryEntry) -> HistoryEntry:
    count = (first.count or 1) + (second.count or 1)
    what = "attempts that failed or were disrupted, and operations that were closed"
    message = f"{count} entries ({what}), the last of them at this time"
    return first.replace(count=min(count, MOST), time=second.time, operation=None, message=message)
