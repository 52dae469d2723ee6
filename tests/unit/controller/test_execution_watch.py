"""The watch of executions: what it says is noted once, one at rest is kept small, a bad one stops no other."""

from __future__ import annotations

from typing import Any

import msgspec

from desist.controller.kinds import EXECUTION, Key
from desist.controller.records import ExecutionRecord, Resting
from desist.kube.listing import Change, ChangeKind
from desist.kube.reflector import Reflector
from desist.kube.wire import Identity, WatchEvent
from tests.unit.controller import fakes
from tests.unit.controller.test_watches import Setting

WFX = Key(EXECUTION.name, "wfx")
ENDED = {"phase": "Cancelled", "observedGeneration": 1}


def at_version(version: int, **parts: Any) -> dict[str, Any]:
    body = fakes.body(**parts)
    return {**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}}


class Watching(Setting):
    """The test plays the reflector of executions, with what it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: ExecutionRecord | Resting | None = None

    def told(self, body: dict[str, Any]) -> None:
        """An event says this."""
        record = self.watches.read(EXECUTION, msgspec.json.encode(body))
        if record is None:
            return
        kind = ChangeKind.ADDED if self.kept is None else ChangeKind.MODIFIED
        self.watches.on_object(EXECUTION, Change(kind, self.identity(), self.kept, record))
        self.kept = record

    def gone(self, seen: bool) -> None:
        change = Change(ChangeKind.DELETED, self.identity(), self.kept, None, seen=seen)
        self.watches.on_object(EXECUTION, change)

    def identity(self) -> Identity:
        return Identity(name="order-1", uid="wfx", namespace="shop")

    @property
    def record(self) -> ExecutionRecord | Resting | None:
        return self.waking.executions.get("wfx")


def test_what_comes_is_noted_and_wakes_and_what_was_known_does_not() -> None:
    setting = Watching()
    setting.told(at_version(7))
    setting.told(at_version(7))
    assert setting.woken == [WFX]
    assert setting.kept is setting.record, "held once"


def test_an_own_write_that_comes_back_as_an_event_is_neither_read_again_nor_wakes() -> None:
    setting = Watching()
    setting.told(at_version(7))
    written = EXECUTION.read(at_version(8, status={"phase": "Running"}))
    setting.waking.executions.note(written)
    setting.told(at_version(8, status={"phase": "Running"}))
    assert setting.kept is written is setting.record
    assert setting.woken == [WFX]


def test_an_event_from_before_an_own_write_changes_nothing() -> None:
    setting = Watching()
    setting.told(at_version(7))
    written = EXECUTION.read(at_version(9, status={"phase": "Running"}))
    setting.waking.executions.note(written)
    setting.told(at_version(8))
    assert setting.record is written
    assert setting.woken == [WFX]


def test_one_at_rest_is_held_small_by_the_watch_too() -> None:
    setting = Watching()
    setting.told(at_version(7, status=ENDED))
    assert isinstance(setting.kept, Resting)
    assert setting.kept is setting.record


def test_a_request_to_one_at_rest_is_read_whole() -> None:
    setting = Watching()
    setting.told(at_version(7, status=ENDED))
    setting.told(at_version(8, status=ENDED, spec={"workflowRef": {"name": "order"}, "cancellation": {"mode": "Kill"}}))
    assert isinstance(setting.record, ExecutionRecord)


def test_one_that_is_gone_is_forgotten_and_wakes_also_where_nobody_saw_it_go() -> None:
    for seen in (True, False):
        setting = Watching()
        setting.told(at_version(7))
        setting.gone(seen)
        assert setting.record is None
        assert setting.woken == [WFX, WFX]


def test_one_that_cannot_be_read_is_said_once_and_its_former_state_stays() -> None:
    setting = Watching()
    setting.told(at_version(7))
    broken = {"workflowRef": {"name": 3}}
    setting.told({**at_version(8), "metadata": {**at_version(8)["metadata"], "generation": 2}, "spec": broken})
    assert [notice.reason for notice in setting.said] == ["Unreadable"]
    assert setting.record is not None and setting.record.version == 7


def test_after_a_restore_whatever_is_said_next_counts() -> None:
    setting = Watching()
    setting.told(at_version(50))
    setting.watches.anew()
    setting.told(at_version(7, status={"phase": "Running"}))
    assert isinstance(setting.record, ExecutionRecord) and setting.record.version == 7


def event(kind: str, body: dict[str, Any]) -> WatchEvent:
    return WatchEvent(kind, msgspec.Raw(msgspec.json.encode(body)))


def mirrored(*events: WatchEvent) -> tuple[Setting, Reflector[Any]]:
    """What the reflector itself was told."""
    setting = Setting()
    reflector = setting.watches.reflectors[EXECUTION.resource.plural]
    for each in events:
        reflector._take(each)
    return setting, reflector


BROKEN = {"workflowRef": {"name": 3}}


async def test_nothing_is_kept_of_one_that_cannot_be_read_and_is_gone() -> None:
    setting, _ = mirrored(event("ADDED", at_version(7, spec=BROKEN)), event("DELETED", at_version(8, spec=BROKEN)))
    assert not setting.intake.complaints.said
    assert not setting.waking.executions._skipped


async def test_nobody_complains_of_a_last_state_that_cannot_be_read() -> None:
    last = at_version(8, spec=BROKEN)
    last["metadata"]["generation"] = 2
    setting, _ = mirrored(event("ADDED", at_version(7)), event("DELETED", last))
    assert not setting.said
    assert setting.waking.executions.get("wfx") is None


async def test_one_that_a_restore_brings_back_unreadable_is_not_known_as_it_was_before() -> None:
    setting, reflector = mirrored(event("ADDED", at_version(50, status={"phase": "Running"})))
    setting.watches.anew()
    listed: dict[str, Any] = {}
    reflector._collect(listed, msgspec.json.encode(at_version(7, spec=BROKEN)))
    reflector._replace(listed, "20")
    assert setting.waking.executions.get("wfx") is None
    assert setting.waking.executions.highest < 20, "or the next list would look like one more restore"
