"""The release at this checkout's state, and the files of audit that say what its account did."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hack.cluster.api import docker_env, kubeconfig, node_names
from hack.image import Images, ensure_release
from hack.image.release import Client

ACCOUNT = "system:serviceaccount:desist-system:desist"
AUDIT_LOG = "/var/log/kubernetes/audit.log"
AuditEvent = dict[str, Any]


@pytest.fixture(scope="module")
def release_images(api: Any) -> Images:
    """The images of the release, which runs this checkout's chart and is ready."""
    return ensure_release(kubeconfig())


@pytest.fixture
def release_restored() -> Iterator[None]:
    """Whatever a test does to the release, the next one finds this checkout's."""
    yield
    ensure_release(kubeconfig())


@pytest.fixture(scope="session")
def desist_system(api: Any) -> Client:
    """kubectl and Helm in the release's namespace."""
    return Client(kubeconfig())


@pytest.fixture
def audited() -> Callable[[], list[AuditEvent]]:
    """What the controller's account has asked of the API server since the test began (reads are not audited)."""
    known = len(_lines())

    def since() -> list[AuditEvent]:
        return [event for line in _lines()[known:] if (event := json.loads(line))["user"]["username"] == ACCOUNT]

    return since


def _lines() -> list[str]:
    command = ["docker", "exec", node_names()[0], "cat", AUDIT_LOG]
    done = subprocess.run(command, env=os.environ | docker_env(), capture_output=True, text=True, check=True)
    # The last line may be half written.
    return done.stdout.rpartition("\n")[0].splitlines()
