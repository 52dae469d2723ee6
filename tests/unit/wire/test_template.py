from __future__ import annotations

import copy
from typing import Any

import pytest

from desist.api.workflow import StopPolicy
from desist.lifecycle.pod.template import RULES, refusals, termination_bytes
from desist.lifecycle.settings import LauncherDelivery
from tests.unit.wire.builders import SIDECAR, pod, template, with_container, with_sidecar

HOOK = {"exec": {"command": ["true"]}}
TWO = {"name": "second", "image": "busybox", "command": ["true"]}

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "several regular containers",
        {"spec": {"containers": [*template()["spec"]["containers"], TWO]}},
        "spec.containers: exactly one regular container",
        "initContainers with restartPolicy Always",
    ),
    ("no container", {"spec": {"containers": []}}, "spec.containers: exactly one", "native sidecars"),
    ("no command", with_container(command=None), "spec.containers[0].command: a command", "docker inspect -f"),
    ("an empty command", with_container(command=[]), "spec.containers[0].command: a command", "docker inspect"),
    (
        "a command that is a string",
        with_container(command="sleep 60"),
        "spec.containers[0].command:",
        "list of strings",
    ),
    ("postStart", with_container(lifecycle={"postStart": HOOK}), "spec.containers[0].lifecycle.postStart:", "init"),
    ("preStop", with_container(lifecycle={"preStop": HOOK}), "spec.containers[0].lifecycle.preStop:", "stop signal"),
    (
        "preStop in a sidecar",
        with_sidecar(lifecycle={"preStop": HOOK}),
        "spec.initContainers[0].lifecycle.preStop:",
        "",
    ),
    ("hostPID", template(hostPID=True), "spec.hostPID: must be false or absent", "namespace of its own"),
    ("a shared namespace", template(shareProcessNamespace=True), "spec.shareProcessNamespace: must be false", ""),
    (
        "restart rules",
        with_container(restartPolicyRules=[{"action": "Restart"}]),
        "spec.containers[0].restartPolicyRules: must be absent",
        "exit code",
    ),
    ("a restarted process", with_container(restartPolicy="OnFailure"), "spec.containers[0].restartPolicy:", "absent"),
    (
        "an init container that is restarted on failure",
        with_sidecar(restartPolicy="OnFailure"),
        "spec.initContainers[0].restartPolicy: must be Always",
        "native sidecar",
    ),
    (
        "no grace",
        template(terminationGracePeriodSeconds=0),
        "spec.terminationGracePeriodSeconds: must be a whole number of seconds from 1 to 31,536,000",
        "stopPolicy.gracePeriodSeconds",
    ),
    (
        "too long a grace",
        template(terminationGracePeriodSeconds=31_536_001),
        "spec.terminationGracePeriodSeconds:",
        "year",
    ),
    ("a grace that is a text", template(terminationGracePeriodSeconds="5"), "spec.terminationGracePeriodSeconds:", ""),
    (
        "a deadline of the kubelet",
        template(activeDeadlineSeconds=10),
        "spec.activeDeadlineSeconds: must be absent",
        "activeDeadlineSeconds of the Workflow",
    ),
    (
        "the message from the logs",
        with_container(terminationMessagePolicy="FallbackToLogsOnError"),
        "spec.containers[0].terminationMessagePolicy: must be File",
        "$DESIST_OUTCOME",
    ),
    (
        "the message elsewhere",
        with_container(terminationMessagePath="/tmp/end"),
        "spec.containers[0].terminationMessagePath: must be /dev/termination-log",
        "$DESIST_OUTCOME",
    ),
    ("Windows by os", template(os={"name": "windows"}), "spec.os.name: Windows", "Linux image"),
    ("Windows by node", template(nodeSelector={"kubernetes.io/os": "windows"}), "spec.nodeSelector: Windows", ""),
    (
        "Windows by options",
        template(securityContext={"windowsOptions": {}}),
        "spec.securityContext.windowsOptions: Windows",
        "",
    ),
    (
        "Windows by a container's options",
        with_container(securityContext={"windowsOptions": {"hostProcess": True}}),
        "spec.containers[0].securityContext.windowsOptions: Windows",
        "",
    ),
    ("a volume of our name", template(volumes=[{"name": "desist-mailbox"}]), "spec.volumes[0].name:", "another name"),
    ("a container of our name", with_sidecar(name="desist-launcher"), "spec.initContainers[0].name:", "another name"),
    (
        "a mount of our volume",
        with_sidecar(volumeMounts=[{"name": "desist-outcome", "mountPath": "/x"}]),
        "spec.initContainers[0].volumeMounts[0].name:",
        "another name",
    ),
    ("a variable of our name", with_container(env=[{"name": "DESIST_RUN_ID"}]), "spec.containers[0].env[0].name:", ""),
    *(
        (
            f"a mount at {path}",
            with_container(volumeMounts=[{"name": "data", "mountPath": path}]),
            "spec.containers[0].volumeMounts[0].mountPath: /desist and what is below",
            "somewhere else",
        )
        for path in ("/desist", "/desist/bin", "//desist/x", "/./desist", "desist/", "/", "//", "/./", ".")
    ),
    *(
        (
            f"a mount at {path}",
            with_sidecar(volumeMounts=[{"name": "data", "mountPath": path}]),
            "spec.initContainers[0].volumeMounts[0].mountPath: /dev and /dev/termination-log",
            "somewhere else",
        )
        for path in ("/dev", "//dev/", "/dev/./termination-log", "/dev/termination-log/", "/dev/termination-log/x")
    ),
    *(
        (
            f"a mount at {path}",
            with_container(volumeMounts=[{"name": "data", "mountPath": path}]),
            "spec.containers[0].volumeMounts[0].mountPath: must not contain '..'",
            "where it shall be",
        )
        for path in ("/data/../desist", "/desist/../etc", "/..", "../desist", "/data/..")
    ),
    (
        "a mount of a part of a volume",
        with_container(volumeMounts=[{"name": "data", "mountPath": "/desist/mailbox", "subPath": "mine"}]),
        "spec.containers[0].volumeMounts[0].mountPath: /desist",
        "",
    ),
    (
        "a mount of a part of a volume that a variable names",
        with_container(volumeMounts=[{"name": "data", "mountPath": "/desist/x", "subPathExpr": "$(DESIST_ATTEMPT)"}]),
        "spec.containers[0].volumeMounts[0].mountPath: /desist",
        "",
    ),
    (
        "another stop signal of the runtime's",
        with_container(lifecycle={"stopSignal": "SIGUSR1"}),
        "spec.containers[0].lifecycle.stopSignal: must be SIGTERM",
        "stopPolicy.signal",
    ),
    (
        "a device at our path",
        with_container(volumeDevices=[{"name": "disk", "devicePath": "/desist/disk"}]),
        "spec.containers[0].volumeDevices[0].devicePath:",
        "",
    ),
    ("no spec", {}, "spec: must be a pod spec", ""),
    ("a spec that is a list", {"spec": []}, "spec: must be a pod spec", ""),
    ("containers that are a text", {"spec": {"containers": "x"}}, "spec.containers: must be a list", ""),
    ("a container that is a text", {"spec": {"containers": ["x"]}}, "spec.containers[0]: must be an object", ""),
    ("a container that is null", {"spec": {"containers": [None]}}, "spec.containers[0]: must be an object", ""),
    ("volumes that are an object", template(volumes={}), "spec.volumes: must be a list", ""),
    ("variables that are an object", with_container(env={"A": "1"}), "spec.containers[0].env: must be a list", ""),
    ("resources that are a list", with_container(resources=[]), "spec.containers[0].resources: must be an object", ""),
    ("metadata that is a text", {**template(), "metadata": "x"}, "metadata: must be an object", ""),
    ("labels that are a list", {**template(), "metadata": {"labels": []}}, "metadata.labels: must be an object", ""),
]

KEPT: list[tuple[str, dict[str, Any]]] = [
    ("the smallest template", template()),
    (
        "native sidecars and init containers",
        template(initContainers=[SIDECAR, {"name": "prepare", "image": "busybox"}]),
    ),
    ("what the API server would fill in", with_container(terminationMessagePolicy="File", resources={})),
    ("the usual message path", with_container(terminationMessagePath="/dev/termination-log")),
    ("namespaces that are not shared", template(hostPID=False, shareProcessNamespace=False)),
    ("any restartPolicy, as it is set", template(restartPolicy="Always")),
    ("the shortest grace", template(terminationGracePeriodSeconds=1)),
    ("the longest grace", template(terminationGracePeriodSeconds=31_536_000)),
    ("Linux", template(os={"name": "linux"}, nodeSelector={"kubernetes.io/os": "linux"})),
    ("a name that only resembles ours", template(volumes=[{"name": "desistance", "emptyDir": {}}])),
    ("a path that only resembles ours", with_container(volumeMounts=[{"name": "d", "mountPath": "/desistance"}])),
    ("a path that ends in our word", with_container(volumeMounts=[{"name": "d", "mountPath": "/data/desist"}])),
    ("a path that goes nowhere", with_container(volumeMounts=[{"name": "d", "mountPath": "/data/./x//y"}])),
    ("shared memory", with_container(volumeMounts=[{"name": "d", "mountPath": "/dev/shm"}])),
    ("a device", with_container(volumeDevices=[{"name": "d", "devicePath": "/dev/xvda"}])),
    ("a name with dots", with_container(volumeMounts=[{"name": "d", "mountPath": "/data/..x"}])),
    ("the stop signal that it is anyway", with_container(lifecycle={"stopSignal": "SIGTERM"})),
    ("a sidecar's own stop signal", with_sidecar(lifecycle={"stopSignal": "SIGQUIT"})),
    ("a lower-case variable", with_container(env=[{"name": "desist_x", "value": "1"}])),
    ("fields that nobody knows yet", template(fieldOfTomorrow={"a": 1})),
    ("absent things spelled out as null", template(volumes=None, initContainers=None, securityContext=None)),
]


def nested(levels: int) -> dict[str, Any]:
    """A template that is so many levels deep, the template itself and its spec included."""
    value: Any = "x"
    for _ in range(levels - 2):
        value = [value]
    made = template()
    made["spec"]["fieldOfTomorrow"] = value
    return made


def test_a_template_of_64_levels_is_taken_and_a_deeper_one_is_refused() -> None:
    assert refusals(nested(64)) == ()
    refused = ("template: objects and lists may be nested at most 64 levels deep",)
    assert refusals(nested(65)) == refused
    assert refusals(nested(30_000)) == refused


ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "desist-x",
    "/desist",
    [],
    [None],
    [[]],
    [{}],
    ["x"],
    {},
    {"name": []},
)
RICH = {
    "metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}, "finalizers": ["a/b"]},
    **template(
        initContainers=[{**SIDECAR, "env": [{"name": "A"}], "volumeMounts": [{"name": "d", "mountPath": "/d"}]}],
        volumes=[{"name": "d", "emptyDir": {}}],
        securityContext={"runAsUser": 1000},
        terminationGracePeriodSeconds=5,
    ),
}
RICH["spec"]["containers"][0].update(
    env=[{"name": "A", "value": "1"}],
    volumeMounts=[{"name": "d", "mountPath": "/d"}],
    volumeDevices=[{"name": "e", "devicePath": "/e"}],
    resources={"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
    securityContext={"runAsUser": 1000},
    lifecycle={},
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, as keys and indices."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in inner for place in _places(item, (*at, key)))][0 if at else 1 :]


def _with(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    if not place:
        return odd
    changed = copy.copy(value)
    changed[place[0]] = _with(value[place[0]], place[1:], odd)
    return changed


@pytest.mark.parametrize(
    ("given_template", "begins", "holds"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_what_desist_cannot_run_is_refused_by_a_message_that_names_the_field(
    given_template: dict[str, Any], begins: str, holds: str
) -> None:
    found = refusals(given_template)
    assert [message for message in found if message.startswith(begins) and holds in message], found


@pytest.mark.parametrize("given_template", [case[1] for case in REFUSED], ids=[c[0] for c in REFUSED])
def test_one_wrong_field_gives_no_message_about_another(given_template: dict[str, Any]) -> None:
    fields = {message.partition(": ")[0] for message in refusals(given_template)}
    assert len(fields) == 1, fields


@pytest.mark.parametrize("given_template", [case[1] for case in KEPT], ids=[case[0] for case in KEPT])
def test_everything_else_is_left_to_the_api_server(given_template: dict[str, Any]) -> None:
    assert refusals(given_template) == ()


def test_every_line_of_the_table_is_tried_by_a_template_that_it_refuses() -> None:
    seen = {message.partition(": ")[2] for case in REFUSED for message in refusals(case[1])}
    assert [rule.message for rule in RULES if rule.message not in seen] == []


@pytest.mark.parametrize(
    ("most", "grace", "sidecar", "taken"),
    [
        (20, 20, True, True),
        (20, 21, True, False),
        (20, None, True, False),
        (30, None, True, True),
        (20, 21, False, True),
        (20, None, False, True),
    ],
)
def test_sidecars_take_no_longer_than_any_stop_may(most: int, grace: int | None, sidecar: bool, taken: bool) -> None:
    spec = {} if grace is None else {"terminationGracePeriodSeconds": grace}
    before = [SIDECAR] if sidecar else [{"name": "prepare", "image": "busybox"}]
    found = refusals(template(initContainers=before, **spec), StopPolicy(max_grace_period_seconds=most))
    assert (found == ()) is taken
    assert taken or f"maxGracePeriodSeconds ({most})" in found[0]


def test_several_wrong_fields_are_all_said_at_once() -> None:
    found = refusals(template(hostPID=True, activeDeadlineSeconds=5))
    assert [message.partition(":")[0] for message in found] == ["spec.hostPID", "spec.activeDeadlineSeconds"]


def test_the_rich_template_is_one_that_desist_can_run() -> None:
    assert refusals(RICH) == ()


@pytest.mark.parametrize("place", _places(RICH), ids=str)
def test_a_wrong_type_anywhere_gives_a_message_or_a_pod_but_never_an_exception(place: tuple[Any, ...]) -> None:
    for odd in ODD_VALUES:
        changed = _with(RICH, place, odd)
        if not refusals(changed):
            for delivery in LauncherDelivery:
                assert pod(changed, delivery)["kind"] == "Pod"


@pytest.mark.parametrize(("containers", "kept"), [(0, 4096), (1, 4096), (3, 4096), (4, 3072), (8, 1536), (12, 1024)])
def test_the_kubelet_divides_its_limit_for_messages_among_all_containers(containers: int, kept: int) -> None:
    assert termination_bytes(containers) == kept
