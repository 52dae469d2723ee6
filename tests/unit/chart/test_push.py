"""Push in the chart: one Secret that only the controller reads, and a way out to the pods of executions."""

from __future__ import annotations

import pytest
import yaml

from desist.api.meta import EXECUTION_UID_LABEL
from tests.unit.chart.conftest import CHART, Find, Helm, Manifest
from tests.unit.chart.test_templates import verbs

NAME = "desist-push"
PAGE = CHART.parents[1] / "docs" / "push.md"


def test_the_secret_is_made_without_data_so_that_an_upgrade_leaves_what_is_in_it(find: Find) -> None:
    secret = find("Secret", NAME)
    assert not {"data", "stringData", "immutable"} & secret.keys()
    assert secret["type"] == "Opaque"


def test_the_controller_may_read_and_patch_that_secret_and_no_other(helm: Helm, find: Find) -> None:
    role, binding = find("Role", NAME), find("RoleBinding", NAME)
    assert verbs(role) == {"/secrets": {"get", "patch"}}
    assert [rule["resourceNames"] for rule in role["rules"]] == [[NAME]]
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "desist", "namespace": "desist-system"}]
    assert {it["metadata"]["namespace"] for it in (role, binding, find("Secret", NAME))} == {"desist-system"}
    others = [it for it in helm.rendered() if it["kind"] == "ClusterRole"]
    assert not [it for it in others if "/secrets" in verbs(it)]


def test_the_controller_is_told_which_secret_it_is(helm: Helm) -> None:
    rendered = helm.rendered(release="stops", namespace="ns")
    (made,) = (it for it in rendered if it["kind"] == "Deployment")
    (container,) = made["spec"]["template"]["spec"]["containers"]
    told = {variable["name"]: variable["value"] for variable in container["env"]}
    assert told["DESIST_PUSH_SECRET"] == "ns/stops-desist-push"
    assert [it["metadata"]["name"] for it in rendered if it["kind"] == "Secret"] == ["stops-desist-push"]


def egress(find: Find, *values: str) -> list[Manifest]:
    rules: list[Manifest] = find("NetworkPolicy", "desist", "networkPolicy.enabled=true", *values)["spec"]["egress"]
    return [rule for rule in rules if any(port["protocol"] == "UDP" for port in rule["ports"])]


def test_the_network_policy_lets_it_out_to_the_pods_of_executions_and_nobody_in(find: Find) -> None:
    (rule,) = egress(find, "push.port=7000")
    assert rule["ports"] == [{"protocol": "UDP", "port": 7000}]
    exists = {"matchExpressions": [{"key": EXECUTION_UID_LABEL, "operator": "Exists"}]}
    assert rule["to"] == [{"namespaceSelector": {}, "podSelector": exists}]
    spec = find("NetworkPolicy", "desist", "networkPolicy.enabled=true")["spec"]
    assert [port["protocol"] for rule in spec["ingress"] for port in rule["ports"]] == ["TCP"]


def test_switched_off_it_leaves_no_trace(helm: Helm, find: Find) -> None:
    rendered = helm.rendered("push.enabled=false", "networkPolicy.enabled=true")
    assert not {it["kind"] for it in rendered} & {"Secret", "Role", "RoleBinding"}
    assert "DESIST_PUSH" not in yaml.safe_dump([it for it in rendered if it["kind"] == "Deployment"])
    assert egress(find, "push.enabled=false") == []


@pytest.mark.parametrize("labels", ["podSelector", "namespaceSelector"])
def test_the_rule_that_the_page_gives_to_a_locked_down_namespace_fits_what_the_chart_installs(
    find: Find, labels: str
) -> None:
    policies = [part for part in PAGE.read_text().split("```") if part.startswith("yaml\nkind: NetworkPolicy")]
    (rule,) = yaml.safe_load(policies[0].removeprefix("yaml\n"))["spec"]["ingress"]
    (peer,) = rule["from"]
    template = find("Deployment", "desist")["spec"]["template"]["metadata"]["labels"]
    held = {"podSelector": template, "namespaceSelector": {"kubernetes.io/metadata.name": "desist-system"}}[labels]
    assert peer[labels]["matchLabels"].items() <= held.items()
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert rule["ports"] == [{"protocol": "UDP", "port": values["push"]["port"]}]
