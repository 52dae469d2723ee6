"""A pod cache that is behind: what it shows is read anew, and no stop waits for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from desist.controller.memory import PATIENCE
from desist.controller.records import execution_record
from desist.controller.views import NodeRecord, PodRecord
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.plan import PostMailbox
from desist.lifecycle.pod.manifest import pod_name
from tests.support.builders import make_node, make_pod
from tests.unit.controller.fakes import NOW
from tests.unit.controller.test_reconcile import TEMPLATE, Setting

RUN = "01HZZZZZZZZZZZZZZZZZZZZZZZ"
POD = pod_name("order-1", "wfx", RUN, 1)
BEGAN = "2026-04-30T00:00:00.000000Z"
PROCESS = {"pod": POD, "podUid": "pod-uid", "node": "node-1", "bootId": "boot-1", "role": "workflow"}
STATUS = {
    "observedGeneration": 1,
    "phase": "Running",
    "bucket": "running",
    "runId": RUN,
    "attempt": 1,
    "startTime": BEGAN,
    "processes": [PROCESS | {"state": "alive", "since": BEGAN}],
    "workflowSpec": {"template": TEMPLATE},
}
RUNNING = make_pod(POD, run_id=RUN, uid="pod-uid").running().obj()


def at_version(version: int, **fields: Any) -> PodView:
    return replace(RUNNING, resource_version=str(version), **fields)


def asking(mode: str) -> Setting:
    """A run whose pod runs, and that is to be stopped."""
    setting = Setting(status=STATUS, spec={"workflowRef": {"name": "order"}, "cancellation": {"mode": mode}})
    setting.caches.pod_changed(PodRecord("shop", "wfx", at_version(10)))
    setting.caches.node_changed(NodeRecord(make_node(), "containerd://2.3.0"))
    return setting


def asked_for(setting: Setting, mode: str) -> None:
    """Somebody writes another request."""
    held = setting.fake.objects["order-1"]
    held["spec"] = {**held["spec"], "cancellation": {"mode": mode}}
    raised = {"resourceVersion": str(int(held["metadata"]["resourceVersion"]) + 1)}
    held["metadata"] = {**held["metadata"], **raised, "generation": held["metadata"]["generation"] + 1}
    assert setting.executions.note(execution_record(held))


def made(setting: Setting, verb: str) -> list[str]:
    return [call for call in setting.fake.calls if call.startswith(verb)]


@pytest.mark.parametrize("how", ["outdated", "vanished"])
async def test_after_a_refused_posting_the_pod_is_read_and_the_next_reconcile_posts_under_its_version(how: str) -> None:
    setting = asking("Kill")
    refused = setting.fake.outdated if how == "outdated" else setting.fake.vanished
    refused.add("post")
    setting.fake.live = at_version(15)
    due = await setting.reconciler.reconcile("wfx")
    assert due is not None and due - NOW == timedelta(milliseconds=10)
    assert f"live {POD}" in made(setting, "live")
    refused.clear()
    await setting.reconciler.reconcile("wfx")
    assert made(setting, "post")[0] == f"post {POD} under 10"
    assert made(setting, "post")[-1] == f"post {POD} under 15"
    assert setting.memory.surprised("wfx") == timedelta(milliseconds=10), "the row has ended"


async def test_while_the_pod_cannot_be_found_reconciles_become_rare() -> None:
    setting = asking("Kill")
    setting.fake.vanished = {"post"}
    dues = [await setting.reconciler.reconcile("wfx") for _ in range(9)]
    waits = [(due - NOW) / timedelta(milliseconds=1) for due in dues if due is not None]
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1000, 1000]
    assert [view.uid for view in setting.caches.pods(setting.known.metadata)] == ["pod-uid"], "a 404 is no proof"


async def test_another_pod_of_that_name_does_not_take_the_place_of_the_one_that_was_judged() -> None:
    setting = asking("Kill")
    setting.fake.outdated = {"post"}
    setting.fake.live = at_version(15, uid="another")
    await setting.reconciler.reconcile("wfx")
    seen = setting.caches.pods(setting.known.metadata)
    assert [(view.uid, view.resource_version) for view in seen] == [("pod-uid", "10")]


async def test_a_stop_is_accepted_while_an_earlier_posting_is_not_seen_yet() -> None:
    setting = asking("Cancel")
    await setting.reconciler.reconcile("wfx")
    posted = made(setting, "post")
    assert await setting.reconciler.reconcile("wfx") == NOW + PATIENCE, "what is judged waits"
    asked_for(setting, "Kill")
    await setting.reconciler.reconcile("wfx")
    assert made(setting, "status") == ["status Cancelling", "status KillCancelling"]
    assert made(setting, "post")[len(posted) :] == [f"post {POD} under 10"], "under the version that it has judged"


async def test_a_stop_is_accepted_and_posted_while_the_pod_that_was_made_is_not_seen_yet() -> None:
    setting = Setting()
    await setting.reconciler.reconcile("wfx")
    status = setting.known.execution.status
    assert status is not None and status.run_id is not None
    setting.fake.live = make_pod(status.processes[0].pod, run_id=status.run_id).running().obj()
    setting.fake.node = make_node()
    asked_for(setting, "Force")
    await setting.reconciler.reconcile("wfx")
    assert made(setting, "status") == ["status Pending", "status ForceCancelling"]
    assert made(setting, "post") == [f"post {status.processes[0].pod} under 10"]
    assert len(made(setting, "create")) == 1


async def test_a_pod_that_was_made_and_that_no_watch_shows_is_asked_for_no_more_often_than_patience_says() -> None:
    setting = Setting()
    for _ in range(50):
        await setting.reconciler.reconcile("wfx")
        setting.seconds += 0.5
    assert len(made(setting, "create")) <= 25 / PATIENCE.total_seconds()


async def test_a_stop_is_urgent_until_it_is_posted_and_no_longer() -> None:
    setting = asking("Cancel")
    assert setting.awaits_stop(setting.known)
    setting.fake.outdated = {"post"}
    await setting.reconciler.reconcile("wfx")
    assert setting.awaits_stop(setting.known), "judged, and refused"
    setting.fake.outdated = set()
    await setting.reconciler.reconcile("wfx")
    assert not setting.awaits_stop(setting.known)
    asked_for(setting, "Kill")
    assert setting.awaits_stop(setting.known)


async def test_after_a_restart_the_pods_mailbox_says_what_was_posted() -> None:
    setting = asking("Cancel")
    await setting.reconciler.reconcile("wfx")
    posting = setting.memory.last_posting("wfx")
    assert posting is not None
    setting.memory.forget("wfx")
    assert setting.awaits_stop(setting.known)
    setting.caches.pod_changed(PodRecord("shop", "wfx", at_version(11, mailbox=posting.text)))
    assert not setting.awaits_stop(setting.known)


async def test_what_was_posted_to_another_pod_is_not_delivered() -> None:
    setting = asking("Cancel")
    setting.fake.outdated = {"post"}
    await setting.reconciler.reconcile("wfx")
    status = setting.known.execution.status
    assert status is not None and status.in_force is not None
    command = status.in_force.id
    text = f'{{"sequence":1,"runId":"{RUN}","commandId":"{command}","mode":"Kill","signal":"SIGTERM","graceSeconds":0,'
    text += '"postedAt":"2026-05-01T00:00:00.000000Z"}'
    setting.memory.posted("wfx", PostMailbox("late", "late-uid", "1", text), "2")
    assert setting.awaits_stop(setting.known)
    setting.memory.posted("wfx", PostMailbox(POD, "pod-uid", "1", text), "2")
    assert not setting.awaits_stop(setting.known)


async def test_nothing_is_urgent_about_a_stop_that_a_pods_deletion_has_overtaken() -> None:
    setting = asking("Cancel")
    setting.caches.pod_changed(PodRecord("shop", "wfx", at_version(11, deletion_timestamp=NOW)))
    await setting.reconciler.reconcile("wfx")
    assert not made(setting, "post")
    assert not setting.awaits_stop(setting.known)


async def test_a_stop_whose_posting_was_refused_waits_for_no_earlier_deed() -> None:
    setting = asking("Cancel")
    await setting.reconciler.reconcile("wfx")
    asked_for(setting, "Kill")
    setting.fake.outdated = {"post"}
    await setting.reconciler.reconcile("wfx")
    before = len(made(setting, "post"))
    await setting.reconciler.reconcile("wfx")
    assert len(made(setting, "post")) == before + 1
