"""The stops of a run, as steps of its reconcile.

Contract: here the functions of commands and escalation, which know nothing of runs, meet a run; what is accepted and
has no process to be stopped is closed in the same status value.
"""

from __future__ import annotations

from desist.lifecycle.observed import Questions
from desist.lifecycle.proof.process import regular_ended
from desist.lifecycle.run import coherence as run_coherence
from desist.lifecycle.run.attempts import wanted_pod
from desist.lifecycle.run.closing import end_without_pod
from desist.lifecycle.run.settle import settle
from desist.lifecycle.stop import coherence, commands, deadlines, escalation
from desist.lifecycle.stop.target import Target
from desist.lifecycle.view import Status, Step, View, stop_policy
from desist.lifecycle.wire import mailbox


def target(view: View, status: Status) -> Target:
    """The run as something that can be stopped."""
    process = view.current(status)
    pod = process.present_pod if process else None
    held = mailbox.parse(pod.mailbox) if pod else None
    return Target(
        uid=view.uid,
        now=view.now,
        request=view.spec.cancellation,
        policy=stop_policy(status),
        active_deadline_seconds=status.workflow_spec.active_deadline_seconds if status.workflow_spec else None,
        has_process=process is not None and not process.closed and not process.absent,
        posted_deadline=held.deadline if held else None,
        lingers=process is not None and process.reported and pod is not None and not regular_ended(pod),
        field_manager=view.observed.field_manager,
    )


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
    if due and (asks := _unseen_pod(view, status)):
        return Step(status, asks=asks)
    return Step(
        _closed(view, status, escalation.fire_deadline(seen, status)), (deadlines.active_deadline(seen, status),)
    )


def judge_request(view: View, status: Status) -> Step:
    """Step: `spec.cancellation`, where it differs from what was judged last."""
    asked = view.spec.cancellation is not None and commands.unanswered(view.spec.cancellation, status)
    if asked and (asks := _unseen_pod(view, status)):
        return Step(status, asks=asks)
    return Step(_closed(view, status, commands.judge(target(view, status), status)))


def settle_again(view: View, status: Status) -> Step:
    """Step: what a command makes of an end that was reported before it, and of which the attempt alone had ended."""
    return Step(status if status.at.unstopped else settle(view, status))


def escalate(view: View, status: Status) -> Step:
    """Step: `killAfterSeconds`."""
    seen = target(view, status)
    escalated = escalation.escalate(seen, status)
    return Step(escalated, (deadlines.escalation_at(seen, escalated),))


def _unseen_pod(view: View, status: Status) -> Questions | None:
    """A stop that meets a pod that was never seen asks for it live: is there one?"""
    process = view.current(status)
    if process is None or not status.open or not process.never_seen or process.pod_live:
        return None
    return Questions(live_pod=wanted_pod(status, process))


def _closed(view: View, before: Status, after: Status) -> Status:
    """What was accepted and has no process ends the run at once."""
    if after.open or not before.open:
        return after
    return end_without_pod(view, after.replace(phase=before.phase), after.at)
