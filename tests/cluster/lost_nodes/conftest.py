"""The node that is lost, and a kubelet that runs again whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client

from hack.cluster.api import start_kubelet, stop_kubelet
from tests.support.lab import Lab
from tests.support.nodes import put_back, put_in_service, saved, wait_for_return
from tests.support.operations import Operations, operations_of
from tests.support.operator_process import OperatorProcess
from tests.support.spaces import shared

LOST = "desist-worker2"
"""The node whose kubelet these tests stop."""
OTHER = "desist-worker"


@pytest.fixture(scope="module")
def place(host_operator: OperatorProcess, api: Any, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A namespace for the module, watched by the operator on this machine, at its default times or the module's."""
    with shared(request, api, host_operator) as lab:
        yield lab


@pytest.fixture(scope="module")
def operations(place: Lab) -> Iterator[Operations]:
    """Its operations, recorded."""
    with operations_of(place) as made:
        yield made


@pytest.fixture(scope="module")
def stopped_kubelet(api: Any) -> Iterator[Callable[[], None]]:
    """Stops LOST's kubelet when called; before and after, the node is there, in service and Ready."""
    core: Any = client.CoreV1Api(api)
    wait_for_return(core, LOST)
    node = saved(core, LOST)
    yield lambda: stop_kubelet(LOST)
    put_back(core, node)
    put_in_service(core, LOST)
    start_kubelet(LOST)
    wait_for_return(core, LOST)
