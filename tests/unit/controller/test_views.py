"""Raw pods and nodes become the core's slim records, and nobody else's pod becomes ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from desist.controller.raw import RawNode, RawPod
from desist.controller.views import NodeRecord, PodRecord, node_record, pod_record, wanted_view
from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView, PodView
from desist.lifecycle.observed.pushes import PushTo
from desist.lifecycle.observed.questions import WantedPod
from desist.lifecycle.pod.launcher import LAUNCHER

NOW = datetime(2026, 5, 1, 13, tzinfo=UTC)
STARTED = "2026-05-01T10:00:00Z"
ENDED = "2026-05-01T10:00:05Z"


def owner(**changes: Any) -> dict[str, Any]:
    """The owner reference of a pod of ours, with other fields."""
    ours = {"apiVersion": "desist.dev/v1alpha1", "kind": "WorkflowExecution", "uid": "wfx-uid", "controller": True}
    return ours | changes


def raw_pod(**changes: Any) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "metadata": {
            "name": "order-1-abc",
            "namespace": "shop",
            "uid": "pod-uid",
            "resourceVersion": "41",
            "creationTimestamp": STARTED,
            "labels": {"desist.dev/execution-uid": "wfx-uid", "desist.dev/attempt": "2", "desist.dev/run-id": "RUN"},
            "annotations": {"desist.dev/stop": "{}"},
            "ownerReferences": [owner()],
        },
        "spec": {
            "nodeName": "worker",
            "terminationGracePeriodSeconds": 7,
            "initContainers": [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}],
            "containers": [{"name": "workflow"}],
        },
        "status": {"phase": "Running"},
    }
    for path, value in changes.items():
        place = pod
        *above, last = path.split("__")
        for step in above:
            place = place[step]
        place[last] = value
    return pod


def record_of(raw: dict[str, Any]) -> PodRecord | None:
    return pod_record(msgspec.json.decode(msgspec.json.encode(raw), type=RawPod), NOW)


def view_of(raw: dict[str, Any]) -> PodRecord:
    record = record_of(raw)
    assert record is not None
    return record


def test_a_pod_keeps_its_identity_its_owner_and_its_mailbox() -> None:
    record = view_of(raw_pod())
    view = record.view
    assert (record.namespace, record.execution_uid) == ("shop", "wfx-uid")
    assert (view.name, view.uid, view.resource_version) == ("order-1-abc", "pod-uid", "41")
    assert (view.run_id, view.attempt, view.node, view.grace_seconds, view.mailbox) == ("RUN", 2, "worker", 7, "{}")
    assert view.created_at == datetime(2026, 5, 1, 10, tzinfo=UTC)


PROBE = {"exec": {"command": ["true"]}, "periodSeconds": 1}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([{"name": "workflow"}], False),
        ([{"name": "workflow", "readinessProbe": PROBE}], False),
        ([{"name": "workflow", "livenessProbe": PROBE}], True),
        ([{"name": "workflow", "startupProbe": PROBE}], True),
        (
            [{"name": "workflow", "command": ["/desist/bin/desist-launcher"]}, {"name": "x", "livenessProbe": PROBE}],
            False,
        ),
    ],
)
def test_a_probe_counts_that_makes_the_kubelet_stop_the_workflows_container(
    containers: list[Any], expected: bool
) -> None:
    assert view_of(raw_pod(spec__containers=containers)).view.has_probe is expected


def test_containers_without_a_status_wait_and_know_their_kind() -> None:
    assert [(c.name, c.kind, c.phase) for c in view_of(raw_pod()).view.containers] == [
        ("setup", ContainerKind.INIT, ContainerPhase.WAITING),
        ("proxy", ContainerKind.SIDECAR, ContainerPhase.WAITING),
        ("workflow", ContainerKind.REGULAR, ContainerPhase.WAITING),
    ]


FOREIGN = [
    {"metadata__ownerReferences": []},
    {"metadata__ownerReferences": [owner(uid="other")]},
    {"metadata__ownerReferences": [owner(apiVersion="batch/v1")]},
    {"metadata__ownerReferences": [owner(kind="Other")]},
    {"metadata__ownerReferences": [owner(controller=False)]},
    {"metadata__ownerReferences": [{k: v for k, v in owner().items() if k != "controller"}]},
    {"metadata__labels": {"desist.dev/attempt": "2"}},
    {"metadata__labels": {"desist.dev/execution-uid": "wfx-uid", "desist.dev/run-id": "RUN"}},
]


@pytest.mark.parametrize("change", FOREIGN)
def test_a_foreign_pod_that_carries_our_label_is_not_ours(change: dict[str, Any]) -> None:
    assert record_of(raw_pod()) is not None
    assert record_of(raw_pod(**change)) is None


def container_of(state: dict[str, Any], **status: Any) -> ContainerView:
    raw = raw_pod(status__containerStatuses=[{"name": "workflow", "state": state, **status}])
    return view_of(raw).view.workflow


def test_a_running_container_shows_its_id_and_its_start() -> None:
    seen = container_of({"running": {"startedAt": STARTED}}, containerID="containerd://1")
    assert (seen.phase, seen.container_id) == (ContainerPhase.RUNNING, "containerd://1")
    assert seen.started_at == datetime(2026, 5, 1, 10, tzinfo=UTC)


def test_a_waiting_container_says_why() -> None:
    seen = container_of({"waiting": {"reason": "ErrImagePull", "message": "no such image"}})
    assert (seen.phase, seen.reason, seen.message) == (ContainerPhase.WAITING, "ErrImagePull", "no such image")


def test_an_ended_container_shows_code_message_and_times() -> None:
    ended = {
        "exitCode": 143,
        "signal": 15,
        "reason": "Error",
        "message": "{}",
        "startedAt": STARTED,
        "finishedAt": ENDED,
    }
    seen = container_of({"terminated": ended | {"containerID": "containerd://1"}}, containerID="containerd://1")
    assert (seen.phase, seen.exit_code, seen.signal) == (ContainerPhase.TERMINATED, 143, 15)
    assert (seen.message, seen.container_id) == ("{}", "containerd://1")
    assert seen.finished_at == datetime(2026, 5, 1, 10, 0, 5, tzinfo=UTC)


def test_an_end_that_names_no_container_is_not_given_the_id_of_the_status() -> None:
    seen = container_of(
        {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}, containerID="containerd://1"
    )
    assert seen.container_id == ""


@pytest.mark.parametrize("moment", [None, "1970-01-01T00:00:00Z"])
def test_a_time_that_the_kubelet_does_not_know_is_absent(moment: str | None) -> None:
    assert container_of({"terminated": {"exitCode": 1, "startedAt": moment, "finishedAt": moment}}).finished_at is None


def test_disruption_and_unschedulable_are_read_from_conditions_that_hold() -> None:
    conditions = [
        {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"},
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"},
    ]
    view = view_of(raw_pod(status__conditions=conditions)).view
    assert (view.disruption_reason, view.unschedulable) == ("EvictionByEvictionAPI", "0/3 nodes")


def test_conditions_that_do_not_hold_say_nothing() -> None:
    conditions = [
        {"type": "DisruptionTarget", "status": "False", "reason": "EvictionByEvictionAPI"},
        {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "gated"},
    ]
    view = view_of(raw_pod(status__conditions=conditions)).view
    assert (view.disruption_reason, view.unschedulable) == ("", "")


def test_a_deletion_is_kept_with_its_grace() -> None:
    view = view_of(raw_pod(metadata__deletionTimestamp=ENDED, metadata__deletionGracePeriodSeconds=1)).view
    assert view.deletion_timestamp == datetime(2026, 5, 1, 10, 0, 5, tzinfo=UTC)
    assert view.deletion_grace_seconds == 1
    assert (view.deletion_seen_at, view.deletion_due) == (NOW, NOW + timedelta(seconds=1))


def node_of(**parts: Any) -> NodeRecord:
    raw = {"metadata": {"name": "worker", "uid": "n", "creationTimestamp": STARTED}, **parts}
    return node_record(msgspec.json.decode(msgspec.json.encode(raw), type=RawNode), NOW)


def test_a_ready_node_shows_since_when_its_boot_and_its_runtime() -> None:
    record = node_of(
        status={
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ENDED}],
            "nodeInfo": {"bootID": "boot", "containerRuntimeVersion": "containerd://2.3.4"},
        }
    )
    assert (record.view.ready, record.view.boot_id, record.runtime) == (True, "boot", "containerd://2.3.4")
    assert record.view.ready_changed == datetime(2026, 5, 1, 10, 0, 5, tzinfo=UTC)
    assert record.view.ready_since == NOW, "the node's clock says how long it was ready"


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_does_not_say_that_it_is_ready_is_not(status: str) -> None:
    assert not node_of(status={"conditions": [{"type": "Ready", "status": status}]}).view.ready


def test_a_node_without_the_condition_is_not_ready() -> None:
    assert (node_of().view.ready, node_of().view.ready_changed) == (False, None)


def test_an_administrators_taint_is_seen() -> None:
    tainted = node_of(spec={"taints": [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]})
    assert tainted.view.out_of_service
    assert not node_of(spec={"taints": [{"key": "node.kubernetes.io/unreachable"}]}).view.out_of_service


@pytest.mark.parametrize(
    ("containers", "launched"),
    [
        ([{"name": "workflow", "command": ["run-job"]}], False),
        ([{"name": "workflow", "command": [LAUNCHER, "run", "--", "run-job"]}], True),
        ([{"name": "agent"}, {"name": "workflow", "command": ["/env"], "args": [LAUNCHER, "run"]}], True),
    ],
)
def test_a_pod_shows_whether_the_launcher_is_in_front(containers: list[Any], launched: bool) -> None:
    assert view_of(raw_pod(spec__containers=containers)).view.launched == launched


WANTED = WantedPod("order-1-abc", "RUN", 2, "pod-uid")
NO_LABELS: dict[str, Any] = {"metadata__labels": {}}
NO_OWNER: dict[str, Any] = {"metadata__ownerReferences": []}


def wanted_of(raw: dict[str, Any], wanted: WantedPod) -> PodView | None:
    return wanted_view(msgspec.json.decode(msgspec.json.encode(raw), type=RawPod), "wfx-uid", wanted, NOW)


@pytest.mark.parametrize("changes", [{}, NO_LABELS, NO_OWNER, NO_LABELS | NO_OWNER])
def test_a_pod_that_is_asked_for_by_name_is_known_by_its_uid_or_its_owner(changes: dict[str, Any]) -> None:
    view = wanted_of(raw_pod(**changes), WANTED)
    assert view is not None
    assert (view.uid, view.run_id, view.attempt) == ("pod-uid", "RUN", 2)


@pytest.mark.parametrize("wanted", [replace(WANTED, uid=None), replace(WANTED, uid="another")])
def test_another_owners_pod_of_that_name_is_not_the_one_that_was_asked_for(wanted: WantedPod) -> None:
    for other in (owner(apiVersion="batch/v1", kind="Job"), owner(uid="other"), owner(controller=False)):
        assert wanted_of(raw_pod(metadata__ownerReferences=[other]), wanted) is None
    assert wanted_of(raw_pod(**NO_LABELS), wanted) is not None


PUSH = {"desist.dev/push-key": "0a1b2c3d", "desist.dev/push-port": "7633"}


@pytest.mark.parametrize("address", ["10.244.1.7", "fd00::7"])
def test_a_pod_says_where_its_launcher_takes_a_push(address: str) -> None:
    raw = raw_pod(status={"phase": "Running", "podIP": address}, metadata__annotations=PUSH)
    view = view_of(raw).view
    assert (view.address, view.push) == (address, PushTo("0a1b2c3d", 7633))
    assert view.push is view_of(raw).view.push


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"desist.dev/push-key": "0a1b2c3d"},
        {"desist.dev/push-port": "7633"},
        PUSH | {"desist.dev/push-key": "0A1B2C3D"},
        PUSH | {"desist.dev/push-key": "0a1b2c3d\n"},
        PUSH | {"desist.dev/push-port": "0"},
        PUSH | {"desist.dev/push-port": "65536"},
        PUSH | {"desist.dev/push-port": "-1"},
        PUSH | {"desist.dev/push-port": "\u0667"},
    ],
)
def test_a_pod_that_does_not_say_so_takes_none(annotations: dict[str, str]) -> None:
    assert view_of(raw_pod(metadata__annotations=annotations)).view.push is None


@pytest.mark.parametrize("address", [None, "", "none", "10.0.0.1/8"])
def test_what_is_no_address_is_none(address: str | None) -> None:
    status = {"phase": "Running", **({} if address is None else {"podIP": address})}
    assert view_of(raw_pod(status=status)).view.address == ""
