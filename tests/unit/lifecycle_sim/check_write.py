"""What must hold of every status that is written, with the truth at hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from desist.api.records import CommandRecord
from desist.api.status import ProcessStatus, WorkflowExecutionStatus
from desist.lifecycle.observed.sight import Observed
from tests.unit.lifecycle_sim.clock import Wall
from tests.unit.lifecycle_sim.cluster import SimulatedCluster
from tests.unit.lifecycle_sim.processes import Process
from tests.unit.lifecycle_sim.rules import ENDS, ENDS_AS, RANK, STRENGTH, expected, stray
from tests.unit.lifecycle_sim.times import Times

RANKS = {**RANK, **dict.fromkeys(ENDS, 9)}
BY_COMMAND = ("Cancelled", "Terminated", "TimedOut")


@dataclass(frozen=True)
class Write:
    """One status write."""

    judged: Observed
    old: WorkflowExecutionStatus
    new: WorkflowExecutionStatus
    cluster: SimulatedCluster
    apart: set[str]
    """UIDs of pods that are counted apart."""
    wall: Wall
    """The writer's clock."""
    times: Times
    """When what was written before was truly written."""

    @property
    def now(self) -> datetime:
        """By the writer's clock."""
        return self.wall.at(self.cluster.clock.now)

    @property
    def ends(self) -> bool:
        """Whether this write ends the run."""
        return self.new.phase in ENDS and self.old.phase not in ENDS

    @property
    def process(self) -> Process | None:
        """The current attempt's process as it truly is."""
        recorded = current(self.new)
        box = self.cluster.box(recorded.pod_uid) if recorded and recorded.pod_uid else None
        return box.process if box else None


def current(status: WorkflowExecutionStatus) -> ProcessStatus | None:
    """The current attempt's entry."""
    return next((process for process in status.processes if process.role == "workflow"), None)


def no_process_lives_at_the_end(write: Write) -> None:
    """N1, and for all ends: what is not counted apart is dead."""
    if write.ends:
        alive = [box.pod.name for box in write.cluster.alive() if box.pod.uid not in write.apart]
        assert not alive, f"the run is {write.new.phase} while {alive} live"


def phases_never_go_back(write: Write) -> None:
    old = RANKS[write.old.phase] if write.old.phase else -1
    assert write.new.phase is not None
    assert RANKS[write.new.phase] >= old, f"{write.old.phase} becomes {write.new.phase}"


def an_end_stays(write: Write) -> None:
    """N11, K6: nothing of the end changes; only answers to later requests and late starts are added."""
    if write.old.end_time is not None:
        for name in ("end_time", "failure", "result"):
            assert getattr(write.new, name) == getattr(write.old, name), f"{name} changes after the end"
    if write.old.phase in ENDS:
        for name in ("phase", "closed_reason", "bucket", "run_id", "attempt", "history", "start_time"):
            assert getattr(write.new, name) == getattr(write.old, name), f"{name} changes after the end"
    if write.ends:
        assert write.new.end_time is not None
    if write.old.end_time is None and write.new.end_time is not None:
        assert write.new.end_time <= max(write.now, write.new.start_time or write.now)


def the_end_has_its_own_time(write: Write) -> None:
    """`endTime` is when the process ended, not when that was seen."""
    process = write.process
    if write.old.end_time is not None or write.new.end_time is None or process is None or process.rebooted:
        return
    recorded, before = current(write.new), current(write.old)
    aside = before is not None and before.state in ("gone", "unproven")
    if aside or (write.new.disruptions or 0) > (write.old.disruptions or 0):
        return
    if recorded is not None and recorded.exit_code is not None:
        said = process.wall.at(process.ended_at or 0)
        same = process.wall == write.wall == write.cluster.walls.server
        assert write.new.end_time == said or not same
        assert write.new.start_time is None or write.new.end_time >= write.new.start_time


def history_only_grows(write: Write) -> None:
    old, new = write.old.history, write.new.history
    assert new[: len(old)] == old, "an entry of the history changed"
    numbers = [entry.seq for entry in new]
    assert numbers == sorted(set(numbers)), "seq does not rise"
    assert write.new.history_count == (numbers[-1] if numbers else 0)
    ended = [entry for entry in new if entry.type.startswith("Workflow") and entry.type != "WorkflowStarted"]
    assert len(ended) == (1 if write.new.phase in ENDS else 0), "not one terminal entry"


def commands_are_kept(write: Write) -> None:
    """Records only gain what happens later, and each stored request has exactly one."""
    old, new = write.old.commands, write.new.commands
    for before, after in zip(old, new, strict=False):
        later = ("outcome", "superseded_by", "applied_at")
        assert before.model_copy(update=dict.fromkeys(later)) == after.model_copy(update=dict.fromkeys(later))
        assert all(getattr(before, name) in (None, getattr(after, name)) for name in later[:1])
    assert [r.sequence for r in new] == list(range(1, len(new) + 1))
    asked = [r.request_id for r in new if r.source == "api"]
    assert len(asked) == len(set(asked)), "one request was recorded twice"
    assert write.new.command_count == len(new)
    outcomes = {r.outcome for r in new if r.status != "Rejected" and r.source != "api"} - {None}
    assert not outcomes or write.new.phase in ENDS


def a_request_is_judged_once(write: Write) -> None:
    seen = write.judged.execution.spec.cancellation
    judged = write.new.cancellation.observed if write.new.cancellation else None
    before = write.old.cancellation.observed if write.old.cancellation else None
    added = [record for record in _added(write) if record.source == "api"]
    if judged == before:
        assert not added, "a request is judged again"
        return
    assert judged == seen, "another request is noted than was seen"
    assert [record.request_id for record in added] == ([seen.request_id] if seen else [])


def acceptance_agrees_with_the_second_table(write: Write) -> None:
    added = [record for record in _added(write) if record.source == "api"]
    for record in added:
        request = write.judged.execution.spec.cancellation
        assert request is not None and request.mode == record.mode
        why = stray(request, write.new.run_id if write.old.run_id else None)
        answer = ("Rejected", why) if why else expected(_phase_when_judged(write), record.mode, pod=_had_pod(write))
        reason = record.rejection_reason or ""
        assert record.status == answer[0], f"{record.mode} in {write.old.phase} is {record.status}, not {answer}"
        if answer[0] == "Rejected":
            assert reason == answer[1]
        if answer[0] == "Accepted":
            assert answer[1] == write.new.phase or _overtaken(write), f"{write.new.phase}, not {answer[1]}"
        if answer[0] == "Duplicate":
            assert record.id in {r.id for r in write.new.commands if r.status == "Accepted"}


def a_stop_is_never_weakened(write: Write) -> None:
    old, new = write.old.cancellation, write.new.cancellation
    if old is None or old.mode is None:
        return
    assert new is not None and new.mode is not None
    assert STRENGTH[new.mode] >= STRENGTH[old.mode]
    assert old.grace_period_seconds is None or (new.grace_period_seconds or 0) <= old.grace_period_seconds
    shortest = old.kill_grace_seconds
    assert shortest is None or (new.kill_grace_seconds is not None and new.kill_grace_seconds <= shortest)
    assert old.kill_after is None or (new.kill_after is not None and new.kill_after <= old.kill_after)
    assert not old.forget_lost_nodes or new.forget_lost_nodes


def what_is_asked_is_done(write: Write) -> None:
    """A request that means this run is in force, at least as strong, as soon as it was seen."""
    request = write.judged.execution.spec.cancellation
    if request is None or write.new.phase in ENDS or stray(request, write.new.run_id):
        return
    assert write.new.phase is not None
    assert write.new.phase in RANK and RANK[write.new.phase] >= RANK["Running"] + STRENGTH[request.mode]


def commands_come_from_somebody(write: Write) -> None:
    """N4: no drain, no restart of a controller is ever a cancel."""
    if write.new.phase in BY_COMMAND or (write.new.phase in RANK and RANK[write.new.phase] >= RANK["Cancelling"]):
        assert write.new.phase == "TimedOut" or _accepted(write.new)


def the_end_is_true(write: Write) -> None:
    """N3 and the tables of ends: what is written is what the process did."""
    if not write.ends:
        return
    match write.new.phase:
        case "Cancelled" | "Terminated":
            assert write.new.phase == _name_of_the_end(write), "the end is not the one that was asked for"
        case "TimedOut":
            assert _name_of_the_end(write) == "TimedOut"
            _deadline_has_passed(write)
        case "Succeeded":
            process = write.process
            assert process is not None and (process.says == "Succeeded" or (process.code == 0 and not process.says))
        case _:
            _failed_by_itself(write)


def superseded_by_completion(write: Write) -> None:
    """A run that ended as it liked says so in the command that was in force."""
    accepted = _accepted(write.new)
    if write.ends and write.new.phase in ("Succeeded", "Failed") and accepted:
        assert accepted[-1].superseded_by == "completion"


def open_entries_keep_it_open(write: Write) -> None:
    recorded = current(write.new)
    if recorded is not None and recorded.state == "unconfirmed":
        assert write.new.phase not in ENDS
        assert [entry.pod for entry in write.new.unconfirmed] == [recorded.pod]


def nothing_is_given_up_without_need(write: Write) -> None:
    """Closed without proof is only a pod that vanished, or one on a lost node that a request gave up."""
    before, after = current(write.old), current(write.new)
    if after is None or after.state != "unproven" or (before is not None and before.state == "unproven"):
        return
    there = any(pod.uid == after.pod_uid for pod in write.judged.pods)
    lost = any(node.name == after.node and not node.ready for node in write.judged.nodes)
    forget = write.new.cancellation is not None and write.new.cancellation.forget_lost_nodes
    assert (forget and lost) or not there, "a process is closed without proof although its node answers"


WRITE_CHECKS = (
    no_process_lives_at_the_end,
    phases_never_go_back,
    an_end_stays,
    the_end_has_its_own_time,
    history_only_grows,
    commands_are_kept,
    a_request_is_judged_once,
    acceptance_agrees_with_the_second_table,
    a_stop_is_never_weakened,
    what_is_asked_is_done,
    commands_come_from_somebody,
    the_end_is_true,
    superseded_by_completion,
    open_entries_keep_it_open,
    nothing_is_given_up_without_need,
)


def _added(write: Write) -> tuple[CommandRecord, ...]:
    return write.new.commands[len(write.old.commands) :]


def _accepted(status: WorkflowExecutionStatus) -> list[CommandRecord]:
    return [record for record in status.commands if record.status == "Accepted"]


def _phase_when_judged(write: Write) -> str:
    """The phase at step 4: a deadline comes before it."""
    if any(record.source == "deadline" for record in _added(write)):
        return "KillCancelling"
    return write.old.phase or "Pending"


def _overtaken(write: Write) -> bool:
    """Whether something that comes after the request in the same pass changed the phase once more."""
    escalated = any(record.source == "escalation" for record in _added(write))
    request = write.judged.execution.spec.cancellation
    forgotten = request is not None and request.on_lost_node == "Forget"
    return escalated or (forgotten and write.new.phase in ENDS)


def _had_pod(write: Write) -> bool:
    """Whether the current attempt had a pod, or may have had one, when the request was judged."""
    recorded = current(write.old)
    if write.old.attempt is None or recorded is None or recorded.state in ("gone", "unproven"):
        return False
    if (write.new.disruptions or 0) > (write.old.disruptions or 0):
        return False
    seen = any(pod.attempt == write.old.attempt for pod in (*write.judged.pods, *write.judged.deleted))
    return seen or recorded.pod_uid is not None or not write.judged.live_pod


def _name_of_the_end(write: Write) -> str:
    """What the strongest request accepted before the deadline makes of the end."""
    name = "TimedOut"
    for record in _accepted(write.new):
        if record.source == "deadline":
            break
        if record.source == "api" and not _came_too_late(record, write):
            name = ENDS_AS[record.mode]
    return name


def _came_too_late(record: CommandRecord, write: Write) -> bool:
    return record.superseded_by == "completion" and write.new.phase in BY_COMMAND


def _deadline_has_passed(write: Write) -> None:
    if any(record.source == "deadline" for record in write.old.commands):
        return  # judged when it fired, perhaps by another controller
    spec, accepted = write.new.workflow_spec, write.new.accepted_at
    assert spec is not None and spec.active_deadline_seconds is not None and accepted is not None
    due = accepted + timedelta(seconds=spec.active_deadline_seconds)
    assert write.times.has_come(due, "accepted", write.wall), "the deadline has not passed"


def _failed_by_itself(write: Write) -> None:
    assert write.new.failure is not None
    if write.new.failure.category == "template":
        assert write.process is None
        return
    process = write.process
    assert process is not None, "Failed, and there was no process"
    assert not process.rebooted, "a node's reboot is no failure of the program"
    own = process.says in ("Failed", "Cancelled") or process.code not in (0, 143)
    assert own, "Failed, and the program did nothing wrong"
