"""The launcher in a pod: its files, its variables, and its place in front of the command. docs/mailbox.md lists them.

Contract: `put_in` changes a decoded pod spec, and the same one always in the same way. The first container is the one
whose command the launcher starts; the others are left alone. What is added changes neither the pod's QoS class nor its
quota nor its process namespace, and needs no more than the level `restricted` allows.
Rejected: a token or an API connection for the launcher (decision 3: it goes into any image, and has no privilege).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from desist.api.meta import ARGUMENTS_ANNOTATION, PUSH_KEY_ANNOTATION, PUSH_PORT_ANNOTATION, STOP_ANNOTATION
from desist.api.workflow import StopPolicy
from desist.lifecycle.pod.template import termination_bytes
from desist.lifecycle.settings import LauncherDelivery, Settings

LAUNCHER = "/desist/bin/desist-launcher"
MAILBOX = "/desist/mailbox"
OUTCOME = "/desist/outcome/outcome.json"
STOP = "/desist/outcome/stop.json"
TERMINATION_LOG = "/dev/termination-log"
UNPRIVILEGED_USER = 65532

Json = dict[str, Any]


def put_in(pod: Json, said: Mapping[str, str], policy: StopPolicy, settings: Settings) -> None:
    """Put it into a pod's spec; `said`: variables that the process is told besides."""
    _add_volumes(pod, settings)
    if settings.launcher_delivery is LauncherDelivery.INIT_CONTAINER:
        pod["initContainers"] = [_installer(pod, settings), *(pod.get("initContainers") or [])]
    limit = termination_bytes(len(pod["containers"]) + len(pod.get("initContainers") or []))
    own = [*_environment(policy, limit), *_push_environment(_takes_push(pod, settings), settings)]
    _wrap(pod["containers"][0], [*_variables(said), *own])


def push_annotations(pod: Json, settings: Settings) -> dict[str, str]:
    """What the controller reads of a pod whose launcher takes pushes; none where it does not."""
    if not _takes_push(pod, settings):
        return {}
    return {PUSH_KEY_ANNOTATION: settings.push_key_id, PUSH_PORT_ANNOTATION: str(settings.push_port)}


def _environment(policy: StopPolicy, limit: int) -> list[Json]:
    said = {
        "DESIST_STOP_SIGNAL": policy.signal,
        "DESIST_SIGNAL_TO": policy.signal_to.value,
        "DESIST_OUTCOME": OUTCOME,
        "DESIST_STOP": STOP,
        "DESIST_OUTCOME_LIMIT_BYTES": str(limit),
        # The launcher's defaults, said nevertheless: an envFrom or the image must not lead it elsewhere.
        "DESIST_MAILBOX": MAILBOX,
        "DESIST_TERMINATION_LOG": TERMINATION_LOG,
    }
    uid = {"name": "DESIST_POD_UID", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}}
    return [*_variables(said), uid]


def _push_environment(push: bool, settings: Settings) -> list[Json]:
    """Also where there is none: as empty values."""
    said = {
        "DESIST_PUSH_KEY": settings.push_key if push else "",
        "DESIST_PUSH_PORT": str(settings.push_port) if push else "",
    }
    return _variables(said)


def _variables(said: Mapping[str, str]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in said.items()]


def _takes_push(pod: Json, settings: Settings) -> bool:
    """Not in the node's network: pods would share its ports, and its firewall stands before them."""
    return bool(settings.push_key_id and settings.push_port) and not pod.get("hostNetwork")


def _add_volumes(pod: Json, settings: Settings) -> None:
    image = {"reference": settings.launcher_image, "pullPolicy": settings.launcher_pull_policy}
    by_image = settings.launcher_delivery is LauncherDelivery.IMAGE_VOLUME
    pod["volumes"] = [
        *(pod.get("volumes") or []),
        {"name": "desist-launcher", **({"image": image} if by_image else {"emptyDir": {}})},
        {"name": "desist-mailbox", "downwardAPI": _projected("stop", STOP_ANNOTATION)},
        {"name": "desist-arguments", "downwardAPI": _projected("arguments.json", ARGUMENTS_ANNOTATION)},
        # No sizeLimit: an outcome that is too large is said, and gets no pod evicted.
        {"name": "desist-outcome", "emptyDir": {}},
    ]


def _projected(path: str, annotation: str) -> Json:
    return {"items": [{"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}]}


def _wrap(container: Json, environment: list[Json]) -> None:
    """Our variables come first, so that the template's own may refer to them."""
    container["command"] = [LAUNCHER, "run", "--", *container["command"]]
    container["env"] = [*environment, *(container.get("env") or [])]
    container["volumeMounts"] = [
        *(container.get("volumeMounts") or []),
        {"name": "desist-launcher", "mountPath": "/desist/bin", "readOnly": True},
        {"name": "desist-mailbox", "mountPath": MAILBOX, "readOnly": True},
        # A subPath is never updated; the arguments of an attempt never change.
        {
            "name": "desist-arguments",
            "mountPath": "/desist/arguments.json",
            "subPath": "arguments.json",
            "readOnly": True,
        },
        {"name": "desist-outcome", "mountPath": "/desist/outcome"},
    ]


def _installer(pod: Json, settings: Settings) -> Json:
    """The init container that copies the launcher; with the main container's resources it costs nothing extra."""
    resources = pod["containers"][0].get("resources") or {}
    return {
        "name": "desist-launcher",
        "image": settings.launcher_image,
        "imagePullPolicy": settings.launcher_pull_policy,
        "command": ["/desist-launcher", "install", LAUNCHER],
        "resources": {kind: resources[kind] for kind in ("limits", "requests") if resources.get(kind)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": _user(pod),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "desist-launcher", "mountPath": "/desist/bin"}],
    }


def _user(pod: Json) -> int:
    """The workflow process's user where it is one that `restricted` allows, as some clusters fix a range of them."""
    for holder in (pod["containers"][0], pod):
        user = (holder.get("securityContext") or {}).get("runAsUser")
        if isinstance(user, int) and not isinstance(user, bool):
            return user if user > 0 else UNPRIVILEGED_USER
    return UNPRIVILEGED_USER
