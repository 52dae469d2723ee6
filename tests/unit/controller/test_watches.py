"""What the reflectors say reaches the caches, and wakes whom it concerns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from desist.controller.caches import Caches
from desist.controller.clock import Clock
from desist.controller.events import Notice
from desist.controller.intake import Intake
from desist.controller.kinds import EXECUTION, OPERATION, WORKFLOW, Key, Managed, table
from desist.controller.memory import Memory
from desist.controller.records import WorkflowRecord
from desist.controller.store import Store
from desist.controller.unreadable import Complaints
from desist.controller.views import NodeRecord, PodRecord
from desist.controller.waking import CONFIRMED, Waking
from desist.controller.watches import Watches
from desist.kube.client import Client
from desist.kube.connection import Connection
from desist.kube.listing import Change, ChangeKind
from desist.kube.wire import Identity
from tests.unit.controller.fakes import NOW
from tests.unit.controller.test_apply import POST
from tests.unit.controller.test_caches import OWNER, WFX, node, pod


async def _nothing(_: str) -> None:
    return None


class Setting:
    """Watches that watch nothing: the test plays the reflectors."""

    def __init__(self) -> None:
        self.caches = Caches()
        self.woken: list[Key] = []
        self.later: list[tuple[Key, float]] = []
        self.memory = Memory()
        later: Callable[[Key, float], None] = lambda key, seconds: self.later.append((key, seconds))  # noqa: E731
        self.waking = Waking(self.woken.append, later, self.memory.awaits_sight)
        rows = table(
            Managed(WORKFLOW, Store[WorkflowRecord](), _nothing),
            Managed(EXECUTION, self.waking.executions, _nothing),
            Managed(OPERATION, self.waking.operations, _nothing),
        )
        self.said: list[Notice] = []
        self.intake = Intake(rows, self.woken.append, Complaints(lambda _, notice: self.said.append(notice)))
        self.client = Client(Connection("http://127.0.0.1:9"))
        posted = self.memory.last_posting
        self.watches = Watches(self.client, self.caches, self.intake, self.waking, Clock(), posted)

    def pod(self, kind: ChangeKind, old: PodRecord | None, new: PodRecord | None, seen: bool = True) -> None:
        self.watches.on_pod(Change(kind, Identity(name="p1", uid="p1", namespace="shop"), old, new, seen))

    def node(self, kind: ChangeKind, old: NodeRecord | None, new: NodeRecord | None) -> None:
        self.watches.on_node(Change(kind, Identity(name="worker", uid="n"), old, new))


def test_a_pod_that_comes_and_goes_wakes_its_execution_each_time() -> None:
    setting = Setting()
    setting.pod(ChangeKind.ADDED, None, pod())
    setting.pod(ChangeKind.MODIFIED, pod(), replace(pod(), view=replace(pod().view, phase="Unknown")))
    last = replace(pod(), view=replace(pod().view, phase="Failed"))
    setting.pod(ChangeKind.DELETED, pod(), last)
    assert setting.woken == [WFX] * 3
    assert setting.caches.deleted(OWNER) == (last.view,)


def test_a_pod_that_only_shows_what_was_posted_to_it_wakes_later() -> None:
    setting = Setting()
    setting.memory.posted(WFX.uid, replace(POST, text="{}"), "9")
    posted = replace(pod(), view=replace(pod().view, mailbox="{}", resource_version="9"))
    setting.pod(ChangeKind.ADDED, None, pod())
    setting.pod(ChangeKind.MODIFIED, pod(), posted)
    assert (setting.woken, setting.later) == ([WFX], [(WFX, CONFIRMED)])
    assert setting.caches.pods(OWNER) == (posted.view,), "but it is seen at once"


@pytest.mark.parametrize("mailbox", ["", "rubbish", "{}"])
def test_a_mailbox_that_somebody_else_has_changed_wakes_at_once(mailbox: str) -> None:
    setting = Setting()
    held = replace(pod(), view=replace(pod().view, mailbox='{"sequence":3}'))
    setting.pod(ChangeKind.MODIFIED, held, replace(held, view=replace(held.view, mailbox=mailbox)))
    assert (setting.woken, setting.later) == ([WFX], [])


def test_a_pod_that_only_has_another_version_wakes_later() -> None:
    setting = Setting()
    setting.pod(ChangeKind.MODIFIED, pod(), replace(pod(), view=replace(pod().view, resource_version="9")))
    assert (setting.woken, setting.later) == ([], [(WFX, CONFIRMED)])


NEWS = {
    "its phase": {"phase": "Failed"},
    "a container": {"containers": ()},
    "its deletion": {"deletion_timestamp": NOW},
    "its grace": {"deletion_grace_seconds": 1},
    "a finalizer": {"finalizers": ("x/y",)},
    "its address": {"address": "10.0.0.9"},
    "whose it is": {"operation": "op"},
}


@pytest.mark.parametrize("change", NEWS.values(), ids=NEWS)
def test_a_pod_that_shows_anything_else_beside_wakes_at_once(change: dict[str, Any]) -> None:
    setting = Setting()
    setting.memory.posted(WFX.uid, replace(POST, text="{}"), "9")
    changed = replace(pod(), view=replace(pod().view, mailbox="{}", resource_version="9", **change))
    setting.pod(ChangeKind.MODIFIED, pod(), changed)
    assert WFX in setting.woken


def test_the_last_state_of_a_pod_whose_end_was_missed_is_the_known_one_and_never_proves_that_it_was_unbound() -> None:
    setting = Setting()
    setting.pod(ChangeKind.DELETED, pod(), None, seen=False)
    setting.pod(ChangeKind.DELETED, pod("unbound", node=""), None, seen=False)
    assert setting.caches.deleted(OWNER) == (pod().view,)
    assert setting.woken == [WFX, WFX]


def test_a_node_wakes_the_executions_with_a_pod_on_it() -> None:
    setting = Setting()
    setting.pod(ChangeKind.ADDED, None, pod())
    setting.node(ChangeKind.ADDED, None, node())
    setting.node(ChangeKind.MODIFIED, node(), node())
    setting.node(ChangeKind.DELETED, node(), node())
    assert setting.woken == [WFX] * 3
