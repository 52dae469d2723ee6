"""What keeps runs from starting or ending on a real cluster, all at the same time, and what is said of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from desist.lifecycle.shown.waits import Wait
from tests.support import programs, proof
from tests.support.lab import Execution, Lab, template
from tests.support.logs import wait_until_started
from tests.support.spaces import shared
from tests.support.watching import Object

pytestmark = pytest.mark.usefixtures("release_operator")

HOLD = "test.desist.dev/hold"
NO_RUNTIME = "desist-test-no-such-runtime"
Template = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One way to wait."""

    wait: Wait
    words: tuple[str, ...]
    make: Callable[[list[str]], Template]


def pod(**spec: Any) -> Callable[[list[str]], Template]:
    return lambda command: template(command, **spec)


def from_secret(command: list[str]) -> Template:
    made = template(command)
    made["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "none-such"}}]
    return made


def with_volume(command: list[str]) -> Template:
    """A kubelet waits only for volumes that a container mounts."""
    made = template(command, volumes=[{"name": "settings", "configMap": {"name": "none-such"}}])
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "settings", "mountPath": "/settings"}]
    return made


STARTS = {
    "a ConfigMap that a volume names": Kind(Wait.NO_SANDBOX, ("ConfigMap", "kubectl describe"), with_volume),
    "a Secret that the environment names": Kind(Wait.NOT_CONFIGURED, ('secret "none-such" not found',), from_secret),
    "a scheduling gate": Kind(Wait.GATED, (HOLD,), pod(schedulingGates=[{"name": HOLD}])),
    "a scheduler that nobody runs": Kind(Wait.NO_SCHEDULER, ("nobody",), pod(schedulerName="nobody")),
    "a sandbox that cannot be made": Kind(Wait.NO_SANDBOX, ("PodReadyToStart",), pod(runtimeClassName=NO_RUNTIME)),
}


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, api: Any, crds: None) -> Iterator[Lab]:
    with shared(request, api) as lab:
        yield lab


@pytest.fixture(scope="module")
def runtime(api: Any) -> Iterator[None]:
    """A runtime class whose handler no node has."""
    classes: Any = client.NodeV1Api(api)
    body = {"metadata": {"name": NO_RUNTIME}, "handler": NO_RUNTIME}
    try:
        classes.create_runtime_class(body)
    except ApiException as error:
        if error.status != 409:
            raise
    yield
    classes.delete_runtime_class(NO_RUNTIME)


@pytest.fixture(scope="module")
def started(place: Lab, runtime: None, release_operator: Any) -> dict[str, Execution]:
    """One run of each kind, all there at the same time."""
    made = {}
    for number, (name, kind) in enumerate(STARTS.items()):
        marker = f"mark-waits-{number}-{place.name}"
        command = programs.command(programs.WORKS, marker)
        made[name] = place.create({"workflowSpec": {"template": kind.make(command)}}, marker)
    return made


def says(held: Object, wait: Wait, words: tuple[str, ...]) -> bool:
    """Whether the object says that it waits for that."""
    texts = [text for text in held.get("status", {}).get("waitingOn", ()) if wait in text]
    return any(all(word in text for word in words) for text in texts)


@pytest.mark.parametrize("name", STARTS)
def test_a_start_that_waits_says_for_what(started: dict[str, Execution], name: str) -> None:
    kind = STARTS[name]
    seen = started[name].wait_for(lambda held: says(held, kind.wait, kind.words))
    assert seen.object["status"]["phase"] == "Pending"
    assert any("nothing bounds this wait but a stop" in text for text in seen.object["status"]["waitingOn"])


def test_all_of_them_can_be_stopped_at_once(started: dict[str, Execution]) -> None:
    for run in started.values():
        run.stop("Kill")
    for run in started.values():
        run.wait_for("Cancelled")
        assert not proof.processes(run.marker)


def test_a_process_that_was_told_and_goes_on_is_waited_for_by_name(lab: Lab) -> None:
    run = lab.start(programs.DEAF)
    wait_until_started(run)
    run.stop("Cancel")
    seen = run.wait_for(lambda held: says(held, Wait.TOLD, ("container workflow", "(Cancel)", "but a Kill")))
    assert seen.object["status"]["phase"] == "Cancelling"
    run.stop("Kill", gracePeriodSeconds=1)
    run.wait_for("Cancelled")


def test_finalizers_that_hold_a_pod_are_named_and_hold_no_run(lab: Lab) -> None:
    marker = f"mark-held-{lab.name}"
    made = template(programs.command(programs.DEAF, marker), terminationGracePeriodSeconds=8)
    made["metadata"] = {"finalizers": [HOLD]}
    run = lab.create({"workflowSpec": {"template": made}}, marker)
    wait_until_started(run)
    (held,) = run.pods()
    try:
        lab.core.delete_namespaced_pod(held.metadata.name, lab.name)
        run.wait_for(lambda seen: says(seen, Wait.FINALIZERS, (HOLD,)))
        run.stop("Cancel")
        run.wait_for("Cancelled")
        assert proof.gone_for_good(marker)
    finally:
        for left in run.pods():
            lab.core.patch_namespaced_pod(left.metadata.name, lab.name, {"metadata": {"finalizers": None}})
