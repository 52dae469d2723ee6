"""The release at this checkout's state, and the files of audit that say what its account did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hack.cluster.api import kubeconfig
from hack.image import Images, ensure_release
from hack.image.release import Client
from tests.support.audit import Audit

ACCOUNT = "system:serviceaccount:desist-system:desist"
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
    audit = Audit()

    def since() -> list[AuditEvent]:
        return [event for line in audit.since() if (event := json.loads(line))["user"]["username"] == ACCOUNT]

    return since
