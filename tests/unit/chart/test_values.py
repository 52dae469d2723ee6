from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.unit.chart.conftest import CHART, Find, Helm

REFUSED = {
    "image.tagg=1": "at '/image': additional properties 'tagg' not allowed",
    "controler.replicas=1": "additional properties 'controler' not allowed",
    "controller.replicas=2": "at '/controller/replicas': maximum: got 2, want 1",
    "controller.terminationGracePeriodSeconds=2": "minimum: got 2, want 6",
    "controller.probePort=80": "at '/controller/probePort': minimum: got 80, want 1,024",
    "controller.logging.level=info": "value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'",
    "launcher.delivery=Sidecar": "value must be one of 'Auto', 'ImageVolume', 'InitContainer'",
    "image.pullPolicy=Sometimes": "value must be one of 'Always', 'IfNotPresent', 'Never'",
    "image.tag=7": "at '/image/tag': got number, want string",
    "image.digest=sha256:ab": "at '/image/digest'",
    "launcher.image.digest=latest": "at '/launcher/image/digest'",
    "image.repository=a@sha256": "at '/image/repository'",
    "admission.operator=x": "additional properties 'operator' not allowed",
    "admission.operators=x": "at '/admission/operators': got string, want array",
    'admission.operators=[""]': "at '/admission/operators/0'",
    'admission.statusWriters=["a\\nb"]': "at '/admission/statusWriters/0'",
    'admission.statusWriters=["a","a"]': "at '/admission/statusWriters'",
    "workflowNamespaces=team-a": "at '/workflowNamespaces': got string, want array",
    'workflowNamespaces=[""]': "at '/workflowNamespaces/0'",
    'workflowNamespaces=["Team"]': "at '/workflowNamespaces/0'",
    'workflowNamespaces=["team.a"]': "at '/workflowNamespaces/0'",
    'workflowNamespaces=["a","a"]': "at '/workflowNamespaces'",
    "networkPolicy.apiServerPorts=[]": "at '/networkPolicy/apiServerPorts'",
    'networkPolicy.apiServerCidrs=["10.0.0.1"]': "at '/networkPolicy/apiServerCidrs/0'",
    "push.port=80": "at '/push/port': minimum: got 80, want 1,024",
    "push.rotateAfterDays=-1": "at '/push/rotateAfterDays'",
    "push.enabled=yes": "at '/push/enabled': got string, want boolean",
    "image.repository=": "at '/image/repository'",
    'controller.extraEnv=[{"name":"A","value":1}]': "at '/controller/extraEnv/0/value': got number, want string",
    "serviceAccount.create=false": "serviceAccount.name: needed where serviceAccount.create is false",
    'commonLabels={"app.kubernetes.io/name":"x"}': "commonLabels: app.kubernetes.io/name is set by the chart; choose",
    'controller.podLabels={"helm.sh/chart":"x"}': "controller.podLabels: helm.sh/chart is set by the chart; choose",
}


@pytest.mark.parametrize("value", REFUSED)
def test_a_wrong_value_is_refused_with_words_that_name_it(helm: Helm, value: str) -> None:
    assert REFUSED[value] in helm.refusal(value)


def test_a_variable_that_the_chart_sets_from_another_value_is_refused(helm: Helm, find: Find) -> None:
    (controller,) = find("Deployment", "desist")["spec"]["template"]["spec"]["containers"]
    set_by_the_chart = [variable["name"] for variable in controller["env"]]
    assert "DESIST_PROBE_PORT" in set_by_the_chart
    for name in set_by_the_chart:
        assert "at '/controller/extraEnv/0/name'" in helm.refusal(f'controller.extraEnv=[{{"name":"{name}"}}]')


@pytest.mark.parametrize("value", ["global.x=1", "enabled=true", "controller.podSecurityContext.runAsUser=null"])
def test_what_parent_charts_and_openshift_set_is_taken(helm: Helm, value: str) -> None:
    assert helm.rendered(value)


def leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}/{name}")
        else:
            yield f"{path}/{name}"


def resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = root["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return named


def properties(schema: dict[str, Any], root: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, held in schema.get("properties", {}).items():
        inner = resolved(held, root)
        yield f"{path}/{name}"
        yield from properties(inner, root, f"{path}/{name}")


NOT_IN_VALUES = {
    "/global",
    "/enabled",
    "/controller/resources/claims",
    "/controller/livenessProbe/successThreshold",
    "/controller/readinessProbe/initialDelaySeconds",
    "/controller/readinessProbe/successThreshold",
}


def test_every_value_that_the_schema_knows_is_in_values_yaml() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    shown = {path for leaf in leaves(values) for path in _with_parents(leaf)}
    assert set(properties(schema, schema)) - shown == NOT_IN_VALUES


def _with_parents(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]
