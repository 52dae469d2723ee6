"""The one Helm release `desist` in `desist-system`, at this checkout's state: for tests, demo and figures.

Contract: `ensure_release(kubeconfig)` returns when the release runs this checkout's chart and images with the given
environment, and costs one request when it does already: a key of all that counts is an annotation of the deployment.
Where DESIST_PUSH is `off`, push is switched off by the chart's value, and all goes by mailbox.
Both images are built and loaded only where that key differs; one that is scaled to zero is scaled up. The caller holds
the cluster's lock. A Helm that was killed in the middle of its work leaves a revision that is pending for ever; such a
revision is removed.
Rejected: `helm upgrade` at every call (2 s and a new revision each time); `--wait`, which cannot say what is wrong.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.cluster.api import ClusterError, Progress, home, key_of, tool
from hack.cluster.commands import How, answer, run
from hack.image.build import Images, build_images, images, load_images
from hack.image.wheels import ROOT

RELEASE = "desist"
NAMESPACE = "desist-system"
CHART = ROOT / "charts" / "desist"
KEY = "desist.dev/release-key"
SELECTOR = "app.kubernetes.io/name=desist,app.kubernetes.io/component=controller"
READY_SECONDS = 120
PUSH = "DESIST_PUSH"
# Tests run the operator on this machine too, under the credentials that kind made.
HOST_OPERATOR = "kubernetes-admin"
# Nobody has this name; tests take it on where they restore status.
RESTORER = "desist-test-restore"
# The controller's own part; level `restricted` shows at every installation that the chart fits it.
NAMESPACE_LABELS = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Client:
    """kubectl and Helm against one cluster."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Output of kubectl in the release's namespace. Raises ClusterError if it fails."""
        return run(self._kubectl(*arguments), How(stdin=stdin))

    def asks(self, *arguments: str) -> str | None:
        """Output of kubectl, None if it fails."""
        return answer(self._kubectl(*arguments))

    def helm(self, *arguments: str) -> str:
        """Output of Helm in the release's namespace. Raises ClusterError if it fails."""
        return run([tool("helm"), *self._where(), *arguments], How(env=_helm_folders()))

    def _kubectl(self, *arguments: str) -> list[str]:
        return [str(tool("kubectl")), *self._where(), *arguments]

    def _where(self) -> tuple[str, ...]:
        return ("--kubeconfig", str(self.kubeconfig), "--namespace", NAMESPACE)


def _helm_folders() -> dict[str, str]:
    place = home() / "helm"
    return {f"HELM_{kind}_HOME": str(place / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}


def ensure_release(kubeconfig: Path, environment: Mapping[str, str] | None = None) -> Images:
    """Bring the release to this checkout's state, running one replica; returns its images.

    Args:
        kubeconfig: admin credentials of the cluster.
        environment: further variables of the controller, e.g. shorter times for a test. Those of an earlier call go.

    Raises:
        ClusterError: with the pod's events and last lines where the controller does not become ready.
    """
    client, named = Client(kubeconfig), images()
    values, key = _wanted(named, environment or {})
    held = _held(client, key)
    if held is not None:
        if not _runs(held):
            scale_operator(kubeconfig, 1)
        return named
    progress = Progress(4)
    load_images(progress, build_images(progress))
    with progress.step("Helm release") as step:
        client.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(_namespace()))
        upgrade(client, values | {"controller": {**values["controller"], "deploymentAnnotations": {KEY: key}}})
        step.say("waiting until the controller is ready")
        scale_operator(kubeconfig, 1)
        step.result(f"{RELEASE} in {NAMESPACE} is ready")
    return named


def is_current(kubeconfig: Path) -> bool:
    """Whether the release is at this checkout's state, running or scaled to zero; changes nothing."""
    return _held(Client(kubeconfig), _wanted(images(), {})[1]) is not None


def upgrade(client: Client, values: Mapping[str, Any]) -> None:
    """Install or upgrade the release with these values. Raises ClusterError with Helm's words."""
    _remove_pending(client)
    file = home() / "release-values.json"
    file.write_text(json.dumps(values, indent=2))
    client.helm(
        "upgrade", "--install", RELEASE, str(CHART), "--values", str(file), "--history-max", "3", "--take-ownership"
    )


def uninstall(client: Client) -> None:
    """Remove the release, as a user would, and wait until its pods are gone."""
    client.helm("uninstall", RELEASE)
    client.kubectl("wait", "pod", "--selector", SELECTOR, "--for=delete", f"--timeout={READY_SECONDS}s")


def scale_operator(kubeconfig: Path, replicas: int) -> None:
    """Run 0 or 1 controllers in the cluster; returns when that is so: with 0, when the process is gone."""
    client = Client(kubeconfig)
    client.kubectl("scale", f"deployment/{RELEASE}", f"--replicas={replicas}")
    limit = f"--timeout={READY_SECONDS}s"
    if replicas == 0:
        client.kubectl("wait", "pod", "--selector", SELECTOR, "--for=delete", limit)
    elif client.asks("rollout", "status", f"deployment/{RELEASE}", limit) is None:
        raise ClusterError(f"the controller is not ready after {READY_SECONDS} s\n{_words(client)}")


def _wanted(named: Images, environment: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The chart's values, and the key of all that counts."""
    values = _values(named, environment)
    return values, key_of(CHART, json.dumps(values, sort_keys=True))


def _held(client: Client, key: str) -> dict[str, Any] | None:
    """The deployment, if it has this key, and what a test may have deleted is there."""
    rest = (f"clusterrole/{RELEASE}-controller", *_policies(), *_crds())
    held = client.asks("get", f"deployment/{RELEASE}", *rest, "--output=json")
    if held is None:
        return None
    deployment: dict[str, Any] = json.loads(held)["items"][0]
    return deployment if deployment["metadata"].get("annotations", {}).get(KEY) == key else None


def _runs(deployment: dict[str, Any]) -> bool:
    """Whether one replica runs, and no other."""
    status = deployment.get("status", {})
    counts = (deployment["spec"]["replicas"], status.get("replicas"), status.get("readyReplicas"))
    return bool(status.get("observedGeneration") == deployment["metadata"]["generation"] and counts == (1, 1, 1))


def _policies() -> list[str]:
    kinds = ("validatingadmissionpolicy", "validatingadmissionpolicybinding")
    operations = [f"operations-{what}-by" for what in ("created", "changed", "deleted")]
    return [f"{kind}/{RELEASE}-{name}" for kind in kinds for name in ("status", "pods", *operations)]


def _crds() -> list[str]:
    return [f"customresourcedefinition/{file.stem}.desist.dev" for file in sorted((CHART / "files" / "crds").glob("*"))]


def _values(named: Images, environment: Mapping[str, str]) -> dict[str, Any]:
    operator, launcher = (
        {"repository": name.rpartition(":")[0], "tag": name.rpartition(":")[2]}
        for name in (named.operator, named.launcher)
    )
    variables = [{"name": name, "value": value} for name, value in sorted(environment.items())]
    return {
        "image": operator,
        "launcher": {"image": launcher},
        "admission": {"operators": [HOST_OPERATOR], "statusWriters": [RESTORER]},
        "controller": {"extraEnv": variables},
        "push": {"enabled": not push_is_off()},
    }


def push_is_off() -> bool:
    """Whether everything is to go by mailbox. Raises ClusterError for a word that means nothing."""
    said = os.environ.get(PUSH, "on")
    if said not in ("on", "off"):
        raise ClusterError(f"{PUSH} is {said!r}: allowed are on (or unset) and off")
    return said == "off"


def _namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": NAMESPACE_LABELS}}


def _remove_pending(client: Client) -> None:
    pending = "owner=helm,name=desist,status in (pending-install,pending-upgrade,pending-rollback,uninstalling)"
    client.kubectl("delete", "secret", "--selector", pending)


def _words(client: Client) -> str:
    """What a person would look at: the pods, their events, the controller's last lines."""
    asked = (
        ("get", "pods", "--output=wide"),
        ("get", "events", "--sort-by=.lastTimestamp"),
        ("logs", "--selector", SELECTOR, "--tail=30", "--all-containers"),
    )
    return "\n".join(client.asks(*arguments) or "" for arguments in asked)
