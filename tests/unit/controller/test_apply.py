"""A plan is done in its order, and ends at the first thing that is otherwise than it was judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from desist.api.base import Opaque
from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import Phase
from desist.controller.apply import BURST_YIELDS, Applier, Result
from desist.controller.creates import Creates
from desist.controller.kinds import EXECUTION, Key
from desist.controller.memory import Memory
from desist.controller.outcome import Outcome
from desist.controller.status import StatusWriter
from desist.controller.work import LONGEST_RECONCILE
from desist.kube.errors import ApiError, NotServed, NotTheServer
from desist.lifecycle.observed.pushes import Pushed
from desist.lifecycle.observed.questions import Answer, CreateAnswer
from desist.lifecycle.plan import (
    AFTER_POST,
    Action,
    CreatePod,
    DeletePod,
    EmitEvent,
    Plan,
    PostMailbox,
    PushStop,
    WakeAt,
    WriteStatus,
)
from tests.unit.controller.fakes import NOW, FakeCluster, body, record

WRITE = WriteStatus(WorkflowExecutionStatus(phase=Phase.CANCELLING))
CREATE = CreatePod("pod", Opaque.of({"metadata": {"name": "pod"}}))
POST = PostMailbox("pod", "p", "41", "{}")
PUSH = PushStop("pod", "p", "10.0.0.7", "0a1b2c3d", 7633, "{}", 3, "Cancel/None")
KEY = Key("WorkflowExecution", "wfx")
DELETE = DeletePod("pod", "p", 1, AFTER_POST)
EVENT = EmitEvent(False, "CancelRequested", "by kubectl")


async def apply(
    cluster: FakeCluster,
    *actions: Action,
    memory: Memory | None = None,
    creates: Creates | None = None,
    holds: Callable[[], bool] = lambda: True,
    left: list[Key] | None = None,
    clock: Callable[[], datetime] = lambda: NOW,
) -> Result:
    cluster.objects.setdefault("order-1", body())
    status = StatusWriter(EXECUTION, cluster.cluster, cluster.record_event, lambda: NOW)
    applier = Applier(
        EXECUTION,
        cluster.cluster,
        status,
        creates or cluster.creates(),
        memory or Memory(),
        cluster.push,
        cluster.record_event,
        clock,
        (left if left is not None else []).append,
    )
    return await applier.apply(Plan(actions), record(), holds=holds)


async def test_actions_are_done_in_order_and_an_event_tells_of_the_version_that_was_written() -> None:
    cluster = FakeCluster()
    result = await apply(cluster, WRITE, POST, DELETE, EVENT)
    assert cluster.calls == [
        "status Cancelling",
        "post pod under 41",
        "delete pod under 42",
        "event CancelRequested of version 8",
    ]
    assert result.outcome is Outcome.DONE
    assert result.record is not None
    assert result.record.metadata.resource_version == "8"


async def test_a_push_goes_out_once_the_status_is_written_and_before_the_mailbox() -> None:
    cluster = FakeCluster()
    await apply(cluster, WRITE, EVENT, PUSH, POST)
    assert cluster.calls == [
        "status Cancelling",
        "event CancelRequested of version 8",
        "push pod 3 for wfx",
        "post pod under 41",
    ]


STOPS: list[tuple[str, str, Outcome]] = [
    ("status", "outdated", Outcome.AGAIN),
    ("status", "vanished", Outcome.GONE),
    ("post", "outdated", Outcome.AGAIN),
    ("post", "vanished", Outcome.AGAIN),
    ("delete", "outdated", Outcome.AGAIN),
    ("delete", "vanished", Outcome.DONE),
]


@pytest.mark.parametrize(("verb", "how", "outcome"), STOPS)
async def test_what_the_api_server_knows_better_ends_the_plan(verb: str, how: str, outcome: Outcome) -> None:
    cluster = FakeCluster()
    (cluster.outdated if how == "outdated" else cluster.vanished).add(verb)
    result = await apply(cluster, WRITE, POST, DELETE, EVENT)
    assert result.outcome is outcome
    assert result.stale == ("p" if outcome is Outcome.AGAIN and verb != "status" else None)
    last = "event" if outcome is Outcome.DONE else "live" if how == "outdated" and verb != "status" else verb
    assert cluster.calls[-1].startswith(last)


async def test_the_log_tells_a_repeat_from_a_posting(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await apply(FakeCluster(), POST, replace(POST, again=NOW))
    assert [r.getMessage() for r in caplog.records] == ["stop posted to pod pod", "stop posted again to pod pod"]


async def test_a_repeat_waits_while_stops_are_written_but_not_for_ever() -> None:
    late = NOW - timedelta(seconds=15)
    busy = FakeCluster(busy=True)
    result = await apply(busy, replace(POST, again=late + timedelta(seconds=1)))
    assert (result.outcome, result.wake_at, busy.calls) == (Outcome.DONE, NOW + timedelta(seconds=1), [])
    for cluster, again in ((busy, late), (FakeCluster(), NOW)):
        await apply(cluster, replace(POST, again=again))
        assert cluster.calls and cluster.calls[-1].startswith("post")


async def test_a_posting_holds_no_place_once_the_same_was_pushed_to_that_pod() -> None:
    memory = Memory()
    memory.pushed("wfx", Pushed("p", 3, "Cancel/None", NOW))
    for asks, uid, left in (("Kill/1", "p", []), ("Cancel/None", "q", []), ("Cancel/None", "p", [KEY])):
        found: list[Key] = []
        await apply(FakeCluster(), replace(POST, uid=uid, asks=asks), memory=memory, left=found)
        assert found == left


async def test_a_posting_whose_push_could_not_be_sent_waits_for_nobody_and_keeps_its_place() -> None:
    memory, busy, left = Memory(), FakeCluster(busy=True), list[Key]()
    memory.pushed("wfx", Pushed("p", 3, "Cancel/None", NOW))
    memory.not_pushed("wfx", "p")
    await apply(busy, replace(POST, asks="Cancel/None"), memory=memory, left=left)
    assert busy.calls and not left
    memory.pushed("wfx", Pushed("p", 3, "Cancel/None", NOW))
    await apply(FakeCluster(), replace(POST, asks="Cancel/None"), memory=memory, left=left)
    assert left == [KEY]


async def test_a_posting_that_was_pushed_comes_after_a_burst_of_acceptances() -> None:
    memory, busy = Memory(), FakeCluster(busy=True)
    memory.pushed("wfx", Pushed("p", 3, "Cancel/None", NOW))
    result = await apply(busy, replace(POST, asks="Cancel/None"), memory=memory)
    assert (result.outcome, result.wake_at, busy.calls) == (Outcome.DONE, NOW + BURST_YIELDS, [])
    await apply(busy, replace(POST, asks="Cancel/None", started=False), memory=memory)
    assert busy.calls


@pytest.mark.parametrize("pushes", [True, False])
async def test_what_a_push_leaves_to_the_next_plan_waits_for_a_burst_and_nothing_else_does(pushes: bool) -> None:
    soon = NOW + timedelta(milliseconds=10)
    memory = Memory()
    memory.pushed("wfx", Pushed(PUSH.uid, PUSH.sequence, PUSH.asks, NOW))
    actions = (PUSH, WakeAt(soon)) if pushes else (WakeAt(soon),)
    waits = NOW + BURST_YIELDS if pushes else soon
    assert (await apply(FakeCluster(busy=True), *actions, memory=memory)).wake_at == waits
    assert (await apply(FakeCluster(), *actions, memory=memory)).wake_at == soon
    far = NOW + timedelta(seconds=60)
    assert (await apply(FakeCluster(busy=True), PUSH, WakeAt(far), memory=memory)).wake_at == far


async def test_a_stop_whose_push_could_not_be_sent_does_not_wait_for_a_burst() -> None:
    soon = NOW + timedelta(milliseconds=10)
    assert (await apply(FakeCluster(busy=True), PUSH, WakeAt(soon))).wake_at == soon


async def test_a_pod_whose_posting_waits_for_a_burst_is_not_deleted_before_it() -> None:
    memory, busy = Memory(), FakeCluster(busy=True)
    memory.pushed("wfx", Pushed("p", 3, "Kill/0", NOW))
    unwanted, other = DeletePod("pod", "p", 1), DeletePod("other", "q", 1)
    result = await apply(busy, replace(POST, asks="Kill/0"), unwanted, other, memory=memory)
    assert [call.split()[:2] for call in busy.calls] == [["delete", "other"]]
    assert (result.outcome, result.wake_at) == (Outcome.DONE, NOW + BURST_YIELDS)


async def test_a_posting_waits_for_nobody() -> None:
    busy = FakeCluster(busy=True)
    await apply(busy, POST)
    assert busy.calls


@pytest.mark.parametrize("kind", [NotServed, NotTheServer])
async def test_a_page_of_a_proxy_counts_as_a_refused_posting_from_its_second_time_on(kind: type[ApiError]) -> None:
    cluster, memory = FakeCluster(refuses={"post": lambda _: kind(404, "Unknown", "<h1>404</h1>")}), Memory()
    for times in (0, 1):
        assert (await apply(cluster, POST, memory=memory)).outcome is Outcome.AGAIN
        assert [refusal.times for refusal in memory.pod_refusals("wfx")] == [times]


async def test_a_repeat_that_fails_puts_nothing_off_and_is_tried_again_soon() -> None:
    result = await apply(FakeCluster(fails={"post"}), replace(POST, again=NOW), WakeAt(NOW + timedelta(seconds=60)))
    assert (result.outcome, result.wake_at) == (Outcome.DONE, NOW + timedelta(seconds=5))
    with pytest.raises(ApiError):
        await apply(FakeCluster(fails={"post"}), POST)


@pytest.mark.parametrize("answer", [Answer.INVALID, Answer.REFUSED])
async def test_a_refused_create_is_remembered_with_its_time_and_decided_again(answer: Answer) -> None:
    memory = Memory()
    result = await apply(FakeCluster(create=CreateAnswer(answer, "no")), CREATE, EVENT, memory=memory)
    assert result.outcome is Outcome.AGAIN
    held = memory.refusal("wfx", "pod")
    assert held is not None
    assert (held.answer, held.message, held.at) == (answer, "no", NOW)
    assert held.retry_after


async def test_a_create_without_a_slot_comes_later_and_the_rest_of_the_plan_is_done() -> None:
    cluster = FakeCluster()
    creates = cluster.creates(slots=1)
    await creates.create(Key("Other", "holds-it"), record().metadata, "pod", CREATE.manifest)
    cluster.calls.clear()
    soon = NOW + timedelta(seconds=5)
    result = await apply(cluster, CREATE, EVENT, WakeAt(soon), creates=creates)
    assert (result.outcome, result.wake_at) == (Outcome.DONE, soon)
    assert [call.split()[0] for call in cluster.calls] == ["event"]
    creates.release(Key("Other", "holds-it"))
    assert cluster.woken == [Key("WorkflowExecution", "wfx")]


async def test_a_create_that_passes_is_expected_to_be_seen() -> None:
    memory = Memory()
    assert (await apply(FakeCluster(), CREATE, memory=memory)).outcome is Outcome.DONE
    assert memory.waits("wfx", ()) is not None


async def test_the_earliest_wake_up_counts_also_where_the_plan_ends_early() -> None:
    soon, later = NOW + timedelta(seconds=1), NOW + timedelta(seconds=9)
    result = await apply(FakeCluster(outdated={"post"}), WakeAt(later), WakeAt(soon), POST)
    assert (result.wake_at, result.outcome) == (soon, Outcome.AGAIN)


async def test_many_calls_that_are_slow_are_left_to_the_next_reconcile_before_one_counts_as_stuck() -> None:
    cluster = FakeCluster()
    deletes = [DeletePod(f"pod-{number}", f"p-{number}", 1) for number in range(20)]
    result = await apply(cluster, *deletes, clock=lambda: NOW + timedelta(seconds=14 * len(cluster.calls)))
    took = timedelta(seconds=14 * len(cluster.calls))
    assert timedelta(seconds=14) < took < timedelta(seconds=LONGEST_RECONCILE / 2)
    assert (result.outcome, result.wake_at) == (Outcome.DONE, NOW + took)
