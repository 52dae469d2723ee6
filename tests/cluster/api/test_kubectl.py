"""What kubectl shows: documentation, columns, and lists by field."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from desist.api.execution import WorkflowExecutionSpec
from desist.api.schema import structural
from tests.cluster.api.conftest import SECONDS, Kubectl
from tests.cluster.api.tables import RUN, execution, manifest

REQUEST = structural(WorkflowExecutionSpec)["properties"]["cancellation"]
EXPLAINED = Path(__file__).parent / "tables" / "explain.txt"
STATUS: dict[str, Any] = {
    "phase": "KillCancelling",
    "bucket": "running",
    "runId": RUN,
    "attempt": 2,
    "waitingOn": ["node worker-1 does not answer", "sidecar proxy"],
    "cancellation": {"mode": "Kill", "killAt": "2126-01-02T03:04:05.000006Z"},
    "processes": [{"pod": "p", "node": "worker-1", "state": "unconfirmed", "since": "2026-01-02T03:04:05.000006Z"}],
}
STALLED = {
    "type": "Stalled",
    "status": "True",
    "reason": "WorkflowNotFound",
    "message": "no Workflow of that name",
    "lastTransitionTime": "2026-01-02T03:04:05Z",
}


def one_line(text: str) -> str:
    """Without the line breaks that kubectl makes."""
    return " ".join(text.split())


def explained(kubectl: Kubectl, *arguments: str, until: str) -> str:
    """What `kubectl explain` prints once the API server publishes the CRD as it is now.

    Nothing tells when that is: Established comes first, and right after it explain knows no such kind.
    """
    deadline = time.monotonic() + SECONDS
    while one_line(until) not in one_line((answer := kubectl.ask("explain", *arguments)).stdout):
        assert time.monotonic() < deadline, f"not explained as {until!r}:\n{answer.stdout}{answer.stderr}"
        time.sleep(0.2)  # as said above, there is nothing to watch
    return "\n".join(line.rstrip() for line in answer.stdout.splitlines()).strip() + "\n"


def test_explain_lists_the_fields_of_a_request(kubectl: Kubectl) -> None:
    text = explained(kubectl, "wfx.spec.cancellation", "--recursive", until=REQUEST["description"])
    assert text == EXPLAINED.read_text()


@pytest.mark.parametrize("field", REQUEST["properties"])
def test_explain_says_what_each_field_of_a_request_means(kubectl: Kubectl, field: str) -> None:
    explained(kubectl, f"wfx.spec.cancellation.{field}", until=REQUEST["properties"][field]["description"])


@pytest.fixture(scope="module")
def shown(kubectl: Kubectl) -> Kubectl:
    """A namespace with one execution that is being killed, one that cannot begin, and one that has ended."""
    kubectl.apply(execution("busy", cancellation={"mode": "Kill", "reason": "customer asked"}))
    kubectl.apply(manifest("WorkflowExecution", {"workflowRef": {"name": "missing"}}, "stuck"))
    kubectl.apply(execution("done"))
    failure = {"id": RUN, "category": "application", "propagation": "workflow", "message": "exit code 3"}
    ended = {"phase": "Failed", "bucket": "failed", "closedReason": "failed", "failure": failure}
    for name, status in {"busy": STATUS, "stuck": {"phase": "Pending", "conditions": [STALLED]}, "done": ended}.items():
        patch = json.dumps({"status": status})
        kubectl("patch", "wfx", name, "--subresource=status", "--type=merge", "--patch", patch)
    return kubectl


def columns(kubectl: Kubectl, *arguments: str) -> dict[str, dict[str, str]]:
    """Object name to column to text, as kubectl lays them out."""
    head, *rows = kubectl("get", *arguments).rstrip("\n").splitlines()
    starts = [found.start() for found in re.finditer(r"\S+", head)]
    spans = list(zip(starts, [*starts[1:], None], strict=True))
    cells = [[line[begin:end].strip() for begin, end in spans] for line in (head, *rows)]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells[1:]}


def test_the_list_shows_what_one_wants_to_know_at_night(shown: Kubectl) -> None:
    row = columns(shown, "wfx")["busy"]
    assert row.pop("AGE")
    assert row == {
        "NAME": "busy",
        "PHASE": "KillCancelling",
        "MODE": "Kill",
        "REASON": "customer asked",
        "ATTEMPT": "2",
        "WAITING-ON": "node worker-1 does not answer",
        "KILL-AT": "2126-01-02T03:04:05.000006Z",
    }


def test_the_wide_list_shows_causes_and_places(shown: Kubectl) -> None:
    rows = columns(shown, "wfx", "--output", "wide")
    assert rows["busy"]["NODE"] == "worker-1"
    assert rows["busy"]["RUN-ID"] == RUN
    assert rows["stuck"]["WORKFLOW"] == "missing"
    assert rows["stuck"]["STALLED"] == "no Workflow of that name"
    assert rows["done"]["FAILURE"] == "exit code 3"


def test_the_list_of_workflows_shows_how_they_like_to_be_stopped(kubectl: Kubectl) -> None:
    kubectl.apply(manifest("Workflow", {"template": {}, "stopPolicy": {"killAfterSeconds": 90}}, "report"))
    row = columns(kubectl, "dwf")["report"]
    assert (row["SIGNAL"], row["GRACE"], row["KILL-AFTER"]) == ("SIGTERM", "5", "90")


SELECTORS = {
    "status.phase=KillCancelling": {"busy"},
    "status.bucket=running": {"busy"},
    "status.bucket=failed": {"done"},
    "status.closedReason=failed": {"done"},
    f"status.runId={RUN}": {"busy"},
    "status.cancellation.mode=Kill": {"busy"},
    "spec.cancellation.mode=Kill": {"busy"},
    "spec.workflowRef.name=missing": {"stuck"},
    "status.phase!=Failed,spec.cancellation.mode!=Kill": {"stuck"},
}


@pytest.mark.conformance("H15")
@pytest.mark.parametrize("selector", SELECTORS)
def test_a_list_is_narrowed_by_field(shown: Kubectl, selector: str) -> None:
    found = shown("get", "wfx", "--field-selector", selector, "--output", "jsonpath={.items[*].metadata.name}")
    assert set(found.split()) == SELECTORS[selector]


def test_the_category_lists_both_kinds(shown: Kubectl) -> None:
    shown.apply(manifest("Workflow", {"template": {}}, "listed"))
    found = shown("get", "desist", "--output", "name").split()
    assert {"workflow.desist.dev/listed", "workflowexecution.desist.dev/busy"} <= set(found)


def test_one_can_wait_for_the_end(shown: Kubectl) -> None:
    # kubectl takes no condition that speaks of an older generation.
    finished = STALLED | {"type": "Finished", "reason": "Failed", "message": "", "observedGeneration": 1}
    patch = json.dumps({"status": {"conditions": [finished]}})
    shown("patch", "wfx", "done", "--subresource=status", "--type=merge", "--patch", patch)
    shown("wait", "--for=condition=Finished", "wfx/done", f"--timeout={SECONDS // 2}s")
