"""Random bodies of pods and nodes, as an API server may hold them, and the records that the readers make of them.

Contract: shapes are Kubernetes' own; texts, numbers and times are whatever an account with the right to write them can
store. `pods` and `nodes` go through the decoders of the watches, and give what these would keep.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from desist.api.meta import (
    ATTEMPT_LABEL,
    EXECUTION_UID_LABEL,
    ROLE_LABEL,
    RUN_ID_LABEL,
    STOP_ANNOTATION,
)
from desist.controller.raw import RawNode, RawPod
from desist.controller.views import node_record, pod_record
from desist.lifecycle.observed.pods import NodeView, PodView
from desist.lifecycle.observed.pushes import PushAnswer, Pushed, PushTo
from desist.lifecycle.pod.launcher import LAUNCHER
from tests.support.builders import UID, at, receipt
from tests.unit.fuzz.grow import BOOTS, COMMANDS, NODES, POD_UIDS, PODS, RUNS, Grower

_POD = msgspec.json.Decoder(RawPod)
_NODE = msgspec.json.Decoder(RawNode)
REASONS = (
    "",
    "Completed",
    "Error",
    "OOMKilled",
    "ContainerStatusUnknown",
    "Unknown",
    "StartError",
    "ContainerCreating",
)
CONDITIONS = ("DisruptionTarget", "PodScheduled", "PodReadyToStartContainers", "Ready", "Initialized")


def pods(grow: Grower) -> list[PodView]:
    """Some pods of the execution, as the watch keeps them: at most one of each UID."""
    bodies = [_pod(grow, name, uid) for name, uid in zip(PODS, POD_UIDS, strict=True) if grow.random.random() < 0.6]
    records = [pod_record(_POD.decode(msgspec.json.encode(body)), _seen(grow)) for body in bodies]
    return [record.view for record in records if record is not None]


def listening(grow: Grower, pods: list[PodView]) -> list[PodView]:
    """The same pods, of which some take pushes."""
    some = ("", "10.244.1.7", grow.text(20))
    takes = (None, PushTo("0a1b2c3d", 7633), PushTo(grow.text(8), 1))
    return [replace(pod, address=grow.random.choice(some), push=grow.random.choice(takes)) for pod in pods]


def pushes(grow: Grower) -> list[Pushed]:
    """What was pushed to some pods, and what anybody may have answered."""
    return [_pushed(grow, uid) for uid in (*POD_UIDS, "another") if grow.random.random() < 0.7]


def _pushed(grow: Grower, uid: str) -> Pushed:
    random = grow.random
    sequence = random.choice((1, 2, 3, 2**53 - 1))
    answer = PushAnswer(
        command_id=random.choice((*COMMANDS, grow.text(64) or "x")),
        sequence=random.choice((sequence, 1, 2**53 - 1)),
        did=random.choice(("told", "killing", "noted", grow.text(32) or "x")),
        told=random.choice((0, 1, 2**31 - 1)),
        refused=random.choice((0, 1, 2**31 - 1)),
        main_ended=random.random() < 0.5,
        left=random.choice((0, 1, 7, 2**31 - 1)),
        at=_seen(grow),
    )
    asks = random.choice(("Cancel/None", "Kill/5.0", "Force/0.0", "Terminate/0.0"))
    return Pushed(uid, sequence, asks, _seen(grow), answer if random.random() < 0.8 else None)


def nodes(grow: Grower) -> list[NodeView]:
    """Some nodes."""
    bodies = [_node(grow, name) for name in NODES if grow.random.random() < 0.7]
    return [node_record(_NODE.decode(msgspec.json.encode(body)), _seen(grow)).view for body in bodies]


def _seen(grow: Grower) -> datetime:
    """When the controller saw it like this."""
    return at(grow.random.randint(-3600, 60))


def _pod(grow: Grower, name: str, uid: str) -> dict[str, Any]:
    random = grow.random
    command = [LAUNCHER, "run", "--", "job"] if random.random() < 0.9 else ["job"]
    containers: list[dict[str, Any]] = [
        {"name": "workflow", "command": command},
        *([{"name": grow.text(8) or "x"}] if random.random() < 0.1 else []),
    ]
    inits = [{"name": f"init-{n}", "restartPolicy": random.choice(("", "Always"))} for n in range(random.randint(0, 2))]
    return {
        "metadata": _metadata(grow, name, uid),
        "spec": {
            "nodeName": random.choice((*NODES, "")),
            "containers": containers if random.random() < 0.98 else [],
            "initContainers": inits,
            "terminationGracePeriodSeconds": random.choice((0, 1, 30, 99999999999, 2**63 - 1)),
            "schedulerName": random.choice(("default-scheduler", grow.text(20))),
            "schedulingGates": [{"name": grow.text(8) or "gate"}] if random.random() < 0.1 else [],
        },
        "status": {
            "phase": random.choice(("Pending", "Running", "Running", "Succeeded", "Failed", "Unknown", "")),
            "reason": random.choice(("", "", "Evicted", "Terminated", grow.text(300))),
            "message": grow.text(3000),
            "conditions": [_condition(grow, kind) for kind in CONDITIONS if random.random() < 0.2],
            "containerStatuses": [_status(grow, c["name"]) for c in containers if random.random() < 0.8],
            "initContainerStatuses": [_status(grow, c["name"]) for c in inits if random.random() < 0.8],
        },
    }


def _metadata(grow: Grower, name: str, uid: str) -> dict[str, Any]:
    random = grow.random
    owner = {"apiVersion": "desist.dev/v1alpha1", "kind": "WorkflowExecution", "uid": UID, "controller": True}
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": "test",
        "uid": uid,
        "resourceVersion": str(random.randint(1, 99)),
        "creationTimestamp": at(random.randint(-100, 100)).isoformat(),
        "ownerReferences": [owner] if random.random() < 0.95 else [],
        "labels": {
            EXECUTION_UID_LABEL: UID,
            RUN_ID_LABEL: random.choice((*RUNS, RUNS[0], grow.text(63))),
            ATTEMPT_LABEL: random.choice(("1", "1", "2", "0", "99999999999999999999", "²", "")),
            ROLE_LABEL: random.choice(("workflow", "workflow", "workflow", "late-start", "operation")),
        },
        "annotations": {STOP_ANNOTATION: _mailbox(grow)} if random.random() < 0.3 else {},
        "finalizers": [grow.text(20) or "example.test/hold"] if random.random() < 0.1 else [],
    }
    if random.random() < 0.2:
        grace = random.choice((0, 1, 30, 2**63 - 1, -1))
        metadata |= {"deletionTimestamp": grow.time(), "deletionGracePeriodSeconds": grace}
    return metadata


def _mailbox(grow: Grower) -> str:
    random = grow.random
    if random.random() < 0.2:
        return grow.text(3000)
    stop = {
        "sequence": random.choice((1, 2, 2**63 - 1, 10**30, -1, "1")),
        "runId": random.choice((*RUNS, grow.text(64))),
        "commandId": random.choice((*COMMANDS, grow.text(64))),
        "mode": random.choice(("Cancel", "Force", "Terminate", "Kill", "kill")),
        "signal": random.choice(("SIGTERM", "SIGINT", grow.text(16))),
        "postedAt": grow.time(),
        "graceSeconds": random.choice((0, 5, 1e300, 10**30, -1, 0.5)),
        "reason": grow.text(1024),
    }
    return (
        msgspec.json.encode({k: v for k, v in stop.items() if random.random() < 0.97}).decode()
        if _encodes(stop)
        else ""
    )


def _encodes(stop: dict[str, Any]) -> bool:
    try:
        msgspec.json.encode(stop)
    except (OverflowError, UnicodeEncodeError):
        return False
    return True


def _status(grow: Grower, name: str) -> dict[str, Any]:
    random = grow.random
    state: dict[str, Any] = {}
    match random.randint(0, 3):
        case 0:
            state["waiting"] = {"reason": random.choice((*REASONS, grow.text(300))), "message": grow.text(3000)}
        case 1:
            state["running"] = {"startedAt": grow.time()}
        case 2:
            state["terminated"] = {
                "exitCode": random.choice((0, 1, 137, 143, 255, -(2**31), 2**31 - 1)),
                "signal": random.choice((0, 9, 15, 2**31 - 1)),
                "reason": random.choice((*REASONS, grow.text(300))),
                "message": _message(grow),
                "startedAt": grow.time(),
                "finishedAt": grow.time(),
                "containerID": random.choice(("containerd://x", "containerd://x", "")),
            }
    return {"name": name, "state": state, "containerID": random.choice(("containerd://x", ""))}


def _message(grow: Grower) -> str:
    said = grow.random.choice(
        (
            "",
            receipt(),
            receipt(stop=grow.random.choice(COMMANDS)),
            receipt(sigterm=1),
            receipt(started=False, error=grow.text(1024)),
            grow.text(4000),
        )
    )
    outcome = grow.random.choice(
        (
            "",
            '{"outcome":"Cancelled"}',
            '{"outcome":"Succeeded","result":{"a":[1e300,9007199254740993,"\\u001b"]}}',
            '{"outcome":"Failed","failure":{"message":"\\u202e\\u0000"}}',
            '{"outcome":"Lost"}',
        )
    )
    lines = [said, outcome] if grow.random.random() < 0.8 else [outcome, said]
    return "\n".join(line for line in lines if line)


def _condition(grow: Grower, kind: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": grow.random.choice(("True", "False", "Unknown")),
        "reason": grow.random.choice(("Unschedulable", "DeletionByPodGC", "EvictionByEvictionAPI", grow.text(2000))),
        "message": grow.text(3000),
        "lastTransitionTime": grow.time(),
    }


def _node(grow: Grower, name: str) -> dict[str, Any]:
    random = grow.random
    taint = [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]
    return {
        "metadata": {"name": name, "uid": f"uid-of-{name}", "resourceVersion": "1"},
        "spec": {"taints": taint if random.random() < 0.1 else []},
        "status": {
            "conditions": [_condition(grow, "Ready")] if random.random() < 0.9 else [],
            "nodeInfo": {
                "bootID": random.choice((*BOOTS, grow.text(500))),
                "containerRuntimeVersion": "containerd://2",
            },
        },
    }
