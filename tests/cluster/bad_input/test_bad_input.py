"""Bad input: each kind has a clear condition and message, can be stopped at once, and blocks no other execution.

All of them lie in one namespace at the same time, next to good executions, under the installed release.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes import watch

from tests.support import programs, proof
from tests.support.lab import PATIENCE, Execution, Lab, condition, phase_of, template
from tests.support.logs import wait_for_log, wait_until_started
from tests.support.quotas import no_pods
from tests.support.spaces import shared
from tests.support.watching import GROUP, VERSION, Object

pytestmark = pytest.mark.usefixtures("release_operator")

AT_ONCE_SECONDS = 30
"""From the request to the end of what has no pod.

An invalid template is tried again after a minute, and more each time: a stop that waits for that is late.
"""
END_OF = {"Cancel": "Cancelled", "Force": "Cancelled", "Terminate": "Terminated", "Kill": "Cancelled"}
HANGS = ["sleep", "3600"]


@dataclass(frozen=True)
class Bad:
    """One kind of bad input, and what is said about it."""

    spec: Callable[[str], dict[str, Any]]
    """The execution's spec, given a marker."""
    reason: str
    """Of the condition Stalled; empty: the run has begun, and waits."""
    message: str
    """A pattern of the condition's message, or of what the run waits for."""
    mode: str
    """How it is stopped."""
    namespace: str = "bad"


def in_place(made: dict[str, Any]) -> dict[str, Any]:
    return {"workflowSpec": {"template": made}}


def good(marker: str) -> dict[str, Any]:
    return template(programs.command(programs.WORKS, marker))


def changed(marker: str, **container: Any) -> dict[str, Any]:
    made = good(marker)
    made["spec"]["containers"][0] |= container
    return made


def hanging_init(marker: str) -> dict[str, Any]:
    init = {"name": "prepare", "image": programs.WORKLOAD, "command": HANGS}
    return template(programs.command(programs.WORKS, marker), initContainers=[init])


KINDS = {
    "a template that the API server refuses": Bad(
        lambda marker: in_place(changed(marker, resources={"requests": {"cpu": "plenty"}})),
        "TemplateInvalid",
        r"the API server refuses the pod: .*quantities must match",
        "Cancel",
    ),
    "a template with a value that is not allowed": Bad(
        lambda marker: in_place(changed(marker, ports=[{"containerPort": 700000}])),
        "TemplateInvalid",
        r"the API server refuses the pod: .*containerPort.*700000",
        "Terminate",
    ),
    "a template with a wrong type": Bad(
        lambda marker: in_place(changed(marker, workingDir=["/"])),
        "TemplateInvalid",
        r"the API server refuses the pod: .*workingDir",
        "Force",
    ),
    "an image that is not there": Bad(
        lambda marker: in_place(changed(marker, image="localhost/there-is-none:1")),
        "",
        r"container workflow of pod .*, whose image cannot be pulled; .*: .*localhost/there-is-none:1",
        "Cancel",
    ),
    "an image that may not be pulled": Bad(
        lambda marker: in_place(changed(marker, image="localhost/there-is-none:1", imagePullPolicy="Never")),
        "",
        r"container workflow of pod .*, whose image cannot be pulled; .*: .*localhost/there-is-none:1",
        "Terminate",
    ),
    "an init container that hangs": Bad(
        lambda marker: in_place(hanging_init(marker)), "", r"init container prepare of pod .*, which is running", "Kill"
    ),
    "a node that does not exist": Bad(
        lambda marker: in_place(template(HANGS, nodeSelector={"kubernetes.io/hostname": "nowhere"})),
        "",
        r"a node for pod .*: 0/3 nodes are available",
        "Force",
    ),
    "a config map that does not exist": Bad(
        lambda marker: in_place(changed(marker, envFrom=[{"configMapRef": {"name": "none-such"}}])),
        "",
        # The second is what a kubelet says that has asked for it and was not answered within a second; it is kept.
        r"container workflow of .*, which misses .*\(CreateContainerConfigError\).*: "
        r'(configmap "none-such" not found|failed to sync configmap cache)',
        "Cancel",
    ),
    "a namespace with a quota of zero": Bad(
        lambda marker: in_place(good(marker)), "CreateRefused", r"exceeded quota: nothing.*pods=0", "Kill", "quota"
    ),
    "a Workflow that is not there": Bad(
        lambda marker: {"workflowRef": {"name": "none-such"}},
        "WorkflowNotFound",
        r"there is no Workflow 'none-such' in this namespace",
        "Cancel",
    ),
    "arguments that are too large": Bad(
        lambda marker: in_place(good(marker)) | {"arguments": {"text": "x" * 33_000}},
        "ArgumentsRefused",
        r"spec.arguments: 33011 bytes of JSON are more than the 32768 that are allowed",
        "Force",
    ),
}


@pytest.fixture(scope="module")
def spaces(api: Any, crds: None, release_operator: Any, request: pytest.FixtureRequest) -> Iterator[dict[str, Lab]]:
    """A namespace for all of it, and one whose quota is zero."""
    with shared(request, api) as bad, shared(request, api) as quota:
        no_pods(quota, "nothing")
        yield {"bad": bad, "quota": quota}


@pytest.fixture(scope="module")
def executions(spaces: dict[str, Lab]) -> dict[str, Execution]:
    """One execution of each kind, all there at the same time."""
    made = {}
    for number, (name, kind) in enumerate(KINDS.items()):
        lab = spaces[kind.namespace]
        marker = f"mark-bad-{number}-{lab.name}"
        made[name] = lab.create(kind.spec(marker), marker)
    return made


def said(kind: Bad, held: Object) -> bool:
    """Whether the object says what is wrong."""
    if kind.reason:
        stalled = condition(held, "Stalled")
        return stalled.get("reason") == kind.reason and re.search(kind.message, stalled["message"], re.S) is not None
    return any(re.search(kind.message, text, re.S) for text in held.get("status", {}).get("waitingOn", ()))


@pytest.mark.parametrize("name", KINDS)
def test_bad_input_is_said_in_a_condition(name: str, executions: dict[str, Execution]) -> None:
    kind = KINDS[name]
    held = executions[name].wait_for(lambda seen: said(kind, seen)).object
    assert phase_of(held) == "Pending"
    assert condition(held, "Started")["status"] == "False"
    stalled, reconciling = condition(held, "Stalled"), condition(held, "Reconciling")
    assert {stalled["status"], reconciling["status"]} == {"True", "False"}, "never both, and one of them"
    assert (stalled["status"] == "True") is bool(kind.reason)
    shown = stalled["message"] if kind.reason else reconciling["message"]
    assert re.search(kind.message, shown, re.S), shown


def test_a_good_execution_runs_through_next_to_all_of_them(
    spaces: dict[str, Lab], executions: dict[str, Execution]
) -> None:
    beside = spaces["bad"].start(programs.FINISHES)
    assert phase_of(beside.wait_for("Succeeded").object) == "Succeeded"
    assert all(phase_of(execution.get()) == "Pending" for execution in executions.values())


@pytest.fixture(scope="module")
def stopped(executions: dict[str, Execution]) -> dict[str, Object]:
    """Each of them, told what is wrong, then stopped by its mode, all at the same time."""
    for name, execution in executions.items():
        execution.wait_for(lambda seen, kind=KINDS[name]: said(kind, seen))  # type: ignore[misc]  # kind is bound
    for name, execution in executions.items():
        execution.stop(KINDS[name].mode, reason="it will never run")
    # What has a pod waits for its kubelet, and for nothing else.
    return {
        name: execution.wait_for(END_OF[kind.mode], AT_ONCE_SECONDS if kind.reason else PATIENCE).object
        for (name, kind), execution in zip(KINDS.items(), executions.values(), strict=True)
    }


@pytest.mark.conformance("B2", "B7", "C6", "C15")
@pytest.mark.parametrize("name", KINDS)
def test_bad_input_can_be_stopped_at_once(
    name: str, executions: dict[str, Execution], stopped: dict[str, Object]
) -> None:
    status = stopped[name]["status"]
    assert [(record["mode"], record["status"]) for record in status["commands"]] == [(KINDS[name].mode, "Accepted")]
    assert "startTime" not in status, "no process of it has ever run"
    assert condition(stopped[name], "Stalled")["status"] == "False"
    assert condition(stopped[name], "Cancelled")["status"] == "True"
    assert not proof.processes(executions[name].marker)
    if KINDS[name].reason:
        assert not executions[name].pods(), "what could not begin has no pod"


def test_a_run_begins_once_its_workflow_is_there(spaces: dict[str, Lab]) -> None:
    lab, marker = spaces["bad"], f"mark-later-{spaces['bad'].name}"
    execution = lab.create({"workflowRef": {"name": "later"}}, marker)
    execution.wait_for(lambda held: condition(held, "Stalled").get("reason") == "WorkflowNotFound")
    lab.workflow("later", {"template": good(marker)})
    held = execution.wait_for("Running").object
    wait_for_log(execution, "started")
    assert condition(held, "Stalled")["status"] == "False"
    assert proof.processes(marker)
    execution.stop("Kill", gracePeriodSeconds=1)
    execution.wait_for("Cancelled")


def test_a_run_begins_once_its_template_and_arguments_are_put_right(spaces: dict[str, Lab]) -> None:
    lab, marker = spaces["bad"], f"mark-right-{spaces['bad'].name}"
    lab.workflow("fixed", {"template": changed(marker, resources={"requests": {"cpu": "plenty"}})})
    execution = lab.create({"workflowRef": {"name": "fixed"}, "arguments": {"text": "x" * 33_000}}, marker)
    execution.wait_for(lambda held: condition(held, "Stalled").get("reason") == "ArgumentsRefused")
    execution.patch({"arguments": {"text": "x"}})
    execution.wait_for(lambda held: condition(held, "Stalled").get("reason") == "TemplateInvalid")
    patch = {"spec": {"template": good(marker)}}
    patch["spec"]["template"]["spec"]["containers"][0]["resources"] = {}
    lab.custom.patch_namespaced_custom_object(GROUP, VERSION, lab.name, "workflows", "fixed", patch)
    held = execution.wait_for("Running").object
    assert held["status"]["arguments"] == {"text": "x"}
    execution.stop("Kill", gracePeriodSeconds=1)
    execution.wait_for("Cancelled")


def test_a_run_begins_once_the_quota_allows_it(spaces: dict[str, Lab], stopped: dict[str, Object]) -> None:
    lab = spaces["quota"]
    execution = lab.start(programs.FINISHES)
    execution.wait_for(lambda held: condition(held, "Stalled").get("reason") == "CreateRefused")
    lab.core.delete_namespaced_resource_quota("nothing", lab.name)
    assert phase_of(execution.wait_for("Succeeded").object) == "Succeeded"


@pytest.mark.conformance("E11")
def test_a_pod_that_is_deleted_by_hand_is_run_again_and_the_run_can_be_stopped_in_between(
    spaces: dict[str, Lab],
) -> None:
    lab = spaces["bad"]
    goes_on, is_stopped = lab.start(programs.WORKS), lab.start(programs.WORKS)
    for execution in (goes_on, is_stopped):
        wait_until_started(execution)
        lab.core.delete_namespaced_pod(execution.pods()[0].metadata.name, lab.name)
    between = is_stopped.wait_for(lambda held: "nextAttemptAt" in held["status"]).object
    assert phase_of(between) == "Running"
    assert any(text.startswith("the next attempt, which starts at ") for text in between["status"]["waitingOn"])
    is_stopped.stop("Cancel")
    ended = is_stopped.wait_for("Cancelled", AT_ONCE_SECONDS).object
    assert ended["status"]["attempt"] in (1, 2), "the second attempt had begun, or was never made"
    again = goes_on.wait_for(lambda held: held["status"].get("attempt") == 2).object["status"]
    assert (again["phase"], again["disruptions"]) == ("Running", 1)
    assert "PodDisrupted" in [entry["type"] for entry in again["history"]]
    goes_on.stop("Kill", gracePeriodSeconds=1)
    goes_on.wait_for("Cancelled")
    assert proof.gone_for_good(goes_on.marker, is_stopped.marker)


def test_a_namespace_that_is_deleted_in_the_middle_is_gone_soon_and_nothing_of_it_is_left(
    api: Any, crds: None, release_operator: Any, spaces: dict[str, Lab], request: pytest.FixtureRequest
) -> None:
    with shared(request, api) as lab:
        runs = [lab.start(programs.POLITE), lab.start(programs.DEAF), lab.create({"workflowRef": {"name": "none"}})]
        for execution in runs[:2]:
            wait_until_started(execution)
        runs[2].wait_for("Pending")
        lab.core.delete_namespace(lab.name)
        for execution in runs:
            execution.wait_until_deleted()
        _wait_until_namespace_is_gone(lab)
        assert proof.gone_for_good(*(execution.marker for execution in runs[:2]))
    after = spaces["bad"].start(programs.FINISHES)
    assert phase_of(after.wait_for("Succeeded").object) == "Succeeded"


def _wait_until_namespace_is_gone(lab: Lab) -> None:
    listed = lab.core.list_namespace(field_selector=f"metadata.name={lab.name}")
    if not listed.items:
        return
    stream: Any = watch.Watch().stream(
        lab.core.list_namespace,
        field_selector=f"metadata.name={lab.name}",
        resource_version=listed.metadata.resource_version,
        timeout_seconds=60,
    )
    assert any(event["type"] == "DELETED" for event in stream), "the namespace is still there after 60 s"
