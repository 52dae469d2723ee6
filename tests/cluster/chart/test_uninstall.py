"""Uninstalling with executions running: nothing stops, nothing wedges, and a stop that was asked for is kept."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client

from hack.cluster.api import Progress, kubeconfig, load
from hack.cluster.engine import current
from hack.image import Images
from hack.image.release import CHART, RELEASE, SELECTOR, Client, scale_operator, uninstall
from tests.support import programs
from tests.support.lab import Lab, phase_of
from tests.support.logs import wait_until_started
from tests.support.proof import gone_for_good

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
DEFINITIONS = (
    "customresourcedefinition/workflows.desist.dev",
    "customresourcedefinition/workflowexecutions.desist.dev",
)


@pytest.fixture
def default_names(release_images: Images) -> None:
    """This checkout's images under the names that the chart has without values, in all nodes."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    names = [f"desist-operator:{version}", f"desist-launcher:{version}"]
    for built, name in zip((release_images.operator, release_images.launcher), names, strict=True):
        current().docker("tag", built, name)
    with Progress(1).step("images under their default names") as step:
        load(names, step)


@pytest.fixture
def second_lab(api: Any) -> Iterator[Lab]:
    """Another namespace, for a test that deletes it itself."""
    core: Any = client.CoreV1Api(api)
    lab = Lab(f"t-{uuid.uuid4().hex[:8]}", api)
    core.create_namespace({"metadata": {"name": lab.name, "labels": {"desist.dev/test": "true"}}})
    lab.recorder.start()
    yield lab
    lab.recorder.stop()


@pytest.mark.usefixtures("release_images", "default_names", "release_restored")
def test_uninstalling_stops_nothing_and_wedges_nothing(
    lab: Lab, second_lab: Lab, desist_system: Client, kubectl: Kubectl
) -> None:
    stopped_later, deleted = lab.start(programs.DEAF), lab.start(programs.WORKS)
    in_namespace = second_lab.start(programs.WORKS)
    for execution in (stopped_later, deleted, in_namespace):
        wait_until_started(execution)

    uninstall(desist_system)

    assert desist_system.asks("get", "pods", "--selector", SELECTOR, "--output=name") == ""
    assert desist_system.asks("get", *DEFINITIONS, "--output=name") is not None
    stopped_later.stop("Kill", gracePeriodSeconds=1)
    for execution in (stopped_later, deleted, in_namespace):
        assert phase_of(execution.get()) == "Running"
        assert not gone_for_good(execution.marker)

    deleted.delete()
    deleted.wait_until_deleted()
    removed = kubectl("delete", "namespace", second_lab.name, "--wait", "--timeout=60s")
    assert removed.returncode == 0, removed.stderr
    assert gone_for_good(in_namespace.marker, deleted.marker)

    # With no values: the kept definitions are taken over, and the stop is obeyed.
    desist_system.helm("install", RELEASE, str(CHART))
    scale_operator(kubeconfig(), 1)
    stopped_later.wait_for("Cancelled")
    assert gone_for_good(stopped_later.marker)
