"""Only a workflow process creates operations, for itself, with the token of its own pod."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from kubernetes import client, watch

from desist.lifecycle.pod.manifest import pod_name
from hack.image.release import CHART, HOST_OPERATOR
from tests.cluster.admission.accounts import API, DRY, MALLORY, MASTERS, Account, Answer, acting_as
from tests.cluster.admission.conftest import allow_workflows, bind, named_pod
from tests.cluster.admission.processes import (
    POD_NAME,
    POD_UID,
    RUN,
    Body,
    Process,
    denied,
    operation,
    owner_of,
    path_of,
    token,
)
from tests.support import programs
from tests.support.lab import Execution, Lab, template
from tests.support.spaces import shared

pytestmark = pytest.mark.conformance("I6")

HOW = ("create", "apply")


def created(account: Account, lab: Lab, body: Body, how: str = "create") -> Answer:
    """What is answered to the creation of that operation, which is not stored."""
    if how == "apply":
        return account.ask("PATCH", path_of(lab, body), body, "apply", **DRY)
    return account.ask("POST", f"{API}/{lab.name}/operations", body, **DRY)


@pytest.mark.parametrize("how", HOW)
def test_a_workflow_process_creates_an_operation_of_its_run(process: Process, running: Execution, how: str) -> None:
    answer = created(process.account, process.lab, process.asks_for(running, "a/1"), how)
    assert answer.status == 201, answer.message


ASKS = """
import base64, json, os, ssl, sys, urllib.request
place = "/var/run/secrets/kubernetes.io/serviceaccount/"
token = open(place + "token").read()
claims = token.split(".")[1]
me = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["kubernetes.io"]
body = json.loads(sys.argv[1])
execution = {"name": os.environ["DESIST_EXECUTION"], "uid": os.environ["DESIST_EXECUTION_UID"]}
body["spec"]["executionRef"] = execution
body["metadata"]["ownerReferences"][0].update(execution)
body["metadata"]["name"] = execution["name"] + body["metadata"]["name"][-21:]
body["spec"]["createdBy"] = {"podName": me["pod"]["name"], "podUid": me["pod"]["uid"]}
url = "https://kubernetes.default.svc/apis/desist.dev/v1alpha1/namespaces/" + me["namespace"] + "/operations"
asked = urllib.request.Request(url, json.dumps(body).encode(), {"Authorization": "Bearer " + token,
                                                                 "Content-Type": "application/json"})
trusted = ssl.create_default_context(cafile=place + "ca.crt")
print(urllib.request.urlopen(asked, context=trusted).status, flush=True)
"""


def test_a_pod_creates_one_with_nothing_but_what_kubernetes_mounts_into_it(team: Lab, running: Execution) -> None:
    wanted = operation(running, "from a pod")
    asks = team.create({"workflowSpec": {"template": template(["python3", "-u", "-c", ASKS, json.dumps(wanted)])}})
    asks.wait_for("Succeeded")
    name = asks.name + wanted["metadata"]["name"][-21:]
    held = team.custom.get_namespaced_custom_object("desist.dev", "v1alpha1", team.name, "operations", name)
    (made_it,) = asks.pods()
    assert held["spec"]["createdBy"] == {"podName": made_it.metadata.name, "podUid": made_it.metadata.uid}


class Given:
    """What the cases below are made from."""

    def __init__(self, process: Process, other: Process, outside: Process) -> None:
        self.process, self.other, self.outside = process, other, outside
        self.lab = process.lab
        self.user = f"system:serviceaccount:{self.lab.name}:default"

    def itself(self) -> Account:
        return self.process.account

    def taken_on(self, user: str = "", **extra: str) -> Account:
        """The pods' account, taken on by the cluster's admin, with these extras."""
        headers = {f"Impersonate-Extra-{quote(name, safe='')}": value for name, value in extra.items()}
        return Account({"Impersonate-User": user or self.user, "Impersonate-Group": MASTERS, **headers})

    def secret(self) -> Body:
        """A Secret that holds a token of the account, as clusters made them for each one once."""
        metadata = {"name": "old", "annotations": {"kubernetes.io/service-account.name": "default"}}
        body = {"metadata": metadata, "type": "kubernetes.io/service-account-token"}
        core = self.lab.core
        stream: Any = watch.Watch().stream(
            core.list_namespaced_secret, self.lab.name, field_selector="metadata.name=old", timeout_seconds=60
        )
        try:
            core.create_namespaced_secret(self.lab.name, body)
        except client.ApiException as error:
            assert error.status == 409, error
        for event in stream:
            if (event["object"].data or {}).get("token"):
                found: Body = self.lab.api.sanitize_for_serialization(event["object"])
                return found
        raise AssertionError("the Secret got no token within 60 s")

    def of_the_secret(self) -> Account:
        return Account({}, base64.b64decode(self.secret()["data"]["token"]).decode())

    def bound_to_the_secret(self) -> Account:
        metadata = self.secret()["metadata"]
        bound = {"kind": "Secret", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        return Account({}, token(self.lab, "default", bound))


@pytest.fixture(scope="module")
def given(
    process: Process, of_another_run: Process, api: Any, kubectl: Any, request: pytest.FixtureRequest
) -> Iterator[Given]:
    with shared(request, api) as elsewhere:
        # A right in the namespace, so that it is the policy that refuses.
        allow_workflows(kubectl, process.lab, of=elsewhere)
        yield Given(process, of_another_run, Process.of(elsewhere, named_pod(elsewhere, process.pod)))


NO_ACCOUNT = ("is no service account of namespace", "create a WorkflowExecution")
NO_POD = ("is bound to none", "/var/run/secrets/kubernetes.io/serviceaccount/token")
NOT_ITSELF = ("spec.createdBy names the pod of the token", "set podName to")
FORGED: dict[str, tuple[Callable[[Given], Account], tuple[str, ...]]] = {
    "an admin": (lambda it: acting_as(MALLORY), (*NO_ACCOUNT, MALLORY)),
    "an operator of the chart's values": (lambda it: acting_as(HOST_OPERATOR), (*NO_ACCOUNT, HOST_OPERATOR)),
    "a pod of the same name in another namespace": (lambda it: it.outside.account, NO_ACCOUNT),
    "a token that is bound to nothing": (lambda it: Account({}, token(it.lab, "default")), NO_POD),
    "the token of a Secret": (Given.of_the_secret, NO_POD),
    "a token that is bound to a Secret": (Given.bound_to_the_secret, NO_POD),
    "the account, taken on": (lambda it: it.taken_on(), NO_POD),
    "the account, taken on with the pod's name": (lambda it: it.taken_on(**{POD_NAME: it.process.pod}), NO_POD),
    "the account, taken on for another pod": (
        lambda it: it.taken_on(**{POD_NAME: it.other.pod, POD_UID: it.other.uid}),
        NOT_ITSELF,
    ),
    "the account of another namespace, taken on with this pod": (
        lambda it: it.taken_on("system:serviceaccount:default:default", **{POD_NAME: it.process.pod, POD_UID: "x"}),
        NO_ACCOUNT,
    ),
    "another run's process": (lambda it: it.other.account, NOT_ITSELF),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("who", FORGED)
def test_nobody_else_creates_one_for_it(given: Given, running: Execution, who: str, how: str) -> None:
    account, words = FORGED[who]
    answer = created(account(given), given.lab, given.process.asks_for(running, "a/2"), how)
    assert denied(answer, "created-by", *words)


def test_it_cannot_say_that_another_pod_of_its_name_creates_it(process: Process, running: Execution) -> None:
    body = process.asks_for(running, "a/3")
    body["spec"]["createdBy"]["podUid"] = "4f0b7a52-0000-4000-8000-000000000000"
    assert denied(created(process.account, process.lab, body), "created-by", *NOT_ITSELF, process.uid)


NOT_ITS_OWN = ("only by the workflow process of its own execution", "is none of", "$DESIST_EXECUTION_UID")


@pytest.mark.parametrize("how", HOW)
def test_a_process_of_another_run_does_not_take_the_name_of_one(given: Given, running: Execution, how: str) -> None:
    """It says who it is, and the truth: without the policy the run whose operation that would be gets 409."""
    body = given.other.asks_for(running, "a/5")
    assert denied(created(given.other.account, given.lab, body, how), "created-by", *NOT_ITS_OWN, running.name)


DIGITS = "5f0c6a1be2d94c83a7f1"
NAMES = {
    "another execution's": "other-{digits}",
    "a longer one": "{own}-b-{digits}",
    "a shorter one": "{less}-{digits}",
    "no digits": "{own}-abcdefghijklmnopqrst",
}


@pytest.mark.parametrize("case", NAMES)
def test_a_process_takes_no_name_of_another_execution_for_an_operation_of_its_own(
    process: Process, running: Execution, case: str
) -> None:
    own, body = running.name, process.asks_for(running, "a/7")
    body["metadata"]["name"] = NAMES[case].format(own=own, less=own[:-1], digits=DIGITS)
    answer = created(process.account, process.lab, body)
    assert denied(answer, "created-by", "it begins with that of execution", own)


LONG = f"much-longer{'.than-a-label' * 8}"
CUT_AT_A_HYPHEN = f"{'a' * 49}-b{'c' * 20}"
UID = "4f0b7a52-0000-4000-8000-000000000000"
OPERATIONS_CUT_AT_A_HYPHEN = f"{'a' * 33}-1.0"
CALLED = {
    "as its execution": ("order", "order", True),
    "with dots": ("order.of.may", "order.of.may", True),
    "cut": (LONG, LONG, True),
    "cut at a hyphen": (CUT_AT_A_HYPHEN, CUT_AT_A_HYPHEN, True),
    "whose operations' names are cut at a hyphen": (OPERATIONS_CUT_AT_A_HYPHEN, OPERATIONS_CUT_AT_A_HYPHEN, True),
    "shorter": ("orders", "order", False),
    "longer": ("order", "orders", False),
    "with an end of a longer one": ("order", "order-of", False),
    "as another long one": (LONG, LONG.replace("than", "then"), False),
}


@pytest.mark.parametrize("case", CALLED)
def test_a_pod_is_of_the_execution_after_which_it_is_called(team: Lab, case: str) -> None:
    name, pods, may = CALLED[case]
    made = named_pod(team, pod_name(pods, UID, RUN, 12))
    process = Process.of(team, made)
    answer = created(process.account, team, process.asks_for(Execution(team, name, UID, "none"), case))
    team.core.delete_namespaced_pod(made.metadata.name, team.name)
    assert (answer.status == 201) is may, answer.message
    assert may or denied(answer, "created-by", *NOT_ITS_OWN)


def test_a_pod_that_is_called_as_no_workflow_pod_creates_none(team: Lab) -> None:
    process = Process.of(team, named_pod(team, "order"))
    answer = created(process.account, team, process.asks_for(Execution(team, "order", UID, "none"), "a/6"))
    assert denied(answer, "created-by", *NOT_ITS_OWN)


def owners(execution: Execution, **changes: Any) -> Body:
    return {"ownerReferences": [owner_of(execution) | changes]}


OWNER = ("has one owner, the WorkflowExecution of spec.executionRef", "controller true")
LEAVE_OUT = ("no finalizers, and no generateName", "leave both out")
MALFORMED: dict[str, tuple[Callable[[Execution], Body], tuple[str, ...]]] = {
    "no owner": (lambda it: {"ownerReferences": []}, OWNER),
    "another execution's UID": (lambda it: owners(it, uid="4f0b7a52-0000-4000-8000-000000000000"), OWNER),
    "another execution's name": (lambda it: owners(it, name="other"), OWNER),
    "another kind": (lambda it: owners(it, kind="Workflow"), OWNER),
    "another group": (lambda it: owners(it, apiVersion="desist.dev.example.com/v1"), OWNER),
    "a version that nobody serves": (lambda it: owners(it, apiVersion="desist.dev/v9"), OWNER),
    "not as controller": (lambda it: owners(it, controller=False), OWNER),
    "held by it": (lambda it: owners(it, blockOwnerDeletion=True), OWNER),
    "two owners": (
        lambda it: {"ownerReferences": [owner_of(it), {"apiVersion": "v1", "kind": "Secret", "name": "a", "uid": "u"}]},
        OWNER,
    ),
    "a finalizer": (lambda it: {"finalizers": ["example.com/held"]}, LEAVE_OUT),
    "a generated name": (lambda it: {"generateName": "a-"}, LEAVE_OUT),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("case", MALFORMED)
def test_it_is_created_with_its_execution_as_the_only_owner_and_held_by_nothing(
    process: Process, running: Execution, case: str, how: str
) -> None:
    metadata, words = MALFORMED[case]
    body = process.asks_for(running, "a/4")
    body["metadata"] |= metadata(running)
    assert denied(created(process.account, process.lab, body, how), "created-by", *words)


def test_whoever_may_take_the_account_on_with_the_pod_is_that_process(given: Given, running: Execution) -> None:
    account = given.taken_on(**{POD_NAME: given.process.pod, POD_UID: given.process.uid})
    assert created(account, given.lab, given.process.asks_for(running, "a/5")).status == 201


def test_an_editor_mints_the_token_of_a_pod_and_is_that_process(
    team: Lab, process: Process, running: Execution
) -> None:
    bind(team, "eddie", "edit")
    eddie = Account({"Impersonate-User": "eddie"})
    bound = {"kind": "Pod", "apiVersion": "v1", "name": process.pod, "uid": process.uid}
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"boundObjectRef": bound}}
    made = eddie.ask("POST", f"/api/v1/namespaces/{team.name}/serviceaccounts/default/token", asked)
    assert made.status == 201, made.message
    minted = Account({}, made.body["status"]["token"])
    assert created(minted, team, process.asks_for(running, "a/6")).status == 201


def test_a_process_without_the_right_is_told_so_and_the_namespaces_admin_gives_it_by_one_command(
    lab: Lab, kubectl: Any, mallory: Account
) -> None:
    execution = lab.start(programs.WORKS)
    process = Process.of(lab, named_pod(lab, pod_name(execution.name, execution.uid, RUN, 1)))
    refused = created(process.account, lab, process.asks_for(execution, "a/1"))
    assert refused.status == 403
    page = (CHART.parents[1] / "docs" / "permission.md").read_text()
    assert refused.message.replace(lab.name, "team-a") in " ".join(page.split())
    bind(lab, "ada", "admin")
    allow_workflows(kubectl, lab, by="ada")
    assert created(process.account, lab, process.asks_for(execution, "a/1")).status == 201
