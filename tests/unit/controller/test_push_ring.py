"""The Secret of the push keys is read as it is written, and what somebody else wrote into it hurts nobody."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from desist.api.base import EARLIEST
from desist.controller import push_ring
from desist.controller.push_ring import Changes, PushKey, Ring
from tests.unit.controller.fakes import NOW

SEED = bytes(range(32))


def merged(*patches: Changes) -> dict[str, str]:
    """What a Secret's data are after these merge patches."""
    held: dict[str, str] = {}
    for patch in patches:
        for name, value in patch.items():
            held.pop(name, None)
            held |= {} if value is None else {name: value}
    return held


def encoded(**texts: bytes) -> dict[str, str]:
    return {name: base64.b64encode(text).decode() for name, text in texts.items()}


def test_a_new_key_is_read_as_it_was_made_and_signs_what_its_public_half_verifies() -> None:
    ring = push_ring.read(merged(push_ring.new_key(NOW)))
    assert ring.key is not None
    assert (ring.key.id, ring.key.made, ring.old, ring.faults) == (ring.current, NOW, frozenset(), ())
    verify = VerifyKey(base64.b64decode(ring.key.public))
    signature = ring.key.sign(b"text")
    assert (len(signature), verify.verify(b"text", signature)) == (64, b"text")
    with pytest.raises(BadSignatureError):
        verify.verify(b"another", signature)


def test_a_second_one_takes_the_place_of_the_first_and_the_first_can_be_taken_away() -> None:
    first, second = push_ring.new_key(NOW), push_ring.new_key(NOW + timedelta(days=1))
    ring = push_ring.read(merged(first, second))
    assert ring.key is not None
    assert ring.key.made == NOW + timedelta(days=1)
    assert len(ring.old) == 1
    left = merged(first, second, push_ring.without(ring.old))
    assert set(left) == {ring.current, ring.current + ".made", "current"}


def test_an_empty_secret_has_no_key_and_no_fault() -> None:
    assert push_ring.read({}) == Ring()


def test_without_current_a_new_key_is_due_and_the_others_are_kept() -> None:
    data = merged(push_ring.new_key(NOW), {"current": None})
    ring = push_ring.read(data)
    assert (ring.key, ring.current, len(ring.old), ring.faults) == (None, "", 1, ())


GOOD = PushKey.of(SEED, NOW)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (encoded(**{GOOD.id: SEED[:31]}), f"{GOOD.id} is no key of that id"),
        (encoded(**{GOOD.id: b""}), f"{GOOD.id} is no key of that id"),
        (encoded(**{"00000000": SEED}), "00000000 is no key of that id"),
        ({GOOD.id: "!"}, f"{GOOD.id} is no key of that id"),
        (encoded(current=b"0a1b2c3d"), "current names '0a1b2c3d', which is no key there"),
        (encoded(current=b"x" * 5000), "current names 'xxxxxxxxxxxxx...', which is no key there"),
    ],
)
def test_what_is_no_key_is_named_and_is_none(data: dict[str, str], fault: str) -> None:
    ring = push_ring.read(data)
    assert (ring.key, ring.keys, ring.faults) == (None, {}, (fault,))


def test_an_entry_of_another_name_means_nothing() -> None:
    data = encoded(current=GOOD.id.encode() + b"\n", README=b"hands off", **{GOOD.id: SEED, "0A1B2C3D": SEED})
    ring = push_ring.read(data)
    assert (list(ring.keys), ring.current, ring.faults) == ([GOOD.id], GOOD.id, ())


@pytest.mark.parametrize("made", [None, b"yesterday", b"\xff"])
def test_a_key_of_which_nobody_knows_when_it_was_made_is_old(made: bytes | None) -> None:
    data = encoded(current=GOOD.id.encode(), **{GOOD.id: SEED}, **({GOOD.id + ".made": made} if made else {}))
    key = push_ring.read(data).key
    assert key is not None
    assert key.made == EARLIEST


def test_the_private_half_stands_in_no_text() -> None:
    for text in (repr(GOOD), str(GOOD), repr(Ring({GOOD.id: GOOD}, GOOD.id))):
        assert "SigningKey" not in text
        assert base64.b64encode(SEED).decode() not in text
        assert repr(SEED) not in text
