"""One fan-out stopped, measured from outside: a run of operations that is killed, a Job that is deleted.

Method: pods of both run the same program in the same template, with the same grace. Times count from just before the
PATCH or the DELETE is sent, so the client's own time is included. The SIGTERMs are what the programs wrote down, the
deaths what their pidfds say (`fanout_processes`). The final word is the arrival, on a watch that was open before, of
the run's terminal phase, or of the Job's removal; at that moment the kernel is asked how many processes live, launchers
and the workflow process among them.
A Job is deleted in both of the ways that wait for its pods or do not: `Background` is what kubectl does by default,
`Foreground` what `kubectl delete --cascade=foreground` does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes import client, watch

from hack.bench.fanout_processes import Watched, wait_for
from hack.bench.fanout_programs import STOPPABLE, execution, job, python
from hack.bench.probe import GROUP, PLURAL, STOPPING, TERMINAL, VERSION, Cluster

IDLE_SECONDS = 5
"""That all programs have run when they are stopped: the kubelets are done with their starts."""


@dataclass(frozen=True, slots=True)
class FanoutStop:
    """One stop's times, in seconds since the epoch, in order where there are many."""

    requested: float
    accepted: float
    """The Job's: when its DELETE was answered."""
    signalled: list[float]
    dead: list[float]
    said: float
    """The final word."""
    alive: int
    """How many processes lived then."""


class Stage(Cluster):
    """A namespace for fan-outs, whose processes may ask for operations."""

    def __init__(self) -> None:
        super().__init__(f"desist-fanout-{time.time_ns() % 10**8}")
        self.batch: Any = client.BatchV1Api()

    @contextmanager
    def there(self) -> Iterator[None]:
        """Make the namespace; afterwards delete it, and wait until nothing of it is left to disturb what is next."""
        self.fresh_namespace(empty=False)
        rbac: Any = client.RbacAuthorizationV1Api()
        group = "rbac.authorization.k8s.io"
        subject = {"apiGroup": group, "kind": "Group", "name": f"system:serviceaccounts:{self.namespace}"}
        role = {"apiGroup": group, "kind": "ClusterRole", "name": "desist-workflow"}
        binding = {"metadata": {"name": "desist-workflow"}, "roleRef": role, "subjects": [subject]}
        rbac.create_namespaced_role_binding(self.namespace, binding)
        try:
            yield
        finally:
            self.core.delete_namespace(self.namespace)
            while self._exists():
                time.sleep(1)

    def _exists(self) -> bool:
        try:
            self.core.read_namespace(self.namespace)
        except client.ApiException as error:
            if error.status != 404:
                raise
            return False
        return True

    def run(self, name: str, operations: int, at_a_time: int, command: list[str]) -> None:
        """Create a run of that many operations."""
        body = execution(name, name, operations, at_a_time, command)
        self.custom.create_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, body)

    def ended(self, name: str, seconds: float = 900) -> dict[str, Any]:
        """Wait until a run has ended: its last state. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for phase, held in self._phases(name):
                if phase in TERMINAL:
                    return held
        raise TimeoutError(f"the run {name} has not ended within {seconds} s")

    def kill(self, name: str, watched: Watched) -> FanoutStop:
        """Kill a run whose operations run."""
        stream = self._phases(name)
        next(stream)
        watched.start()
        requested = time.time()
        body = {"spec": {"cancellation": {"mode": "Kill", "reason": "figures"}}}
        self.custom.patch_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name, body)
        self._first_of(stream, STOPPING + TERMINAL)
        accepted = time.time()
        self._first_of(stream, TERMINAL)
        return _told(watched, requested, accepted)

    def delete(self, name: str, watched: Watched, propagation: str) -> FanoutStop:
        """Delete a Job whose pods run."""
        field = f"metadata.name={name}"
        stream: Any = watch.Watch().stream(
            self.batch.list_namespaced_job, self.namespace, field_selector=field, timeout_seconds=120
        )
        next(stream)
        watched.start()
        requested = time.time()
        self.batch.delete_namespaced_job(name, self.namespace, propagation_policy=propagation)
        accepted = time.time()
        if not any(event["type"] == "DELETED" for event in stream):
            raise TimeoutError(f"the Job {name} was not deleted within 120 s")
        return _told(watched, requested, accepted)

    def wait_until_quiet(self) -> None:
        """Until no pod of it runs or is being deleted."""
        while any(_busy(pod) for pod in self.core.list_namespaced_pod(self.namespace).items):
            time.sleep(1)


def stop_of_run(stage: Stage, name: str, pods: int) -> FanoutStop:
    """Start a run of so many operations at once, and kill it."""
    stage.run(name, pods, pods, python(STOPPABLE))
    with _watched(stage, name, pods) as watched:
        return stage.kill(name, watched)


def stop_of_job(stage: Stage, name: str, pods: int, propagation: str) -> FanoutStop:
    """Start a Job of so many pods at once, and delete it."""
    stage.batch.create_namespaced_job(stage.namespace, job(name, name, pods, python(STOPPABLE)))
    with _watched(stage, name, pods) as watched:
        return stage.delete(name, watched, propagation)


@contextmanager
def _watched(stage: Stage, name: str, pods: int) -> Iterator[Watched]:
    say(f"{pods} pods of {name}")
    wait_for(name, pods)
    time.sleep(IDLE_SECONDS)
    watched = Watched(name)
    try:
        say(f"{watched.count} processes of {name} are stopped")
        yield watched
    finally:
        watched.close()
        stage.wait_until_quiet()


def _told(watched: Watched, requested: float, accepted: float) -> FanoutStop:
    said, alive = time.time(), watched.alive()
    dead = watched.all_dead()
    return FanoutStop(requested, accepted, watched.signalled(), dead, said, alive)


def _busy(pod: Any) -> bool:
    return pod.status.phase in ("Pending", "Running") or pod.metadata.deletion_timestamp is not None


def say(line: str) -> None:
    """Progress, for who waits."""
    print(line, file=sys.stderr, flush=True)
