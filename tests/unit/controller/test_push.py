"""A stop goes out as one signed datagram, an answer counts only where it is the pod's, and nothing of it can fail."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from desist.controller import log
from desist.controller.kinds import EXECUTION, Key
from desist.controller.memory import Memory
from desist.controller.push import LONGEST, PATIENCE, WAITED, Complaints, Push, packed
from desist.controller.push_keys import PushKeys
from desist.controller.push_ring import PushKey
from desist.lifecycle.observed.pushes import Pushed
from desist.lifecycle.plan import PushStop
from tests.unit.controller.fakes import NOW

UID = "3f1c9a52-7b0e-4d86-9a41-c25e8f6d7013"
OF = Key(EXECUTION.name, "wfx")
KEY = PushKey.of(bytes(range(32)), NOW)
TEXT = '{"sequence":3,"commandId":"C"}'


class Keys:
    def get(self, key_id: str) -> PushKey | None:
        return KEY if key_id == KEY.id else None


class Setting:
    """Push, and a pod on the loopback that takes it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.memory = Memory()
        self.woken: list[Key] = []
        keys = cast(PushKeys, Keys())
        self.push = Push(keys, self.memory, self.woken.append, lambda: NOW, lambda: self.seconds)
        self.push.open()
        self.pod = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.pod.bind(("127.0.0.1", 0))
        self.pod.settimeout(20)

    def close(self) -> None:
        self.push.close()
        self.pod.close()

    def stop(self, **changes: Any) -> PushStop:
        stop = PushStop("pod", UID, "127.0.0.1", KEY.id, self.pod.getsockname()[1], TEXT, 3, "Cancel/None")
        return replace(stop, **changes)

    def sent(self, **changes: Any) -> dict[str, Any]:
        """Send one, and read the body that arrives."""
        self.push.send(OF, self.stop(**changes))
        body: dict[str, Any] = json.loads(self.pod.recv(2000)[88:])
        return body

    @property
    def pushed(self) -> Pushed:
        (pushed,) = self.memory.pushes(OF.uid)
        return pushed


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    made = Setting()
    yield made
    made.close()


def answer(nonce: str, /, **changes: Any) -> bytes:
    said = {"nonce": nonce, "podUid": UID, "commandId": "C", "sequence": 3, "did": "told", "told": 2, "refused": 0}
    return json.dumps({**said, "mainEnded": False, "left": 1, **changes}).encode()


async def test_an_answer_is_remembered_and_wakes_the_object(setting: Setting) -> None:
    body = setting.sent()
    assert body["stop"] == json.loads(TEXT)
    assert (setting.pushed.answer, setting.woken) == (None, [])
    setting.push.heard(answer(body["nonce"]))
    held = setting.pushed.answer
    assert held is not None
    assert (held.did, held.told, held.refused, held.main_ended, held.left, held.at) == ("told", 2, 0, False, 1, NOW)
    assert setting.woken == [OF]


async def test_it_comes_back_over_the_network(setting: Setting) -> None:
    setting.push.send(OF, setting.stop())
    data, sender = setting.pod.recvfrom(2000)
    setting.pod.sendto(answer(json.loads(data[88:])["nonce"]), sender)
    async with asyncio.timeout(20):
        while not setting.woken:  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.005)
    assert setting.pushed.answer is not None


async def test_each_datagram_has_a_nonce_of_its_own_and_one_answer(setting: Setting) -> None:
    first, second = setting.sent()["nonce"], setting.sent()["nonce"]
    assert first != second
    setting.push.heard(answer(first))
    setting.push.heard(answer(first, left=0))
    assert setting.pushed.answer is not None
    assert setting.pushed.answer.left == 1
    setting.push.heard(answer(second, left=0))
    assert setting.pushed.answer.left == 0


async def test_an_answer_that_says_nothing_new_wakes_nobody(setting: Setting) -> None:
    for left, woken in ((1, 1), (1, 1), (0, 2)):
        setting.push.heard(answer(setting.sent()["nonce"], left=left))
        assert len(setting.woken) == woken


async def test_an_answer_outlives_the_next_push_to_the_same_pod(setting: Setting) -> None:
    setting.push.heard(answer(setting.sent()["nonce"]))
    setting.sent(sequence=4)
    assert (setting.pushed.sequence, setting.pushed.answer is not None) == (4, True)


FORGED: Mapping[str, dict[str, Any]] = {
    "another pod's": {"podUid": "3f1c9a52-7b0e-4d86-9a41-c25e8f6d7014"},
    "another command's": {"commandId": "D"},
    "another nonce's": {"nonce": "0" * 32},
    "none at all": {"sequence": "three"},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_what_is_not_the_answer_counts_nothing_and_takes_no_place_of_the_true_one(
    setting: Setting, forged: dict[str, Any]
) -> None:
    nonce = setting.sent()["nonce"]
    setting.push.heard(answer(nonce, **forged))
    assert (setting.pushed.answer, setting.woken) == (None, [])
    setting.push.heard(answer(nonce))
    assert setting.woken == [OF]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff" * 1200, b"[]", b"null", b"[" * 1200, b'{"nonce":1}'])
async def test_garbage_is_nothing(setting: Setting, data: bytes) -> None:
    setting.sent()
    setting.push.heard(data)
    assert (setting.pushed.answer, setting.woken) == (None, [])


async def test_an_answer_that_comes_too_late_is_nothing(setting: Setting) -> None:
    nonce = setting.sent()["nonce"]
    setting.seconds = PATIENCE + 1
    setting.push.heard(answer(nonce))
    assert setting.woken == []


async def test_no_more_answers_are_waited_for_than_there_is_room_for(setting: Setting) -> None:
    setting.push._datagrams.send = lambda *_: None  # type: ignore[method-assign]
    for _ in range(WAITED + 10):
        setting.push.send(OF, setting.stop())
    assert len(setting.push._sent) == WAITED
    setting.seconds = PATIENCE + 1
    setting.push.send(OF, setting.stop())
    assert len(setting.push._sent) == 1


async def test_an_answer_after_the_end_of_the_object_is_nothing(setting: Setting) -> None:
    nonce = setting.sent()["nonce"]
    setting.memory.forget(OF.uid)
    setting.push.heard(answer(nonce))
    assert (setting.memory.pushes(OF.uid), setting.woken) == ((), [])


FAILS: Mapping[str, tuple[dict[str, Any], str]] = {
    "its key is not known": ({"key_id": "00000000"}, "no push to pod pod: its key 00000000 is not known"),
    "no UID": ({"uid": "p"}, "no push to pod pod: its UID is none"),
    "a UID in capitals": ({"uid": UID.upper()}, "no push to pod pod: its UID is written in another way"),
    "too long": (
        {"text": json.dumps({"commandId": "C", "reason": "x" * 1200})},
        "no push to pod pod: the datagram would have 1372 bytes",
    ),
    "no route": ({"address": "255.255.255.255"}, "no push to pod pod: [Errno 13] Permission denied"),
    "no address": ({"address": ""}, "no push to pod pod"),
    "no stop": ({"text": "{}"}, "no push to pod pod"),
}


@pytest.mark.parametrize(("changes", "words"), FAILS.values(), ids=FAILS.keys())
async def test_what_cannot_be_sent_is_said_and_counts_as_tried(
    setting: Setting, changes: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    stop = setting.stop(**changes)
    setting.push.send(OF, stop)
    (said,) = caplog.records
    assert said.getMessage() == words
    assert setting.pushed == Pushed(stop.uid, 3, "Cancel/None", NOW)
    assert not setting.memory.knows(OF.uid, stop.uid, stop.asks)


async def test_of_what_was_sent_the_pod_knows(setting: Setting) -> None:
    setting.push.send(OF, setting.stop(key_id="00000000"))
    setting.sent()
    assert setting.memory.knows(OF.uid, UID, "Cancel/None")
    assert not setting.memory.knows(OF.uid, UID, "Kill/5")


async def test_what_goes_wrong_a_thousand_times_is_said_seldom(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(3600):
        setting.seconds = float(second)
        setting.push.send(OF, setting.stop(address="255.255.255.255"))
        setting.push.heard(b"garbage")
    said = [record.getMessage() for record in caplog.records]
    assert 10 < len(said) < 40
    assert any("times since it was said last" in words for words in said)


async def test_the_log_says_whose_push_it_was_also_where_the_answer_comes_in(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    caplog.handler.addFilter(log._attach)
    with log.context(execution="order-1", reconcile="0a1b"):
        nonce = setting.sent()["nonce"]
    setting.seconds = 0.0042
    setting.push.heard(answer(nonce))
    sent, answered = caplog.records
    assert sent.getMessage() == "stop pushed to pod pod"
    assert answered.getMessage() == (
        "pod pod has answered the push after 4.2 ms: told; 2 told, 0 refused; the main program lives, 1 others are left"
    )
    assert answered.__dict__["desist"] == {"execution": "order-1", "reconcile": "0a1b"}


async def test_the_same_push_again_is_no_news(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for sequence in (3, 3, 3, 4):
        setting.sent(sequence=sequence)
    assert [record.getMessage() for record in caplog.records] == ["stop pushed to pod pod"] * 2


def test_header_signature_and_body_are_in_their_places() -> None:
    whole = packed(UID, b"{}", KEY)
    assert whole[:24] == b"desist1\n" + bytes.fromhex(UID.replace("-", ""))
    assert whole[24:88] == KEY.sign(whole[:24] + b"{}")
    assert whole[88:] == b"{}"


def test_complaints_begin_anew_after_a_long_silence(caplog: pytest.LogCaptureFixture) -> None:
    moments = [0.0, 0.5, 1.1, 3.0, 1.1 + 3 * LONGEST]
    complaints = Complaints(lambda: moments[0])
    while moments:
        complaints.make("it rains", "rain")
        del moments[0]
    assert [record.getMessage() for record in caplog.records] == [
        "it rains",
        "it rains (and 1 times since it was said last)",
        "it rains (and 1 times since it was said last)",
    ]
