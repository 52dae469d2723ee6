"""A stop that bears on an operation waits for no watch until its pod was told, and no longer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from desist.controller.caches import Caches
from desist.controller.executions import Executions
from desist.controller.memory import Memory
from desist.controller.operation_records import OperationRecord, kept
from desist.controller.operation_urgency import OperationUrgency
from desist.controller.views import PodRecord
from desist.lifecycle.plan import PostMailbox
from tests.support.builders import make_pod
from tests.unit.controller.fakes import NOW, RUN, SUCCEEDED, operation, record

OWN, RUNS = "01HZZZZZZZZZZZZZZZZZZZZZZA", "01HZZZZZZZZZZZZZZZZZZZZZZB"
POD = "order-1-op-1"
PROCESS = {"pod": POD, "podUid": "p", "role": "operation", "state": "alive", "since": "2026-05-01T00:00:00Z"}


def command(uid: str) -> dict[str, Any]:
    said = {"kind": "cancellation", "mode": "Kill", "status": "Accepted", "source": "api", "targetScope": "instance"}
    return {"id": uid, "sequence": 1, "resolvedRunId": RUN, **said}


def stopping(uid: str) -> dict[str, Any]:
    status = {"phase": "KillCancelling", "runId": RUN, "attempt": 1, "commands": [command(uid)]}
    return status | {"cancellation": {"mode": "Kill", "commandId": uid}, "observedGeneration": 1}


class Setting:
    def __init__(self, **run: Any) -> None:
        self.executions, self.caches, self.memory = Executions(), Caches(), Memory()
        if run:
            self.executions.note(record(status=run))
        self.urgency = OperationUrgency(self.executions, self.caches, self.memory, lambda: NOW)

    def pod(self, mailbox: str = "") -> None:
        view = make_pod(POD, run_id=RUN, uid="p").running().obj()
        self.caches.pod_changed(PodRecord("shop", "wfx", replace(view, operation="op", mailbox=mailbox)))


def told(command_id: str) -> str:
    return (
        f'{{"sequence":1,"runId":"{RUN}","commandId":"{command_id}","mode":"Kill","signal":"SIGTERM",'
        '"graceSeconds":5,"postedAt":"2026-05-01T00:00:00.000000Z"}'
    )


def being_stopped(uid: str = OWN) -> OperationRecord:
    return operation(status=stopping(uid) | {"processes": [PROCESS]}, cancellation={"mode": "Kill"})


def test_one_that_goes_on_is_not_urgent_and_an_ended_one_never_is() -> None:
    setting = Setting()
    assert not setting.urgency.of(operation())
    assert not setting.urgency.of(kept(operation(status=SUCCEEDED)))


def test_a_request_that_nobody_has_answered_is_urgent() -> None:
    setting = Setting()
    asked = operation(cancellation={"mode": "Kill"})
    assert setting.urgency.of(asked) and setting.urgency.awaits_stop(asked)


@pytest.mark.parametrize("by", ["the pod's mailbox", "what was posted last"])
def test_it_waits_for_no_watch_until_its_pod_was_told(by: str) -> None:
    setting = Setting()
    setting.pod()
    assert setting.urgency.awaits_stop(being_stopped())
    if by == "the pod's mailbox":
        setting.pod(told(OWN))
    else:
        setting.memory.posted("op", PostMailbox(POD, "p", "1", told(OWN)), "2")
    assert not setting.urgency.awaits_stop(being_stopped())
    assert setting.urgency.of(being_stopped()), "it still overtakes"


def test_a_later_stop_of_the_run_was_not_told_by_its_own() -> None:
    setting = Setting(**stopping(RUNS))
    setting.pod(told(OWN))
    assert setting.urgency.awaits_stop(being_stopped())
    setting.pod(told(RUNS))
    assert not setting.urgency.awaits_stop(being_stopped())
