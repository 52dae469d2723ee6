"""Two namespaces: one with all the trouble, and its neighbour."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from desist.kube.connection import Connection
from hack.bench.crowd import Crowd
from hack.cluster.api import kubeconfig
from tests.support.lab import Lab
from tests.support.namespaces import make_namespace


@pytest.fixture
def troubled(api: Any, lab: Lab) -> Iterator[str]:
    """A namespace that every list shows before the neighbour's."""
    core: Any = client.CoreV1Api(api)
    name = f"{lab.name.rpartition('-')[0]}-0000{uuid.uuid4().hex[:4]}"
    make_namespace(core, name)
    yield name
    core.delete_namespace(name)


@pytest.fixture
def crowd(troubled: str) -> Crowd:
    """Makes many executions in the troubled namespace."""
    return Crowd(Connection.from_kubeconfig(kubeconfig()), troubled)


@pytest.fixture
def neighbour(lab: Lab) -> Lab:
    """The namespace in which stops must arrive as ever."""
    return lab
