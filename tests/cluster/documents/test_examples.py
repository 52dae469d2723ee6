"""The examples of operations, with shorter work than in the demo: to their end, through a drain, and stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.documents.conftest import REPOSITORY, Shell, execution_of, operations, wait_for_operation
from tests.support import proof
from tests.support.lab import Execution, Lab


def start(shell: Shell, lab: Lab, example: str, *changes: tuple[str, str], number: int = 1) -> Execution:
    """Apply an example with one of its executions; each change must hit something."""
    text = (REPOSITORY / "examples" / f"{example}.yaml").read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    name = f"{example[3:]}-{number}"
    held = [
        one for one in yaml.safe_load_all(text) if one["kind"] != "WorkflowExecution" or one["metadata"]["name"] == name
    ]
    Path(shell.folder, "example.yaml").write_text(yaml.safe_dump_all(held))
    shell.run("kubectl apply --filename example.yaml")
    return execution_of(lab, name, f"demo-{name}")


def phases(lab: Lab) -> dict[str, str]:
    return {key: held["status"]["phase"] for key, held in operations(lab).items()}


def test_a_script_with_curl_waits_for_its_fan_out_by_a_watch(lab: Lab, shell: Shell) -> None:
    shorter = (("shards=50", "shards=6"), ("sleep 600 & wait", "sleep 1 & wait"))
    run = start(shell, lab, "09-nightly-batch", *shorter)
    run.wait_for("Succeeded")
    assert phases(lab) == {f"shard/{number}": "Succeeded" for number in range(1, 7)}
    nodes = {held["status"]["processes"][0]["node"] for held in operations(lab).values()}
    assert len(nodes) > 1, "the template's spread holds for the pods of operations"


@pytest.mark.conformance("A3")
def test_a_kill_ends_the_fan_out_on_every_node(lab: Lab, shell: Shell) -> None:
    run = start(shell, lab, "09-nightly-batch", ("shards=50", "shards=6"), ("demo-nightly-batch", f"demo-{lab.name}"))
    for number in range(1, 7):
        wait_for_operation(lab, f"shard/{number}", "Running")
    assert len({process.node for process in proof.processes(f"demo-{lab.name}")}) > 1
    run.stop("Kill")
    run.wait_for("Cancelled")
    assert set(phases(lab).values()) == {"Cancelled"}
    assert proof.gone_for_good(f"demo-{lab.name}")


def test_a_saga_that_nobody_stops_does_its_steps(lab: Lab, shell: Shell) -> None:
    run = start(shell, lab, "10-order-saga", ('"ship": 600', '"ship": 1'))
    seen = run.wait_for("Succeeded")
    assert seen.object["status"]["result"] == {"done": ["reserve", "charge", "ship"]}


def test_a_cancelled_saga_undoes_what_was_done_and_nothing_else(lab: Lab, shell: Shell) -> None:
    run = start(shell, lab, "10-order-saga")
    wait_for_operation(lab, "ship")
    run.stop("Cancel")
    seen = run.wait_for("Cancelled")
    assert seen.object["status"]["result"] == {"undone": ["refund", "release"]}
    done = dict.fromkeys(("reserve", "charge", "refund", "release"), "Succeeded")
    assert {key: phase for key, phase in phases(lab).items() if key != "ship"} == done
    assert phases(lab).get("ship", "Cancelled") == "Cancelled"
    cleanup = {key for key, held in operations(lab).items() if held["spec"].get("cleanup")}
    assert cleanup == {"refund", "release"}


def test_a_saga_whose_pod_is_deleted_undoes_nothing_and_goes_on(lab: Lab, shell: Shell) -> None:
    run = start(shell, lab, "10-order-saga", ('"ship": 600', '"ship": 8'))
    wait_for_operation(lab, "ship", "Running")
    pod = run.get()["status"]["processes"][0]["pod"]
    lab.core.delete_namespaced_pod(pod, lab.name)
    seen = run.wait_for("Succeeded")
    assert seen.object["status"]["attempt"] == 2
    assert phases(lab) == dict.fromkeys(("reserve", "charge", "ship"), "Succeeded")


def test_what_a_forced_saga_leaves_running_is_counted_and_reaped(lab: Lab, shell: Shell) -> None:
    run = start(shell, lab, "10-order-saga", ("demo-$(DESIST_EXECUTION)", f"demo-{lab.name}"), number=2)
    wait_for_operation(lab, "ship", "Running")
    run.stop("Force")
    ended = run.wait_for("Cancelled")
    run.wait_for(lambda held: left_over(held) == 1)
    assert phases(lab)["ship"] == "Running"
    assert proof.processes(f"demo-{lab.name}")
    run.stop("Kill")
    run.wait_for(lambda held: last_command(held).get("outcome") == "reaped")
    assert phases(lab)["ship"] == "Cancelled"
    assert proof.gone_for_good(f"demo-{lab.name}")
    assert run.get()["status"]["endTime"] == ended.object["status"]["endTime"]


def left_over(held: dict[str, Any]) -> int:
    counted: int = held["status"].get("operations", {}).get("leftOver", 0)
    return counted


def last_command(held: dict[str, Any]) -> dict[str, Any]:
    commands: list[dict[str, Any]] = held["status"].get("commands", [{}])
    return commands[-1]


def test_one_operation_is_stopped_alone_and_its_run_succeeds(lab: Lab, shell: Shell) -> None:
    run = start(shell, lab, "11-price-check")
    name = wait_for_operation(lab, "price/west", "Running")["metadata"]["name"]
    request = json.dumps({"spec": {"cancellation": {"mode": "Kill", "reason": "does not answer"}}})
    shell.run(f"kubectl patch op {name} --type merge -p '{request}'")
    seen = run.wait_for("Succeeded")
    assert seen.object["status"]["result"] == {"prices": 2}
    assert phases(lab) == {"price/north": "Succeeded", "price/south": "Succeeded", "price/west": "Cancelled"}
