"""The policies of operations as they are rendered; what they do is tried in tests/cluster/admission."""

from __future__ import annotations

import re
from typing import Any

import pytest

from desist.api.operation import operation_name
from desist.api.vocabulary import TERMINAL_PHASES, Phase
from desist.lifecycle.pod.manifest import pod_name
from tests.unit.chart.conftest import Find

POLICIES = {
    "desist-operations-created-by": "CREATE",
    "desist-operations-changed-by": "UPDATE",
    "desist-operations-deleted-by": "DELETE",
}
RUN = "01JZZZZZZZZZZZZZZZZZZZZZZZ"


def policy(find: Find, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = find("ValidatingAdmissionPolicy", name)["spec"]
    return spec


def variable(find: Find, name: str, of: str = "desist-operations-changed-by") -> str:
    held = {it["name"]: it["expression"] for it in policy(find, of)["variables"]}
    return str(held[name])


@pytest.mark.parametrize("name", POLICIES)
def test_each_looks_at_one_deed_and_refuses_where_it_fails(find: Find, name: str) -> None:
    made = policy(find, name)
    (rule,) = made["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["operations"], [POLICIES[name]])
    assert made["failurePolicy"] == "Fail"
    binding = find("ValidatingAdmissionPolicyBinding", name)["spec"]
    assert binding == {"policyName": name, "validationActions": ["Deny"]}


@pytest.mark.parametrize("name", POLICIES)
def test_each_refusal_says_so_in_one_sentence(find: Find, name: str) -> None:
    for validation in policy(find, name)["validations"]:
        text = validation.get("message") or validation["messageExpression"]
        assert not re.search(r"\. [A-Z]|\n", text), text


def workflow_pod(find: Find) -> re.Pattern[str]:
    """What the policy takes for the name of a workflow pod."""
    (found,) = re.findall(r"it\.matches\('([^']*)'\)", variable(find, "ofTheRun"))
    return re.compile(str(found))


@pytest.mark.parametrize("execution", ["a", "order-1", "a.b-c.d", "x" * 253, "a" * 36 + "-b"])
@pytest.mark.parametrize("attempt", [1, 9, 10, 1000, 123_456_789])
def test_the_name_of_every_workflow_pod_is_known_as_one_and_shows_its_run(
    find: Find, execution: str, attempt: int
) -> None:
    name = pod_name(execution, "uid", RUN, attempt)
    assert workflow_pod(find).search(name)
    stem, _, number = name.rpartition("-")
    assert int(number) == attempt
    if attempt == 1:
        assert stem == pod_name(execution, "uid", RUN, 2).rpartition("-")[0]
        others = (pod_name(execution, "other", RUN, 1), pod_name(execution, "uid", RUN[:-1] + "0", 1))
        assert stem not in {other.rpartition("-")[0] for other in others}


@pytest.mark.parametrize("execution", ["a", "order-1", "a.b-c.d", "x" * 253])
def test_the_name_of_an_operations_pod_is_never_taken_for_one(find: Find, execution: str) -> None:
    names = [operation_name(execution, "uid", RUN, str(key)).replace(".", "-") + "-1" for key in range(300)]
    pattern = workflow_pod(find)
    assert not [name for name in names if pattern.search(name)]


@pytest.mark.parametrize("execution", ["a", "order-1", "a.b-c.d", "x" * 253, f"{'a' * 33}-1.0", f"{'a' * 34}-1.0"])
def test_the_name_of_every_operation_begins_as_the_policy_wants_it(find: Find, execution: str) -> None:
    name = operation_name(execution, "uid", RUN, "a/1")
    (wanted,) = re.findall(r"matches\('([^']*)'\)", variable(find, "begins", "desist-operations-created-by"))
    assert re.search(wanted, name)
    begins, cut = name[:-21], execution[:36]
    assert cut.startswith(begins)
    assert re.fullmatch(r"[-.]*", cut.removeprefix(begins))


def test_what_has_ended_is_what_the_vocabulary_calls_so(find: Find) -> None:
    (validation,) = policy(find, "desist-operations-deleted-by")["validations"]
    (listed,) = re.findall(r"orValue\(''\) in \[([^]]*)\]", validation["expression"])
    ended = {str(phase) for phase in TERMINAL_PHASES} - {str(Phase.TERMINATED)}
    assert set(re.findall(r"'([^']*)'", listed)) == ended


def test_a_role_of_the_chart_is_named_as_the_release_names_it(find: Find) -> None:
    held = find("ValidatingAdmissionPolicy", "y-operations-changed-by", "fullnameOverride=y")["spec"]
    (stops,) = (it for it in held["validations"] if "authorizer" in it["expression"])
    assert "for example y-operator" in stops["messageExpression"]
