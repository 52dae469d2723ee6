"""What the documents and examples are tried with: a shell as their reader has it, in a namespace of the test."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import watch

from hack.cluster.api import kubeconfig, tool
from tests.support import programs
from tests.support.lab import Execution, Lab
from tests.support.watching import GROUP, VERSION

REPOSITORY = Path(__file__).parents[3]


class Shell:
    """A shell in an empty folder, whose kubectl speaks to the lab's namespace."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.folder = folder
        held = yaml.safe_load(kubeconfig().read_text())
        for context in held["contexts"]:
            context["context"]["namespace"] = lab.name
        config = folder / ".kubeconfig"
        config.write_text(yaml.safe_dump(held))
        path = f"{tool('kubectl').parent}:{os.environ['PATH']}"
        self._environment = {**os.environ, "KUBECONFIG": str(config), "PATH": path}

    def run(self, block: str, **environment: str) -> str:
        """What the block prints. Fails where one of its commands does."""
        command = ["bash", "-euo", "pipefail", "-c", block]
        given = {**self._environment, **environment}
        done = subprocess.run(command, cwd=self.folder, env=given, capture_output=True, text=True, timeout=360)
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def shell(lab: Lab, release_operator: Any, tmp_path: Path) -> Shell:
    """Beside the installed release."""
    return Shell(lab, tmp_path)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a document in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def runnable(manifest: str) -> str:
    """A manifest with the image that the nodes have."""
    return manifest.replace("python:3.13-slim", programs.WORKLOAD)


def operations(lab: Lab) -> dict[str, dict[str, Any]]:
    """The operations of the namespace, by their keys."""
    listed = lab.custom.list_namespaced_custom_object(GROUP, VERSION, lab.name, "operations")
    return {held["spec"]["key"]: held for held in listed["items"]}


def execution_of(lab: Lab, name: str, marker: str = "no-marker-was-given") -> Execution:
    """The handle of an execution that a manifest has made."""
    held = lab.custom.get_namespaced_custom_object(GROUP, VERSION, lab.name, "workflowexecutions", name)
    return Execution(lab, name, held["metadata"]["uid"], marker)


def wait_for_operation(lab: Lab, key: str, phase: str = "", seconds: int = 60) -> dict[str, Any]:
    """The operation of that key, as soon as it is there and in that phase (in any: "")."""
    stream: Any = watch.Watch().stream(
        lab.custom.list_namespaced_custom_object, GROUP, VERSION, lab.name, "operations", timeout_seconds=seconds
    )
    for event in stream:
        held: dict[str, Any] = event["object"]
        if held["spec"]["key"] == key and phase in ("", held.get("status", {}).get("phase")):
            return held
    raise AssertionError(f"no operation {key} was {phase or 'there'} within {seconds} s: {operations(lab)}")
