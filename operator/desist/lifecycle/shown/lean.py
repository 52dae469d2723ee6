"""A status without its texts, for an object that has no room for them.

Contract: pure. Everything that decides stays, and so does every text of the command in force: who asked for the stop,
and why, is what a person looks for in the worst moment. `cancellation.observed` stays whole too: it is compared with
the request, and one that differs is judged anew. All other reasons, details and messages go; `conditions` keep their
types, states and reasons. What is taken from a record does not come back, what is derived does when there is room.
Rejected: cutting the longest text until it fits (nobody could say what is missing).
"""

from __future__ import annotations

from desist.api.records import CommandRecord, Failure, HistoryEntry
from desist.lifecycle.view import S


def lean(status: S) -> S:
    """The same status, with the texts of the command in force and no others."""
    in_force = status.cancellation.command_id if status.cancellation is not None else None
    return status.replace(
        commands=tuple(c if c.id == in_force else _command(c) for c in status.commands),
        history=tuple(_entry(entry) for entry in status.history),
        failure=_failure(status.failure),
        waiting_on=(),
        conditions=tuple(condition.replace(message="") for condition in status.conditions),
    )


def _command(record: CommandRecord) -> CommandRecord:
    return record.replace(reason=None, details=None, message=None)


def _entry(entry: HistoryEntry) -> HistoryEntry:
    return entry.replace(reason=None, message=None, failure=_failure(entry.failure))


def _failure(failure: Failure | None) -> Failure | None:
    return failure.replace(message="") if failure is not None else None
