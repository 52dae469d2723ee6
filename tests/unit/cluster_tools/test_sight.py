"""What an operator of a worker's own tests is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.support.lab import Lab, template
from tests.support.operator_process import fresh_log
from tests.support.sight import HOSTNAME, STEADY_NODE, Placement, Sight

MINE, OTHERS, PLAIN = "t-gw0-0123abcd", "t-gw1-0123abcd", "t-0123abcd"
SIGHT = Sight("gw0")


def held(namespace: str | None) -> dict[str, object]:
    return {"metadata": {"name": "it"} | ({"namespace": namespace} if namespace else {})}


@pytest.mark.parametrize(
    ("namespace", "hidden"),
    [(MINE, False), (OTHERS, True), ("t-gw10-0123abcd", True), (PLAIN, False), ("kube-system", False), (None, False)],
)
def test_only_namespaces_of_other_workers_are_hidden(namespace: str | None, hidden: bool) -> None:
    assert SIGHT.hides(held(namespace)) is hidden


def test_a_list_loses_what_is_hidden_and_keeps_the_rest_as_it_is() -> None:
    listed = {"kind": "PodList", "metadata": {"resourceVersion": "7", "continue": "more"}}
    body = json.dumps(listed | {"items": [held(MINE), held(OTHERS), held(None)]}).encode()
    assert json.loads(SIGHT.of_list(body)) == listed | {"items": [held(MINE), held(None)]}


@pytest.mark.parametrize("body", [b'{"kind":"Pod",  "metadata":{}}', b'{"items":[], "a":1.0}', b'{"items":null}'])
def test_where_nothing_is_hidden_not_a_byte_changes(body: bytes) -> None:
    assert SIGHT.of_list(body) is body


def test_a_watch_loses_the_lines_of_what_is_hidden() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    events = [{"type": "ADDED", "object": held(MINE)}, {"type": "DELETED", "object": held(OTHERS)}, bookmark]
    lines = [json.dumps(event).encode() + b"\n" for event in events]
    assert SIGHT.of_events(b"".join(lines)) == lines[0] + lines[2]


def test_beside_a_module_that_loses_a_node_pods_go_to_the_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nodeSelector" not in template(["true"])["spec"]
    monkeypatch.setattr(Placement, "steady", True)
    assert template(["true"])["spec"]["nodeSelector"] == {HOSTNAME: STEADY_NODE}
    chosen = template(["true"], nodeSelector={"disk": "fast"})["spec"]
    assert chosen["nodeSelector"] == {"disk": "fast"}
    assert "nodeSelector" not in template(["true"], affinity={})["spec"]


class Stored:
    """Takes whatever is created, as the API server would."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    def create_namespaced_custom_object(self, *where: str | dict[str, Any]) -> dict[str, Any]:
        """As `CustomObjectsApi` has it."""
        body: Any = where[-1]
        self.bodies.append(body)
        return {"metadata": {"name": "made", "uid": "u"}}


@pytest.fixture
def lab() -> tuple[Lab, Stored]:
    """A namespace that is nowhere, and what was created in it."""
    made, stored = Lab("t-0123abcd", client.ApiClient()), Stored()
    made.custom = stored
    return made, stored


@pytest.mark.parametrize("steady", [True, False])
def test_so_do_those_of_a_template_that_a_test_has_written_by_itself(
    lab: tuple[Lab, Stored], monkeypatch: pytest.MonkeyPatch, steady: bool
) -> None:
    monkeypatch.setattr(Placement, "steady", steady)
    containers = [{"name": "workflow", "image": "a"}]
    own = {"spec": {"containers": containers}}
    made, stored = lab
    made.create({"workflowSpec": {"template": own}})
    made.workflow("own", {"template": own})
    wanted = {"nodeSelector": {HOSTNAME: STEADY_NODE}} if steady else {}
    execution, workflow = (body["spec"] for body in stored.bodies)
    assert execution["workflowSpec"]["template"]["spec"] == wanted | {"containers": containers}
    assert workflow["template"]["spec"] == wanted | {"containers": containers}
    assert own == {"spec": {"containers": containers}}, "the test's own is not changed"


def test_what_says_where_it_runs_or_is_no_template_is_created_as_it_is(
    lab: tuple[Lab, Stored], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Placement, "steady", True)
    made, stored = lab
    there: dict[str, Any] = {"workflowSpec": {"template": {"spec": {"nodeName": "there"}}}}
    no_template: list[dict[str, Any]] = [{"workflowRef": {"name": "a"}}, {"workflowSpec": {"template": {}}}]
    given = [there, *no_template]
    for spec in given:
        made.create(spec)
    assert [body["spec"] for body in stored.bodies] == given


def test_modules_of_one_name_start_operators_that_share_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESIST_HOME", str(tmp_path))
    one, other = (fresh_log(f"tests.cluster.{folder}.test_operator_killed") for folder in ("stops", "operations"))
    assert one.with_suffix(".kubeconfig") != other.with_suffix(".kubeconfig")
