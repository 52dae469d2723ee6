from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from kubernetes import client, config

from tests.support.namespaces import make_namespace

HOME = Path(os.environ.get("DESIST_HOME") or Path.home() / ".cache" / "desist")


@pytest.fixture(scope="session")
def core() -> client.CoreV1Api:
    """The cluster's API server."""
    return client.CoreV1Api(config.new_client_from_config(str(HOME / "kubeconfig")))


@pytest.fixture(scope="module")
def restricted(core: client.CoreV1Api) -> Iterator[str]:
    """A namespace whose pods must be of level restricted."""
    name = f"wire-{uuid4().hex[:8]}"
    labels = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    make_namespace(core, name, labels)
    yield name
    core.delete_namespace(name)
