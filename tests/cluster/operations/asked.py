"""Operations as a workflow process asks for them, and what becomes of them.

Contract: `Asking.of(execution)` waits for the run's pod and holds a token that is bound to it, so that what is asked is
what the program in the pod could ask; the namespace's account gets the right for it. `Asked.wait_for` watches one
operation and gives its first state that fits, or fails with what was seen instead. Nothing sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubernetes import client, watch

from desist.api.operation import operation_name
from tests.cluster.admission.conftest import wait_until_allowed
from tests.cluster.admission.processes import Process, owner_of
from tests.support.lab import PATIENCE, Execution, Lab, phase_of
from tests.support.watching import GROUP, VERSION, Object

PLURAL = "operations"
TERMINAL = ("Succeeded", "Failed", "TimedOut", "Cancelled")
VERBS = ["create", "get", "list", "watch", "patch"]


def allow(lab: Lab) -> None:
    """Let the namespace's workflow processes ask for operations, whether the release is there or not."""
    rbac: Any = client.RbacAuthorizationV1Api(lab.api)
    rule = {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": VERBS}
    rbac.create_namespaced_role(lab.name, {"metadata": {"name": "workflow"}, "rules": [rule]})
    body = {
        "metadata": {"name": "workflow"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "workflow"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": lab.name}],
    }
    rbac.create_namespaced_role_binding(lab.name, body)
    wait_until_allowed(lab, "create", user=f"system:serviceaccount:{lab.name}:default")


@dataclass(frozen=True)
class Asked:
    """One operation."""

    lab: Lab
    name: str
    uid: str

    def get(self) -> Object:
        """The object as it is now. Raises ApiException 404."""
        held: Object = self.lab.custom.get_namespaced_custom_object(GROUP, VERSION, self.lab.name, PLURAL, self.name)
        return held

    def wait_for(self, wanted: str | Callable[[Object], bool], seconds: float = PATIENCE) -> Object:
        """Its first state from now on that fits: a phase, or a function of the object."""
        fits = (lambda held: phase_of(held) == wanted) if isinstance(wanted, str) else wanted
        held = self.get()
        end = time.monotonic() + seconds
        while not fits(held) and time.monotonic() < end:
            if isinstance(wanted, str) and phase_of(held) in TERMINAL:
                break
            held = self._next(held, end)
        assert fits(held), f"{self.name} did not become {wanted!r}: {held.get('status')}"
        return held

    def pods(self) -> list[Any]:
        """Its pods."""
        selector = f"desist.dev/operation-uid={self.uid}"
        return list(self.lab.core.list_namespaced_pod(self.lab.name, label_selector=selector).items)

    def _next(self, held: Object, end: float) -> Object:
        """The next state that a watch shows; the same where none comes in time."""
        stream: Any = watch.Watch().stream(
            self.lab.custom.list_namespaced_custom_object,
            GROUP,
            VERSION,
            self.lab.name,
            PLURAL,
            field_selector=f"metadata.name={self.name}",
            resource_version=held["metadata"]["resourceVersion"],
            timeout_seconds=max(1, int(end - time.monotonic())),
        )
        for event in stream:
            found: Object = event["object"]
            return found
        return held


@dataclass(frozen=True)
class Asking:
    """A run whose workflow process asks for operations."""

    execution: Execution
    run_id: str
    process: Process

    @classmethod
    def of(cls, execution: Execution) -> Asking:
        """That execution's, once its process runs."""
        held = execution.wait_for("Running").object
        allow(execution.lab)
        (pod,) = execution.pods()
        return cls(execution, held["status"]["runId"], Process.of(execution.lab, pod))

    def ask(self, key: str, **spec: Any) -> Asked:
        """Create an operation of that key; `spec` says what it is."""
        execution = self.execution
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Operation",
            "metadata": {
                "name": operation_name(execution.name, execution.uid, self.run_id, key),
                "ownerReferences": [owner_of(execution)],
            },
            "spec": {
                "executionRef": {"name": execution.name, "uid": execution.uid},
                "runId": self.run_id,
                "key": key,
                "createdBy": self.process.itself,
                **spec,
            },
        }
        made = self.process.creates(body)
        return Asked(execution.lab, made["metadata"]["name"], made["metadata"]["uid"])
