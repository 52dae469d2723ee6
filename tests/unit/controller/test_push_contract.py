"""The examples of pushes that the launcher's tests read too: each is made here byte for byte, each answer read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from desist.api.base import EARLIEST
from desist.controller.push import packed
from desist.controller.push_ring import PushKey
from desist.lifecycle.wire import datagram, mailbox

EXAMPLES = Path(__file__).parents[2] / "contract" / "push"
POD = json.loads((EXAMPLES / "pod.json").read_text())
KEY = PushKey.of(bytes.fromhex(POD["seed"]), EARLIEST)


def index(name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((EXAMPLES / name).read_text())
    return entries


MADE = [entry for entry in index("index.json") if entry["from"] is not None]


def test_the_public_half_and_its_id_are_what_the_pod_is_given() -> None:
    assert (KEY.public, KEY.id) == (POD["key"], POD["keyId"])


@pytest.mark.parametrize("entry", MADE, ids=lambda entry: entry["file"])
def test_a_posting_makes_the_datagram_that_the_launcher_reads(entry: dict[str, Any]) -> None:
    stop = mailbox.parse(entry["from"]["posting"])
    assert stop is not None
    text = datagram.stop_text(stop)
    assert text is not None
    made = packed(POD["podUid"], datagram.body(entry["from"]["nonce"], text), KEY)
    assert made.hex() == (EXAMPLES / entry["file"]).read_text().strip()


@pytest.mark.parametrize("entry", index("answers.json"), ids=lambda entry: entry["about"])
def test_an_answer_is_read_as_the_launcher_wrote_it(entry: dict[str, Any]) -> None:
    found = datagram.parse_answer(entry["text"].encode(errors="surrogateescape"), EARLIEST)
    assert (found and read(*found)) == entry["read"]


def read(nonce: str, pod_uid: str, answer: Any) -> dict[str, Any]:
    return {
        "nonce": nonce,
        "podUid": pod_uid,
        "commandId": answer.command_id,
        "sequence": answer.sequence,
        "did": answer.did,
        "told": answer.told,
        "refused": answer.refused,
        "mainEnded": answer.main_ended,
        "left": answer.left,
    }
