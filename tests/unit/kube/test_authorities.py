"""A cluster whose authority is replaced under a client that runs: the next try trusts the new one."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from desist.kube.client import Client
from desist.kube.connection import Connection
from desist.kube.errors import ServerUnavailable
from desist.kube.options import ClientOptions
from desist.kube.resource import NODES, Query

ONE_TRY = ClientOptions(patience=0)
OLD, NEW = trustme.CA(), trustme.CA()


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """A service account's folder; its authorities are the old ones."""
    (tmp_path / "token").write_text("t")
    trust(tmp_path, OLD)
    return tmp_path


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """Stays open between two servers, so that nobody else gets the port."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def trust(account: Path, authority: trustme.CA) -> None:
    """The kubelet puts that authority into the folder."""
    (account / "ca.crt").write_bytes(authority.cert_pem.bytes())


@asynccontextmanager
async def serving(authority: trustme.CA, listening: socket.socket) -> AsyncIterator[None]:
    """An API server with a certificate of that authority."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    app = web.Application()
    app.router.add_get("/{path:.*}", _answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.SockSite(runner, listening.dup(), ssl_context=tls).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def _answer(_: web.Request) -> web.StreamResponse:
    return web.json_response({})


def connection(account: Path, listening: socket.socket) -> Connection:
    host, port = listening.getsockname()
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port)}
    return Connection.in_cluster(account, environ)


async def watch(client: Client) -> None:
    async with client.watch(NODES, Query(), {}, silence=5) as events:
        async for _ in events:
            pass


async def test_authorities_that_were_replaced_are_read_anew_and_the_old_ones_count_no_more(
    account: Path, listening: socket.socket
) -> None:
    async with serving(OLD, listening):
        client = Client(connection(account, listening), ONE_TRY)
        await client.open()
        await client.read("/version")
    async with serving(NEW, listening):
        with pytest.raises(ServerUnavailable, match="certificate"):
            await client.read("/version")
        trust(account, NEW)
        with pytest.raises(ServerUnavailable, match="certificate"):
            await client.read("/version")
        await client.read("/version")
    async with serving(OLD, listening):
        with pytest.raises(ServerUnavailable, match="certificate"):
            await client.read("/version")
    await client.close()


async def test_a_read_that_is_tried_again_trusts_them_at_once(account: Path, listening: socket.socket) -> None:
    async with (
        serving(NEW, listening),
        Client(connection(account, listening)) as client,
        asyncio.timeout(10),
    ):
        trust(account, NEW)
        await client.read("/version")


async def test_a_watch_has_them_read_too(account: Path, listening: socket.socket) -> None:
    async with (
        serving(NEW, listening),
        Client(connection(account, listening), ONE_TRY) as client,
        asyncio.timeout(10),
    ):
        trust(account, NEW)
        with pytest.raises(ServerUnavailable, match="certificate"):
            await watch(client)
        await watch(client)


async def test_what_is_said_between_certificates_may_be_in_any_letters(account: Path, listening: socket.socket) -> None:
    async with serving(NEW, listening), Client(connection(account, listening)) as client, asyncio.timeout(10):
        (account / "ca.crt").write_bytes("# Autorité\n".encode() + NEW.cert_pem.bytes())
        await client.read("/version")


@pytest.mark.parametrize("content", [None, "no certificate", "", "\u00e9"])
async def test_authorities_that_cannot_be_used_change_nothing(
    account: Path, listening: socket.socket, content: str | None
) -> None:
    async with (
        serving(NEW, listening),
        Client(connection(account, listening), ONE_TRY) as client,
        asyncio.timeout(10),
    ):
        (account / "ca.crt").unlink()
        if content is not None:
            (account / "ca.crt").write_text(content)
        for _ in range(2):
            with pytest.raises(ServerUnavailable, match="certificate"):
                await client.read("/version")
        trust(account, NEW)
        with pytest.raises(ServerUnavailable, match="certificate"):
            await client.read("/version")
        await client.read("/version")


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
async def test_another_authoritys_certificate_is_refused_however_the_url_is_spelt(
    listening: socket.socket, scheme: str
) -> None:
    here = Connection(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}", ca=OLD.cert_pem.bytes())
    async with serving(NEW, listening), Client(here, ONE_TRY) as client:
        with pytest.raises(ServerUnavailable, match="certificate"):
            await client.read("/version")
