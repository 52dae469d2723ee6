"""Reports of people who stop workflows elsewhere, each as a test of what Desist promises."""

from __future__ import annotations

import json

import msgspec

from desist.api.vocabulary import Mode, Phase
from desist.controller.raw import RawPod
from desist.controller.views import pod_record
from desist.lifecycle.observed.pods import ContainerKind, ContainerPhase, ContainerView
from desist.lifecycle.proof.process import ended
from tests.support.builders import at, make_execution, make_node, make_workflow, receipt
from tests.unit.controller.test_views import raw_pod
from tests.unit.lifecycle.world import World


# argoproj/argo-workflows#2672 (steps marked Completed after a reboot of the node)
#    kubernetes/kubernetes#118310, nats-io/nats-streaming-server#957
def _rebooted(code: int, message: str) -> World:
    """The node shuts down: init sends SIGTERM to every process of every container, and the program obeys it."""
    world = World().running()
    world.nodes = [make_node(boot_id="boot-2")]
    world.change_pod(lambda pod: pod.exited(code, message, finished=2).over(), after=1)
    return world


def test_a_program_that_exits_with_0_on_its_nodes_reboot_is_run_again() -> None:
    world = _rebooted(0, receipt(sigterm=1.5))
    assert (world.phase, world.status.disruptions) == (Phase.RUNNING, 1), world.phase


def test_the_documented_example_is_run_again_after_a_reboot() -> None:
    world = _rebooted(0, receipt(sigterm=1.5) + "\n" + json.dumps({"outcome": "Cancelled"}))
    assert (world.phase, world.status.disruptions) == (Phase.RUNNING, 1), world.phase


# openshift/openshift-docs#59677 (RunOnceDurationOverride sets activeDeadlineSeconds on every
#    run-once pod at admission); kubernetes/kubernetes#120182 (exit 0 after the kubelet's stop)
def test_a_pod_that_the_kubelet_ends_at_an_injected_deadline_has_not_succeeded() -> None:
    world = World().running()
    world.change_pod(
        lambda pod: (
            pod.exited(0, receipt(sigterm=1.5))
            .having(reason="DeadlineExceeded", message="Pod was active on the node longer than the specified deadline")
            .having(phase="Failed")
        ),
        after=1,
    )
    assert world.phase is not Phase.SUCCEEDED, (world.phase, world.status.failure)


# ephemeral containers: Ramilito/kubectl.nvim#471 (they stay), KEP-277; semantics 5.4 names them
def test_a_debug_container_that_runs_is_a_process_of_the_pod() -> None:
    over = {"exitCode": 137, "reason": "Error", "containerID": "containerd://w", "finishedAt": "2026-05-01T10:00:05Z"}
    raw = raw_pod()
    raw["spec"]["initContainers"] = []
    raw["spec"]["ephemeralContainers"] = [{"name": "debugger-1"}]
    raw["status"]["containerStatuses"] = [{"name": "workflow", "state": {"terminated": over}}]
    raw["status"]["ephemeralContainerStatuses"] = [
        {
            "name": "debugger-1",
            "containerID": "containerd://d",
            "state": {"running": {"startedAt": "2026-05-01T10:00:00Z"}},
        }
    ]
    record = pod_record(msgspec.json.decode(msgspec.json.encode(raw), type=RawPod), at(0))
    assert record is not None
    assert not ended(record.view), "the pod counts as gone while its debug container is reported running"


# kubernetes-sigs/kueue#1339, /1352, skypilot-org/skypilot#9918:
#    a gated pod with a finalizer, deleted, stays in the API
def test_a_pod_that_was_never_bound_and_is_being_deleted_is_gone_whoever_holds_its_object() -> None:
    world = World()
    world.settle()
    world.execution = world.execution.cancelled(Mode.KILL)
    world.seconds += 1
    plan = world.plan()
    for action in plan.actions:
        if type(action).__name__ != "DeletePod":
            world.apply(action)
    # The DELETE: a finalizer holds the object; the API server binds no pod that has a deletionTimestamp.
    world.pods[world.pod.obj().name] = world.pod.having(deletion_timestamp=at(1), deletion_grace_seconds=0)
    for _ in range(3):
        for action in world.plan().actions:
            world.apply(action)
        world.seconds += 3600
    assert world.phase is Phase.CANCELLED, (world.phase, world.status.waiting_on)


# istio/istio#11045, argoproj/argo-workflows#7214 and /7273
def _meshed(**spec: object) -> World:
    """Admission put a proxy beside the workflow's container; that has ended, the proxy goes on for ever."""
    world = World(make_execution(**spec), workflow=make_workflow(kill_after=60))  # type: ignore[arg-type]
    world.running()
    proxy = ContainerView(
        "istio-proxy", ContainerKind.ADDED, ContainerPhase.RUNNING, "containerd://p", started_at=at(1)
    )
    name = world.pod.obj().name
    world.pods[name] = world.pod.having(containers=(*world.pod.obj().containers, proxy))
    world.settle(1)
    return world


def _ends(world: World) -> bool:
    """Whether the pod is deleted, or the run over, within ten hours."""
    for _ in range(60):
        for action in world.plan().actions:
            world.apply(action)
        if world.pod.obj().deletion_timestamp is not None or not world.status.open:
            return True
        world.seconds += 600
    return False


def test_kill_after_seconds_end_a_run_whose_injected_proxy_goes_on() -> None:
    world = _meshed()
    world.request(Mode.CANCEL, 1)
    stop = world.command().id
    world.change_pod(lambda pod: pod.exited(0, receipt(stop=stop)), after=1)
    assert _ends(world), (world.phase, world.status.waiting_on)


def test_active_deadline_seconds_end_a_run_whose_injected_proxy_goes_on() -> None:
    world = _meshed(active_deadline_seconds=600)
    world.change_pod(lambda pod: pod.exited(0, receipt()), after=1)
    assert _ends(world), (world.phase, world.status.waiting_on)


def test_a_cancelling_run_that_was_not_told_before_its_node_rebooted_is_cancelled() -> None:
    """5.8: node rebooted, Cancelling, plain container: Cancelled."""
    world = World().running()
    world.request(Mode.CANCEL)
    world.nodes = [make_node(boot_id="boot-2")]
    world.change_pod(lambda pod: pod.exited(0, receipt(sigterm=1.5), finished=2).over(), after=1)
    assert world.phase is Phase.CANCELLED, world.phase


# kubernetes/kubernetes#104454: OOMKilled is said where a child was killed, long before
def test_a_drained_program_of_which_a_child_had_run_out_of_memory_is_run_again() -> None:
    world = World().running()
    name = world.pod.obj().name
    world.pods[name] = world.pod.deleting().having(disruption_reason="EvictionByEvictionAPI")
    world.change_pod(lambda pod: pod.exited(143, receipt(sigterm=1.5), reason="OOMKilled").over(), after=1)
    assert (world.phase, world.status.disruptions) == (Phase.RUNNING, 1), (world.phase, world.status.failure)
