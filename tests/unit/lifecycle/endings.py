"""How processes end in unit tests: what happens to the pod of a running world, for causes of all kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from desist.lifecycle.observed.pods import ContainerPhase, NodeView
from tests.support.builders import PodBuilder, make_node, receipt
from tests.unit.lifecycle.world import World

Deed = Callable[[World], None]
"""What happens to the running process of a world."""
S, F, C, AGAIN = "Succeeded", "Failed", "Cancelled", "run again"


def pod(change: Callable[[PodBuilder], PodBuilder]) -> Deed:
    return lambda world: world.change_pod(change, after=1)


def says(outcome: str, code: int = 0, **fields: float) -> Callable[[PodBuilder], PodBuilder]:
    text = json.dumps({"outcome": outcome, "failure": {"message": "my own words"}})
    return lambda seen: seen.exited(code, f"{receipt(sigterm=1.5, **fields)}\n{text}").over()  # type: ignore[arg-type]


def exits(code: int, sigterm: float | None = 1.5, passed: float | None = None, finished: float = 2) -> Deed:
    return pod(lambda seen: seen.exited(code, receipt(sigterm=sigterm, passed=passed), finished=finished).over())


def being(deed: Callable[[PodBuilder], PodBuilder], *then: Deed) -> Deed:
    """First this becomes of the pod, with nothing reported; then that."""

    def both(world: World) -> None:
        name = world.pod.obj().name
        world.pods[name] = deed(world.pod)
        for each in then:
            each(world)

    return both


def deleting(seen: PodBuilder) -> PodBuilder:
    return seen.deleting()


def disrupted(reason: str) -> Callable[[PodBuilder], PodBuilder]:
    return lambda seen: seen.deleting().having(disruption_reason=reason)


def by_kubelet(reason: str = "Evicted") -> Callable[[PodBuilder], PodBuilder]:
    return lambda seen: seen.having(reason=reason, disruption_reason="TerminationByKubelet")


def past_deadline(seen: PodBuilder) -> PodBuilder:
    """The kubelet ends it at an activeDeadlineSeconds of the pod's own."""
    return seen.having(reason="DeadlineExceeded", phase="Failed")


def over_limits(seen: PodBuilder) -> PodBuilder:
    return seen.having(reason="Evicted", message='Usage of EmptyDir volume "data" exceeds the limit "16Mi".')


def probed(seen: PodBuilder) -> PodBuilder:
    return seen.having(has_probe=True)


def unstarted(seen: PodBuilder) -> PodBuilder:
    """As if its workflow container had never started; no container has."""
    return seen.container("workflow", phase=ContainerPhase.WAITING, container_id="", started_at=None)


def rejected(reason: str) -> Callable[[PodBuilder], PodBuilder]:
    message = f"Pod was rejected: {reason}, said the kubelet"
    return lambda seen: unstarted(seen).having(phase="Failed", reason=reason, message=message)


def over_limits_at_once(seen: PodBuilder) -> PodBuilder:
    message = "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. "
    return unstarted(seen).having(phase="Failed", reason="Evicted", message=message)


def failed_init(seen: PodBuilder) -> PodBuilder:
    init: dict[str, Any] = {
        "phase": ContainerPhase.TERMINATED,
        "exit_code": 3,
        "container_id": "containerd://i",
        "reason": "Error",
    }
    return unstarted(seen).with_init(**init).having(phase="Failed")


def nodes(*found: NodeView) -> Deed:
    def change(world: World) -> None:
        world.nodes = list(found)
        world.settle(1)

    return change


def vanish(world: World) -> None:
    world.lose_pod(seen=False)
    world.settle(1)
    world.settle(60)


def reboot(code: int) -> Deed:
    def deed(world: World) -> None:
        world.nodes = [make_node(boot_id="boot-2")]
        exits(code, None)(world)

    return deed


def plain(code: int, message: str = "a program's own words", reason: str = "") -> Deed:
    return pod(lambda seen: seen.exited(code, message, reason=reason).over())


OOM = "OOMKilled"
