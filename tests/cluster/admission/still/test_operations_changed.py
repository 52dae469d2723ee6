"""What an operation was created with stays; its run's process stops it, or whoever has the verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.admission.accounts import DRY, MALLORY, Account, Answer, acting_as, identity
from tests.cluster.admission.conftest import bind, named_pod, wait_until_allowed
from tests.cluster.admission.processes import (
    COLLECTORS,
    Body,
    Process,
    cancellation,
    denied,
    path_of,
    take_over,
    with_status,
)
from tests.support.lab import Execution, Lab

pytestmark = [pytest.mark.conformance("I6"), pytest.mark.usefixtures("operator_still")]


@pytest.fixture(scope="module")
def waits(process: Process, running: Execution) -> Body:
    """An operation that has not begun."""
    return process.creates(process.asks_for(running, "waits", arguments={"order": "1"}))


@pytest.fixture(scope="module")
def begun(process: Process, running: Execution) -> Body:
    """An operation of which attempt 1 is in status."""
    return with_status(process, process.creates(process.asks_for(running, "begun")), phase="Running", attempt=1)


def patched(account: Account, lab: Lab, held: Body, body: Any, how: str = "merge", **query: str) -> Answer:
    """What is answered to that change, which is not stored."""
    return account.ask("PATCH", path_of(lab, held), body, how, **(DRY | query))


FIELDS: dict[str, Any] = {
    "arguments": {"order": "2"},
    "cleanup": True,
    "key": "other",
    "runId": "01JZZZZZZZZZZZZZZZZZZZZZZ0",
    "executionRef": {"name": "other", "uid": "other"},
    "timer": {"delayMilliseconds": 1},
    "closePolicy": "Abandon",
    "activeDeadlineSeconds": 7,
    "retryPolicy": {"maximumAttempts": 9},
    "stopPolicy": {"signal": "SIGINT"},
}
CHANGES: dict[str, Callable[[Body, str, Any], Any]] = {
    "put": lambda held, field, value: held | {"spec": held["spec"] | {field: value}},
    "json": lambda held, field, value: [{"op": "add", "path": f"/spec/{field}", "value": value}],
    "merge": lambda held, field, value: {"spec": {field: value}},
    "apply": lambda held, field, value: identity(held) | {"spec": {field: value}},
}


@pytest.mark.parametrize("who", ["its process", "an admin"])
@pytest.mark.parametrize("field", FIELDS)
def test_nobody_changes_what_it_was_created_with(
    process: Process, mallory: Account, waits: Body, field: str, who: str
) -> None:
    account = mallory if who == "an admin" else process.account
    for how, change in CHANGES.items():
        if how == "put" and who != "an admin":
            continue
        verb = "PUT" if how == "put" else "PATCH"
        body = change(waits, field, FIELDS[field])
        answer = account.ask(verb, path_of(process.lab, waits), body, how, **DRY)
        assert denied(answer, "changed-by", f"spec.{field} of an operation never changes", "another key"), how


ARGUMENTS: dict[str, Body] = {
    "renamed": {"order": None, "amount": "9"},
    "one more": {"amount": "9"},
    "one less": {"order": None},
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_its_arguments_are_compared_whole(process: Process, waits: Body, case: str) -> None:
    answer = patched(process.account, process.lab, waits, {"spec": {"arguments": ARGUMENTS[case]}})
    assert denied(answer, "changed-by", "spec.arguments of an operation never changes")


def test_a_field_is_not_taken_off_either(process: Process, waits: Body) -> None:
    answer = patched(process.account, process.lab, waits, {"spec": {"arguments": None}})
    assert denied(answer, "changed-by", "spec.arguments of an operation never changes")


def test_its_labels_and_annotations_are_everybodys(process: Process, of_another_run: Process, waits: Body) -> None:
    free = {"metadata": {"labels": {"team": "a"}, "annotations": {"example.com/a": "b"}}}
    for account in (process.account, of_another_run.account, acting_as(MALLORY)):
        assert patched(account, process.lab, waits, free).status == 200


# Who stops it.


@pytest.mark.parametrize("mode", ["Cancel", "Kill"])
def test_its_own_process_stops_it_and_so_does_the_next_attempts(
    process: Process, next_attempt: Process, waits: Body, mode: str
) -> None:
    for account in (process.account, next_attempt.account):
        answer = patched(account, process.lab, waits, cancellation(mode, reason="too slow"))
        assert answer.status == 200, answer.message


@pytest.fixture(scope="module")
def people(team: Lab, api: Any) -> dict[str, Account]:
    """Users, named after what they hold in the namespace."""
    rbac: Any = client.RbacAuthorizationV1Api(api)
    for name, verbs in {"patcher": ["get", "patch"], "canceller": ["get", "patch", "cancel"]}.items():
        rules = [{"apiGroups": ["desist.dev"], "resources": ["operations"], "verbs": verbs}]
        rbac.create_namespaced_role(team.name, {"metadata": {"name": name}, "rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}]
        body = {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}
        rbac.create_namespaced_role_binding(team.name, body)
        wait_until_allowed(team, "patch", user=name)
    for name in ("desist-operator", "desist-admin", "edit", "admin"):
        bind(team, name, name)
    names = ("patcher", "canceller", "desist-operator", "desist-admin", "edit", "admin")
    return {name: Account({"Impersonate-User": name}) for name in names}


STOPS = [
    ("patcher", "Cancel", False),
    ("patcher", "Kill", False),
    ("canceller", "Cancel", True),
    ("canceller", "Kill", False),
    *(
        (name, mode, True)
        for name in ("desist-operator", "desist-admin", "edit", "admin")
        for mode in ("Cancel", "Kill")
    ),
]


@pytest.mark.parametrize(("who", "mode", "may"), STOPS)
@pytest.mark.parametrize("how", ["merge", "json", "apply"])
def test_a_person_stops_it_with_the_verb_of_the_mode(
    process: Process, people: dict[str, Account], waits: Body, who: str, mode: str, may: bool, how: str
) -> None:
    body = CHANGES[how](waits, "cancellation", {"mode": mode})
    answer = patched(people[who], process.lab, waits, body, how)
    if may:
        assert answer.status == 200, answer.message
    else:
        words = (f"the verb {mode.lower()} on operations", f"{who} may not", "desist-operator")
        assert denied(answer, "changed-by", *words)


def test_a_stop_is_strengthened_and_told_otherwise_by_the_stronger_modes_verb(
    process: Process, people: dict[str, Account], running: Execution
) -> None:
    held = process.creates(process.asks_for(running, "stopped"))
    lab = process.lab
    first = people["canceller"].ask("PATCH", path_of(lab, held), cancellation("Cancel"), "merge")
    assert first.status == 200, first.message
    assert denied(patched(people["canceller"], lab, held, cancellation("Kill")), "changed-by", "the verb kill")
    assert people["edit"].ask("PATCH", path_of(lab, held), cancellation("Kill"), "merge").status == 200
    other = cancellation("Kill", reason="another one")
    assert denied(patched(people["canceller"], lab, held, other), "changed-by", "the verb kill")
    assert patched(people["edit"], lab, held, other).status == 200


@pytest.mark.parametrize("more", [{"killAfterSeconds": 1}, {"onLostNode": "Forget"}], ids=str)
def test_a_cancel_that_can_do_more_than_ask_needs_the_verb_of_a_kill(
    process: Process, people: dict[str, Account], waits: Body, more: Body
) -> None:
    asked = cancellation("Cancel", **more)
    assert denied(patched(people["canceller"], process.lab, waits, asked), "changed-by", "the verb kill")
    for account in (people["edit"], process.account):
        assert patched(account, process.lab, waits, asked).status == 200


def test_a_request_is_taken_back_of_an_ended_one_by_whoever_may_cancel(
    process: Process, people: dict[str, Account], running: Execution
) -> None:
    held = process.creates(process.asks_for(running, "ended", cancellation={"mode": "Kill"}))
    back = cancellation(None)
    open_still = patched(people["edit"], process.lab, held, back)
    assert open_still.status == 422
    assert "the request cannot be removed" in open_still.message
    with_status(process, held, phase="Cancelled")
    assert denied(patched(people["patcher"], process.lab, held, back), "changed-by", "the verb cancel")
    assert patched(people["canceller"], process.lab, held, back).status == 200


NOT_OF_THE_RUN: dict[str, Callable[[str], str]] = {
    "a pod of the same execution's other run": lambda name: name.replace(name[-12:-2], "a" * 10),
    "an operation's pod": lambda name: f"{name[:-13]}-{'0123456789abcdef0123'}-1",
    "a pod that only begins like it": lambda name: f"{name}-extra",
    "a pod whose attempt is no number": lambda name: f"{name[:-2]}-x",
}


@pytest.mark.parametrize("case", [*NOT_OF_THE_RUN, "another run's process", "its account, taken on"])
def test_no_other_pod_stops_it(process: Process, of_another_run: Process, waits: Body, case: str) -> None:
    lab = process.lab
    user = f"system:serviceaccount:{lab.name}:default"
    if case in NOT_OF_THE_RUN:
        account = Process.of(lab, named_pod(lab, NOT_OF_THE_RUN[case](process.pod))).account
    elif case == "another run's process":
        account = of_another_run.account
    else:
        groups = f"system:serviceaccounts:{lab.name}"
        account = Account({"Impersonate-User": user, "Impersonate-Group": groups})
    answer = patched(account, lab, waits, cancellation("Cancel"))
    assert denied(answer, "changed-by", "the verb cancel", f"{user} may not")


# Who takes it over.


TAKE_OVER = ("spec.createdBy changes only where the pod of a later attempt of the run names itself",)


@pytest.mark.parametrize("how", ["merge", "apply"])
def test_a_later_attempt_takes_over_for_itself_what_has_not_begun(next_attempt: Process, waits: Body, how: str) -> None:
    body = CHANGES[how](waits, "createdBy", next_attempt.itself)
    answer = patched(next_attempt.account, next_attempt.lab, waits, body, how)
    assert answer.status == 200, answer.message
    assert answer.body["spec"]["createdBy"] == next_attempt.itself


def test_it_takes_over_nothing_that_has_begun(next_attempt: Process, begun: Body) -> None:
    assert denied(
        patched(next_attempt.account, next_attempt.lab, begun, take_over(next_attempt)), "changed-by", *TAKE_OVER
    )


def test_nobody_takes_over_for_another(
    process: Process, next_attempt: Process, of_another_run: Process, waits: Body
) -> None:
    forged = take_over(next_attempt)
    forged["spec"]["createdBy"] |= {"podUid": process.uid}
    tries = [
        (process.account, take_over(next_attempt)),
        (next_attempt.account, forged),
        (of_another_run.account, take_over(of_another_run)),
        (of_another_run.account, take_over(next_attempt)),
        (acting_as(MALLORY), take_over(next_attempt)),
    ]
    for account, body in tries:
        assert denied(patched(account, process.lab, waits, body), "changed-by", *TAKE_OVER)


def test_an_earlier_attempt_does_not_take_it_back(process: Process, next_attempt: Process, running: Execution) -> None:
    held = next_attempt.creates(next_attempt.asks_for(running, "taken over"))
    assert denied(patched(process.account, process.lab, held, take_over(process)), "changed-by", *TAKE_OVER)


# Whose it is, and what holds it.

KEEPS = "an operation keeps its owner, which only the garbage collector takes off"
OTHER = {"apiVersion": "v1", "kind": "Secret", "name": "a", "uid": "u"}
OWNERS: dict[str, Callable[[list[Body]], list[Body]]] = {
    "none": lambda held: [],
    "one more": lambda held: [*held, OTHER],
    "another": lambda held: [held[0] | {"uid": "4f0b7a52-0000-4000-8000-000000000000"}],
    "held by it": lambda held: [held[0] | {"blockOwnerDeletion": True}],
}


@pytest.mark.parametrize("case", OWNERS)
def test_nobody_changes_whose_it_is(process: Process, mallory: Account, waits: Body, case: str) -> None:
    value = OWNERS[case](waits["metadata"]["ownerReferences"])
    for account in (process.account, mallory):
        for how, body in {
            "merge": {"metadata": {"ownerReferences": value}},
            "json": [{"op": "add", "path": "/metadata/ownerReferences", "value": value}],
        }.items():
            assert denied(patched(account, process.lab, waits, body, how), "changed-by", KEEPS)


@pytest.mark.parametrize("name", COLLECTORS)
def test_the_garbage_collector_takes_its_owner_off_and_does_no_more(process: Process, waits: Body, name: str) -> None:
    collector, lab = acting_as(name), process.lab
    for case, may in {"none": True, "held by it": True, "one more": False, "another": False}.items():
        body = {"metadata": {"ownerReferences": OWNERS[case](waits["metadata"]["ownerReferences"])}}
        answer = patched(collector, lab, waits, body)
        assert answer.status == 200 if may else denied(answer, "changed-by", KEEPS), case
    changed = patched(collector, lab, waits, {"spec": {"cleanup": True}})
    assert denied(changed, "changed-by", "spec.cleanup of an operation never changes")


def test_nobody_gives_it_a_finalizer(process: Process, mallory: Account, waits: Body) -> None:
    body = {"metadata": {"finalizers": ["example.com/held"]}}
    for account in (process.account, mallory, acting_as(COLLECTORS[0])):
        assert denied(patched(account, process.lab, waits, body), "changed-by", "takes no finalizers")
