"""Fixtures for tests that share one namespace and one slow preparation (a stopped kubelet) within a module."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client

from hack.cluster.api import start_kubelet, stop_kubelet
from tests.support.dump import dump
from tests.support.lab import Lab
from tests.support.operator_process import parsed
from tests.support.release import log_lines

LOST = "desist-worker2"
"""The node whose kubelet these tests stop."""


@pytest.fixture(scope="module")
def shared_lab(api: Any, crds: None, release_operator: Any, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One namespace for the module, watched by the installed release."""
    core: Any = client.CoreV1Api(api)
    name = f"t-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name, "labels": {"desist.dev/test": "true"}}})
    lab = Lab(name, api)
    lab.recorder.start()
    failed = request.session.testsfailed
    yield lab
    if request.session.testsfailed > failed:
        print(f"\n{dump(lab, [parsed(line) for line in log_lines(api)])}")
    lab.recorder.stop()
    core.delete_namespace(name)


@pytest.fixture(scope="module")
def stopped_kubelet() -> Iterator[Callable[[], None]]:
    """Stops the kubelet of LOST when called; it runs again at the module's end at the latest."""
    yield lambda: stop_kubelet(LOST)
    start_kubelet(LOST)


def on_lost_node() -> dict[str, Any]:
    """Pod spec that puts a pod on LOST."""
    return {"nodeSelector": {"kubernetes.io/hostname": LOST}}
