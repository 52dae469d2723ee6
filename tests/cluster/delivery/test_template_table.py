"""What a template may say: each line of the table at the Workflow and at the execution, with the installed release."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import watch

from tests.support import programs
from tests.support.lab import Execution, Lab, condition, phase_of, template
from tests.support.watching import GROUP, VERSION, Object

Change = Callable[[dict[str, Any]], object]


def on_spec(**fields: Any) -> Change:
    return lambda made: made["spec"].update(fields)


def on_container(**fields: Any) -> Change:
    return lambda made: made["spec"]["containers"][0].update(fields)


def with_init(**fields: Any) -> Change:
    init = {"name": "prepare", "image": programs.WORKLOAD, "command": ["true"], **fields}
    return lambda made: made["spec"].update(initContainers=[init])


HOOK = {"exec": {"command": ["true"]}}
SECOND = {"name": "second", "image": programs.WORKLOAD, "command": ["true"]}
RULES = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
REFUSED: dict[str, tuple[Change, str, str]] = {
    "several regular containers": (
        lambda made: made["spec"]["containers"].append(SECOND),
        "spec.containers: ",
        "native sidecars",
    ),
    "no command": (
        lambda made: made["spec"]["containers"][0].pop("command"),
        "spec.containers[0].command: ",
        "docker inspect",
    ),
    "postStart": (
        on_container(lifecycle={"postStart": HOOK}),
        "spec.containers[0].lifecycle.postStart: ",
        "init container",
    ),
    "preStop": (on_container(lifecycle={"preStop": HOOK}), "spec.containers[0].lifecycle.preStop: ", "stop signal"),
    "preStop of a sidecar": (
        with_init(restartPolicy="Always", lifecycle={"preStop": HOOK}),
        "spec.initContainers[0].lifecycle.preStop: ",
        "stop signal",
    ),
    "hostPID": (on_spec(hostPID=True), "spec.hostPID: ", "must be false or absent"),
    "shareProcessNamespace": (on_spec(shareProcessNamespace=True), "spec.shareProcessNamespace: ", "must be false"),
    "a container's restart policy": (
        on_container(restartPolicy="Never"),
        "spec.containers[0].restartPolicy: ",
        "must be absent",
    ),
    "restart rules": (
        on_container(restartPolicyRules=RULES),
        "spec.containers[0].restartPolicyRules: ",
        "must be absent",
    ),
    "a termination grace of zero": (
        on_spec(terminationGracePeriodSeconds=0),
        "spec.terminationGracePeriodSeconds: ",
        "stopPolicy.gracePeriodSeconds",
    ),
    "activeDeadlineSeconds of the pod": (
        on_spec(activeDeadlineSeconds=60),
        "spec.activeDeadlineSeconds: ",
        "use activeDeadlineSeconds of the Workflow",
    ),
    "a termination message policy": (
        on_container(terminationMessagePolicy="FallbackToLogsOnError"),
        "spec.containers[0].terminationMessagePolicy: ",
        "$DESIST_OUTCOME",
    ),
    "a termination message path": (
        on_container(terminationMessagePath="/tmp/message"),
        "spec.containers[0].terminationMessagePath: ",
        "$DESIST_OUTCOME",
    ),
    "Windows": (on_spec(os={"name": "windows"}), "spec.os.name: ", "use a Linux image"),
    "a mount in our folder": (
        on_container(volumeMounts=[{"name": "mine", "mountPath": "/desist/mine"}]),
        "spec.containers[0].volumeMounts[0].mountPath: ",
        "mount it somewhere else",
    ),
    "a variable of ours": (
        on_container(env=[{"name": "DESIST_OUTCOME", "value": "/tmp/mine"}]),
        "spec.containers[0].env[0].name: ",
        "choose another name",
    ),
}
JUDGED: dict[str, tuple[Change, str]] = {
    "an unknown volume": (
        on_container(volumeMounts=[{"name": "mine", "mountPath": "/mine"}]),
        'volumeMounts[0].name: Not found: "mine"',
    ),
    "a bad quantity": (on_container(resources={"limits": {"memory": "lots"}}), "quantities must match"),
    "a field of a wrong type": (on_spec(hostNetwork="yes"), "hostNetwork"),
}
KEPT: dict[str, Any] = {
    "metadata": {"labels": {"team": "orders"}, "annotations": {"example.test/note": "kept"}},
    "spec": {
        "terminationGracePeriodSeconds": 3,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostname": "mine",
        "priority": 0,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "example.test/only", "operator": "Exists", "effect": "NoSchedule"}],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"team": "orders"}},
            }
        ],
        "securityContext": {"fsGroup": 2000, "runAsNonRoot": False},
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}],
        "containers": [
            {
                "args": ["more", "words"],
                "workingDir": "/tmp",
                "env": [{"name": "MINE", "value": "$(DESIST_ATTEMPT)"}],
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                "livenessProbe": {
                    "exec": {"command": ["true"]},
                    "periodSeconds": 5,
                    "timeoutSeconds": 1,
                    "failureThreshold": 3,
                    "successThreshold": 1,
                },
            }
        ],
    },
}
OVERRIDDEN: dict[str, Any] = {
    "metadata": {
        "name": "mine",
        "labels": {"desist.dev/execution-uid": "another's", "desist.dev/attempt": "7"},
        "annotations": {"desist.dev/stop": '{"sequence":1}', "desist.dev/arguments": "mine"},
    },
    "spec": {"restartPolicy": "Always"},
}


def made(change: Change) -> dict[str, Any]:
    found = copy.deepcopy(template(["sleep", "3600"]))
    change(found)
    return found


Pair = tuple[str, Execution]


@pytest.fixture(scope="module")
def written(place: Lab) -> dict[str, Pair]:
    """For each bad template a Workflow, and an execution with the template in place."""
    changes = {name: change for name, (change, *_) in (REFUSED | JUDGED).items()}
    pairs = {}
    for number, (name, change) in enumerate(changes.items()):
        place.workflow(f"bad-{number}", {"template": made(change)})
        pairs[name] = (f"bad-{number}", place.create({"workflowSpec": {"template": made(change)}}))
    return pairs


def said_at_both(place: Lab, pair: Pair, reason: str) -> tuple[str, str]:
    """The Workflow's and the execution's message, once both have a condition with the reason."""
    workflow, execution = pair
    held = execution.wait_for(lambda seen: condition(seen, "Stalled").get("reason") == reason).object
    assert phase_of(held) == "Pending"
    return ready(place, workflow, "False", reason)["message"], condition(held, "Stalled")["message"]


def ready(place: Lab, name: str, status: str, reason: str) -> dict[str, Any]:
    """The Workflow's condition Ready; waits for it on a watch."""

    stream: Any = watch.Watch().stream(
        place.custom.list_namespaced_custom_object,
        GROUP,
        VERSION,
        place.name,
        "workflows",
        field_selector=f"metadata.name={name}",
        timeout_seconds=60,
    )
    found: dict[str, Any] = {}
    for event in stream:
        found = condition(event["object"], "Ready")
        if (found.get("status"), found.get("reason")) == (status, reason):
            return found
    raise AssertionError(f"Workflow {name} did not become Ready={status} ({reason}) within 60 s, but {found}")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said_at_the_workflow_and_at_the_execution(
    name: str, place: Lab, written: dict[str, Pair]
) -> None:
    _, where, advice = REFUSED[name]
    for message in said_at_both(place, written[name], "TemplateRefused"):
        line = next((part for part in message.split("; " + where.split(": ")[0]) if where in part), message)
        assert where in message, message
        assert advice in line, message
    assert not written[name][1].pods()


@pytest.mark.parametrize("name", JUDGED)
def test_what_the_api_server_judges_is_said_in_its_own_words(name: str, place: Lab, written: dict[str, Pair]) -> None:
    at_workflow, at_execution = said_at_both(place, written[name], "TemplateInvalid")
    assert JUDGED[name][1] in at_workflow
    assert JUDGED[name][1] in at_execution
    assert not written[name][1].pods()


def includes(found: Any, wanted: Any) -> bool:
    """Whether everything of `wanted` is in `found`, in lists by position."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(includes(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        pairs = zip(found or [], wanted, strict=False)
        return len(found or []) >= len(wanted) and all(includes(one, other) for one, other in pairs)
    return bool(found == wanted)


def test_what_the_table_does_not_name_is_kept_as_it_is(place: Lab) -> None:
    body = template(programs.command(programs.WORKS, f"mark-kept-{place.name}"))
    container = body["spec"]["containers"][0] | KEPT["spec"]["containers"][0]
    body = {"metadata": KEPT["metadata"], "spec": {**body["spec"], **KEPT["spec"], "containers": [container]}}
    place.workflow("kept", {"template": body})
    assert ready(place, "kept", "True", "Accepted")
    execution = place.create({"workflowRef": {"name": "kept"}}, f"mark-kept-{place.name}")
    held = execution.wait_for("Running").object
    pod = place.api.sanitize_for_serialization(execution.pods()[0])
    wanted = copy.deepcopy(KEPT)
    wanted["spec"]["containers"][0]["env"] = []
    assert includes(pod, wanted)
    assert {"name": "MINE", "value": "$(DESIST_ATTEMPT)"} in pod["spec"]["containers"][0]["env"]
    assert held["status"]["workflowSpec"]["template"] == body
    execution.stop("Kill", gracePeriodSeconds=1)
    execution.wait_for("Cancelled")


def test_what_is_desists_to_set_is_set_by_it(place: Lab) -> None:
    body = template(programs.command(programs.WORKS, f"mark-set-{place.name}"))
    body = {"metadata": OVERRIDDEN["metadata"], "spec": {**body["spec"], **OVERRIDDEN["spec"]}}
    execution = place.create({"workflowSpec": {"template": body}}, f"mark-set-{place.name}")
    held = execution.wait_for("Running").object
    pod = execution.pods()[0]
    assert pod.spec.restart_policy == "Never"
    assert pod.metadata.name != "mine"
    assert pod.metadata.labels["desist.dev/execution-uid"] == execution.uid
    assert pod.metadata.labels["desist.dev/attempt"] == "1"
    assert "desist.dev/stop" not in pod.metadata.annotations
    assert "mine" not in pod.metadata.annotations.values()
    owner = pod.metadata.owner_references[0]
    assert (owner.kind, owner.uid, owner.controller) == ("WorkflowExecution", execution.uid, True)
    container = pod.spec.containers[0]
    assert container.command[:3] == ["/desist/bin/desist-launcher", "run", "--"]
    folders = {mount.mount_path for mount in container.volume_mounts if mount.mount_path.startswith("/desist")}
    assert {"/desist/bin", "/desist/mailbox", "/desist/outcome", "/desist/arguments.json"} == folders
    variables = {variable.name: variable.value for variable in container.env}
    assert variables["DESIST_RUN_ID"] == held["status"]["runId"]
    execution.stop("Kill", gracePeriodSeconds=1)
    execution.wait_for("Cancelled")


def test_a_workflow_that_is_put_right_becomes_ready(place: Lab) -> None:
    place.workflow("mended", {"template": made(on_spec(hostPID=True))})
    assert "spec.hostPID" in ready(place, "mended", "False", "TemplateRefused")["message"]
    patch: Object = {"spec": {"template": {"spec": {"hostPID": None}}}}
    place.custom.patch_namespaced_custom_object(GROUP, VERSION, place.name, "workflows", "mended", patch)
    found = ready(place, "mended", "True", "Accepted")
    assert found["observedGeneration"] == 2
