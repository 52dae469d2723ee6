"""What the proxy in front of an API server (`apiproxy`) may do with a request instead of passing it on, as values.

Contract: a `Fault` says what happens, and to which requests; one with `times` wears off. `Answer` and `Drop` keep a
request from the API server, `Lose` keeps the answer from the client, and `Delay` only takes time.
`EXPIRED` is no fault of a request: it is the event by which a watch is told that it is too old (`ApiProxy.inject`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

EXPIRED: Mapping[str, Any] = {
    "type": "ERROR",
    "object": {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "too old resource version (injected)",
        "reason": "Expired",
        "code": 410,
    },
}
REASONS = {
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}


@dataclass(frozen=True)
class Answer:
    """Answered by the proxy, with a Status object that names no other: a 404 is that of a kind that is not served."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        reason = REASONS.get(self.status, "InternalError")
        told = {"kind": "Status", "status": "Failure", "reason": reason, "message": "injected", "code": self.status}
        return json.dumps(told).encode()


@dataclass(frozen=True)
class Drop:
    """The connection breaks before the request reaches the API server."""


@dataclass(frozen=True)
class Lose:
    """The API server does it, and the connection breaks before the answer comes."""


@dataclass(frozen=True)
class Delay:
    """The request waits."""

    seconds: float


@dataclass
class Fault:
    """What happens to requests that match; empty: any. `path` and `query` match a part."""

    what: Answer | Drop | Lose | Delay
    method: str = ""
    path: str = ""
    query: str = ""
    times: int | None = None
    """None: until it is removed."""

    def matches(self, request: web.Request) -> bool:
        return (
            self.times != 0
            and self.method in ("", request.method)
            and self.path in request.path
            and self.query in request.query_string
        )
