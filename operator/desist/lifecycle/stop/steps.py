"""The stops of a run, as steps of its reconcile.

Contract: here the functions of commands and escalation, which know nothing of runs, meet a run; what is accepted and
has no process to be stopped is closed in the same status value.
"""

from __future__ import annotations

from typing import Any

from desist.lifecycle.observed.pods import PodView
from desist.lifecycle.observed.questions import Questions
from desist.lifecycle.proof.process import Process, regular_ended
from desist.lifecycle.run import coherence as run_coherence
from desist.lifecycle.run import operations
from desist.lifecycle.run.attempts import wanted_pod
from desist.lifecycle.run.closing import end_without_pod, never_created
from desist.lifecycle.run.settle import settle
from desist.lifecycle.run.treatment import reaping
from desist.lifecycle.run.view import RunView, run_status
from desist.lifecycle.stop import coherence, commands, deadlines, escalation
from desist.lifecycle.stop.target import Target
from desist.lifecycle.view import Status, Step, View, once, with_current
from desist.lifecycle.wire import mailbox


@once
def target(view: View, status: Status) -> Target:
    """The run as something that can be stopped."""
    process = view.current(status)
    pod = process.present_pod if process else None
    held = mailbox.parse(pod.mailbox) if pod else None
    return Target(
        uid=view.uid,
        now=view.now,
        request=view.request,
        policy=view.policy(status),
        active_deadline_seconds=view.active_deadline_seconds(status),
        has_process=process is not None and not process.closed and not process.absent,
        **_of_run(view, status),
        posted_deadline=held.deadline if held else None,
        lingers=_lingers(view, status, process, pod),
        field_manager=view.observed.field_manager,
    )


def _of_run(view: View, status: Status) -> dict[str, Any]:
    if not isinstance(view, RunView):
        return {"what": "operation"}
    run = run_status(status)
    left = not run.open and bool(operations.left_over(view, run))
    return {"keeps": operations.keeps(view, run), "left_over": left, "reaping": reaping(run)}


def _lingers(view: View, status: Status, process: Process | None, pod: PodView | None) -> bool:
    """Whether its own process has ended, and there is something left that a Kill would end."""
    beside = process is not None and process.reported and pod is not None and not regular_ended(pod)
    return beside or (isinstance(view, RunView) and operations.lingers(view, run_status(status)))


def coherent(view: View, status: Status) -> Status:
    """What is made of a status before anything is judged by it; one that the core has written stays as it is."""
    status = run_coherence.coherent(view, status)
    if not status.open:
        return status
    # What has not begun has nothing that a stop could be under way to.
    begun = status.attempt is not None
    return coherence.coherent(target(view, status), status) if begun else coherence.nothing_in_force(status)


def fire_deadline(view: View, status: Status) -> Step:
    """Step: `activeDeadlineSeconds`."""
    seen = target(view, status)
    due = deadlines.deadline_due(seen, status)
    if due and (asks := unseen_pod(view, status)):
        return Step(status, asks=asks)
    return Step(
        _closed(view, status, escalation.fire_deadline(seen, status)), (deadlines.active_deadline(seen, status),)
    )


def judge_request(view: View, status: Status) -> Step:
    """Step: `spec.cancellation`, where it differs from what was judged last."""
    asked = view.request is not None and commands.unanswered(view.request, status)
    if asked and (asks := unseen_pod(view, status)):
        return Step(status, asks=asks)
    return Step(_closed(view, status, commands.judge(target(view, status), status)))


def settle_again(view: View, status: Status) -> Step:
    """Step: what a command makes of an end that was reported before it, and of which the attempt alone had ended.

    And of an attempt that there is no pod of: none follows, also where operations keep the run open.
    """
    process = view.current(status)
    if status.at.unstopped or not status.open:
        return Step(status)
    if process is not None and process.absent and not process.closed:
        status = with_current(status, never_created(view, process.status))
    return Step(settle(view, status))


def escalate(view: View, status: Status) -> Step:
    """Step: `killAfterSeconds`."""
    seen = target(view, status)
    escalated = escalation.escalate(seen, status)
    return Step(escalated, (deadlines.escalation_at(seen, escalated),))


def unseen_pod(view: View, status: Status) -> Questions | None:
    """What a stop must know first: is there a pod that was never seen, are there operations, where there is none?"""
    process = view.current(status)
    if not status.open:
        return None
    if process is not None and process.never_seen and not process.pod_live:
        return Questions(live_pod=wanted_pod(status, process))
    none = status.run_id is not None and (process is None or process.closed or process.absent)
    asks = isinstance(view, RunView) and none and status.end_time is None and not view.observed.operations_listed
    return Questions(operations=True) if asks else None


def _closed(view: View, before: Status, after: Status) -> Status:
    """What was accepted and has no process ends the run at once."""
    if after.open or not before.open:
        return after
    return end_without_pod(view, after.replace(phase=before.phase), after.at)
