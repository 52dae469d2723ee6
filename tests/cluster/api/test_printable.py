"""Texts of requests are what a terminal shows; what was stored before this rule can still be stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.api.conftest import ROOT, SECONDS, Kubectl
from tests.cluster.api.tables import RUN, execution, manifest

ALLOWED = "newline and tab are allowed"
REFUSED = {
    "an escape sequence": "\x1b[31mred",
    "a carriage return": "secret\rharmless",
    "a turned reading direction": "user\u202etxt",
    "an isolate": "\u2066x",
    "a bell": "\x07",
}
OLD_GROUP = "before.desist.dev"


@pytest.mark.parametrize("field", ["reason", "details", "requestId"])
@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_a_terminal_obeys_is_refused(kubectl: Kubectl, field: str, text: str) -> None:
    wanted = execution("refused", cancellation={"mode": "Cancel", field: text})
    said = kubectl.refusal("create", "--filename", "-", stdin=json.dumps(wanted))
    assert f"spec.cancellation.{field}" in said and ALLOWED in said


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_nor_does_an_operation_have_it_in_its_key(kubectl: Kubectl, text: str) -> None:
    spec = {
        "executionRef": {"name": "trial", "uid": "u"},
        "runId": RUN,
        "key": text,
        "timer": {"delayMilliseconds": 1},
        "createdBy": {"podName": "p", "podUid": "u"},
    }
    said = kubectl.refusal("create", "--filename", "-", stdin=json.dumps(manifest("Operation", spec)))
    assert "spec.key" in said and ALLOWED in said


def test_lines_tabs_and_all_scripts_are_taken(kubectl: Kubectl) -> None:
    reason = "eins\n\tzwei жdé漢字 \U0001f469\u200d\U0001f680"
    stored = kubectl.apply(execution("taken", cancellation={"mode": "Cancel", "reason": reason}))
    assert stored["spec"]["cancellation"]["reason"] == reason


@pytest.fixture
def old(admin: Kubectl) -> Iterator[dict[str, Any]]:
    """Our kind under another group, as it was before the rule."""
    crd: dict[str, Any] = yaml.safe_load((ROOT / "crds" / "workflowexecutions.yaml").read_text())
    crd["metadata"]["name"] = f"workflowexecutions.{OLD_GROUP}"
    crd["spec"]["group"] = OLD_GROUP
    crd["spec"]["names"] |= {"shortNames": [], "categories": []}
    yield crd
    admin("delete", "crd", crd["metadata"]["name"], "--wait=false", "--ignore-not-found")


def test_a_request_that_was_stored_before_the_rule_can_be_made_stronger(
    admin: Kubectl, kubectl: Kubectl, old: dict[str, Any]
) -> None:
    request = old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][
        "cancellation"
    ]
    rules = request.pop("x-kubernetes-validations")
    name, kind = "stored-before", f"workflowexecutions.{OLD_GROUP}"
    stored = execution(name, cancellation={"mode": "Cancel", "reason": "\x1b[31mred"})
    text = json.dumps(stored | {"apiVersion": f"{OLD_GROUP}/v1alpha1"})
    serve(admin, old)
    wait_until(lambda: kubectl.ask("get", kind).returncode == 0, "the kind is known")
    kubectl("create", "--filename", "-", stdin=text)
    request["x-kubernetes-validations"] = rules
    serve(admin, old)
    again = ("create", "--dry-run=server", "--filename", "-")
    refused = text.replace(name, "stored-after")
    wait_until(lambda: ALLOWED in kubectl.ask(*again, stdin=refused).stderr, "the rules are in force")
    status = {"status": {"phase": "Running", "cancellation": {"observed": stored["spec"]["cancellation"]}}}
    kubectl("patch", kind, name, "--subresource=status", "--type=merge", "--patch", json.dumps(status))
    kubectl("patch", kind, name, "--type=merge", "--patch", '{"spec":{"cancellation":{"mode":"Kill"}}}')
    other = json.dumps({"spec": {"cancellation": {"reason": "\x1b[32mgreen"}}})
    assert ALLOWED in kubectl.refusal("patch", kind, name, "--type=merge", "--patch", other)
    kubectl("patch", kind, name, "--type=merge", "--patch", '{"spec":{"cancellation":{"reason":"red"}}}')


def serve(admin: Kubectl, crd: dict[str, Any]) -> None:
    """The API server takes the kind on; what it served before may still answer for a moment, discovery too."""
    admin("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=json.dumps(crd))
    admin("wait", "--for=condition=Established", f"--timeout={SECONDS}s", "crd", crd["metadata"]["name"])


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Established comes first; nothing tells when kubectl and requests find what it is about."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, f"not within {SECONDS} s: {what}"
        time.sleep(0.2)
