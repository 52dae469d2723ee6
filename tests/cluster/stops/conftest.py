"""Fixtures for tests that share one namespace and one slow preparation (a stopped kubelet) within a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hack.cluster.api import start_kubelet, stop_kubelet
from tests.support.lab import Lab
from tests.support.operator_process import OperatorProcess
from tests.support.spaces import shared

LOST = "desist-worker2"
"""The node whose kubelet these tests stop."""


@pytest.fixture(scope="module")
def shared_lab(api: Any, host_operator: OperatorProcess, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One namespace for the module, watched by an operator that goes on beside other modules on other nodes."""
    with shared(request, api, host_operator) as lab:
        yield lab


@pytest.fixture(scope="module")
def lab_without_room(api: Any, host_operator: OperatorProcess, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Another one, for a quota that leaves no room."""
    with shared(request, api, host_operator) as lab:
        yield lab


@pytest.fixture(scope="module")
def stopped_kubelet() -> Iterator[Callable[[], None]]:
    """Stops the kubelet of LOST when called; it runs again at the module's end at the latest."""
    yield lambda: stop_kubelet(LOST)
    start_kubelet(LOST)


def on_lost_node() -> dict[str, Any]:
    """Pod spec that puts a pod on LOST."""
    return {"nodeSelector": {"kubernetes.io/hostname": LOST}}
