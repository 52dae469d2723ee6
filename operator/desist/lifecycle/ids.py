"""Ids as pure functions, so that the core needs no randomness and a repeated pass makes the same ones.

Contract: an id is a ULID: 48 bits of time, then 80 bits that are a hash of the execution's UID and a label that is
unique in it. Ids sort by time.
Rejected: random ids (two controllers, or one that repeats a pass, would give one command two names).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ulid(moment: datetime, uid: str, label: str) -> str:
    """The ULID of `label` in the execution `uid`, made at `moment` (milliseconds count)."""
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    digest = hashlib.sha256(f"{uid}\0{label}".encode()).digest()[:10]
    number = (milliseconds << 80) | int.from_bytes(digest, "big")
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(5 * (LENGTH - 1), -1, -5))
