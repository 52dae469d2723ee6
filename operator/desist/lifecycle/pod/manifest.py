"""The pod of one attempt, as a pure function of what the run was started with.

Contract: the same arguments give the same pod, byte for byte, so that creating it twice is a 409 that is fine. The
template has no `template.refusals`; everything of it that is not set here, or by `launcher`, is kept as it is.
Rejected: a mutating webhook (it would stand in the way of every pod), generateName (a create that timed out could not
be told from one that never was).
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from desist.api.base import Opaque
from desist.api.execution import WorkflowExecution
from desist.api.meta import (
    API_VERSION,
    ARGUMENTS_ANNOTATION,
    ATTEMPT_LABEL,
    EXECUTION_LABEL,
    EXECUTION_UID_LABEL,
    GROUP,
    OPERATION_ATTEMPT_LABEL,
    OPERATION_UID_LABEL,
    ROLE_LABEL,
    RUN_ID_LABEL,
    STOP_ANNOTATION,
)
from desist.api.operation import Operation, PodWork
from desist.api.vocabulary import ProcessRole
from desist.api.workflow import WorkflowSpec
from desist.lifecycle.observed.questions import WantedPod
from desist.lifecycle.pod import launcher
from desist.lifecycle.settings import Settings

LABEL_LIMIT = 63
MAILBOX_BYTES = 16 * 1024
"""A posting is never larger."""
DRY_RUN_ID = "0" * 26
"""The run of a dry-run create: no real run has it, so its pod's name is nobody's."""

Json = dict[str, Any]


def pod_name(execution_name: str, execution_uid: str, run_id: str, attempt: int) -> str:
    """Name of the pod of an attempt (from 1): a DNS label of at most 63 characters, another one for each attempt.

    It ends in the attempt, so that whoever sees only names can tell which pod of a run is the later one.
    """
    end = f"-{run_hash(execution_uid, run_id)}-{attempt}"
    start = execution_name.lower().replace(".", "-")[: LABEL_LIMIT - len(end)].rstrip("-")
    return start + end


def run_hash(execution_uid: str, run_id: str) -> str:
    """What the names of a run's workflow pods, and of nobody else's, end in before the attempt."""
    return _hash(execution_uid, run_id)


def pod_manifest(
    execution: WorkflowExecution,
    spec: WorkflowSpec,
    arguments: Opaque | None,
    wanted: WantedPod,
    settings: Settings,
) -> Opaque:
    """The complete v1 Pod of an attempt of a run; `arguments` absent: the process reads `{}`."""
    template = spec.template.value
    pod = template["spec"]
    launcher.put_in(pod, _said(execution, wanted), spec.stop_policy, settings)
    pod["restartPolicy"] = "Never"
    metadata = _metadata(execution, template.get("metadata") or {}, wanted)
    metadata["annotations"][ARGUMENTS_ANNOTATION] = "{}" if arguments is None else arguments.text
    metadata["annotations"] |= launcher.push_annotations(pod, settings)
    return Opaque.of({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})


def operation_manifest(
    execution: WorkflowExecution,
    operation: Operation,
    spec: WorkflowSpec,
    arguments: Opaque | None,
    wanted: WantedPod,
    settings: Settings,
) -> Opaque:
    """The complete v1 Pod of an attempt of an operation; the template of `spec` is `operation_template`'s."""
    manifest = pod_manifest(execution, spec, arguments, wanted, settings).value
    labels = manifest["metadata"]["labels"]
    # Never the label of a run's attempt: no pod of an operation is a late start of the run.
    del labels[ATTEMPT_LABEL]
    labels[OPERATION_UID_LABEL] = operation.metadata.uid
    labels[OPERATION_ATTEMPT_LABEL] = str(wanted.attempt)
    labels[ROLE_LABEL] = ProcessRole.OPERATION.value
    manifest["spec"]["automountServiceAccountToken"] = False
    said = {"DESIST_OPERATION": operation.metadata.name, "DESIST_OPERATION_ID": operation.metadata.uid}
    container = manifest["spec"]["containers"][0]
    container["env"] = [*({"name": name, "value": value} for name, value in said.items()), *container["env"]]
    return Opaque.of(manifest)


def operation_template(template: Opaque, work: PodWork) -> Opaque:
    """The run's template with what an operation says over it; one that has no container stays as it is."""
    found = template.value
    container = ((found.get("spec") or {}).get("containers") or [{}])[0]
    if work.command:
        container["command"] = list(work.command)
        container.pop("args", None)
    if work.image is not None:
        container["image"] = work.image
    if work.resources is not None:
        container["resources"] = work.resources.value
    if work.env:
        own = {variable.name for variable in work.env}
        kept = [variable for variable in container.get("env") or [] if variable.get("name") not in own]
        container["env"] = [*kept, *({"name": v.name, "value": v.value} for v in work.env)]
    if work.node_selector is not None and found.get("spec"):
        found["spec"]["nodeSelector"] = work.node_selector.value
    return Opaque.of(found)


def operation_pod_name(operation_name: str, attempt: int) -> str:
    """Name of the pod of an attempt of an operation (from 1)."""
    return f"{operation_name.replace('.', '-')}-{attempt}"


def _said(execution: WorkflowExecution, wanted: WantedPod) -> dict[str, str]:
    """Variables that tell the process whose it is."""
    return {
        "DESIST_EXECUTION": execution.metadata.name,
        "DESIST_EXECUTION_UID": execution.metadata.uid,
        "DESIST_NAMESPACE": execution.metadata.namespace,
        "DESIST_RUN_ID": wanted.run_id,
        "DESIST_ATTEMPT": str(wanted.attempt),
        "DESIST_POD_NAME": wanted.name,
    }


def dry_run_manifest(
    execution: WorkflowExecution, spec: WorkflowSpec, arguments: Opaque | None, settings: Settings
) -> Opaque:
    """The pod with which a start is tried before anything is written.

    It has as large a mailbox as any stop may need: a pod that has no room for one could not be stopped politely.
    """
    name = pod_name(execution.metadata.name, execution.metadata.uid, DRY_RUN_ID, 1)
    manifest = pod_manifest(execution, spec, arguments, WantedPod(name, DRY_RUN_ID, 1), settings).value
    manifest["metadata"]["annotations"][STOP_ANNOTATION] = " " * MAILBOX_BYTES
    return Opaque.of(manifest)


def wanted_pod(manifest: Opaque) -> WantedPod:
    """The pod of a manifest made here, to ask for."""
    metadata = manifest.value["metadata"]
    labels = metadata["labels"]
    operation = labels.get(OPERATION_UID_LABEL, "")
    attempt = labels[OPERATION_ATTEMPT_LABEL if operation else ATTEMPT_LABEL]
    return WantedPod(metadata["name"], labels[RUN_ID_LABEL], int(attempt), operation=operation)


def _metadata(execution: WorkflowExecution, given: Json, wanted: WantedPod) -> Json:
    owner = execution.metadata
    return {
        **{name: value for name, value in given.items() if name == "finalizers"},
        "name": wanted.name,
        "namespace": owner.namespace,
        "labels": _users(given.get("labels"))
        | {
            EXECUTION_UID_LABEL: owner.uid,
            EXECUTION_LABEL: _label(owner.name),
            RUN_ID_LABEL: wanted.run_id,
            ATTEMPT_LABEL: str(wanted.attempt),
            ROLE_LABEL: ProcessRole.WORKFLOW.value,
        },
        "annotations": _users(given.get("annotations")),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": "WorkflowExecution",
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }


def _users(given: Json | None) -> Json:
    """Labels or annotations of the template, less those that are Desist's."""
    return {key: value for key, value in (given or {}).items() if not key.startswith(f"{GROUP}/")}


def _label(name: str) -> str:
    """A name as a label's value; a longer one is cut, and made unique again by a hash."""
    if len(name) <= LABEL_LIMIT:
        return name
    return f"{name[:52].rstrip('-.')}-{_hash(name)}"


def _hash(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:10]
