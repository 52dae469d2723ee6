"""Pods and nodes lead to the executions that they concern, and the last state of a deleted pod is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from desist.api.meta import ObjectMeta
from desist.controller.caches import DELETED_KEPT, Caches
from desist.controller.kinds import EXECUTION, Key
from desist.controller.views import NodeRecord, PodRecord
from desist.lifecycle.observed.pods import ContainerKind, ContainerView, NodeView, PodView
from desist.lifecycle.observed.pushes import PushTo

NOW = datetime(2026, 5, 1, tzinfo=UTC)
OWNER = ObjectMeta(name="order-1", namespace="shop", uid="wfx")
WFX = Key(EXECUTION.name, "wfx")
CONTAINERS = (ContainerView("workflow", ContainerKind.REGULAR),)


def pod(uid: str = "p1", node: str = "worker", attempt: int = 1, execution: str = "wfx") -> PodRecord:
    return PodRecord("shop", execution, PodView(uid, uid, "5", "RUN", attempt, "Running", CONTAINERS, node))


def node(name: str = "worker", ready: bool = True) -> NodeRecord:
    return NodeRecord(NodeView(name, "boot", ready, NOW), "containerd://2.3.4")


def test_a_pod_wakes_its_execution_and_is_seen_by_it() -> None:
    caches = Caches()
    assert caches.pod_changed(pod("p2", attempt=2)) == WFX
    caches.pod_changed(pod("p1"))
    caches.pod_changed(pod("p3", execution="other"))
    assert [view.uid for view in caches.pods(OWNER)] == ["p1", "p2"]


def test_the_last_state_of_a_deleted_pod_is_kept_until_the_execution_is_released() -> None:
    caches = Caches()
    caches.pod_changed(pod())
    last = replace(pod(), view=replace(pod().view, phase="Failed"))
    assert caches.pod_deleted(last, seen=True) == WFX
    assert caches.pods(OWNER) == ()
    assert caches.deleted(OWNER) == (last.view,)
    caches.release(WFX)
    assert caches.deleted(OWNER) == ()


def test_a_pod_whose_deletion_was_missed_does_not_count_as_never_bound() -> None:
    caches = Caches()
    caches.pod_deleted(pod("bound"), seen=False)
    caches.pod_deleted(pod("unbound", node=""), seen=False)
    caches.pod_deleted(pod("seen", node=""), seen=True)
    assert [view.uid for view in caches.deleted(OWNER)] == ["bound", "seen"]


def test_last_states_are_bounded_and_the_newest_stay() -> None:
    caches = Caches()
    for number in range(DELETED_KEPT + 3):
        caches.pod_deleted(pod(f"p{number}"), seen=True)
    kept = [view.uid for view in caches.deleted(OWNER)]
    assert len(kept) == DELETED_KEPT
    assert kept[-1] == f"p{DELETED_KEPT + 2}"


def elsewhere(uid: str) -> PodRecord:
    return replace(pod(uid), namespace="another")


def test_a_pod_in_another_namespace_is_nobodys_whatever_it_says_of_itself() -> None:
    caches = Caches()
    caches.pod_changed(elsewhere("foreign"))
    caches.pod_deleted(elsewhere("foreign and gone"), seen=True)
    assert (caches.pods(OWNER), caches.deleted(OWNER)) == ((), ())
    caches.pod_changed(pod("own"))
    assert [view.uid for view in caches.pods(OWNER)] == ["own"]


def test_pods_of_another_namespace_drive_no_last_state_out() -> None:
    caches = Caches()
    caches.pod_deleted(pod("own"), seen=True)
    for number in range(DELETED_KEPT + 3):
        caches.pod_deleted(elsewhere(f"p{number}"), seen=True)
    assert [view.uid for view in caches.deleted(OWNER)] == ["own"]


def at_version(version: int, phase: str = "Running") -> PodRecord:
    return replace(pod(), view=replace(pod().view, resource_version=str(version), phase=phase))


def test_a_pod_that_was_read_takes_the_place_of_an_older_state_and_older_events_change_nothing() -> None:
    caches = Caches()
    caches.pod_changed(at_version(5))
    caches.pod_read(at_version(10))
    assert caches.pod_changed(at_version(9)) == WFX
    assert [view.resource_version for view in caches.pods(OWNER)] == ["10"]
    caches.pod_read(at_version(8))
    assert [view.resource_version for view in caches.pods(OWNER)] == ["10"]
    caches.pod_changed(at_version(11))
    assert [view.resource_version for view in caches.pods(OWNER)] == ["11"]


def test_a_pod_that_was_read_and_that_the_watch_no_longer_has_is_not_kept_for_ever() -> None:
    caches = Caches()
    caches.pod_read(at_version(10))
    caches.pod_changed(at_version(5))
    caches.pod_deleted(at_version(11), seen=True)
    caches.pod_read(at_version(10))
    assert caches.pods(OWNER) == ()


def test_a_deletion_that_was_missed_leaves_the_state_that_was_read() -> None:
    caches = Caches()
    caches.pod_changed(at_version(5))
    caches.pod_read(at_version(10, "Failed"))
    caches.pod_deleted(at_version(5), seen=False)
    assert [view.phase for view in caches.deleted(OWNER)] == ["Failed"]


def test_a_node_wakes_the_executions_with_a_pod_on_it_or_that_attend_to_it() -> None:
    caches = Caches()
    caches.pod_changed(pod(execution="by-pod"))
    caches.attend(Key("K", "by-status"), ["worker"])
    caches.attend(Key("K", "elsewhere"), ["worker2"])
    both = {Key(EXECUTION.name, "by-pod"), Key("K", "by-status")}
    assert caches.node_changed(node()) == both
    assert caches.node_changed(node()) == frozenset()
    assert caches.node_changed(node(ready=False)) == both
    assert caches.node_deleted("worker") == both


def ready(ready: bool, changed: float, seen: float) -> NodeRecord:
    """A node that says it has been so since `changed`, as it is seen at `seen`."""
    view = NodeView("worker", "boot", ready, later(seen), later(changed))
    return NodeRecord(view, "containerd://2.3.4")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.conformance("K9")
@pytest.mark.parametrize("slow", [-7200, 0, 7200])
def test_how_long_a_node_is_ready_counts_from_when_it_was_seen_without_a_break(slow: float) -> None:
    caches = Caches()

    def since(record: NodeRecord) -> datetime:
        caches.node_changed(record)
        (view,) = caches.nodes(["worker"])
        assert caches.known_since(record.view) == view
        return view.ready_since

    assert since(ready(True, slow, 10)) == later(10)
    assert since(ready(True, slow, 20)) == later(10)
    assert since(ready(True, slow + 25, 30)) == later(30), "it was away between two looks"
    assert since(ready(False, slow + 40, 40)) == later(40)
    assert since(ready(False, slow + 40, 50)) == later(40)
    caches.node_deleted("worker")
    assert since(ready(False, slow + 40, 60)) == later(60)


@pytest.mark.conformance("K9")
def test_the_grace_of_a_deletion_counts_from_when_it_was_seen() -> None:
    def deleting(grace: int, seen: float) -> PodRecord:
        view = replace(
            pod().view,
            deletion_timestamp=later(7200 + grace),
            deletion_grace_seconds=grace,
            deletion_seen_at=later(seen),
        )
        return replace(pod(), view=view)

    def due(record: PodRecord) -> datetime | None:
        caches.pod_changed(record)
        (view,) = caches.pods(OWNER)
        assert caches.dated("wfx", record.view) == view
        return view.deletion_due

    caches = Caches()
    assert due(deleting(30, 1)) == later(31)
    assert due(deleting(30, 5)) == later(31)
    assert due(deleting(20, 9)) == later(29), "another, shorter deletion"
    caches.pod_deleted(deleting(20, 10), seen=True)
    assert caches.dated("wfx", deleting(20, 15).view).deletion_due == later(29), "a GET finds it without its label"
    caches.release(WFX)
    assert caches.dated("wfx", deleting(20, 20).view).deletion_due == later(40)


def test_a_released_execution_is_not_woken_by_a_node() -> None:
    caches = Caches()
    caches.pod_changed(pod())
    caches.release(WFX)
    assert caches.node_changed(node()) == frozenset()


def test_only_nodes_that_exist_are_seen() -> None:
    caches = Caches()
    caches.node_changed(node())
    assert [view.name for view in caches.nodes(["worker", "lost"])] == ["worker"]
    caches.node_deleted("worker")
    assert caches.nodes(["worker"]) == ()
    assert caches.runtimes() == ()


def test_runtimes_are_those_of_the_nodes_that_are_there_each_once() -> None:
    caches = Caches()
    for name in ("a", "b"):
        caches.node_changed(node(name))
    assert caches.runtimes() == (node().runtime,)
    caches.node_changed(replace(node("a"), runtime="containerd://1.7.0"))
    assert set(caches.runtimes()) == {node().runtime, "containerd://1.7.0"}
    caches.node_deleted("b")
    caches.node_deleted("b")
    assert caches.runtimes() == ("containerd://1.7.0",)


def test_versions_that_have_gone_back_count_once_all_are_in_doubt() -> None:
    def at(uid: str, version: str) -> PodRecord:
        return replace(pod(uid), view=replace(pod(uid).view, resource_version=version))

    def known() -> dict[str, str]:
        return {view.uid: view.resource_version for view in caches.pods(OWNER)}

    caches = Caches()
    for uid in ("a", "b"):
        caches.pod_changed(at(uid, "20"))
    caches.pod_changed(at("a", "6"))
    assert known() == {"a": "20", "b": "20"}
    caches.doubt()
    caches.pod_changed(at("a", "6"))
    assert known() == {"a": "6", "b": "20"}
    caches.pod_changed(at("a", "5"))
    assert known() == {"a": "6", "b": "20"}
    caches.pod_deleted(at("b", "7"), seen=True)
    assert [view.resource_version for view in caches.deleted(OWNER)] == ["7"]


def test_a_push_key_is_named_for_as_long_as_a_pod_is_there_that_names_it() -> None:
    caches = Caches()
    for number, uid in enumerate(("p1", "p2", "p3")):
        push = PushTo("0a1b2c3d", 7633) if number else None
        caches.pod_changed(replace(pod(uid), view=replace(pod(uid).view, push=push)))
    assert caches.push_keys() == {"0a1b2c3d"}
    for uid in ("p2", "p3"):
        caches.pod_deleted(pod(uid), seen=True)
    assert caches.push_keys() == frozenset()
