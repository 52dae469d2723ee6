"""The tables of the tests: YAML files beside them, one entry a case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

API_VERSION = "desist.dev/v1alpha1"
FOLDER = Path(__file__).parent / "tables"
RUN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
CONTAINER = {"name": "workflow", "image": "example", "command": ["/work"]}
WORKFLOW_SPEC: dict[str, Any] = {"template": {"spec": {"containers": [CONTAINER]}}}


def table(name: str) -> list[Any]:
    """The cases of `tables/NAME.yaml` as pytest parameters, called as they call themselves."""
    cases = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return [pytest.param(case, id=case["case"]) for case in cases]


def manifest(kind: str, spec: dict[str, Any], name: str = "trial") -> dict[str, Any]:
    """An object of one of our kinds."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def execution(name: str, **spec: Any) -> dict[str, Any]:
    """An execution with a workflow in place."""
    return manifest("WorkflowExecution", {"workflowSpec": WORKFLOW_SPEC} | spec, name)


def slug(case: dict[str, Any]) -> str:
    """A name for an object, from the case's own."""
    return re.sub(r"[^a-z0-9]+", "-", case["case"].lower()).strip("-")[:60].strip("-")
