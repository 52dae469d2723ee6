"""The largest object that the rules allow goes through a whole life, its Kill included, on the real API server."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from desist.lifecycle.pod.limits import ARGUMENTS_BYTES, TEMPLATE_BYTES, stored_size
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, template
from tests.support.logs import wait_until_started
from tests.support.watching import GROUP, PLURAL, VERSION, Object

pytestmark = pytest.mark.usefixtures("release_operator")

WORDS = "\U0001f600" * 512
"""1,024 characters or 2,048 bytes: as much as a reason may hold."""
STATUS_BYTES = 384 * 1024


def padded(marker: str) -> dict[str, Any]:
    """A template of 256 KiB as stored."""
    made = template(programs.command(programs.DEAF, marker))
    env = made["spec"]["containers"][0].setdefault("env", [])
    while (left := TEMPLATE_BYTES - stored_size(made)) > 200:
        env.append({"name": f"PADDING_{len(env)}", "value": "x" * min(left - 100, 4000)})
    return made


def arguments() -> dict[str, str]:
    """Arguments of 32 KiB as stored."""
    return {"text": "\U0001f600" * ((ARGUMENTS_BYTES - 20) // 4)}


def fill(run: Execution) -> None:
    """All records and entries that there is room for, as large as the rules let them be: what a long life leaves."""
    for _ in range(20):
        held = run.get()
        filled(held["status"])
        try:
            run.lab.custom.replace_namespaced_custom_object_status(GROUP, VERSION, run.lab.name, PLURAL, run.name, held)
            return
        except ApiException as error:
            if error.status != 409:
                raise
    raise AssertionError("the status changes all the time")


def filled(status: dict[str, Any]) -> None:
    (accepted,) = status["commands"]
    asked = {"reason": WORDS, "details": WORDS, "supersededBy": accepted["id"]}
    others = [accepted | {"status": "Rejected", "reason": "\U0001f600" * 64, "details": "\U0001f600" * 64}] * 20
    records = [record | asked for record in [accepted] * 43]
    status["commands"] = [record | {"sequence": n} for n, record in enumerate([*others, *records], 1)]
    status["commands"].append(accepted | {"sequence": 64})
    status["commandCount"] = 64
    entry = {"type": "PodDisrupted", "time": accepted["acceptedAt"], "message": "x" * 200}
    missing = 256 - len(status["history"])
    status["history"] = [entry | {"seq": n} for n in range(1, missing + 1)] + [
        kept | {"seq": missing + n} for n, kept in enumerate(status["history"], 1)
    ]
    status["historyCount"] = 256


def size(held: Object) -> int:
    """Bytes of status as stored, without what the run was started with."""
    return stored_size({k: v for k, v in held["status"].items() if k not in ("workflowSpec", "arguments")})


@pytest.mark.conformance("J5")
def test_the_largest_object_that_the_rules_allow_goes_through_a_whole_life(lab: Lab) -> None:
    marker = f"mark-largest-{lab.name}"
    run = lab.create({"workflowSpec": {"template": padded(marker)}, "arguments": arguments()}, marker)
    wait_until_started(run)
    run.stop("Cancel", reason=WORDS, details=WORDS, requestId="\U0001f600" * 32)
    run.wait_for("Cancelling")
    fill(run)
    full = run.wait_for(lambda held: held["status"].get("commandCount") == 64)
    assert size(full.object) > 200 * 1024, "it was meant to be large"
    run.stop("Kill", reason=WORDS, details=WORDS, gracePeriodSeconds=2)
    ended = run.wait_for("Cancelled").object
    status = ended["status"]
    assert (len(status["history"]), status["commands"][-1]["mode"]) == (256, "Kill")
    assert (status["commands"][-1]["reason"], status["commands"][-1]["details"]) == (WORDS, WORDS), "told in full"
    assert status["history"][-1]["type"] == "WorkflowCancelled" and status["history"][-1]["reason"] == WORDS
    assert size(ended) <= STATUS_BYTES
    assert proof.gone_for_good(marker)
    print(f"stored: {stored_size(ended):,} bytes in all, {size(ended):,} of status without its copies")
