"""The launcher gets into every kind of pod, both ways, and the run hears its stop there.

For each way a host operator is fixed to it, and one pod of each kind runs at the same time. The program reads its
arguments and, when it is stopped, reports them back through `$DESIST_OUTCOME`: so reading and writing below /desist,
the stop, the receipt and the proof are tried as every user and in every kind of image.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from desist.api.meta import STOP_ANNOTATION
from desist.lifecycle.settings import Settings
from hack.cluster.api import SCRATCH
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, template
from tests.support.last_states import last_states
from tests.support.logs import log_left, wait_until_started
from tests.support.operator_process import OperatorProcess
from tests.support.receipts import receipt
from tests.support.spaces import shared

pytestmark = pytest.mark.long

REPORTS = """
import json, os, signal, sys, time
def stop(number, frame):
    arguments = json.load(open("/desist/arguments.json"))
    report = {"outcome": "Cancelled", "result": {"heard": arguments["text"], "user": os.getuid()}}
    json.dump(report, open(os.environ["DESIST_OUTCOME"], "w"))
    print("cleaned up", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
print("started", flush=True)
while True:
    time.sleep(3600)
"""
LEAVES_A_CHILD = """
import subprocess, sys, time
child = '''
import signal, sys, time
def stop(number, frame):
    time.sleep(1)
    print("cleaned up", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("started", flush=True)
while True:
    time.sleep(3600)
'''
subprocess.run(["setsid", "--fork", "python3", "-uc", child, sys.argv[-1]])
time.sleep(3600)
"""
DEAF_CHILDREN = """
import signal, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"
for number in range(3):
    subprocess.run(["setsid", "--fork", "python3", "-c", deaf, sys.argv[-1]])
print("started", flush=True)
time.sleep(3600)
"""
ARGUMENTS = {"text": "ein Käse, two lines\nand a 'quote'"}
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
CONFINED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
OWN_INIT = {"name": "prepare", "image": programs.WORKLOAD, "command": ["true"]}
OWN_SIDECAR = {
    "name": "proxy",
    "image": programs.WORKLOAD,
    "restartPolicy": "Always",
    "command": ["bash", "-c", "trap 'exit 0' TERM; while true; do sleep 0.2; done"],
}


@dataclass(frozen=True)
class Kind:
    """One kind of pod, and how its process ends."""

    command: Callable[[str], list[str]] = lambda marker: programs.command(REPORTS, marker)
    container: dict[str, Any] = field(default_factory=dict)
    pod: dict[str, Any] = field(default_factory=dict)
    user: int | None = 0
    """Who reports; None: the program reports nothing."""
    exit_code: int = 3
    mode: str = "Cancel"
    says: str = "cleaned up"
    restricted: bool = False


KINDS = {
    "root": Kind(container={"securityContext": {"runAsUser": 0}}),
    "a user of its own": Kind(container={"securityContext": {"runAsUser": 1234, "runAsGroup": 1234}}, user=1234),
    "a user for the whole pod": Kind(pod={"securityContext": {"runAsUser": 4321, "runAsNonRoot": True}}, user=4321),
    "a read-only root": Kind(
        container={"securityContext": {"readOnlyRootFilesystem": True, "runAsUser": 1234}}, user=1234
    ),
    "level restricted": Kind(container={"securityContext": CONFINED}, user=1000, restricted=True),
    "level restricted, with a read-only root": Kind(
        container={"securityContext": CONFINED | {"readOnlyRootFilesystem": True}}, user=1000, restricted=True
    ),
    "an image without a shell": Kind(
        command=lambda marker: ["/app", "-on-term=exit", "-after=500ms", "-exit-code=4", "--", marker],
        container={"image": SCRATCH},
        user=None,
        exit_code=4,
    ),
    "an image without a shell, confined": Kind(
        command=lambda marker: ["/app", "-on-term=exit", "-after=500ms", "-exit-code=4", "--", marker],
        container={"image": SCRATCH, "securityContext": CONFINED | {"readOnlyRootFilesystem": True}},
        user=None,
        exit_code=4,
        restricted=True,
    ),
    "init containers and sidecars of the user's own": Kind(pod={"initContainers": [OWN_INIT, OWN_SIDECAR]}),
    "fixed resources": Kind(container={"resources": {"limits": {"cpu": "200m", "memory": "64Mi"}}}),
    "a command wrapped in a shell": Kind(
        # Dash would replace itself by a last command; it has to stay.
        command=lambda marker: ["sh", "-c", 'python3 -uc "$0" "$1"; echo "not reached"', REPORTS, marker],
        exit_code=143,
    ),
    "a double-forked child that cleans up": Kind(
        command=lambda marker: programs.command(LEAVES_A_CHILD, marker), user=None, exit_code=143
    ),
    "deaf children, killed": Kind(
        command=lambda marker: programs.command(DEAF_CHILDREN, marker), user=None, exit_code=143, mode="Kill", says=""
    ),
}


@pytest.fixture(scope="module", params=["ImageVolume", "InitContainer"])
def way(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def operator_environment(way: str) -> dict[str, str]:
    return {"DESIST_LAUNCHER_DELIVERY": way}


@pytest.fixture(scope="module")
def labs(host_operator: OperatorProcess, api: Any, request: pytest.FixtureRequest) -> Iterator[dict[bool, Lab]]:
    """A namespace of level restricted (True), and a plain one."""
    with shared(request, api, host_operator) as plain, shared(request, api, host_operator, RESTRICTED) as restricted:
        yield {False: plain, True: restricted}


@dataclass
class Run:
    """What became of one kind."""

    execution: Execution
    pod: Any
    lived: int
    """Processes of it on the nodes while it ran."""
    end: dict[str, Any]
    log: str


@pytest.fixture(scope="module")
def runs(labs: dict[bool, Lab]) -> dict[str, Run]:
    """All kinds, run at the same time; what is killed is stopped when the nodes are quiet again.

    A kubelet that starts dozens of pods may miss a posting, and a Kill does not wait for its second repeat.
    """
    executions = {
        name: _start(labs[kind.restricted], kind, number) for number, (name, kind) in enumerate(KINDS.items())
    }
    made = {}
    for name, execution in executions.items():
        wait_until_started(execution)
        lived = len(proof.workflow_processes(execution.marker))
        made[name] = Run(execution, execution.pods()[0], lived, {}, "")
    with last_states(labs[False]) as plain, last_states(labs[True]) as restricted:
        for mode, grace in (("Cancel", {}), ("Kill", {"gracePeriodSeconds": 1})):
            stopped = [name for name in KINDS if KINDS[name].mode == mode]
            for name in stopped:
                executions[name].stop(mode, **grace)
            for name in stopped:
                made[name].end = executions[name].wait_for("Cancelled").object
                made[name].pod = (restricted if KINDS[name].restricted else plain).of(executions[name])
                made[name].log = log_left(executions[name]) or ""
    return made


def _start(lab: Lab, kind: Kind, number: int) -> Execution:
    marker = f"mark-way-{number}-{lab.name}"
    made = template(kind.command(marker), **kind.pod)
    made["spec"]["containers"][0] |= kind.container
    return lab.create({"workflowSpec": {"template": made}, "arguments": ARGUMENTS}, marker)


@pytest.mark.conformance("A1", "C1", "C12", "B17")
@pytest.mark.parametrize("name", KINDS)
def test_the_stop_is_heard_and_the_program_reports(name: str, runs: dict[str, Run]) -> None:
    kind, run = KINDS[name], runs[name]
    assert run.execution.phases()[-2:] == ["Cancelling" if kind.mode == "Cancel" else "KillCancelling", "Cancelled"]
    assert kind.says in run.log
    assert "not reached" not in run.log
    assert run.end["status"]["processes"][0]["exitCode"] == kind.exit_code
    if kind.user is not None:
        assert run.end["status"]["result"] == {"heard": ARGUMENTS["text"], "user": kind.user}


def heard_late(run: Run) -> bool:
    """Whether a Kill arrived so late that the pod was deleted before the launcher's own deadline.

    A kubelet that starts dozens of pods at once may miss a posting and its first repeat.
    """
    posted, said = json.loads(run.pod.metadata.annotations[STOP_ANNOTATION]), receipt(run.pod)
    times = [datetime.fromisoformat(moment) for moment in (posted["postedAt"], said["stop"]["at"])]
    return posted["mode"] == "Kill" and (times[1] - times[0]).total_seconds() > Settings().delete_after - 1


@pytest.mark.conformance("G6", "B17")
@pytest.mark.parametrize("name", KINDS)
def test_the_receipt_names_the_command_that_was_read(name: str, runs: dict[str, Run]) -> None:
    run, said = runs[name], receipt(runs[name].pod)
    command = run.end["status"]["commands"][0]
    assert said["started"] is True
    assert (said["stop"]["commandId"], said["stop"]["mode"]) == (command["id"], KINDS[name].mode)
    assert said["stop"]["by"] == "mailbox"
    assert "sigterm" not in said or heard_late(run), "the kubelet had no part in it"
    assert said["outcome"] == ("absent" if KINDS[name].user is None else "ok")


@pytest.mark.conformance("C15")
def test_nothing_of_any_kind_is_left(runs: dict[str, Run]) -> None:
    assert all(run.lived >= 1 for run in runs.values())
    assert runs["deaf children, killed"].lived == 4
    assert not [name for name, run in runs.items() if proof.processes(run.execution.marker)]
    assert proof.gone_for_good(runs["root"].execution.lab.name), "every marker of the namespace has its name in it"


def test_the_launcher_came_the_way_that_was_fixed(way: str, runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        volume = next(v for v in run.pod.spec.volumes if v.name == "desist-launcher")
        installers = [c for c in run.pod.spec.init_containers or [] if c.name == "desist-launcher"]
        assert (volume.image is not None, len(installers)) == ((True, 0) if way == "ImageVolume" else (False, 1)), name


def test_the_pods_qos_class_is_the_templates(runs: dict[str, Run]) -> None:
    assert runs["fixed resources"].pod.status.qos_class == "Guaranteed"
    assert runs["root"].pod.status.qos_class == "BestEffort"
