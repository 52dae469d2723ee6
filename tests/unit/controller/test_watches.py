"""What the reflectors say reaches the caches, and wakes whom it concerns."""

from __future__ import annotations

from dataclasses import replace

from desist.controller.caches import Caches
from desist.controller.clock import Clock
from desist.controller.views import NodeRecord, PodRecord
from desist.controller.watches import Watches
from desist.kube.client import Client
from desist.kube.connection import Connection
from desist.kube.listing import Change, ChangeKind
from desist.kube.wire import Identity
from tests.unit.controller.test_caches import OWNER, node, pod


class Setting:
    """Watches that watch nothing: the test plays the reflectors."""

    def __init__(self) -> None:
        self.caches = Caches()
        self.woken: list[str] = []
        self.watches = Watches(Client(Connection("http://127.0.0.1:9")), self.caches, self.woken.append, Clock())

    def pod(self, kind: ChangeKind, old: PodRecord | None, new: PodRecord | None, seen: bool = True) -> None:
        self.watches.on_pod(Change(kind, Identity(name="p1", uid="p1", namespace="shop"), old, new, seen))

    def node(self, kind: ChangeKind, old: NodeRecord | None, new: NodeRecord | None) -> None:
        self.watches.on_node(Change(kind, Identity(name="worker", uid="n"), old, new))


def test_a_pod_that_comes_and_goes_wakes_its_execution_each_time() -> None:
    setting = Setting()
    setting.pod(ChangeKind.ADDED, None, pod())
    setting.pod(ChangeKind.MODIFIED, pod(), pod())
    last = replace(pod(), view=replace(pod().view, phase="Failed"))
    setting.pod(ChangeKind.DELETED, pod(), last)
    assert setting.woken == ["wfx"] * 3
    assert setting.caches.deleted(OWNER) == (last.view,)


def test_the_last_state_of_a_pod_whose_end_was_missed_is_the_known_one_and_never_proves_that_it_was_unbound() -> None:
    setting = Setting()
    setting.pod(ChangeKind.DELETED, pod(), None, seen=False)
    setting.pod(ChangeKind.DELETED, pod("unbound", node=""), None, seen=False)
    assert setting.caches.deleted(OWNER) == (pod().view,)
    assert setting.woken == ["wfx", "wfx"]


def test_a_node_wakes_the_executions_with_a_pod_on_it() -> None:
    setting = Setting()
    setting.pod(ChangeKind.ADDED, None, pod())
    setting.node(ChangeKind.ADDED, None, node())
    setting.node(ChangeKind.MODIFIED, node(), node())
    setting.node(ChangeKind.DELETED, node(), node())
    assert setting.woken == ["wfx"] * 3
