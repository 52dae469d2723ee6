"""What users may write: manifests that the API server takes, and those that it refuses, in which words."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from desist.api.base import Model
from desist.api.execution import WorkflowExecution
from desist.api.workflow import Workflow
from tests.cluster.api.conftest import Kubectl
from tests.cluster.api.tables import execution, manifest, slug, table

MODELS: dict[str, type[Workflow] | type[WorkflowExecution]] = {
    "Workflow": Workflow,
    "WorkflowExecution": WorkflowExecution,
}


def repeated(text: str) -> str:
    """`<1025 x>` stands for so many of that character, so that the table stays readable."""
    return re.sub(r"<(\d+) (.)>", lambda found: found[2] * int(found[1]), text)


@pytest.mark.parametrize("case", table("good"))
def test_the_api_server_takes(kubectl: Kubectl, case: dict[str, Any]) -> None:
    stored = kubectl.apply(manifest(case["kind"], case["spec"], slug(case)))
    spec: Model = MODELS[case["kind"]].model_validate(stored).spec
    assert spec.wire() == stored["spec"], "the models and the schema disagree about a default or a name"


@pytest.mark.conformance("A12")
def test_an_absent_and_an_empty_reason_are_kept_apart(kubectl: Kubectl) -> None:
    told = kubectl.apply(execution("told", cancellation={"mode": "Cancel", "reason": ""}))
    silent = kubectl.apply(execution("silent", cancellation={"mode": "Cancel"}))
    assert told["spec"]["cancellation"] == {"mode": "Cancel", "reason": ""}
    assert silent["spec"]["cancellation"] == {"mode": "Cancel"}


@pytest.mark.parametrize("case", table("bad"))
def test_the_api_server_refuses(kubectl: Kubectl, case: dict[str, Any]) -> None:
    text = repeated(yaml.safe_dump(manifest(case["kind"], case["spec"]), allow_unicode=True))
    assert kubectl.refusal("apply", "--filename", "-", stdin=text) == repeated(case["says"])
