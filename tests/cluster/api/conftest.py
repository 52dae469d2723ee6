"""A real API server with the committed CRDs, a namespace of its own, and kubectl as users have it.

Contract: only the API server is on trial here. A controller that runs would act on the objects, so the release's is
scaled to zero meanwhile. Tests read what kubectl prints: that is what a user sees.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster.api import cluster_lock, kubeconfig, tool
from tests.support.sight import fresh_name

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 60


@dataclass(frozen=True)
class Kubectl:
    """kubectl, as cluster-admin, in one namespace."""

    binary: Path
    kubeconfig: Path
    namespace: str = "default"

    def ask(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes of it."""
        command = [str(self.binary), "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False)

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Its output; what it refuses fails the test with its own words."""
        answer = self.ask(*arguments, stdin=stdin)
        assert answer.returncode == 0, f"kubectl {' '.join(arguments)}\n{answer.stderr}"
        return answer.stdout

    def refusal(self, *arguments: str, stdin: str | None = None) -> str:
        """What it says on stderr, without blanks at line ends; the test fails where it succeeds."""
        answer = self.ask(*arguments, stdin=stdin)
        assert answer.returncode != 0, f"kubectl {' '.join(arguments)} was not refused\n{answer.stdout}"
        return "\n".join(line.rstrip() for line in answer.stderr.splitlines())

    def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Apply an object; the stored one."""
        return parsed(self("apply", "--filename", "-", "--output", "json", stdin=yaml.safe_dump(manifest)))

    def get(self, name: str) -> dict[str, Any]:
        """A stored execution."""
        return parsed(self("get", "wfx", name, "--output", "json"))


def parsed(text: str) -> dict[str, Any]:
    """A JSON object."""
    value: dict[str, Any] = json.loads(text)
    return value


@pytest.fixture(scope="session")
def admin() -> Iterator[Kubectl]:
    """kubectl against the cluster, which must be up, and is ours while the tests run."""
    if not kubeconfig().exists():
        pytest.fail("there is no cluster: run `make cluster-up`")
    with cluster_lock():
        yield Kubectl(tool("kubectl"), kubeconfig())


@pytest.fixture(scope="session")
def crds(admin: Kubectl) -> None:
    """The CRDs of this checkout, served."""
    folder = str(ROOT / "crds")
    admin("apply", "--server-side", "--force-conflicts", "--filename", folder)
    admin("wait", "--for=condition=Established", f"--timeout={SECONDS}s", "--filename", folder)


@pytest.fixture(scope="module")
def nobody_acts(release_away: None) -> None:
    """The controller of the release, where there is one, is away."""


@pytest.fixture(scope="module")
def kubectl(admin: Kubectl, crds: None, nobody_acts: None) -> Iterator[Kubectl]:
    """kubectl in a namespace that is this module's own."""
    name = fresh_name()
    admin("create", "namespace", name)
    yield replace(admin, namespace=name)
    admin("delete", "namespace", name, "--wait=false")
