"""Operations as a workflow process asks for them, and what becomes of them.

Contract: `Author.of(execution)` is the workflow process of the run's current pod: it creates operations with a token
that is bound to that pod, so that admission lets it where the release's policies are installed, and where they are not
nothing differs. `Operation` is the handle, as `Execution` is for runs. A pod's process has the marker of its run, a
hyphen and the operation's key as its last argument: one look at the nodes shows all of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client, config

from desist.api.operation import operation_name
from hack.cluster.api import Process, kubeconfig
from hack.cluster.engine import current
from tests.support import programs, proof
from tests.support.lab import PATIENCE, TERMINAL, Execution, Lab, phase_of
from tests.support.watching import GROUP, VERSION, Object, Recorder, Seen

PLURAL = "operations"
STOP_ANNOTATION = "desist.dev/stop"
OPERATION_UID = "desist.dev/operation-uid"


@dataclass
class Operations:
    """The operations of one namespace, recorded."""

    lab: Lab
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.lab.custom, self.lab.name, PLURAL)


@contextmanager
def operations_of(lab: Lab) -> Iterator[Operations]:
    """Let the namespace's workflow processes ask for operations, and record those."""
    _permit(lab)
    made = Operations(lab)
    made.recorder.start()
    yield made
    made.recorder.stop()


@dataclass
class Operation:
    """One operation of a test."""

    all: Operations
    name: str
    uid: str
    key: str
    marker: str

    @property
    def lab(self) -> Lab:
        """Its namespace."""
        return self.all.lab

    def get(self) -> Object:
        """The object as the API server has it now. Raises ApiException 404."""
        held: Object = self.lab.custom.get_namespaced_custom_object(GROUP, VERSION, self.lab.name, PLURAL, self.name)
        return held

    def wait_for(self, wanted: str | Callable[[Object], bool], seconds: float = PATIENCE) -> Object:
        """The first state that fits: a phase, or a function of the object. Fails with what was seen instead."""
        fits = (lambda held: phase_of(held) == wanted) if isinstance(wanted, str) else wanted
        ends = isinstance(wanted, str)

        def settled(seen: Seen) -> bool:
            return fits(seen.object) or (ends and phase_of(seen.object) in TERMINAL)

        seen = self.all.recorder.wait(self.uid, settled, seconds)
        if seen is None or not fits(seen.object):
            raise AssertionError(f"{self.key} did not become {wanted!r} within {seconds} s: {self.describe()}")
        return seen.object

    def wait_until_ended(self, seconds: float = PATIENCE) -> Object:
        """Its terminal state."""
        return self.wait_for(lambda held: phase_of(held) in TERMINAL, seconds)

    def phases(self) -> list[str]:
        """The phases passed so far, each once, in order."""
        seen = self.all.recorder.history(self.uid)
        phases = [phase for state in seen if (phase := phase_of(state.object))]
        return [phase for number, phase in enumerate(phases) if number == 0 or phases[number - 1] != phase]

    def stop(self, mode: str, **request: Any) -> None:
        """Ask for a stop of this one alone. Raises ApiException where the API refuses it."""
        spec = {"spec": {"cancellation": {"mode": mode, **request}}}
        self.lab.custom.patch_namespaced_custom_object(GROUP, VERSION, self.lab.name, PLURAL, self.name, spec)

    def pods(self) -> list[Any]:
        """Its pods."""
        selector = f"{OPERATION_UID}={self.uid}"
        return list(self.lab.core.list_namespaced_pod(self.lab.name, label_selector=selector).items)

    def processes(self) -> list[Process]:
        """What of it lives on the nodes, the launcher's own included."""
        return [process for process in proof.processes(self.marker) if process.arguments[-1] == self.marker]

    def ends_by_itself(self) -> None:
        """Let its program, `ENDS_WHEN_ASKED`, exit with code 0."""
        signal_user(self.marker)

    def wait_for_event(self, reason: str, seconds: int = 60) -> str:
        """The message of the first Event about it with this reason."""
        message = self.lab.first_event(self.uid, reason, seconds)
        assert message is not None, f"no Event {reason} about {self.key} within {seconds} s: {self.describe()}"
        return message

    def describe(self) -> str:
        """Where it stands, in a line."""
        seen = self.all.recorder.history(self.uid)
        status = seen[-1].object.get("status", {}) if seen else {}
        known = {name: status.get(name) for name in ("waitingOn", "processes", "failure", "nextAttemptAt")}
        return f"phases {self.phases()}, {known}"


@dataclass(frozen=True)
class Author:
    """The workflow process of one attempt, as far as it asks for operations."""

    all: Operations
    execution: Execution
    run_id: str
    pod: str
    pod_uid: str
    custom: Any

    @classmethod
    def of(cls, operations: Operations, execution: Execution) -> Author:
        """That of the run's current attempt, as soon as its pod is in status."""
        known = execution.history()
        held = execution.get()
        if not _has_pod(held):
            held = execution.wait_for(_has_pod, after=known[-1] if known else None).object
        process = held["status"]["processes"][0]
        return cls.with_pod(operations, execution, held["status"]["runId"], process["pod"], process["podUid"])

    @classmethod
    def with_pod(cls, operations: Operations, execution: Execution, run_id: str, pod: str, pod_uid: str) -> Author:
        """Whoever holds the token of that pod."""
        return cls(operations, execution, run_id, pod, pod_uid, _custom(execution.lab, pod, pod_uid))

    def of_another_attempt(self, attempt: int) -> Author:
        """What a workflow pod of that attempt would be: made by hand, and run by nobody."""
        name = f"{self.pod.rpartition('-')[0]}-{attempt}"
        container = {"name": "a", "image": programs.WORKLOAD}
        body = {"metadata": {"name": name}, "spec": {"containers": [container], "schedulerName": "nobody"}}
        lab = self.execution.lab
        made = lab.core.create_namespaced_pod(lab.name, body)
        return Author.with_pod(self.all, self.execution, self.run_id, name, made.metadata.uid)

    def runs(self, key: str, source: str, pod: Mapping[str, Any] | None = None, **spec: Any) -> Operation:
        """Ask for a pod that runs one of `programs`."""
        work = {"command": programs.command(source, f"{self.execution.marker}-{key}"), **(pod or {})}
        return self.asks(key, pod=work, **spec)

    def asks_again(self, operation: Operation) -> None:
        """Ask for one that an earlier attempt has asked for. Raises ApiException where the API refuses it."""
        spec = {"spec": {"createdBy": {"podName": self.pod, "podUid": self.pod_uid}}}
        self.custom.patch_namespaced_custom_object(
            GROUP, VERSION, self.execution.lab.name, PLURAL, operation.name, spec
        )

    def asks(self, key: str, **spec: Any) -> Operation:
        """Ask for an operation. Raises ApiException where the API refuses it."""
        name = operation_name(self.execution.name, self.execution.uid, self.run_id, key)
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Operation",
            "metadata": {"name": name, "ownerReferences": [_owner(self.execution)]},
            "spec": {
                "executionRef": {"name": self.execution.name, "uid": self.execution.uid},
                "runId": self.run_id,
                "key": key,
                "createdBy": {"podName": self.pod, "podUid": self.pod_uid},
                **spec,
            },
        }
        lab = self.execution.lab
        made = self.custom.create_namespaced_custom_object(GROUP, VERSION, lab.name, PLURAL, body)
        return Operation(self.all, name, made["metadata"]["uid"], key, f"{self.execution.marker}-{key}")


def workflow_pods(execution: Execution) -> list[Any]:
    """The pods of the run itself; `execution.pods()` are those of its operations too."""
    selector = f"desist.dev/execution-uid={execution.uid},desist.dev/attempt"
    return list(execution.lab.core.list_namespaced_pod(execution.lab.name, label_selector=selector).items)


def signal_user(marker: str) -> None:
    """SIGUSR1 to the one program that has this marker as its last argument."""
    found = [process for process in proof.workflow_processes(marker) if process.arguments[-1] == marker]
    (process,) = found
    current().docker("exec", process.node, "kill", "-USR1", str(process.pid))


def _has_pod(held: Object) -> bool:
    return any(process.get("podUid") for process in held.get("status", {}).get("processes", ()))


def _owner(execution: Execution) -> dict[str, Any]:
    named = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "WorkflowExecution", "name": execution.name}
    return named | {"uid": execution.uid, "controller": True}


def _custom(lab: Lab, pod: str, uid: str) -> Any:
    """The API as the process in that pod reaches it."""
    bound = {"kind": "Pod", "apiVersion": "v1", "name": pod, "uid": uid}
    body = {"spec": {"audiences": [], "boundObjectRef": bound}}
    token = lab.core.create_namespaced_service_account_token("default", lab.name, body).status.token
    held: Any = config.new_client_from_config(str(kubeconfig()))
    # The certificate is an admin's, and would come before the token.
    held.configuration.cert_file = held.configuration.key_file = None
    held = client.ApiClient(held.configuration)
    held.default_headers["Authorization"] = f"Bearer {token}"
    return client.CustomObjectsApi(held)


def _permit(lab: Lab) -> None:
    """As the role desist-workflow does, which is there only with the release."""
    rbac: Any = client.RbacAuthorizationV1Api(lab.api)
    group = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["create", "get", "list", "watch", "patch"]}
    rbac.create_namespaced_role(lab.name, {"metadata": {"name": "workflow"}, "rules": [rule]})
    subject = {"apiGroup": group, "kind": "Group", "name": f"system:serviceaccounts:{lab.name}"}
    reference = {"apiGroup": group, "kind": "Role", "name": "workflow"}
    body = {"metadata": {"name": "workflow"}, "roleRef": reference, "subjects": [subject]}
    rbac.create_namespaced_role_binding(lab.name, body)
