"""Whatever happens between the operator and the API server, no stop is lost and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from desist.kube.listing import PAGE
from tests.support import programs
from tests.support.apiproxy import ApiProxy, Request
from tests.support.faults import EXPIRED, Answer, Delay, Fault, Lose
from tests.support.lab import PATIENCE, Execution, Lab, condition
from tests.support.logs import wait_until_started
from tests.support.operator_process import OperatorProcess

pytestmark = pytest.mark.long

EXECUTIONS = "/workflowexecutions"
PODS = "/api/v1/pods"


@pytest.fixture(autouse=True)
def same_process(host_operator: OperatorProcess, proxy: ApiProxy) -> Iterator[None]:
    """Nothing here may end the operator: what passes by itself is no reason to."""
    before, said = host_operator.pid, len(host_operator.lines())
    proxy.wait_for_watches(1, 30, EXECUTIONS)
    yield
    assert host_operator.alive
    assert host_operator.pid == before
    deaf = [line for line in host_operator.lines()[said:] if "is deaf" in str(line)]
    assert not deaf, "a list had to find what the watches of here are to bring by themselves"


def _is_list(request: Request) -> bool:
    """Of a watch that begins anew: as a stream, where the server can, else in pages."""
    streamed = "sendInitialEvents=true" in request.query
    plain = "watch=true" not in request.query and f"limit={PAGE}" in request.query
    return request.method == "GET" and request.path.endswith(EXECUTIONS) and (streamed or plain)


def killed(execution: Execution, seconds: float = PATIENCE) -> dict[str, object]:
    """Kill it by a patch; its status once it is Cancelled, with one command, one posting and no process left."""
    execution.stop("Kill", gracePeriodSeconds=1)
    status: dict[str, object] = execution.wait_for("Cancelled", seconds).object["status"]
    assert not execution.processes()
    commands = status["commands"]
    assert isinstance(commands, list)
    assert [command["status"] for command in commands] == ["Accepted"]
    return status


def test_a_stop_is_heard_after_every_watch_broke_in_the_middle_of_a_line(lab: Lab, proxy: ApiProxy) -> None:
    execution = lab.start(programs.DEAF)
    wait_until_started(execution)
    proxy.wait_for_watches(4, 30)  # each is made anew now and then
    assert proxy.cut() >= 4
    killed(execution)


def test_an_execution_that_was_deleted_while_its_watch_began_anew_is_forgotten(
    lab: Lab, proxy: ApiProxy, host_operator: OperatorProcess
) -> None:
    # One without a pod: the end of its pod would tell as well, by a status write that meets 404.
    execution = lab.create({"workflowRef": {"name": "missing"}})
    execution.wait_for(lambda held: condition(held, "Stalled").get("status") == "True")
    before = sum(map(_is_list, proxy.requests))
    # So late that the deletion is over by then: in a list that still shows it, it is not missed.
    slow = proxy.add(Fault(Delay(8), method="GET", path=EXECUTIONS))
    proxy.wait_for_watches(1, 30, EXECUTIONS)  # each is made anew now and then
    assert proxy.inject(EXPIRED, EXECUTIONS) >= 1
    proxy.wait_for_requests(_is_list, before + 1, 30)
    execution.delete()
    execution.wait_until_deleted()
    proxy.remove(slow)
    gone = f"a WorkflowExecution is not there any more, or cannot be read: {execution.uid}"
    host_operator.wait_for_line(gone, 60)
    another = lab.start(programs.FINISHES)
    another.wait_for("Succeeded")


def test_a_pod_that_was_deleted_while_its_watch_was_too_old_is_run_again(lab: Lab, proxy: ApiProxy) -> None:
    execution = lab.start(programs.WORKS)
    running = execution.wait_for("Running")
    (pod,) = execution.pods()
    slow = proxy.add(Fault(Delay(8), method="GET", path=PODS, times=1))
    proxy.inject(EXPIRED, PODS)
    proxy.wait_for_requests(lambda _: slow.times == 0, 1, 30)
    lab.core.delete_namespaced_pod(pod.metadata.name, lab.name)
    again = execution.wait_for(lambda held: held["status"].get("attempt") == 2, 60, after=running)
    assert [entry["type"] for entry in again.object["status"]["history"]][-1] in ("PodVanished", "PodDisrupted")
    execution.wait_for(lambda held: held["status"]["processes"][0].get("podUid") is not None, after=again)
    killed(execution)


LOST = [
    ("a status write that was done", Fault(Lose(), method="PUT", path="/status")),
    ("a status write that met another version", Fault(Answer(409), method="PUT", path="/status")),
    ("a status write that the server had no time for", Fault(Answer(503), method="PUT", path="/status")),
    ("a status write that came too fast", Fault(Answer(429, {"Retry-After": "1"}), method="PUT", path="/status")),
    ("a status write to a server that does not serve the kind", Fault(Answer(404), method="PUT", path="/status")),
    ("a pod that was made", Fault(Lose(), method="POST", path="/pods")),
    ("a mailbox that was written", Fault(Lose(), method="PATCH", path="/pods/")),
    ("a mailbox that met another version", Fault(Answer(409), method="PATCH", path="/pods/")),
    ("a mailbox to a server that does not serve the kind", Fault(Answer(404), method="PATCH", path="/pods/")),
]


@pytest.mark.parametrize("fault", [case[1] for case in LOST], ids=[case[0] for case in LOST])
def test_the_answer_to_a_write_was_lost(lab: Lab, proxy: ApiProxy, fault: Fault) -> None:
    fault.times = 1
    proxy.add(fault)
    execution = lab.start(programs.DEAF)
    wait_until_started(execution)
    assert len(execution.pods()) == 1
    if fault.method == "PUT":
        fault.times = 1
    status = killed(execution)
    assert fault.times == 0, "the fault met no request"
    assert status["attempt"] == 1
    # A starved kubelet reports the end after the backstop, which deletes the pod: then there is none left.
    assert len(execution.pods()) <= 1
    assert "lateStarts" not in status, "a second pod was made"
    assert execution.phases() == ["Pending", "Running", "KillCancelling", "Cancelled"]
    proxy.remove(fault)


def test_a_minute_without_the_api_server_is_survived_and_the_stop_of_meanwhile_obeyed(
    lab: Lab, proxy: ApiProxy, host_operator: OperatorProcess
) -> None:
    execution = lab.start(programs.DEAF)
    wait_until_started(execution)
    proxy.down()
    execution.stop("Kill", gracePeriodSeconds=1)
    _wait_until_unready(host_operator)
    assert host_operator.probe("/livez")[0] == 200, "a restart would not bring the API server back"
    with pytest.raises(AssertionError, match="did not become"):
        execution.wait_for("Cancelled", 60)
    assert execution.processes()
    proxy.up()
    execution.wait_for("Cancelled")
    assert not execution.processes()
    _wait_until_ready(host_operator)


def _wait_until_unready(operator: OperatorProcess) -> None:
    operator.wait_for_probe("/readyz", 503, 30)
    assert "watch of" in operator.probe("/readyz")[1]


def _wait_until_ready(operator: OperatorProcess) -> None:
    operator.wait_for_probe("/readyz", 200, 30)
