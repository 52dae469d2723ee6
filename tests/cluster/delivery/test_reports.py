"""What comes back from a pod: outcomes, receipts, other ends; and what a run waits for.

An exit before the telling is tried in test_before_the_telling.py: that stops a kubelet, and so runs alone.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from hack.cluster.api import kubeconfig, tool
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, condition, phase_of, template
from tests.support.logs import log_of, wait_until_started
from tests.support.receipts import ended, receipt
from tests.support.watching import Object

pytestmark = pytest.mark.usefixtures("release_operator")

WRITES = """
import os, sys, time
with open(os.environ["DESIST_OUTCOME"], "w") as report:
    report.write(sys.argv[1])
sys.exit(int(sys.argv[2]))
"""
STAYS_FOR_A_WHILE = ["bash", "-c", "trap '' TERM; echo started; sleep 3600"]


def run(lab: Lab, command: list[str], number: str, spec: dict[str, Any] | None = None, **pod: Any) -> Execution:
    marker = f"mark-{number}-{lab.name}"
    return lab.create({"workflowSpec": {"template": template([*command, marker], **pod)}, **(spec or {})}, marker)


OUTCOMES: dict[str, tuple[str, int, str, dict[str, Any]]] = {
    # what is written, exit code; the end, what status shows
    "a result": (
        '{"outcome":"Succeeded","result":{"booked":[1,2.5,null,"ü"]}}',
        0,
        "Succeeded",
        {"result": {"booked": [1, 2.5, None, "ü"]}},
    ),
    "a success in spite of the exit code": ('{"outcome":"Succeeded","result":7}', 5, "Succeeded", {"result": 7}),
    "a failure in spite of exit code 0": (
        '{"outcome":"Failed","failure":{"message":"no stock"}}',
        0,
        "Failed",
        {"category": "application", "message": "no stock"},
    ),
    "cancelled, though nobody cancelled": ('{"outcome":"Cancelled"}', 0, "Failed", {"category": "application"}),
    "something else, exit code 0": (
        '{"outcome":"Splendid"}',
        0,
        "Succeeded",
        {"remark": "the outcome was ignored: not a valid outcome: "},
    ),
    "no JSON, exit code 6": ("{{{", 6, "Failed", {"category": "application", "remark": "the outcome was ignored"}),
    "a result that is too long": (
        json.dumps({"outcome": "Succeeded", "result": "x" * 5000}),
        0,
        "Succeeded",
        {"remark": "the result was left out: it is too long"},
    ),
}


@pytest.fixture(scope="module")
def reported(place: Lab) -> dict[str, Execution]:
    """One run for each outcome, all at the same time."""
    return {
        name: run(place, ["python3", "-uc", WRITES, text, str(code)], f"outcome-{number}")
        for number, (name, (text, code, *_)) in enumerate(OUTCOMES.items())
    }


@pytest.mark.conformance("A5", "G3")
@pytest.mark.parametrize("name", OUTCOMES)
def test_what_the_program_writes_is_the_runs_outcome(name: str, reported: dict[str, Execution]) -> None:
    _, code, end, shown = OUTCOMES[name]
    status = reported[name].wait_for(end).object["status"]
    assert status["processes"][0]["exitCode"] == code
    assert status.get("result") == shown.get("result")
    failure = status.get("failure", {})
    for field in ("category", "message"):
        assert shown.get(field) in (None, failure.get(field))
    assert shown.get("remark", "") in json.dumps(status["history"], ensure_ascii=False)


def test_arguments_are_in_the_file_and_without_them_it_holds_an_empty_object(place: Lab) -> None:
    command = ["sh", "-c", 'cat /desist/arguments.json; printf "|"; grep -c . /desist/arguments.json']
    arguments = {"order": 123, "items": ["a", {"b": None}], "text": 'ü\n"quoted" $HOME `x` {{y}}'}
    given = run(place, command, "given", {"arguments": arguments})
    absent = run(place, command, "absent")
    for execution, wanted in ((given, arguments), (absent, {})):
        execution.wait_for("Succeeded")
        assert json.loads(log_of(execution).partition("|")[0]) == wanted


def probed() -> dict[str, Any]:
    made = template(programs.command(programs.WORKS, "mark-probed"))
    # On a busy node the launcher itself may need some seconds until it passes a signal on.
    probe = {"exec": {"command": ["false"]}, "initialDelaySeconds": 5, "periodSeconds": 1, "failureThreshold": 1}
    made["spec"]["containers"][0]["livenessProbe"] = probe
    return made


def hungry() -> dict[str, Any]:
    made = template(["python3", "-c", "x = bytearray(256 * 2**20); import time; time.sleep(5)"])
    made["spec"]["containers"][0]["resources"] = {"limits": {"memory": "32Mi"}}
    return made


ENDS: dict[str, tuple[dict[str, Any], str, int | None, str]] = {
    "the command is not there": (template(["/no/such/program"]), "start", 127, "no such file"),
    "the command cannot be run": (template(["/etc/passwd"]), "start", 126, "permission denied"),
    "an init container fails": (
        template(
            ["true"],
            initContainers=[{"name": "prepare", "image": programs.WORKLOAD, "command": ["sh", "-c", "exit 9"]}],
        ),
        "init",
        None,
        "container prepare of pod",
    ),
    "a probe fails": (probed(), "probe", 143, "a probe failed"),
    "memory runs out": (hungry(), "out_of_memory", 137, "memory"),
}


@pytest.mark.conformance("A5", "G3")
def test_other_ends_are_failed_with_their_category(place: Lab) -> None:
    runs = {name: place.create({"workflowSpec": {"template": made}}) for name, (made, *_) in ENDS.items()}
    for name, (_, category, code, words) in ENDS.items():
        held = runs[name].wait_for("Failed").object
        failure = held["status"]["failure"]
        by_limit = name == "memory runs out"
        # Where the kernel's kill is not told apart (cgroup v1, one case in five), the runtime says Error.
        assert failure["category"] == category or (by_limit and failure["category"] == "application"), (name, failure)
        assert words in failure["message"].lower() or by_limit, (name, failure)
        assert held["status"]["processes"][0].get("exitCode") == code, name
        assert condition(held, "Stalled")["reason"] == "Failed"


@pytest.mark.conformance("C15")
def test_a_sidecar_that_outlives_the_process_is_named_until_it_is_gone(place: Lab) -> None:
    marker = f"mark-sidecar-{place.name}"
    sidecar = {
        "name": "proxy",
        "image": programs.WORKLOAD,
        "restartPolicy": "Always",
        "command": [*STAYS_FOR_A_WHILE, marker],
    }
    made = template(
        programs.command(programs.POLITE, marker), initContainers=[sidecar], terminationGracePeriodSeconds=8
    )
    execution = place.create({"workflowSpec": {"template": made}}, marker)
    wait_until_started(execution)
    execution.stop("Cancel")
    waits = execution.wait_for(waits_for_sidecar)
    assert phase_of(waits.object) == "Cancelling"
    assert waits.object["status"]["endTime"], "the workflow process's end is known already"
    assert not [p for p in proof.workflow_processes(marker) if "bash" not in p.arguments[0]]
    ended_as = execution.wait_for("Cancelled")
    assert ended_as.object["status"]["endTime"] == waits.object["status"]["endTime"]
    assert lived_on(execution) > 6, "the sidecar had its grace"
    assert "waitingOn" not in ended_as.object["status"]
    assert proof.gone_for_good(marker)


def lived_on(execution: Execution) -> float:
    """Seconds by which the sidecar has outlived the process, by the runtime's own times, which are whole seconds."""
    (pod,) = execution.pods()
    (sidecar,) = (each for each in pod.status.init_container_statuses if each.name == "proxy")
    seconds: float = (sidecar.state.terminated.finished_at - ended(pod).finished_at).total_seconds()
    return seconds


def waits_for_sidecar(held: Object) -> bool:
    words = "sidecar container proxy of pod "
    return any(text.startswith(words) for text in held.get("status", {}).get("waitingOn", ()))


@pytest.mark.conformance("C1", "C12", "C15")
def test_an_open_exec_session_neither_hears_the_stop_nor_holds_it_up(place: Lab) -> None:
    execution = place.start(programs.POLITE)
    wait_until_started(execution)
    with exec_session(execution) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == "session open\n"
        assert len(proof.workflow_processes(execution.marker)) >= 2
        asked = execution.stop("Cancel")
        # The shell goes on for ever: an end that waited for it would not come.
        held = execution.wait_for("Cancelled")
        assert asked["spec"]["cancellation"]["mode"] == "Cancel"
        said, _ = session.communicate(timeout=30)
    assert "heard" not in said
    assert held.object["status"]["processes"][0]["exitCode"] == 0
    assert "killed" not in receipt(execution.pods()[0])
    assert ended(execution.pods()[0]).reason == "Completed"
    assert proof.gone_for_good(execution.marker)


def exec_session(execution: Execution) -> subprocess.Popen[str]:
    """`kubectl exec` of a shell that says when it hears SIGTERM, and stays."""
    script = "trap 'echo heard' TERM; echo session open; while true; do sleep 0.1; done"
    command = [str(tool("kubectl")), "--kubeconfig", str(kubeconfig()), "-n", execution.lab.name, "exec"]
    target = [execution.pods()[0].metadata.name, "-c", "workflow", "--", "bash", "-c", script, execution.marker]
    return subprocess.Popen([*command, *target], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
