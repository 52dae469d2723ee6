"""The chart as Helm renders it. Without a Helm (PATH, or the cluster tools' own) these tests are skipped."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster.home import home

CHART = Path(__file__).parents[3] / "charts" / "desist"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Manifest = dict[str, Any]


class Helm:
    """Helm, with this checkout's chart."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._known: dict[tuple[str, ...], subprocess.CompletedProcess[str]] = {}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What Helm answers; it is asked once for each list of arguments."""
        if arguments not in self._known:
            command = [self._program, *arguments]
            self._known[arguments] = subprocess.run(command, capture_output=True, text=True, check=False)
        return self._known[arguments]

    def template(
        self, *values: str, release: str = "desist", namespace: str = "desist-system"
    ) -> subprocess.CompletedProcess[str]:
        given = [word for value in values for word in (_flag(value), value)]
        where = ["--namespace", namespace, "--kube-version", "1.36.0"]
        return self.run("template", release, str(CHART), *where, *given)

    def rendered(self, *values: str, release: str = "desist", namespace: str = "desist-system") -> list[Manifest]:
        done = self.template(*values, release=release, namespace=namespace)
        assert done.returncode == 0, done.stderr
        return [manifest for manifest in yaml.load_all(done.stdout, LOADER) if manifest]

    def refusal(self, *values: str) -> str:
        done = self.template(*values)
        assert done.returncode != 0, "the chart was rendered"
        return done.stderr


def _flag(value: str) -> str:
    if "={" in value or "=[" in value:
        return "--set-json"
    # --set would make a number of 123, and nothing of null.
    return "--set-string" if value.startswith("controller.priorityClassName=") else "--set"


@pytest.fixture(scope="session")
def helm() -> Helm:
    found = shutil.which("helm")
    built = sorted(home().root.glob("helm-*/helm"), key=lambda path: path.stat().st_mtime)
    if not found and not built:
        pytest.skip("there is no Helm here yet; `make cluster-up` makes one")
    return Helm(found or str(built[-1]))


Find = Callable[..., Manifest]


@pytest.fixture(scope="session")
def find(helm: Helm) -> Find:
    """`find("Deployment", "desist", "controller.replicas=0")`: one object of what is rendered with these values."""

    def one(kind: str, name: str, *values: str) -> Manifest:
        fits = [it for it in helm.rendered(*values) if (it["kind"], it["metadata"]["name"]) == (kind, name)]
        assert len(fits) == 1, f"{len(fits)} of {kind} {name}"
        return fits[0]

    return one
