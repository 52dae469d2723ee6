"""The admission policies as they are rendered; what they refuse and let through is tried in tests/cluster/admission."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from desist.api import meta
from tests.unit.chart.conftest import Find, Helm

OWN = "system:serviceaccount:desist-system:desist"
POLICIES = ("desist-status", "desist-pods")


def policy(find: Find, name: str, *values: str) -> dict[str, Any]:
    spec: dict[str, Any] = find("ValidatingAdmissionPolicy", name, *values)["spec"]
    return spec


def named(find: Find, *values: str) -> tuple[str, str]:
    """The expressions that name who may write status, and who may mark pods."""
    (written,) = policy(find, "desist-status", *values)["validations"]
    conditions = {it["name"]: it["expression"] for it in policy(find, "desist-pods", *values)["matchConditions"]}
    return written["expression"], conditions["not-by-an-operator"]


def test_without_values_the_releases_own_account_is_named(find: Find) -> None:
    assert named(find) == (
        f'request.userInfo.username in ["{OWN}"]',
        f'!(request.userInfo.username in ["{OWN}"])',
    )


def test_the_account_that_the_pod_has_is_the_one_that_is_named(find: Find) -> None:
    written, marked = named(find, "serviceAccount.create=false", "serviceAccount.name=mine")
    assert '["system:serviceaccount:desist-system:mine"]' in written
    assert '["system:serviceaccount:desist-system:mine"]' in marked


def test_further_accounts_are_named_as_they_are_written(find: Find) -> None:
    odd = 'o"d\\d: & <x> #y {z}'
    values = (f"admission.operators={json.dumps([odd, OWN])}", 'admission.statusWriters=["restorer"]')
    written, marked = named(find, *values)
    assert json.loads(written.partition(" in ")[2]) == [OWN, odd, "restorer"]
    assert json.loads(marked.partition(" in ")[2].removesuffix(")")) == [OWN, odd]


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_that_fails_refuses_and_one_that_refuses_says_so(find: Find, name: str) -> None:
    made = policy(find, name)
    assert made["failurePolicy"] == "Fail"
    assert all(it["reason"] == "Forbidden" for it in made["validations"])
    assert all("admission." in it["messageExpression"] for it in made["validations"] if "message" not in it)
    binding = find("ValidatingAdmissionPolicyBinding", name)["spec"]
    assert binding == {"policyName": name, "validationActions": ["Deny"]}


def test_the_names_that_are_asked_for_in_a_map_too_large_to_walk_over_are_all_that_the_operator_reads(
    find: Find,
) -> None:
    names = {value for name, value in vars(meta).items() if name.endswith(("_LABEL", "_ANNOTATION"))}
    expressions = [it["expression"] for it in policy(find, "desist-pods")["matchConditions"]]
    expressions += [it["expression"] for it in policy(find, "desist-pods")["variables"]]
    listed = [one for expression in expressions for one in re.findall(r"dyn\((\[[^]]*\])\)", expression)]
    assert len(listed) == 6
    assert all(set(json.loads(one.replace("'", '"'))) == names for one in listed)


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_stands_in_the_way_of_a_deletion(find: Find, name: str) -> None:
    (rule,) = policy(find, name)["matchConstraints"]["resourceRules"]
    assert set(rule["operations"]) == {"CREATE", "UPDATE"}


def test_the_policies_can_be_left_away(helm: Helm) -> None:
    kinds = {manifest["kind"] for manifest in helm.rendered("admission.enabled=false")}
    assert not {kind for kind in kinds if "Admission" in kind}
