"""Push switched off, as where an operator runs without its Secret: pods have no key, and all goes by mailbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.push.conftest import HEARS, Told, entries
from tests.support import proof
from tests.support.lab import Execution, Lab
from tests.support.last_states import last_states
from tests.support.logs import wait_until_started
from tests.support.operator_process import OperatorProcess
from tests.support.push import KEY_ANNOTATION, PORT_ANNOTATION
from tests.support.spaces import shared

MODES = {"Cancel": {}, "Force": {}, "Kill": {"gracePeriodSeconds": 5}}
"""On a busy node a program may take a second to hear a signal, which it has to before its SIGKILL."""


@pytest.fixture(scope="module")
def operator_environment() -> dict[str, str]:
    return {"DESIST_PUSH_SECRET": ""}


@pytest.fixture(scope="module")
def space(api: Any, host_operator: OperatorProcess, request: pytest.FixtureRequest) -> Iterator[Lab]:
    with shared(request, api, host_operator) as lab:
        yield lab


@pytest.fixture(scope="module")
def runs(space: Lab) -> dict[str, Execution]:
    started = {mode: space.start(HEARS) for mode in MODES}
    for execution in started.values():
        wait_until_started(execution)
    return started


def environment(pod: Any) -> dict[str, str]:
    return {variable.name: variable.value for variable in pod.spec.containers[0].env}


def test_pods_have_neither_key_nor_port(runs: dict[str, Execution]) -> None:
    for execution in runs.values():
        (pod,) = execution.pods()
        assert not {KEY_ANNOTATION, PORT_ANNOTATION} & pod.metadata.annotations.keys()
        found = environment(pod)
        # Set all the same: an envFrom of the template must not lead elsewhere.
        assert not found["DESIST_PUSH_KEY"]
        assert not found["DESIST_PUSH_PORT"]


@pytest.mark.conformance("C18")
def test_everything_goes_by_mailbox(space: Lab, runs: dict[str, Execution], host_operator: OperatorProcess) -> None:
    with last_states(space) as kept:
        for mode, execution in runs.items():
            execution.stop(mode, **MODES[mode])
        told = {mode: Told.of(execution, "Cancelled", kept) for mode, execution in runs.items()}
    assert {found.way for found in told.values()} == {"mailbox"}
    for mode, times in {"Cancel": 1, "Force": 0, "Kill": 1}.items():
        assert told[mode].times in (times, None), mode
    assert all(len(entries(found.status, "CancellationReceived")) == 1 for found in told.values())
    assert not host_operator.lines(lambda line: "stop pushed" in line["message"])
    assert not [execution for execution in runs.values() if proof.processes(execution.marker)]
