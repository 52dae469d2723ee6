from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desist.api import meta
from desist.api.base import Opaque
from desist.api.vocabulary import Mode, SignalTo
from desist.api.workflow import WorkflowSpec
from desist.lifecycle.pod.manifest import dry_run_manifest, pod_name
from desist.lifecycle.settings import LauncherDelivery, Settings
from desist.lifecycle.wire import mailbox
from tests.unit.wire.builders import RUN_ID, SIDECAR, execution, pod, stop, template, with_container

BOTH = pytest.mark.parametrize("delivery", LauncherDelivery)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
SUBDOMAINS = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)

UID = "8a4b0b8e-5d0c-4a53-a2b1-0f6a1d4e9c11"


def workflow(made: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = made["spec"]["containers"][0]
    return container


def env(made: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in workflow(made)["env"]}


@given(SUBDOMAINS, st.integers(1, 10**9))
def test_a_pods_name_is_a_dns_label_whatever_the_executions_name(name: str, attempt: int) -> None:
    made = pod_name(name, UID, RUN_ID, attempt)
    assert len(made) <= 63
    assert DNS_LABEL.fullmatch(made)


@given(SUBDOMAINS)
def test_a_label_holds_any_executions_name(name: str) -> None:
    value = pod(name=name)["metadata"]["labels"][meta.EXECUTION_LABEL]
    assert len(value) <= 63
    assert LABEL_VALUE.fullmatch(value)


def test_a_pods_name_begins_with_its_execution_and_ends_in_its_attempt() -> None:
    assert re.fullmatch(r"order-123-[a-z2-7]{10}-2", pod_name("order-123", UID, RUN_ID, 2))


def test_each_execution_run_and_attempt_has_a_name_of_its_own_and_always_the_same() -> None:
    cases = [
        ("a" * 250, uid, run_id, attempt)
        for uid in (UID, UID[::-1])
        for run_id in (RUN_ID, RUN_ID[::-1])
        for attempt in (1, 2, 11, 12)
    ]
    assert len({pod_name(*case) for case in cases}) == len(cases)
    assert [pod_name(*case) for case in cases] == [pod_name(*case) for case in cases]


def test_long_names_that_differ_at_their_end_have_labels_that_differ() -> None:
    labels = {pod(name="a" * 80 + end)["metadata"]["labels"][meta.EXECUTION_LABEL] for end in ("x", "y")}
    assert len(labels) == 2


def test_the_pod_belongs_to_its_execution_by_uid() -> None:
    metadata = pod()["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("shop", pod_name("order-123", UID, RUN_ID, 1))
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "desist.dev/v1alpha1",
            "kind": "WorkflowExecution",
            "name": "order-123",
            "uid": UID,
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]
    assert metadata["labels"] == {
        meta.EXECUTION_UID_LABEL: UID,
        meta.EXECUTION_LABEL: "order-123",
        meta.RUN_ID_LABEL: RUN_ID,
        meta.ATTEMPT_LABEL: "1",
        meta.ROLE_LABEL: "workflow",
    }


def test_the_templates_metadata_is_kept_but_names_owners_and_our_keys_are_not() -> None:
    given_metadata = {
        "name": "mine",
        "generateName": "mine-",
        "namespace": "theirs",
        "ownerReferences": [{"kind": "Job"}],
        "finalizers": ["example.com/archive"],
        "labels": {"team": "shop", "desist.dev/role": "x", "desist.dev/other": "x"},
        "annotations": {"note": "kept", "desist.dev/stop": "{}", "desist.dev/arguments": "{}"},
    }
    metadata = pod({**template(), "metadata": given_metadata}, arguments={"a": 1})["metadata"]
    plain = pod()["metadata"]
    assert metadata["labels"] == {**plain["labels"], "team": "shop"}
    assert metadata["annotations"] == {"note": "kept", meta.ARGUMENTS_ANNOTATION: '{"a":1}'}
    assert metadata["finalizers"] == ["example.com/archive"]
    assert {key: metadata[key] for key in ("name", "namespace", "ownerReferences")} == {
        key: plain[key] for key in ("name", "namespace", "ownerReferences")
    }
    assert "generateName" not in metadata


@BOTH
def test_everything_that_the_template_says_and_desist_does_not_set_is_kept(delivery: LauncherDelivery) -> None:
    data = {"name": "data", "emptyDir": {}}
    rich = template(
        serviceAccountName="shop",
        automountServiceAccountToken=True,
        terminationGracePeriodSeconds=7,
        securityContext={"runAsUser": 1000, "fsGroup": 2000},
        volumes=[data],
        initContainers=[SIDECAR, {"name": "prepare", "image": "busybox"}],
        fieldOfTomorrow={"a": [1]},
    )
    mine = {"args": ["--fast"], "workingDir": "/work", "resources": {"limits": {"cpu": "1"}}, "stdin": True}
    rich["spec"]["containers"][0].update(mine, env=[{"name": "A", "value": "1"}], volumeMounts=[{"name": "data"}])
    made = pod(rich, delivery)
    spec = made["spec"]
    set_by_desist = {"restartPolicy", "containers", "initContainers", "volumes"}
    kept = {key: value for key, value in spec.items() if key not in set_by_desist}
    assert kept == {key: value for key, value in rich["spec"].items() if key not in set_by_desist}
    assert spec["initContainers"][-2:] == rich["spec"]["initContainers"]
    assert spec["volumes"][0] == data
    assert {key: workflow(made)[key] for key in mine} == mine
    assert workflow(made)["env"][-1] == {"name": "A", "value": "1"}
    assert workflow(made)["volumeMounts"][0] == {"name": "data"}


def test_a_field_that_the_template_leaves_out_is_left_out() -> None:
    assert set(pod(delivery=LauncherDelivery.IMAGE_VOLUME)["spec"]) == {"restartPolicy", "containers", "volumes"}


@BOTH
def test_the_launcher_runs_in_front_of_the_command(delivery: LauncherDelivery) -> None:
    made = pod(with_container(command=["sh", "-c", "app; more"], args=["x"]), delivery)
    assert workflow(made)["command"] == ["/desist/bin/desist-launcher", "run", "--", "sh", "-c", "app; more"]
    assert workflow(made)["args"] == ["x"]
    assert {"name": "desist-launcher", "mountPath": "/desist/bin", "readOnly": True} in workflow(made)["volumeMounts"]


@pytest.mark.parametrize("policy", [None, "Always", "OnFailure", "Never"])
def test_the_kubelet_never_runs_the_workflow_process_again(policy: str | None) -> None:
    assert pod(template(restartPolicy=policy))["spec"]["restartPolicy"] == "Never"


def test_an_image_volume_brings_the_launcher_without_another_container() -> None:
    spec = pod(delivery=LauncherDelivery.IMAGE_VOLUME)["spec"]
    image = {"reference": "registry.example/launcher:1", "pullPolicy": "IfNotPresent"}
    assert {"name": "desist-launcher", "image": image} in spec["volumes"]
    assert "initContainers" not in spec


def test_an_init_container_brings_the_launcher_before_all_others_at_no_cost() -> None:
    resources = {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}, "claims": [{"name": "gpu"}]}
    made = template(initContainers=[SIDECAR], containers=[with_container(resources=resources)["spec"]["containers"][0]])
    spec = pod(made)["spec"]
    installer = spec["initContainers"][0]
    assert [container["name"] for container in spec["initContainers"]] == ["desist-launcher", "proxy"]
    assert {"name": "desist-launcher", "emptyDir": {}} in spec["volumes"]
    assert installer["command"] == ["/desist-launcher", "install", "/desist/bin/desist-launcher"]
    assert installer["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    assert installer["volumeMounts"] == [{"name": "desist-launcher", "mountPath": "/desist/bin"}]


USERS: list[tuple[str, dict[str, Any], dict[str, Any], int]] = [
    ("nobody named", {}, {}, 65532),
    ("the pod's", {"runAsUser": 1000}, {}, 1000),
    ("the container's before the pod's", {"runAsUser": 1000}, {"runAsUser": 2000}, 2000),
    ("root", {}, {"runAsUser": 0}, 65532),
    ("a root in a pod of another user", {"runAsUser": 1000}, {"runAsUser": 0}, 65532),
    ("one that is malformed", {}, {"runAsUser": "1000"}, 65532),
]


@pytest.mark.parametrize(("of_pod", "of_container", "user"), [u[1:] for u in USERS], ids=[u[0] for u in USERS])
def test_the_init_container_is_restricted_whoever_the_workflow_process_is(
    of_pod: dict[str, Any], of_container: dict[str, Any], user: int
) -> None:
    made = with_container(securityContext=of_container)
    made["spec"]["securityContext"] = of_pod
    assert pod(made)["spec"]["initContainers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@pytest.mark.parametrize(
    ("volume", "path", "annotation", "mount"),
    [
        ("desist-mailbox", "stop", meta.STOP_ANNOTATION, {"mountPath": "/desist/mailbox"}),
        (
            "desist-arguments",
            "arguments.json",
            meta.ARGUMENTS_ANNOTATION,
            {"mountPath": "/desist/arguments.json", "subPath": "arguments.json"},
        ),
    ],
)
def test_annotations_are_projected_into_files(volume: str, path: str, annotation: str, mount: dict[str, str]) -> None:
    made = pod()
    items = [{"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}]
    assert {"name": volume, "downwardAPI": {"items": items}} in made["spec"]["volumes"]
    assert {"name": volume, "readOnly": True, **mount} in workflow(made)["volumeMounts"]


def test_the_mailbox_is_empty_at_first() -> None:
    assert meta.STOP_ANNOTATION not in pod()["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("arguments", "content"), [(None, {}), ({}, {}), ({"order": "ü", "n": [1]}, {"order": "ü", "n": [1]})]
)
def test_the_process_always_finds_a_file_of_arguments(arguments: Any, content: Any) -> None:
    annotation = pod(arguments=arguments)["metadata"]["annotations"][meta.ARGUMENTS_ANNOTATION]
    assert json.loads(annotation) == content


def test_a_start_is_tried_with_room_for_any_stop() -> None:
    spec = WorkflowSpec(template=Opaque.of(template()))
    tried, real = dry_run_manifest(execution(), spec, None, Settings()).value, pod()
    assert len(tried["metadata"]["annotations"][meta.STOP_ANNOTATION]) == 16 * 1024
    text = '"' + "\x01" * 1023
    largest = mailbox.render(stop(Mode.TERMINATE, 31_536_000.0, reason=text, details=text, sequence=2**63))
    assert len(json.dumps(largest)) > len(largest) > 12_000
    assert len(largest.encode()) <= 16 * 1024
    assert meta.STOP_ANNOTATION not in real["metadata"]["annotations"]


def test_the_outcome_has_a_folder_that_can_be_written() -> None:
    made = pod()
    assert {"name": "desist-outcome", "emptyDir": {}} in made["spec"]["volumes"]
    assert {"name": "desist-outcome", "mountPath": "/desist/outcome"} in workflow(made)["volumeMounts"]
    assert env(made)["DESIST_OUTCOME"] == "/desist/outcome/outcome.json"
    assert env(made)["DESIST_STOP"] == "/desist/outcome/stop.json"


def test_the_environment_names_execution_run_attempt_and_stop_signal() -> None:
    found = env(pod(signal="SIGINT"))
    named = ("DESIST_EXECUTION", "DESIST_RUN_ID", "DESIST_ATTEMPT", "DESIST_STOP_SIGNAL")
    assert {name: found[name] for name in named} == {
        "DESIST_EXECUTION": "order-123",
        "DESIST_RUN_ID": RUN_ID,
        "DESIST_ATTEMPT": "1",
        "DESIST_STOP_SIGNAL": "SIGINT",
    }


def test_the_environment_tells_the_launcher_whom_the_stop_signal_goes_to() -> None:
    assert [env(made)["DESIST_SIGNAL_TO"] for made in (pod(), pod(signal_to=SignalTo.MAIN))] == ["All", "Main"]


def test_neither_the_image_nor_a_config_map_can_lead_the_launcher_elsewhere() -> None:
    found = env(pod(with_container(envFrom=[{"prefix": "DESIST_", "configMapRef": {"name": "mine"}}])))
    assert (found["DESIST_MAILBOX"], found["DESIST_TERMINATION_LOG"]) == ("/desist/mailbox", "/dev/termination-log")


@pytest.mark.parametrize(
    ("sidecars", "delivery", "limit"),
    [
        (0, LauncherDelivery.IMAGE_VOLUME, 4096),
        (3, LauncherDelivery.IMAGE_VOLUME, 3072),
        (3, LauncherDelivery.INIT_CONTAINER, 2457),
        (7, LauncherDelivery.IMAGE_VOLUME, 1536),
    ],
)
def test_the_limit_of_the_message_counts_all_containers_the_launchers_too(
    sidecars: int, delivery: LauncherDelivery, limit: int
) -> None:
    made = template(initContainers=[{**SIDECAR, "name": f"proxy-{n}"} for n in range(sidecars)])
    assert env(pod(made, delivery))["DESIST_OUTCOME_LIMIT_BYTES"] == str(limit)


@BOTH
def test_the_same_arguments_give_the_same_pod_byte_for_byte(delivery: LauncherDelivery) -> None:
    assert json.dumps(pod(delivery=delivery)) == json.dumps(pod(delivery=delivery))
