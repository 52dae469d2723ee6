"""What must hold of every plan, whatever was observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from desist.api.cancellation import Cancellation
from desist.api.status import WorkflowExecutionStatus
from desist.api.vocabulary import Mode
from desist.lifecycle.decide import SOON, decide
from desist.lifecycle.observed.sight import Observed
from desist.lifecycle.plan import CreatePod, DeletePod, EmitEvent, Plan, PostMailbox, PushStop, WakeAt, WriteStatus
from tests.support.builders import at
from tests.unit.lifecycle_sim.check_pushes import pushes_decide_nothing
from tests.unit.lifecycle_sim.rules import ENDS, expected

Answered = Callable[[Observed], Observed]
RESTS_WITHIN = 3


def is_repeatable(judged: Observed, plan: Plan, _: Answered, now: float) -> None:
    assert decide(judged, at(now)) == plan, "the same observation gives another plan"


def has_one_order(judged: Observed, plan: Plan, _: Answered, now: float) -> None:
    kinds = [type(action) for action in plan.actions]
    assert kinds.count(WriteStatus) <= 1
    assert WriteStatus not in kinds[1:], "something comes before the status write"
    touches = [i for i, kind in enumerate(kinds) if kind in (CreatePod, PushStop, PostMailbox, DeletePod)]
    events = [i for i, kind in enumerate(kinds) if kind is EmitEvent]
    assert not touches or not events or max(events) < min(touches), "a conflict at a pod may lose an Event"
    assert all(action.when > at(now) for action in plan.actions if isinstance(action, WakeAt)), "a wake in the past"


def names_what_it_saw(judged: Observed, plan: Plan, _: Answered, now: float) -> None:
    """Pods are changed and deleted under the UID that was judged, and only this execution's."""
    seen = {(pod.name, pod.uid) for pod in judged.pods}
    for action in plan.actions:
        if isinstance(action, PushStop | PostMailbox | DeletePod):
            assert action.uid and (action.pod, action.uid) in seen


def pushes_what_it_posts(judged: Observed, plan: Plan, _: Answered, now: float) -> None:
    """Each push is followed by its posting, but in a pod that is being deleted, where nothing else arrives.

    A pass that accepts leaves the postings of what it pushes to the next one, for which it asks at once.
    """
    deleted = {pod.uid for pod in judged.pods if pod.deletion_timestamp is not None}
    soon = any(isinstance(action, WakeAt) and action.when <= at(now) + SOON for action in plan.actions)
    after, before = written(plan), judged.execution.status
    later = soon and after is not None and after.last_accepted != (before.last_accepted if before else None)
    for action, following in zip(plan.actions, (*plan.actions[1:], None), strict=False):
        if isinstance(action, PushStop) and action.uid not in deleted and not later:
            assert isinstance(following, PostMailbox)
            assert (following.uid, following.asks) == (action.uid, action.asks)


def answers_decide_nothing(judged: Observed, plan: Plan, answered: Answered, now: float) -> None:
    if judged.pushes:
        pushes_decide_nothing(judged, plan, decided(answered(replace(judged, pushes=())), now))


def starts_nothing_while_it_stops(judged: Observed, plan: Plan, _: Answered, now: float) -> None:
    status = written(plan) or judged.execution.status
    creates = [action for action in plan.actions if isinstance(action, CreatePod)]
    assert not creates or (status is not None and status.phase in ("Pending", "Running"))


def comes_to_rest(judged: Observed, plan: Plan, answered: Answered, now: float) -> None:
    """What was written is not written again; only a run that had something to reject may begin, or stall, then.

    A status older than its pods is not written at all: it is a conflict.
    """
    status, known = written(plan), judged.execution.status
    attempt = (known.attempt if known else None) or 0
    if any(pod.attempt > attempt for pod in judged.pods):
        return
    for _ in range(RESTS_WITHIN):
        if status is None:
            return
        after = written(decided(answered(with_status(judged, status)), now))
        over = status.phase in ENDS
        begins = status.attempt is None
        assert after is None or over or begins, "a pass right after another writes again"
        status = after
    raise AssertionError("the passes do not come to rest")


def shows_what_it_would_accept(judged: Observed, plan: Plan, answered: Answered, now: float) -> None:
    """`can*` is true exactly where a request of that mode would be accepted, and `blockedReasons` says why not."""
    status = written(plan)
    if status is None:
        return
    flags = (status.can_cancel, status.can_force, status.can_terminate, status.can_kill)
    blocked = {entry.action: entry.reason for entry in status.blocked_reasons}
    for mode, flag in zip(Mode, flags, strict=True):
        request = Cancellation(mode=mode, request_id="preview")
        after = written(decided(answered(with_request(judged, status, request)), now))
        assert after is not None
        record = next(r for r in after.commands if r.request_id == "preview" and r.source == "api")
        assert flag == (record.status == "Accepted"), f"{mode} is shown as {flag} and becomes {record.status}"
        shown = "duplicate" if record.status == "Duplicate" else record.rejection_reason
        assert blocked.get(mode) == shown, f"{mode}: {blocked.get(mode)} is shown, {shown} is true"


def agrees_with_the_table(judged: Observed, plan: Plan, _: Answered, now: float) -> None:
    """Flags in phases that need no look at pods agree with the second table too."""
    status = written(plan)
    if status is None or status.phase in ("Pending", "Running"):
        return
    flags = (status.can_cancel, status.can_force, status.can_terminate, status.can_kill)
    for mode, flag in zip(Mode, flags, strict=True):
        assert flag == (expected(str(status.phase), str(mode), pod=True)[0] == "Accepted")


def decided(seen: Observed, now: float) -> Plan:
    """The plan for an observation that leaves nothing to ask."""
    plan = decide(seen, at(now))
    assert isinstance(plan, Plan), f"there is a question left: {plan}"
    return plan


def written(plan: Plan) -> WorkflowExecutionStatus | None:
    """The status that a plan writes."""
    found = next((action.status for action in plan.actions if isinstance(action, WriteStatus)), None)
    assert found is None or isinstance(found, WorkflowExecutionStatus)
    return found


def with_status(judged: Observed, status: WorkflowExecutionStatus) -> Observed:
    """The same observation after that write, with no question answered yet."""
    execution = judged.execution.model_copy(update={"status": status})
    return replace(judged, execution=execution, dry_run=None, live_pod=False, live_nodes=())


def with_request(judged: Observed, status: WorkflowExecutionStatus, request: Cancellation) -> Observed:
    """The same, with another request."""
    after = with_status(judged, status)
    spec = after.execution.spec.model_copy(update={"cancellation": request})
    return replace(after, execution=after.execution.model_copy(update={"spec": spec}))


PLAN_CHECKS = (
    is_repeatable,
    has_one_order,
    names_what_it_saw,
    pushes_what_it_posts,
    answers_decide_nothing,
    starts_nothing_while_it_stops,
    comes_to_rest,
    shows_what_it_would_accept,
    agrees_with_the_table,
)
