"""What lists and watches look like on the wire, decoded as little as possible.

Contract: items and events keep their objects as raw JSON (`msgspec.Raw`), so that each consumer decodes the fields that
it needs and no others. `lines` cuts a stream into lines of any length: aiohttp's own `readline` fails on lines above
its buffer's limit, and a pod can be a megabyte. `identity` reads the four fields by which everything is kept.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import aiohttp
import msgspec

from desist.kube.errors import ServerUnavailable

T = TypeVar("T")
NOT_AN_EVENT = "NotAnEvent"
NOT_AN_OBJECT = "NotAnObject"
KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))


class Identity(msgspec.Struct, frozen=True, rename="camel"):
    """Which object, in which state."""

    name: str
    uid: str
    namespace: str = ""
    resource_version: str = ""


class _ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_token: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct, frozen=True):
    """One page of a list."""

    metadata: _ListMeta
    # An empty list of metadata only comes as null.
    given: list[msgspec.Raw] | None = msgspec.field(default=None, name="items")

    @property
    def items(self) -> list[msgspec.Raw]:
        """The objects, raw."""
        return self.given or []

    @property
    def resource_version(self) -> str:
        """Version of the whole list."""
        return self.metadata.resource_version

    @property
    def continue_token(self) -> str:
        """Where the next page begins; empty: this was the last."""
        return self.metadata.continue_token

    @staticmethod
    def decode(body: bytes) -> Page:
        """Raises ServerUnavailable where the body is no list (it was cut, or something stands between).

        One without a version is none either: taken for an empty list, it would say that nothing is there.
        """
        try:
            page = _PAGES.decode(body)
        except msgspec.MsgspecError as error:
            raise ServerUnavailable(0, "NotAList", str(error)) from error
        if not page.resource_version:
            raise ServerUnavailable(0, "NotAList", "it has no resourceVersion")
        return page


class WatchEvent(msgspec.Struct, frozen=True):
    """One event of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    type: str
    object: msgspec.Raw

    @staticmethod
    def decode(line: bytes) -> WatchEvent:
        """Raises ServerUnavailable where the line is no event."""
        try:
            return _EVENTS.decode(line)
        except msgspec.MsgspecError as error:
            raise ServerUnavailable(0, NOT_AN_EVENT, str(error)) from error


class _Bookmarked(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    annotations: dict[str, str] = {}


class _Bookmark(msgspec.Struct, frozen=True):
    metadata: _Bookmarked


class _Identified(msgspec.Struct, frozen=True):
    metadata: Identity


class _ServedKind(msgspec.Struct, frozen=True):
    name: str


class _Served(msgspec.Struct, frozen=True):
    resources: list[_ServedKind]


class _Version(msgspec.Struct, frozen=True):
    major: str
    minor: str


_PAGES = msgspec.json.Decoder(Page)
_EVENTS = msgspec.json.Decoder(WatchEvent)
_BOOKMARKS = msgspec.json.Decoder(_Bookmark)
_IDENTITIES = msgspec.json.Decoder(_Identified)


def decoded(body: bytes, kind: type[T]) -> T:
    """A success's body. Raises ServerUnavailable where it is no such thing (something between us has made it)."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise ServerUnavailable(0, NOT_AN_OBJECT, str(error)) from error


def served_kinds(body: bytes) -> frozenset[str]:
    """Plurals of the kinds of a group and version, with their subresources. Raises as `decoded`."""
    return frozenset(found.name for found in decoded(body, _Served).resources)


def server_version(body: bytes) -> tuple[int, int]:
    """The API server's version, major and minor. Raises as `decoded`."""
    said = decoded(body, _Version)
    return int(said.major), int("".join(filter(str.isdecimal, said.minor)))


def identity(raw: bytes) -> Identity:
    """Identity of an object. Raises msgspec.MsgspecError where it has none."""
    return _IDENTITIES.decode(raw).metadata


def bookmark(raw: bytes) -> tuple[str, bool]:
    """A bookmark's resourceVersion, and whether it ends the initial events of a watch that began with them."""
    metadata = _BOOKMARKS.decode(raw).metadata
    return metadata.resource_version, metadata.annotations.get("k8s.io/initial-events-end") == "true"


async def lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines without their ends; empty ones are left out. A last line that was cut is dropped."""
    rest: list[bytes] = []
    async for chunk in stream.iter_any():
        first, *others = chunk.split(b"\n")
        rest.append(first)
        for other in others:
            if line := b"".join(rest).strip():
                yield line
            rest = [other]


def keepalive_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket that notices within half a minute that the other host is gone."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
