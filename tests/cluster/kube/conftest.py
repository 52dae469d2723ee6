"""The real API server, directly and through the proxy that breaks things; a namespace for each test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from kubernetes import client as official

from desist.kube.client import Client
from desist.kube.connection import Connection
from desist.kube.options import ClientOptions
from desist.kube.resource import Resource
from hack.cluster.home import home
from tests.support.apiproxy import ApiProxy
from tests.support.namespaces import make_namespace

NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)


@pytest.fixture(scope="session")
def connection(api: official.ApiClient) -> Connection:
    """The cluster's administrator."""
    return Connection.from_kubeconfig(home().kubeconfig)


@pytest.fixture
def proxy(connection: Connection) -> Iterator[ApiProxy]:
    with ApiProxy(connection) as running:
        yield running


@pytest_asyncio.fixture
async def direct(connection: Connection) -> AsyncIterator[Client]:
    """Our client, straight to the API server."""
    async with Client(connection) as client:
        yield client


@pytest_asyncio.fixture
async def proxied(proxy: ApiProxy) -> AsyncIterator[Client]:
    """Our client, through the proxy."""
    async with Client(Connection(proxy.server), ClientOptions(patience=0, request_timeout=5)) as client:
        yield client


@pytest_asyncio.fixture
async def namespace(api: official.ApiClient, direct: Client) -> AsyncIterator[str]:
    name = f"kube-{uuid.uuid4().hex[:8]}"
    await asyncio.to_thread(make_namespace, official.CoreV1Api(api), name)
    yield name
    await direct.delete(NAMESPACES.at(name))
