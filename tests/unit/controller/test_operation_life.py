"""The core and the controller together: an operation is begun, done, and ended with its run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from desist.api.base import rfc3339
from desist.api.operation import operation_name
from desist.controller.kinds import EXECUTION, OPERATION
from desist.controller.operation_records import Ended, operation_record
from desist.controller.records import execution_record
from desist.controller.views import PodRecord
from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.pod.manifest import operation_pod_name, pod_name
from tests.support.builders import make_node, make_pod
from tests.unit.controller.fakes import NOW, operation_body
from tests.unit.controller.test_reconcile import Setting
from tests.unit.controller.test_stale_pods import RUN, STATUS
from tests.unit.controller.test_stale_pods import RUNNING as WORKFLOW_POD

NAME = operation_name("order-1", "wfx", RUN, "charge")
POD = operation_pod_name(NAME, 1)
ASKED: dict[str, Any] = {
    "runId": RUN,
    "key": "charge",
    "createdBy": {"podName": pod_name("order-1", "wfx", RUN, 1), "podUid": "pod-uid"},
}


class Living(Setting):
    """A run whose workflow process runs, and an operation that it asks for."""

    def __init__(self, **spec: Any) -> None:
        super().__init__(status=STATUS)
        self.version = 100
        self.caches.pod_changed(PodRecord("shop", "wfx", WORKFLOW_POD))
        held = operation_body("op", metadata={"name": NAME}, **ASKED | spec)
        self.fake.objects[NAME] = held
        self.operations.note(operation_record(held))
        self.fake.node, self.fake.live = make_node(), WORKFLOW_POD

    async def passes(self, uid: str = "op") -> None:
        """Reconcile it until nothing is due at once."""
        kind = OPERATION if uid == "op" else EXECUTION
        due: datetime | None = self.now()
        for _ in range(10):
            if due is None or due > self.now() + timedelta(seconds=1):
                return
            self.seconds += 6
            due = await self.intake.table[kind.name].reconcile(uid)
        raise AssertionError(f"it is due again and again: {self.fake.calls[-10:]}")

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.fake.objects[NAME].get("status", {})
        return found

    def pod(self, view: PodView) -> None:
        labelled = replace(
            view, operation="op", resource_version=str(int(view.resource_version) + len(self.fake.calls))
        )
        self.fake.live = labelled
        self.caches.pod_changed(PodRecord("shop", "wfx", labelled))

    def pod_gone(self) -> None:
        """The pod is taken away before anybody has looked at its last state."""
        assert self.fake.live is not None
        self.caches.pod_deleted(PodRecord("shop", "wfx", self.fake.live), seen=True)
        self.fake.live = None

    def killed(self) -> None:
        """Somebody asks for a Kill of the run."""
        held = self.fake.objects["order-1"]
        held["spec"] = {**held["spec"], "cancellation": {"mode": "Kill", "gracePeriodSeconds": 2}}
        version = int(held["metadata"]["resourceVersion"]) + 1
        held["metadata"] = {**held["metadata"], "resourceVersion": str(version), "generation": 2}
        self.executions.note(execution_record(held))


def running() -> PodView:
    return make_pod(POD, run_id=RUN, uid="op-pod").running().obj()


def verbs(setting: Living) -> list[str]:
    return [call.split()[0] for call in setting.fake.calls if not call.startswith("event")]


async def test_it_is_begun_in_four_steps_and_ends_with_what_its_process_reports() -> None:
    setting = Living(arguments={"order": 1})
    await setting.passes()
    assert verbs(setting) == ["metadata", "live", "status", "get", "create"]
    assert (setting.status["phase"], setting.status["attempt"]) == ("Pending", 1)
    assert setting.memory.made("op", POD) == ""
    setting.pod(running())
    await setting.passes()
    outcome = json.dumps({"outcome": "Succeeded", "result": 7})
    setting.wall += 20
    setting.pod(make_pod(POD, run_id=RUN, uid="op-pod").running().exited(0, message=outcome).obj())
    await setting.passes()
    assert (setting.status["phase"], setting.status.get("result")) == ("Succeeded", 7)
    assert isinstance(setting.operations.get("op"), Ended)


async def test_a_timer_ends_by_itself() -> None:
    setting = Living(pod=None, timer={"delayMilliseconds": 5_000})
    await setting.passes()
    assert setting.status["dueAt"] == rfc3339(NOW + timedelta(seconds=5))
    setting.wall = 5.0
    await setting.passes()
    assert setting.status["phase"] == "Succeeded"


async def test_what_was_done_locally_is_taken_over() -> None:
    setting = Living(pod=None, local={"outcome": {"outcome": "Succeeded", "result": {"rows": 2}}})
    await setting.passes()
    assert (setting.status["phase"], setting.status["result"]) == ("Succeeded", {"rows": 2})


async def test_a_kill_of_the_run_is_posted_to_its_pod_and_the_run_ends_after_it() -> None:
    setting = Living()
    await setting.passes()
    setting.pod(running())
    await setting.passes()
    setting.fake.calls.clear()
    setting.killed()
    await setting.passes("wfx")
    assert setting.intake.table[OPERATION.name].is_urgent("op")
    await setting.passes()
    posts = [call for call in setting.fake.calls if call.startswith("post")]
    assert [post.split()[1] for post in posts] == [pod_name("order-1", "wfx", RUN, 1), POD]
    setting.fake.objects[NAME]["kind"] = OPERATION.name
    ended = make_pod(pod_name("order-1", "wfx", RUN, 1), run_id=RUN, uid="pod-uid").running().exited(143).obj()
    setting.caches.pod_changed(PodRecord("shop", "wfx", replace(ended, resource_version="900")))
    await setting.passes("wfx")
    execution = setting.fake.objects["order-1"]["status"]
    assert execution["phase"] == "KillCancelling", "its operation has not ended"
    posting = setting.memory.last_posting("op")
    assert posting is not None
    setting.pod(make_pod(POD, run_id=RUN, uid="op-pod").running().exited(143).having(mailbox=posting.text).obj())
    await setting.passes()
    assert setting.status["phase"] == "Cancelled"
    await setting.passes("wfx")
    execution = setting.fake.objects["order-1"]["status"]
    assert (execution["phase"], execution["operations"]) == ("Cancelled", {"open": 0, "leftOver": 0, "late": 0})
    assert "OperationCancelled" in {entry["type"] for entry in execution["history"]}


async def test_one_of_an_execution_that_is_gone_is_not_touched() -> None:
    setting = Living()
    setting.executions.forget("wfx")
    del setting.fake.objects["order-1"]
    await setting.passes()
    assert verbs(setting) == ["metadata"]


async def test_another_pod_than_the_runs_starts_nothing() -> None:
    setting = Living(createdBy={"podName": pod_name("order-1", "wfx", RUN, 1), "podUid": "forged"})
    await setting.passes()
    assert setting.status["failure"]["category"] == "not_of_this_run"
    assert "create" not in verbs(setting)


@pytest.mark.parametrize("gone", [False, True])
async def test_the_end_of_one_that_was_closed_without_proof_is_told_once_and_its_result_is_not_taken(
    gone: bool,
) -> None:
    setting = Living()
    process = {"pod": POD, "podUid": "op-pod", "role": "operation", "state": "unproven", "since": rfc3339(NOW)}
    over = {"phase": "Cancelled", "observedGeneration": 1, "endTime": rfc3339(NOW), "runId": RUN, "attempt": 1}
    held = setting.fake.objects[NAME]
    held["metadata"] = {**held["metadata"], "resourceVersion": str(int(held["metadata"]["resourceVersion"]) + 1)}
    held["status"] = {**over, "processes": [process]}
    setting.operations.note(operation_record(held))
    outcome = json.dumps({"receipt": 1, "started": True, "outcome": "ok"}) + '\n{"outcome":"Succeeded","result":7}'
    setting.pod(make_pod(POD, run_id=RUN, uid="op-pod").running().exited(0, message=outcome).over().obj())
    if gone:
        setting.pod_gone()
    await setting.passes()
    assert (setting.status["phase"], setting.status.get("result")) == ("Cancelled", None)
    assert (setting.status["processes"][0]["state"], setting.status["processes"][0]["exitCode"]) == ("gone", 0)
    assert len([call for call in setting.fake.calls if "LateResult" in call]) == 1
