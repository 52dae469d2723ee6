"""The largest operations that the API server stores are stopped, taken over and ended like others.

CEL may look at a request for so long only; one that took longer would be refused, and a stop with it.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.admission.accounts import DRY, Account, acting_as
from tests.cluster.admission.processes import (
    COLLECTORS,
    Body,
    Process,
    cancellation,
    denied,
    path_of,
    take_over,
    with_status,
)
from tests.support.lab import Execution

pytestmark = [pytest.mark.conformance("I6"), pytest.mark.usefixtures("operator_still")]


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else "z"


def fillings() -> dict[str, Body]:
    """Objects of about 1.3 MB, as etcd takes 1.5 MB with all that is around them."""
    return {
        "one long text": {"arguments": {"a": "z" * 1_300_000}},
        "many entries": {"arguments": {f"k{number}": "" for number in range(90_000)}},
        "many objects": {"arguments": {"a": [{"b": number} for number in range(90_000)]}},
        "many in each": {"arguments": {f"k{one}": {f"k{two}": "" for two in range(300)} for one in range(300)}},
        "deep": {"arguments": nested(400)},
        "an outcome": {"timer": None, "local": {"outcome": {f"k{number}": {"a": 1} for number in range(60_000)}}},
        "a pod": {
            "timer": None,
            "pod": {
                "command": ["c" * 4096] * 100,
                "env": [{"name": f"n{number}", "value": "v" * 3000} for number in range(256)],
                "nodeSelector": {f"k{number}": "" for number in range(1_000)},
            },
        },
    }


@pytest.mark.parametrize("filling", fillings())
def test_it_is_stopped_taken_over_orphaned_and_ended(
    process: Process, next_attempt: Process, mallory: Account, running: Execution, filling: str
) -> None:
    lab = process.lab
    body = process.asks_for(running, f"filled: {filling}", **fillings()[filling])
    body["spec"] = {field: value for field, value in body["spec"].items() if value is not None}
    made = process.account.ask("POST", path_of(lab, body).rpartition("/")[0], body)
    assert made.status == 201, made.message[:500]
    path, held = path_of(lab, body), made.body
    tried = {
        "stop": (process.account, cancellation("Kill")),
        "stop by a person": (mallory, cancellation("Cancel")),
        "take over": (next_attempt.account, take_over(next_attempt)),
        "label": (mallory, {"metadata": {"labels": {"team": "a"}}}),
        "orphan": (acting_as(COLLECTORS[0]), {"metadata": {"ownerReferences": None}}),
    }
    for what, (account, change) in tried.items():
        answer = account.ask("PATCH", path, change, "merge", **DRY)
        assert answer.status == 200, (what, answer.message[:500])
    refused = mallory.ask("PATCH", path, {"spec": {"cleanup": True}}, "merge", **DRY)
    assert denied(refused, "changed-by", "spec.cleanup of an operation never changes")
    with_status(process, held, phase="Succeeded")
    assert mallory.ask("DELETE", path).status == 200
