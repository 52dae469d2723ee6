"""A status that is refused, does not fit, or is fought over: said, written less often, and nothing else is held up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import Phase
from desist.controller.kinds import EXECUTION
from desist.controller.outcome import Outcome
from desist.controller.records import Resting, StoppableRecord, execution_record
from desist.controller.status import LEAN_FOR, StatusWriter
from desist.controller.views import NodeRecord, PodRecord
from desist.kube.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    Invalid,
    NoAnswer,
    ServerUnavailable,
    TooLarge,
    TooManyRequests,
)
from desist.lifecycle.observed.pods import ContainerKind, ContainerView
from desist.lifecycle.shown.lean import lean
from tests.support.builders import make_node, make_pod
from tests.unit.controller.fakes import NOW, FakeCluster, body, record
from tests.unit.controller.test_reconcile import Setting
from tests.unit.controller.test_stale_pods import POD, RUN, RUNNING, STATUS, asked_for, asking, at_version, made

Refusal = Callable[[dict[str, Any]], ApiError | None]
REFUSALS = [Invalid(422, "Invalid", "status.x: no"), Forbidden(403, "Forbidden", "no"), BadRequest(400, "Bad", "no")]
FULL = WorkflowExecutionStatus.model_validate(
    {
        "phase": "KillCancelling",
        "runId": "R",
        "attempt": 1,
        "observedGeneration": 1,
        "waitingOn": ["a node"],
        "cancellation": {"mode": "Kill", "commandId": "C2"},
        "commands": [
            {"id": id_, "sequence": number, "kind": "cancellation", "mode": "Kill", "status": "Accepted"}
            | {"source": "api", "targetScope": "instance", "reason": f"reason of {id_}", "details": f"details of {id_}"}
            for number, id_ in enumerate(("C1", "C2"), 1)
        ],
    }
)


def large(words: str) -> Refusal:
    """The API server finds what holds these words too large."""
    return lambda status: TooLarge(413, "RequestEntityTooLarge", "too large") if words in str(status) else None


class Writing:
    """One execution and who writes its status."""

    def __init__(self, refusal: Refusal | None = None) -> None:
        self.fake = FakeCluster(objects={"order-1": body()})
        if refusal is not None:
            self.fake.refuses["status"] = refusal
        self.known: StoppableRecord = record()
        self.seconds = 0.0
        self.writer = StatusWriter(
            EXECUTION, self.fake.cluster, self.fake.record_event, lambda: NOW, lambda: self.seconds
        )

    async def write(self, status: WorkflowExecutionStatus = FULL) -> Outcome:
        written = await self.writer.write(self.known, status)
        self.known = written.record or self.known
        return written.outcome

    @property
    def tries(self) -> int:
        return len(self.fake.budgets)


async def test_a_status_that_does_not_fit_is_written_without_texts_but_that_of_the_command_in_force() -> None:
    writing = Writing(large("reason of C1"))
    assert await writing.write() is Outcome.DONE
    assert (writing.tries, writing.known.status) == (2, lean(FULL))
    assert "reason of C2" in str(writing.known.status)
    assert writing.fake.notices == []


async def test_what_did_not_fit_is_not_tried_whole_again_for_a_while_and_what_is_stored_is_not_written() -> None:
    writing = Writing(large("reason of C1"))
    await writing.write()
    for _ in range(100):
        assert await writing.write() is Outcome.DONE
    assert writing.tries == 2
    writing.seconds = LEAN_FOR + 1
    await writing.write()
    assert writing.tries == 3, "there may be room again"


async def test_while_texts_do_not_fit_a_refused_stop_is_told_once_and_another_refusal_again() -> None:
    setting = asking("Cancel")
    setting.fake.refuses = {"status": large("the API server's refusal"), "post": lambda _: REFUSALS[1]}

    async def told() -> int:
        for _ in range(20):
            setting.wall = setting.seconds = setting.seconds + 10
            await setting.reconciler.reconcile("wfx")
        return [notice.reason for notice in setting.fake.notices].count("StopRefused")

    assert await told() == 1
    assert len(made(setting, "post")) > 2
    setting.fake.refuses["post"] = lambda _: Forbidden(403, "Forbidden", "another policy")
    assert await told() == 2


async def test_nothing_is_remembered_of_the_status_of_an_execution_at_rest() -> None:
    setting = Setting(status=STATUS, spec={"workflowRef": {"name": "order"}})
    writer = setting.reconciler.applier.status
    setting.caches.node_changed(NodeRecord(make_node(), "containerd://2.3.0"))
    setting.caches.pod_changed(PodRecord("shop", "wfx", at_version(10)))
    await setting.reconciler.reconcile("wfx")
    _with_news(setting)
    await setting.reconciler.reconcile("wfx")
    assert "wfx" in writer._contention
    ended = make_pod(POD, run_id=RUN, uid="pod-uid").exited(0).obj()
    setting.caches.pod_changed(PodRecord("shop", "wfx", replace(ended, resource_version="12")))
    await setting.reconciler.reconcile("wfx")
    assert isinstance(setting.executions.get("wfx"), Resting)
    assert (writer._contention, writer._refused) == ({}, {})


async def test_a_status_that_does_not_fit_without_its_texts_either_is_said() -> None:
    writing = Writing(large("KillCancelling"))
    assert await writing.write() is Outcome.UNWRITTEN
    assert [(notice.warning, notice.reason) for notice in writing.fake.notices] == [(True, "StatusRefused")]


async def test_a_status_that_is_stored_as_it_was_sent_is_not_read_again_and_another_one_is() -> None:
    writing = Writing()
    await writing.write()
    assert writing.known.status is FULL
    writing.fake.stores = lambda status: {**status, "phase": "Running", "ofALaterVersion": 1}
    await writing.write(FULL.replace(attempt=2))
    assert writing.known.status == FULL.replace(attempt=2, phase=Phase.RUNNING)


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: str(error.status))
async def test_a_refused_status_is_said_in_a_warning_event_and_becomes_rare(error: ApiError) -> None:
    writing = Writing(lambda _: error)
    for _ in range(600):
        assert await writing.write() is Outcome.UNWRITTEN
        writing.seconds += 0.2
    assert writing.tries <= 8
    notice = writing.fake.notices[0]
    assert notice.warning and error.message in notice.message


async def test_the_next_try_of_a_refused_status_is_due_when_its_back_off_is_over() -> None:
    writing = Writing(lambda _: REFUSALS[0])
    for _ in range(2):
        assert (await writing.writer.write(writing.known, FULL)).again_at == NOW + timedelta(seconds=1)


async def test_a_changed_spec_ends_the_back_off_of_a_refused_status() -> None:
    writing = Writing(lambda _: REFUSALS[0])
    await writing.write()
    writing.known = record(metadata={**body()["metadata"], "generation": 2})
    await writing.write()
    assert writing.tries == 2


FAULTS = [ServerUnavailable(503, "Unavailable", "webhook down"), NoAnswer(0, "TimeoutError", "no answer in time")]
UNREACHED = [TooManyRequests(429, "TooManyRequests", "later"), ServerUnavailable(0, "ClientConnectorError", "nobody")]


@pytest.mark.parametrize("error", UNREACHED, ids=lambda error: str(error.status))
async def test_what_says_nothing_of_the_object_is_raised_every_time(error: ApiError) -> None:
    writing = Writing(lambda _: error)
    for _ in range(5):
        with pytest.raises(type(error)):
            await writing.write()
    assert writing.fake.notices == []


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: error.reason)
async def test_a_fault_is_raised_the_first_time_and_is_a_refusal_from_the_second_in_a_row_on(error: ApiError) -> None:
    writing = Writing(lambda _: error)
    with pytest.raises(type(error)):
        await writing.write()
    for _ in range(600):
        assert await writing.write() is Outcome.UNWRITTEN
        writing.seconds += 0.2
    assert writing.tries <= 9
    assert [notice.reason for notice in writing.fake.notices] == ["StatusRefused"] * (writing.tries - 1)


async def test_a_write_between_two_faults_ends_their_row() -> None:
    writing = Writing(lambda _: FAULTS[0])
    for attempt in (1, 2):
        writing.fake.refuses["status"] = lambda _: FAULTS[0]
        with pytest.raises(ServerUnavailable):
            await writing.write(FULL.replace(attempt=attempt))
        del writing.fake.refuses["status"]
        assert await writing.write(FULL.replace(attempt=attempt)) is Outcome.DONE


async def test_while_a_stop_is_to_be_delivered_the_answer_must_come_soon_and_later_each_time_that_it_did_not() -> None:
    writing = Writing(lambda _: FAULTS[1])
    with pytest.raises(NoAnswer):
        await writing.write()
    for _ in range(5):
        writing.seconds += 100
        await writing.write()
    assert writing.fake.patience == [2, 2, 4, 8, 12, 12]
    del writing.fake.refuses["status"]
    await writing.writer.write(record(metadata={**body()["metadata"], "uid": "other"}), FULL.replace(cancellation=None))
    assert writing.fake.patience[-1] == 12


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: error.reason)
async def test_a_stop_that_was_accepted_is_posted_though_admission_of_the_status_hangs(error: ApiError) -> None:
    setting = asking("Kill")
    setting.fake.fails = {"post"}
    with pytest.raises(ApiError):
        await setting.reconciler.reconcile("wfx")
    setting.fake.fails = set()
    setting.fake.refuses["status"] = lambda _: error
    _with_news(setting)
    with pytest.raises(ApiError):
        await setting.reconciler.reconcile("wfx")
    await setting.reconciler.reconcile("wfx")
    assert made(setting, "post")[1:] == [f"post {POD} under 11"]


async def test_what_was_written_is_known_though_a_later_action_fails() -> None:
    setting = asking("Kill")
    setting.fake.fails = {"post"}
    with pytest.raises(ApiError):
        await setting.reconciler.reconcile("wfx")
    assert setting.known.metadata.resource_version == "8"
    setting.fake.fails = set()
    setting.fake.outdated = {"status"}
    await setting.reconciler.reconcile("wfx")
    assert len(made(setting, "post")) == 2, "no status is written again before it"


def _with_news(setting: Setting) -> None:
    """Status would tell of a sidecar."""
    sidecar = ContainerView("helper", ContainerKind.SIDECAR, reason="ErrImagePull")
    news = at_version(11, containers=(*RUNNING.containers, sidecar))
    setting.caches.pod_changed(PodRecord("shop", "wfx", news))


async def test_a_stop_that_was_accepted_is_posted_though_the_status_cannot_be_written() -> None:
    setting = asking("Kill")
    setting.fake.vanished = {"post"}
    await setting.reconciler.reconcile("wfx")
    assert setting.awaits_stop(setting.known)
    setting.fake.vanished = set()
    setting.fake.refuses["status"] = lambda _: REFUSALS[0]
    _with_news(setting)
    before = len(made(setting, "status"))
    await setting.reconciler.reconcile("wfx")
    assert len(made(setting, "status")) == before + 1, "status would tell of the sidecar"
    assert made(setting, "post")[1:] == [f"post {POD} under 11"], "once"


async def test_a_kill_goes_on_though_the_record_of_a_weaker_request_is_refused() -> None:
    setting = asking("Kill")
    await setting.reconciler.reconcile("wfx")
    posting = setting.memory.last_posting("wfx")
    assert posting is not None
    setting.caches.pod_changed(PodRecord("shop", "wfx", at_version(11, mailbox=posting.text)))
    setting.fake.refuses["status"] = lambda _: REFUSALS[0]
    asked_for(setting, "Cancel")
    setting.wall = setting.seconds = 60
    await setting.reconciler.reconcile("wfx")
    assert setting.fake.notices[-1].reason == "StatusRefused"
    assert made(setting, "delete") == [f"delete {POD} under"], "5 s after SIGKILL was due"


async def test_nothing_is_promised_by_a_status_that_was_refused() -> None:
    setting = asking("Kill")
    setting.fake.refuses["status"] = lambda _: REFUSALS[0]
    assert await setting.reconciler.reconcile("wfx") == NOW + timedelta(seconds=1)
    assert made(setting, "post") == []
    assert [notice.reason for notice in setting.fake.notices] == ["StatusRefused"], "nothing that is not true is told"
    del setting.fake.refuses["status"]
    asked_for(setting, "Kill")
    await setting.reconciler.reconcile("wfx")
    assert len(made(setting, "post")) == 1


async def test_a_start_whose_status_is_refused_makes_no_pod() -> None:
    setting = Setting()
    setting.fake.refuses["status"] = lambda _: REFUSALS[0]
    await setting.reconciler.reconcile("wfx")
    assert made(setting, "create") == []


async def test_two_writers_that_word_it_differently_take_turns_less_and_less_often() -> None:
    one, other = Writing(), Writing()
    other.fake = one.fake
    clock = {"now": 0.0}
    for each in (one, other):
        seconds = partial(clock.__getitem__, "now")
        wall = partial(lambda read: NOW + timedelta(seconds=read()), seconds)
        each.writer = StatusWriter(EXECUTION, one.fake.cluster, one.fake.record_event, wall, seconds)
    for _ in range(200):
        for each, words in ((one, "as one sees it"), (other, "as the other sees it")):
            each.known = execution_record(one.fake.objects["order-1"])
            wanted = FULL.replace(waiting_on=(words,))
            if wanted != each.known.status:
                await each.write(wanted)
        clock["now"] += 1
    assert one.tries <= 20
    assert await one.write(FULL.replace(attempt=2)) is Outcome.DONE, "what is more than words"
