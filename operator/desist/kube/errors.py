"""What the API server's refusals mean to a caller, as types.

Contract: every failed call of the client raises one of these and nothing else. The type says what to do: decide again
(`Conflict`, `NotFound`, `Gone`), tell the user (`Invalid`, `BadRequest`, `Forbidden`, `TooLarge`), or come again later
(`NotServed`, `TooManyRequests`, `ServerUnavailable`; the last two may carry `retry_after`). `ServerUnavailable` after a
write says nothing of whether the write happened.
That an object is not there may be proof of an end, so that only the API server's own word counts, which names it: not
the 404 of a proxy or a load balancer, nor that of an API server that does not serve the kind (yet, or any more). Nor do
a proxy's other refusals say anything of an object (`NotTheServer`): the API server says each in a Status object.
Rejected: aiohttp's exceptions let through (callers would have to know the transport).
"""

from __future__ import annotations

import msgspec


class ApiError(Exception):
    """The API server refused a call, or could not be reached."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(status, reason, message, retry_after)
        self.status = status
        """HTTP status; 0 where no answer came."""
        self.reason = reason
        """Kubernetes' reason in one word, as `AlreadyExists`."""
        self.message = message
        """The API server's words."""
        self.retry_after = retry_after
        """Seconds that the API server asks to wait, LONGEST_WAIT at most; None where it does not say."""

    def __str__(self) -> str:
        return f"{self.status or 'no answer'} {self.reason}: {self.message}"


class BadRequest(ApiError):
    """400: the request itself is wrong."""


class Unauthorized(ApiError):
    """401: the credentials are not accepted, also after they were read anew."""


class Forbidden(ApiError):
    """403: RBAC, a quota, a policy or a namespace that is going away."""


class NotFound(ApiError):
    """404, and the API server names what is not there: the object, or its namespace."""


class NotServed(ApiError):
    """404 of anything else: no such kind here, or it was not the API server that has answered."""


class Conflict(ApiError):
    """409: the object is not what the caller judged."""


class AlreadyExists(Conflict):
    """409 of a create: the name is taken."""


class Gone(ApiError):
    """410: the resourceVersion or continue token is too old; list again."""


class Invalid(ApiError):
    """422: the object does not pass validation."""


class TooLarge(ApiError):
    """413: the request, or the object with it, is larger than the API server or its store takes."""


class TooManyRequests(ApiError):
    """429: the API server is busy; nothing was done."""


class ServerUnavailable(ApiError):
    """5xx, no connection, or no answer in time."""


class NotTheServer(ServerUnavailable):
    """A redirect or a 4xx without a Status object: something between us and the API server has answered."""


class NoAnswer(ServerUnavailable):
    """The request was sent, and nothing was said in time; it may still be carried out."""


TYPES: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: Invalid,
    429: TooManyRequests,
}
BY_ANYBODY = (401, 413, 429)
"""These mean the same, whoever says so; the API server itself says the last one in plain words."""


TOO_LARGE = ("request is too large", "message larger than max")
"""What etcd and its client say of an object that they do not take; the API server passes it on as a 500."""
LONGEST_WAIT = 30.0
"""Seconds of a Retry-After that are obeyed. Stops and watches wait behind it, and a server or a proxy that is in
maintenance says minutes: asking twice a minute harms nobody."""


def of_the_server(error: ApiError) -> bool:
    """Whether it says nothing of the object that was written: not so fast, no credentials, or nobody there."""
    unreached = error.status == 0 and not isinstance(error, NoAnswer)
    return unreached or isinstance(error, TooManyRequests | Unauthorized)


def may_pass(error: ApiError) -> bool:
    """Whether another try may go well without anybody's doing: a 5xx, no answer in time, a kind that is not served."""
    return isinstance(error, ServerUnavailable | NotServed)


class _Details(msgspec.Struct, rename="camel"):
    name: str = ""
    retry_after_seconds: float = 0


class _Status(msgspec.Struct, rename="camel"):
    kind: str = ""
    reason: str = ""
    message: str = ""
    code: int = 0
    details: _Details | None = None


def error_from(status: int, body: bytes, retry_after: str | None = None) -> ApiError:
    """The error of an answer: its HTTP status, its body (a Status object, if the API server made it), its Retry-After.

    A status of 0 means that the Status object's own code counts (ERROR events of a watch).
    """
    try:
        told = msgspec.json.decode(body, type=_Status)
    except msgspec.MsgspecError:
        told = _Status(message=body[:500].decode(errors="replace").strip())
    code = status or told.code
    return _type_of(code, told)(code, told.reason or "Unknown", told.message, _seconds(retry_after, told.details))


def _type_of(code: int, told: _Status) -> type[ApiError]:
    if told.reason == "AlreadyExists":
        return AlreadyExists
    if code >= 500:
        return TooLarge if any(words in told.message for words in TOO_LARGE) else ServerUnavailable
    if code == 404 and not (told.details and told.details.name):
        return NotServed
    worded = told.kind == "Status" or code in BY_ANYBODY or not code
    return TYPES.get(code, ApiError) if worded else NotTheServer


def _seconds(header: str | None, details: _Details | None) -> float | None:
    """The header counts; a date in it (which Kubernetes never sends) does not."""
    asked = details.retry_after_seconds if details is not None else 0
    if header is not None and header.strip().isdecimal():
        asked = float(header)
    return max(0.0, min(asked, LONGEST_WAIT)) or None
