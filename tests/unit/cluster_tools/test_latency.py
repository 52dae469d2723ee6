"""How the figures of latency are come by: what is kept of a stop, what is made of it, and whom the kernel shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from desist.kube.options import Deletion
from hack.bench.latency import samples
from hack.bench.latency.budgets import Judged, judged
from hack.bench.latency.figures import DEAD, FINAL, HANDLER, durations, early, spread
from hack.bench.latency.push import enabled, without
from hack.bench.latency.samples import (
    CANCEL,
    FORCE,
    IDLE,
    JOB,
    KILL,
    MAILBOX,
    POD,
    PUSH,
    SIDES,
    STARTED,
    STORM,
    Measured,
    Record,
    Sample,
    parsed,
)
from hack.bench.latency.sides import DEAF, PROGRAMS, WAYS, command, whose
from hack.bench.latency.sight import Sight, Watched
from hack.bench.latency.stage import Subject
from hack.bench.latency.table import table
from hack.bench.latency.turns import Counts, alternating
from hack.bench.latency.writes import counted, with_events

ABOUT = Measured("2026-01-01T00:00Z", "abc", 2, push=True)
NAMESPACE = "desist-fanout-1"


def stop(side: str, heard: float | None, dead: float, said: float, **more: object) -> Sample:
    """A stop that was asked for at 100, with the seconds that its steps took."""
    about = {"case": IDLE, "mode": CANCEL, "name": f"{side}-idle-cancel-0000", "turn": 0, "alive": 0} | more
    times = {"requested": 100.0, "answered": 100.001, "dead": 100 + dead, "said": 100 + said}
    return Sample(side=side, heard=None if heard is None else 100 + heard, **{**times, **about})  # type: ignore[arg-type]


def record(*stops: Sample, about: Measured = ABOUT) -> Record:
    return Record(about, list(stops))


def test_a_record_is_read_as_it_was_kept_and_what_changed_about_it_last_holds() -> None:
    one, forced = stop(PUSH, 0.01, 0.02, 1.0), stop(POD, None, 0.5, 0.4, mode=FORCE, alive=2)
    ended = replace(ABOUT, left_out=("storm 1 of pod",))
    lines = [
        samples.line("measured", ABOUT),
        samples.line("sample", one),
        samples.line("sample", forced),
        samples.line("measured", ended),
        samples.line("writes", {one.name: {"execution": 2}}),
    ]
    found = parsed(lines)
    assert (found.measured, found.samples) == (ended, [one, forced])
    assert found.writes == {one.name: {"execution": 2}}
    assert found.sides == (PUSH, POD)


@pytest.mark.parametrize("lines", [[], [samples.line("sample", stop(JOB, 1, 1, 1))]])
def test_what_does_not_say_what_was_measured_is_no_record(lines: list[str]) -> None:
    with pytest.raises(ValueError, match="no file of samples"):
        parsed(lines)


def test_one_at_a_time_a_step_counts_from_its_own_request_and_in_a_storm_from_the_first_one() -> None:
    stops = [stop(JOB, 0.2, 0.3, 0.4), stop(JOB, 0.2, 0.3, 0.4, requested=100.1)]
    idle = record(*stops)
    stormed = record(*(replace(each, case=STORM) for each in stops), replace(stops[1], case=STORM, turn=1))
    assert durations(idle, JOB, IDLE, CANCEL, HANDLER) == pytest.approx([0.2, 0.1])
    assert durations(stormed, JOB, STORM, CANCEL, HANDLER) == pytest.approx([0.2, 0.2, 0.1])


def test_a_spread_has_the_middle_and_the_worst_and_leaves_out_what_never_came() -> None:
    stops = [stop(PUSH, number / 100, number / 10, 1) for number in range(1, 6)]
    found = spread(record(*stops, stop(PUSH, None, 9, 1)), PUSH, IDLE, CANCEL, HANDLER)
    assert found is not None
    assert (found.p50, found.p99, found.max) == pytest.approx((0.03, 0.05, 0.05))
    assert spread(record(stop(PUSH, None, 1, 1)), PUSH, IDLE, CANCEL, HANDLER) is None
    assert durations(record(*stops), PUSH, IDLE, CANCEL, DEAD)[-1] == pytest.approx(0.5)
    assert durations(record(*stops), PUSH, IDLE, CANCEL, FINAL)[0] == pytest.approx(1)


def found_of(measured: Record) -> dict[str, Judged]:
    return {each.promise: each for each in judged(measured)}


def test_a_promise_is_kept_up_to_its_limit_and_a_late_one_says_by_how_much() -> None:
    found = found_of(record(stop(PUSH, 0.05, 0.06, 1), stop(JOB, 0.05, 0.06, 1)))
    kept = found["push, one at a time: handler, p50, by the Job's"]
    assert kept.found == pytest.approx(1.0)
    assert str(Judged("a", 1.0, 1.0)).startswith("  PASS")
    assert str(Judged("a", 1.0, 1.25)).startswith("  short by 0.25")
    assert str(Judged("a", 1.0, None)).startswith("  not measured")


def test_without_push_the_mailbox_is_judged_and_says_so() -> None:
    found = found_of(record(stop(MAILBOX, 0.2, 0.3, 1), stop(JOB, 0.1, 0.2, 1)))
    assert found["mailbox, one at a time: handler, p50, by the Job's"].found == pytest.approx(2.0)
    assert found["push: said final while a process lived"].found is None


def test_a_force_is_compared_with_what_a_cancel_takes_to_the_handler() -> None:
    stops = [stop(PUSH, 0.1, 0.2, 1), stop(PUSH, None, 0.12, 1, mode=FORCE)]
    assert found_of(record(*stops))["push, Force: dead, p50, by the handler's under Cancel"].found == pytest.approx(1.2)


def test_a_final_word_said_too_early_counts_once_a_stop_and_breaks_the_promise() -> None:
    stops = [stop(MAILBOX, 0.1, 0.2, 0.1, alive=2), stop(MAILBOX, 0.1, 0.2, 1)]
    assert early(stops) == 1
    assert str(found_of(record(*stops))["mailbox: said final while a process lived"]).startswith("  short by 1.00")


def whole() -> Record:
    """Every side, every case; push is twice as fast."""
    stops = [
        stop(side, None if mode == FORCE else told, told + 0.001, 0.9, case=case, mode=mode, name=f"{side}-{case}-x-0")
        for side, told in ((PUSH, 0.01), (MAILBOX, 0.02), (JOB, 0.02), (POD, 0.02))
        for case, mode in ((IDLE, CANCEL), (IDLE, FORCE), (IDLE, KILL), (STORM, CANCEL), (STARTED, CANCEL))
        if (side, mode) != (JOB, FORCE)
    ]
    writes = {each.name: {"execution": 2, "cluster": 3} for each in stops}
    return Record(ABOUT, stops, writes)


def test_the_table_has_a_column_for_each_side_and_a_line_for_each_promise() -> None:
    shown = table(whole())
    assert max(map(len, shown.splitlines())) <= 120
    for text in ("Desist, push", "Desist, mailbox alone", "Job, suspend", "pod, DELETE", "nothing like it"):
        assert text in shown
    assert shown.count("PASS") == len(judged(whole()))
    assert "execution 2.00, cluster 3.00" in shown


def test_the_table_says_what_is_absent_and_what_was_left_out() -> None:
    about = replace(ABOUT, push=False, left_out=("storm 1 of pod",))
    shown = table(record(stop(MAILBOX, 0.2, 0.3, 1), about=about))
    assert "push: absent" in shown and "for lack of time: storm 1 of pod" in shown
    assert "not measured" in shown


def test_every_side_runs_the_same_pod_and_its_program_ends_with_the_marker() -> None:
    specs = []
    for side in SIDES:
        body = WAYS[side].body("one", command(CANCEL, "here/one"))
        spec = body["spec"]
        found = spec.get("workflowSpec", {}).get("template") or spec.get("template") or body
        specs.append({**found["spec"], "restartPolicy": "Never"})
    assert all(each == specs[0] for each in specs)
    assert specs[0]["containers"][0]["command"][-1] == "here/one"
    for source in PROGRAMS.values():
        compile(source, "program", "exec")


def test_a_job_has_nothing_like_a_force_and_a_pod_is_deleted_with_a_grace() -> None:
    assert WAYS[JOB].request(FORCE) is None
    assert WAYS[JOB].request(KILL) == {"spec": {"suspend": True}}
    assert WAYS[POD].request(FORCE) == Deletion(grace_seconds=1)
    assert WAYS[POD].request(CANCEL) == Deletion()


@pytest.mark.parametrize(
    ("side", "event", "status", "final"),
    [
        (PUSH, "MODIFIED", {"phase": "Cancelling"}, False),
        (PUSH, "MODIFIED", {"phase": "Cancelled"}, True),
        (JOB, "MODIFIED", {"conditions": [{"type": "Suspended", "status": "False"}]}, False),
        (JOB, "MODIFIED", {"conditions": [{"type": "Suspended", "status": "True"}]}, True),
        (POD, "MODIFIED", {"phase": "Succeeded"}, False),
        (POD, "DELETED", {"phase": "Running"}, True),
    ],
)
def test_the_final_word_of_each_side(side: str, event: str, status: dict[str, object], final: bool) -> None:
    assert WAYS[side].final(event, {"status": status}) is final


def test_a_pod_is_known_by_its_execution_its_job_or_itself() -> None:
    def pod(**labels: str) -> dict[str, object]:
        return {"metadata": {"name": "it", "labels": {name.replace("__", "/"): text for name, text in labels.items()}}}

    assert whose(pod(**{"desist.dev/execution": "run"})) == "run"
    assert whose(pod(**{"batch.kubernetes.io/job-name": "job"})) == "job"
    assert whose(pod(app="fanout")) == "it"


def audited(user: str, resource: str, name: str, at: str, code: int = 200) -> str:
    asked = {"resource": resource, "namespace": NAMESPACE, "name": name}
    event = {"user": {"username": user}, "objectRef": asked, "responseStatus": {"code": code}}
    return json.dumps(event | {"stageTimestamp": at})


def test_a_write_counts_for_the_stop_that_it_was_made_for_and_only_after_its_request() -> None:
    operator, kubelet = "system:serviceaccount:desist-system:desist", "system:node:desist-worker"
    before, after = "2026-01-01T00:00:01Z", "2026-01-01T00:00:03Z"
    one = stop(PUSH, 0.1, 0.2, 1, requested=1767225602.0)
    lines = [
        audited(operator, "workflowexecutions", one.name, before),
        audited(operator, "workflowexecutions", one.name, after),
        audited(operator, "workflowexecutions", one.name, after, code=409),
        audited(operator, "pods", f"{one.name}-0123456789-1", after),
        audited(kubelet, "pods", f"{one.name}-0123456789-1", after),
        audited(operator, "pods", "push-idle-cancel-0001-0123456789-1", after),
    ]
    found = counted(lines, NAMESPACE, [one])
    assert {name: dict(kinds) for name, kinds in found.items()} == {
        one.name: {"execution": 1, "refused": 1, "pods": 1, "cluster": 1}
    }
    told = [
        {"regarding": {"name": one.name}, "reportingController": "desist.dev/operator", "eventTime": at}
        for at in (before, after)
    ]
    told.append({"regarding": {"name": one.name}, "reportingController": "kubelet", "eventTime": after})
    assert with_events(found, told, [one])[one.name]["events"] == 1


def test_sides_take_turns_as_long_as_they_have_any() -> None:
    counts = Counts(cancels=2, forces=1, kills=0)
    taken = alternating([list(counts.idle(side)) for side in (PUSH, JOB)])
    assert [(each.side, each.mode) for each in taken] == [
        (PUSH, CANCEL),
        (JOB, CANCEL),
        (PUSH, CANCEL),
        (JOB, CANCEL),
        (PUSH, FORCE),
    ]


def test_no_name_begins_another_ones() -> None:
    names = [each.name for each in Counts(cancels=30, storm=130).stormed(PUSH, 1)]
    names += [Subject(PUSH, IDLE, CANCEL, 0, each).name for each in range(30)]
    assert len(set(names)) == len(names)
    assert all(name.count("-") == 3 for name in names)
    assert {len(name) for name in names[:130]} == {len(names[0])}


def test_push_goes_off_and_all_else_of_the_values_stays() -> None:
    given = {"push": {"port": 7000}, "controller": {"replicas": 1, "deploymentAnnotations": {"a": "b"}}}
    off = without(given)
    assert off["push"] == {"port": 7000, "enabled": False} and off["controller"]["replicas"] == 1
    assert off["controller"]["deploymentAnnotations"].keys() == {"a", "desist.dev/release-key"}
    assert given["push"] == {"port": 7000}
    assert enabled({"push": {"enabled": True}}) and not enabled(off) and not enabled({})


@pytest.fixture
def deaf() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process that does not obey, and its marker, which begins that of another one."""
    mark = f"latency-{os.getpid()}-{time.time_ns()}"
    running = [subprocess.Popen([sys.executable, "-uc", DEAF, marker]) for marker in (mark, f"{mark}0")]
    yield running[0], mark
    for one in running:
        one.kill()
        one.wait()


def taken(sight: Sight, marker: str) -> Watched:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := sight.take([marker]):
            return found[marker]
        time.sleep(0.05)
    raise AssertionError("it does not listen")


def test_the_first_signal_that_a_process_heard_and_its_death_are_told_when_it_is_gone(
    deaf: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, marker = deaf
    sight = Sight()
    sight.start()
    watched = taken(sight, marker)
    assert (watched.alive(), watched.heard(), sight.dead(watched)) == (1, None, None)
    before = time.time()
    process.send_signal(signal.SIGTERM)
    while watched.heard() is None:
        assert time.time() < before + 60
    heard = watched.heard()
    process.send_signal(signal.SIGTERM)
    process.kill()
    process.wait()
    while (dead := sight.dead(watched)) is None:
        assert time.time() < before + 60
    assert heard == watched.heard() and watched.alive() == 0 and sight.all_dead(watched)
    assert heard is not None and before <= heard <= dead
    watched.close()


def test_a_file_that_is_kept_can_be_shown_again(tmp_path: Path) -> None:
    file = tmp_path / "latency.jsonl"
    kept = whole()
    lines = [samples.line("measured", kept.measured), *(samples.line("sample", each) for each in kept.samples)]
    file.write_text("".join([*lines, samples.line("writes", kept.writes)]))
    assert table(samples.read(file)) == table(kept)
