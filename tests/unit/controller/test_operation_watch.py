"""The watch of operations: what it says is noted once, an ended one is kept small, a bad one stops no other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest

from desist.controller.frame import allow_deep_json
from desist.controller.kinds import EXECUTION, OPERATION, Key
from desist.controller.operation_records import Ended, Known, OperationRecord
from desist.kube.listing import Change, ChangeKind
from desist.kube.wire import Identity
from tests.unit.controller.fakes import NOW, SUCCEEDED, operation_body
from tests.unit.controller.test_caches import OWNER
from tests.unit.controller.test_operation_pods import OP as OP_UID
from tests.unit.controller.test_operation_pods import of_operation
from tests.unit.controller.test_watches import Setting

OP = Key(OPERATION.name, "op")


class Watching(Setting):
    """The test plays the reflector of operations, with what it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: Known | None = None

    def told(self, body: dict[str, Any], seen: bool = True) -> None:
        """An event says this, or a list (`seen` False)."""
        record = self.watches.read(OPERATION, msgspec.json.encode(body))
        if record is None:
            return
        kind = ChangeKind.ADDED if self.kept is None else ChangeKind.MODIFIED
        self.watches.on_object(OPERATION, Change(kind, self.identity(), self.kept, record, seen))
        self.kept = record

    def gone(self) -> None:
        self.watches.on_object(OPERATION, Change(ChangeKind.DELETED, self.identity(), self.kept, None, seen=False))

    def identity(self) -> Identity:
        return Identity(name="order-1-op", uid="op", namespace="shop")

    @property
    def record(self) -> Known | None:
        return self.waking.operations.get("op")


def test_what_comes_is_noted_and_wakes_and_what_was_known_does_not() -> None:
    setting = Watching()
    setting.told(operation_body())
    assert isinstance(setting.record, OperationRecord)
    assert setting.woken == [OP]
    setting.told(operation_body())
    assert setting.woken == [OP]
    assert setting.kept is setting.record, "held once"


def test_an_own_write_that_comes_back_as_an_event_is_not_read_again() -> None:
    setting = Watching()
    setting.told(operation_body())
    written = OPERATION.read(operation_body(version=6, status={"phase": "Running"}))
    setting.waking.operations.note(written)
    setting.told(operation_body(version=6, status={"phase": "Running"}))
    assert setting.kept is written is setting.record


def test_an_ended_one_is_held_small_by_the_watch_too() -> None:
    setting = Watching()
    setting.told(operation_body(status=SUCCEEDED))
    assert isinstance(setting.kept, Ended)
    assert setting.kept is setting.record


def test_one_that_is_gone_is_forgotten_and_wakes() -> None:
    setting = Watching()
    setting.told(operation_body())
    setting.woken.clear()
    setting.gone()
    assert setting.record is None
    assert setting.woken == [Key(EXECUTION.name, "wfx"), OP]


def test_one_that_cannot_be_read_is_said_once_and_its_former_state_stays() -> None:
    setting = Watching()
    setting.told(operation_body(version=5, runId=None))
    assert setting.record is None
    setting.told(operation_body(version=6))
    setting.told(operation_body(version=7, runId=None, metadata={"generation": 2}))
    setting.told(operation_body(version=8, runId=None, metadata={"generation": 2}))
    assert [notice.reason for notice in setting.said] == ["Unreadable"] * 2
    assert setting.record is not None and setting.record.metadata.resource_version == "6"


@pytest.fixture
def deep() -> Iterator[None]:
    """As the operator's process is set."""
    before = sys.getrecursionlimit()
    allow_deep_json()
    yield
    sys.setrecursionlimit(before)


def nested(levels: int) -> Any:
    return msgspec.Raw(b'{"a":' * levels + b"1" + b"}" * levels)


@pytest.mark.usefixtures("deep")
def test_one_that_is_nested_as_deep_as_the_api_server_takes_stops_nobody() -> None:
    setting = Watching()
    body = operation_body(arguments=nested(9_000), status={"phase": "Running", "result": nested(9_000)})
    setting.told(body)
    setting.told(operation_body(version=6))
    assert setting.record is not None


@pytest.mark.parametrize(("listed", "age"), [(True, 60), (False, 0)], ids=["by a list", "by the watch"])
def test_only_a_list_tells_how_old_it_is(listed: bool, age: int) -> None:
    setting = Watching()
    setting.client.server_time.told(format_datetime(NOW + timedelta(seconds=60), usegmt=True))
    setting.told(operation_body(), seen=not listed)
    assert isinstance(setting.record, OperationRecord)
    assert round(setting.record.age.total_seconds()) == age
    setting.told(operation_body(version=6), seen=False)
    assert round(setting.record.age.total_seconds()) == age, "as it was when it was first seen"


def test_after_a_restore_whatever_is_said_next_counts() -> None:
    setting = Watching()
    setting.told(operation_body(version=50))
    setting.watches.anew()
    setting.told(operation_body(version=7, key="as restored"), seen=False)
    assert setting.record is not None and setting.record.seen.key == "as restored"


def test_a_pod_whose_label_names_another_operation_now_is_gone_from_the_first() -> None:
    setting = Watching()
    first = of_operation()
    other = replace(first, view=replace(first.view, operation="other", resource_version="6"))
    setting.pod(ChangeKind.ADDED, None, first)
    setting.pod(ChangeKind.MODIFIED, first, other)
    woken = set(setting.woken)
    assert {OP_UID, Key(OPERATION.name, "other")} <= woken
    pods = setting.caches.operation_pods(OWNER)
    assert [view.operation for view in pods] == ["other"]
