"""What the Secret of the push keys holds: Ed25519 keys, and which of them new pods get.

Contract: a value, read from the Secret's data as the API server gives it (base64) and changed by a merge patch of it.
- `ID`: 32 bytes, the private half; ID is the first 8 hexadecimal digits of SHA-256 of the public half.
- `ID.made`: when it was made, RFC 3339. Absent or unreadable: long ago.
- `current`: the ID that new pods get. Absent: a new key is due, which is how an administrator asks for one.
What else there is means nothing. An entry that is named like a key and holds none is a fault, and is left as it is:
somebody has put it there. No private half ever stands in a text that is made here.
Rejected: one JSON document (nobody could take one key out of it with kubectl), a PEM (nothing else reads these keys).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey

from desist.api import outside
from desist.api.base import EARLIEST, rfc3339

CURRENT = "current"
MADE = ".made"
Changes = dict[str, str | None]
"""A merge patch of a Secret's data."""
_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class PushKey:
    """One key."""

    id: str
    public: str
    """The public half, in base64, as pods get it."""
    made: datetime
    _secret: SigningKey = field(repr=False)

    @staticmethod
    def of(seed: bytes, made: datetime) -> PushKey:
        """The key of that private half. Raises CryptoError where it does not have 32 bytes."""
        secret = SigningKey(seed)
        public = secret.verify_key.encode()
        return PushKey(hashlib.sha256(public).hexdigest()[:8], base64.b64encode(public).decode(), made, secret)

    def sign(self, data: bytes) -> bytes:
        """The signature alone: 64 bytes."""
        return self._secret.sign(data).signature


@dataclass(frozen=True, slots=True)
class Ring:
    """All keys."""

    keys: Mapping[str, PushKey] = field(default_factory=dict)
    current: str = ""
    """Id of the key that new pods get; empty: a new one is due."""
    faults: tuple[str, ...] = ()

    @property
    def key(self) -> PushKey | None:
        """The one that new pods get; None where `current` names none."""
        return self.keys.get(self.current)

    @property
    def old(self) -> frozenset[str]:
        """Ids of all others."""
        return frozenset(self.keys) - {self.current}


def read(data: Mapping[str, str]) -> Ring:
    """What a Secret's data say."""
    found = {name: _key(data, name) for name in data if _ID.fullmatch(name)}
    keys = {name: key for name, key in found.items() if key is not None}
    current = _text(data, CURRENT)
    return Ring(keys, current, tuple(_faults(found, current)))


def new_key(now: datetime) -> Changes:
    """What makes a new key, and makes it the current one."""
    seed = SigningKey.generate().encode()
    key_id = PushKey.of(seed, now).id
    return {key_id: _base64(seed), key_id + MADE: _base64(rfc3339(now).encode()), CURRENT: _base64(key_id.encode())}


def without(ids: Collection[str]) -> Changes:
    """What takes these away."""
    return {name: None for key_id in sorted(ids) for name in (key_id, key_id + MADE)}


def _faults(found: Mapping[str, PushKey | None], current: str) -> Iterator[str]:
    yield from (f"{name} is no key of that id" for name, key in found.items() if key is None)
    if current and found.get(current) is None:
        yield f"current names {outside.text(current, 16)!r}, which is no key there"


def _key(data: Mapping[str, str], key_id: str) -> PushKey | None:
    made = outside.moment(_text(data, key_id + MADE)) or EARLIEST
    try:
        key = PushKey.of(base64.b64decode(data[key_id], validate=True), made)
    except (binascii.Error, CryptoError, ValueError):
        return None
    return key if key.id == key_id else None


def _text(data: Mapping[str, str], name: str) -> str:
    try:
        return base64.b64decode(data.get(name) or "", validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
