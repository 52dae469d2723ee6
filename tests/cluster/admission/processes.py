"""Workflow processes as the API server knows them, by a token that is bound to their pod; and what they ask for.

Contract: `Process.of(lab, pod)` asks for such a token as the kubelet does (TokenRequest, bound to the pod), so that
what is tried with it is what the process in the pod could do. `Process.asks_for` is an operation that the policies let
through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from desist.api.operation import operation_name
from tests.cluster.admission.accounts import API, Account, Answer, acting_as, path_to
from tests.cluster.chart.conftest import ACCOUNT
from tests.support.lab import Execution, Lab

RUN = "01JZZZZZZZZZZZZZZZZZZZZZZZ"
"""A run's id; no policy knows which one is the execution's."""
POD_NAME, POD_UID = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"
COLLECTORS = ("system:serviceaccount:kube-system:generic-garbage-collector", "system:kube-controller-manager")
Body = dict[str, Any]


@dataclass(frozen=True)
class Process:
    """Whoever holds the token of that pod."""

    lab: Lab
    pod: str
    uid: str
    account: Account

    @classmethod
    def of(cls, lab: Lab, pod: Any) -> Process:
        """The pod's, with its service account's token."""
        name, uid = pod.metadata.name, pod.metadata.uid
        bound = {"kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid}
        return cls(lab, name, uid, Account({}, token(lab, pod.spec.service_account_name or "default", bound)))

    @property
    def itself(self) -> dict[str, str]:
        """What it has to write in createdBy."""
        return {"podName": self.pod, "podUid": self.uid}

    def asks_for(self, execution: Execution, key: str, **spec: Any) -> Body:
        """An operation as this process may create it; `spec` is put over its spec."""
        return operation(execution, key, createdBy=self.itself, **spec)

    def creates(self, body: Body) -> Body:
        """The operation as it is stored."""
        answer = self.account.ask("POST", f"{API}/{self.lab.name}/operations", body)
        assert answer.status == 201, answer.message
        made: Body = answer.body
        return made


def token(lab: Lab, account: str, bound: Mapping[str, str] | None = None) -> str:
    """A token of the service account, bound to that object."""
    spec: Body = {"audiences": []} | ({"boundObjectRef": dict(bound)} if bound else {})
    made = lab.core.create_namespaced_service_account_token(account, lab.name, {"spec": spec})
    return str(made.status.token)


def owner_of(execution: Execution) -> Body:
    """The one owner that its operations have."""
    named = {"apiVersion": "desist.dev/v1alpha1", "kind": "WorkflowExecution", "name": execution.name}
    return named | {"uid": execution.uid, "controller": True}


def operation(execution: Execution, key: str, **spec: Any) -> Body:
    """A timer of the execution; `spec` is put over its spec, and needs createdBy."""
    reference = {"name": execution.name, "uid": execution.uid}
    made = {"executionRef": reference, "runId": RUN, "key": key, "timer": {"delayMilliseconds": 3_600_000}}
    name = operation_name(execution.name, execution.uid, RUN, key)
    return {
        "apiVersion": "desist.dev/v1alpha1",
        "kind": "Operation",
        "metadata": {"name": name, "ownerReferences": [owner_of(execution)]},
        "spec": made | spec,
    }


def path_of(lab: Lab, held: Body, subresource: str = "") -> str:
    return path_to(lab, "operations", held["metadata"]["name"], subresource)


def cancellation(mode: str | None = "Cancel", **request: Any) -> Body:
    """A merge patch that asks for a stop; None takes the request back."""
    return {"spec": {"cancellation": {"mode": mode, **request} if mode else None}}


def take_over(by: Process) -> Body:
    """A merge patch by which the process says that it asks for the operation now."""
    return {"spec": {"createdBy": by.itself}}


def with_status(process: Process, held: Body, **status: Any) -> Body:
    """The operation, after the operator has written that status."""
    answer = acting_as(ACCOUNT).ask("PATCH", path_of(process.lab, held, "status"), {"status": status}, "merge")
    assert answer.status == 200, answer.message
    written: Body = answer.body
    return written


def denied(answer: Answer, policy: str, *words: str) -> bool:
    """Whether that policy of the release refused it, with these words, in one sentence."""
    assert answer.status in (403, 422), answer
    assert f"'desist-operations-{policy}'" in answer.message, answer.message
    assert all(word in answer.message for word in words), answer.message
    assert ". " not in answer.message.partition("denied request: ")[2], answer.message
    return True
