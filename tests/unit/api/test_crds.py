"""The generated CRDs: current, and complete by our own rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from desist.api.crds import DEFINITIONS, Definition, definition
from hack.generators.committed import ROOT
from hack.generators.crds import committed

EACH_KIND = pytest.mark.parametrize("of", DEFINITIONS, ids=lambda of: of.plural)


@pytest.mark.parametrize("path", committed(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_committed_file_is_what_the_models_say(path: Any) -> None:
    assert path.is_file() and path.read_text() == committed()[path], (
        f"{path.relative_to(ROOT)} is stale: run `python -m hack.generators.crds` and commit the result"
    )


def test_the_kinds_have_the_names_that_users_type() -> None:
    names = [definition(of)["spec"]["names"] for of in DEFINITIONS]
    assert [(n["kind"], n["plural"], n["shortNames"], n["categories"]) for n in names] == [
        ("Workflow", "workflows", ["dwf"], ["desist"]),
        ("WorkflowExecution", "workflowexecutions", ["wfx"], ["desist"]),
        ("Operation", "operations", ["op"], ["desist"]),
    ]


def _version(of: Definition) -> dict[str, Any]:
    found: dict[str, Any] = definition(of)["spec"]["versions"][0]
    return found


def _nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from _nodes(below, f"{path}.{name}")
    if "items" in schema:
        yield from _nodes(schema["items"], f"{path}[]")


def _all_nodes(of: Definition) -> dict[str, dict[str, Any]]:
    return dict(_nodes(_version(of)["schema"]["openAPIV3Schema"]))


@EACH_KIND
def test_every_field_has_a_description_that_is_a_sentence(of: Definition) -> None:
    for path, node in _all_nodes(of).items():
        if not path.endswith("[]"):
            assert node["description"].strip().endswith("."), path


@EACH_KIND
def test_a_status_is_one_value_for_managed_fields(of: Definition) -> None:
    assert _all_nodes(of)[".status"]["x-kubernetes-map-type"] == "atomic"


@EACH_KIND
def test_every_string_has_a_limit(of: Definition) -> None:
    for path, node in _all_nodes(of).items():
        if node.get("type") == "string":
            assert "maxLength" in node or node.get("format") == "date-time", path


@EACH_KIND
def test_every_list_has_a_limit_and_a_type(of: Definition) -> None:
    for path, node in _all_nodes(of).items():
        if node.get("type") == "array":
            assert {"maxItems", "x-kubernetes-list-type"} <= node.keys(), path


@EACH_KIND
def test_every_rule_has_a_plain_message_and_a_field_that_exists(of: Definition) -> None:
    nodes = _all_nodes(of)
    for path, node in nodes.items():
        for rule in node.get("x-kubernetes-validations", ()):
            assert rule["message"], rule
            assert "\n" not in rule["rule"], "kubectl shows a rule with line breaks badly"
            assert path + rule.get("fieldPath", "") in nodes, rule


@EACH_KIND
def test_selectable_fields_and_plain_columns_name_fields_that_exist(of: Definition) -> None:
    nodes = _all_nodes(of)
    columns = [column.path.replace("[0]", "[]") for column in of.columns if "?" not in column.path]
    for path in (*of.selectable, *columns):
        assert path in nodes or path == ".metadata.creationTimestamp", path


def test_the_limits_of_lists_are_those_that_the_status_needs() -> None:
    nodes = _all_nodes(DEFINITIONS[1])
    limits = {name: nodes[f".status.{name}"]["maxItems"] for name in ("commands", "history", "processes", "waitingOn")}
    assert limits == {"commands": 64, "history": 256, "processes": 16, "waitingOn": 16}
