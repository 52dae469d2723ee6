"""The examples that the launcher's tests read too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from desist.api.base import Opaque, rfc3339
from desist.api.vocabulary import Phase
from desist.lifecycle.wire import mailbox, termination
from desist.lifecycle.wire.termination import Receipt, ReceivedStop, UserOutcome

EXAMPLES = Path(__file__).parents[2] / "contract"
# The controller does not keep what the receipt says about the outcome: it has the outcome.
NOT_KEPT = {"receipt", "outcome", "says"}


def examples(kind: str) -> list[Any]:
    entries = json.loads((EXAMPLES / kind / "index.json").read_text())
    ours = [entry for entry in entries if "controller" in entry.get("readers", ["controller"])]
    return [pytest.param(entry, id=entry["file"]) for entry in ours]


def content(kind: str, entry: dict[str, Any]) -> str:
    return (EXAMPLES / kind / str(entry["file"])).read_bytes().decode(errors="surrogateescape")


@pytest.mark.parametrize("entry", examples("mailbox"))
def test_a_mailbox_says_to_the_controller_what_it_says_to_the_launcher(entry: dict[str, Any]) -> None:
    stop = mailbox.parse(content("mailbox", entry))
    assert (stop and posted(stop)) == entry["stop"]
    assert stop is None or mailbox.parse(mailbox.render(stop)) == stop


@pytest.mark.parametrize("entry", examples("termination"))
def test_a_termination_message_is_read_as_the_launcher_wrote_it(entry: dict[str, Any]) -> None:
    found, reads = termination.parse(content("termination", entry)), entry["reads"]
    receipt = reads["receipt"] and {key: value for key, value in reads["receipt"].items() if key not in NOT_KEPT}
    assert (found.receipt and said(found.receipt)) == receipt
    assert found.outcome == (reads["outcome"] and outcome(reads["outcome"]))
    assert (found.invalid is not None) == reads["invalid"]


def posted(stop: mailbox.Stop) -> dict[str, Any]:
    absent = dict.fromkeys(("graceSeconds", "reason", "details"))
    return {**absent, **json.loads(mailbox.render(stop))}


def outcome(read: dict[str, Any]) -> UserOutcome:
    return UserOutcome(
        phase=Phase(read["outcome"]),
        result=Opaque.of(read["result"]) if "result" in read else None,
        failure_message=read.get("failure", {}).get("message"),
        truncated=read.get("truncated", False),
    )


def said(receipt: Receipt) -> dict[str, Any]:
    """The receipt as the launcher wrote it, less what is not kept."""
    fields = {
        "started": receipt.started,
        "stop": receipt.stop and {**received(receipt.stop), "by": receipt.stop.by},
        "last": receipt.last
        and received(receipt.last) | ({} if receipt.last.by == "mailbox" else {"by": receipt.last.by}),
        "sigterm": receipt.sigterm and rfc3339(receipt.sigterm),
        "lastSigterm": receipt.last_sigterm and rfc3339(receipt.last_sigterm),
        "passed": receipt.passed and {"signal": receipt.passed.signal, "at": rfc3339(receipt.passed.at)},
        "deadline": receipt.deadline and rfc3339(receipt.deadline),
        "killed": receipt.killed or None,
        "refused": receipt.refused or None,
        "mailbox": receipt.mailbox_error,
        "error": receipt.error,
    }
    return {key: value for key, value in fields.items() if value is not None}


def received(stop: ReceivedStop) -> dict[str, Any]:
    return {"sequence": stop.sequence, "commandId": stop.command_id, "mode": stop.mode.value, "at": rfc3339(stop.at)}
