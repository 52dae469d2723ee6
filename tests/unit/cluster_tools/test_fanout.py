"""How the figures of fan-outs are come by: processes of this machine, an audit log, and what is made of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hack.bench import fanout, figures
from hack.bench.fanout_audit import BENCH, KINDS, OPERATOR, counted
from hack.bench.fanout_processes import Watched, wait_for
from hack.bench.fanout_programs import STOPPABLE, WORKFLOW
from hack.bench.fanout_stops import FanoutStop

NAMESPACE = "desist-fanout-1"
PROCESS = f"system:serviceaccount:{NAMESPACE}:default"
PROGRAMS = 3


def line(user: str, resource: str, subresource: str = "", code: int = 200, **asked: str) -> str:
    at = asked.pop("at", "2026-01-01T00:00:10.000000Z")
    reference = {"resource": resource, "subresource": subresource, "namespace": NAMESPACE, **asked}
    event = {"user": {"username": user}, "objectRef": reference, "responseStatus": {"code": code}}
    return json.dumps(event | {"stageTimestamp": at})


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (line(PROCESS, "operations", code=201), "process"),
        (line(OPERATOR, "operations", "status"), "status"),
        (line(OPERATOR, "pods", code=201), "pods"),
        (line(OPERATOR, "workflowexecutions", "status"), "execution"),
        (line(OPERATOR, "configmaps"), "other"),
        (line(OPERATOR, "operations", "status", code=409), "refused"),
        (line(PROCESS, "operations", code=403), "refused"),
        (line("system:node:desist-worker", "pods", "status"), "cluster"),
        (line("system:serviceaccount:kube-system:job-controller", "pods", code=409), "cluster"),
    ],
)
def test_a_write_is_of_one_kind_and_what_was_refused_is_none_of_the_operators_work(written: str, kind: str) -> None:
    assert dict(counted([written], NAMESPACE)) == {kind: 1}
    assert kind in KINDS


def test_writes_before_elsewhere_and_by_the_bench_itself_do_not_count() -> None:
    since = 1767225609.0  # a second before those lines
    lines = [
        line(OPERATOR, "pods", at="2026-01-01T00:00:08.999999Z"),
        line(OPERATOR, "pods", namespace="shop"),
        line(BENCH, "workflowexecutions"),
        line(OPERATOR, "pods"),
    ]
    assert dict(counted(lines, NAMESPACE, since)) == {"pods": 1}


@pytest.fixture
def marker(tmp_path: object) -> Iterator[str]:
    """Of some programs that run on this machine, and are ended at last."""
    mark = f"fanout-{id(tmp_path)}-{sys.maxsize}"
    running = [subprocess.Popen([sys.executable, "-uc", STOPPABLE, f"{mark}-{n}"]) for n in range(PROGRAMS)]
    yield mark
    for one in running:
        one.kill()
        one.wait()


def test_what_each_process_heard_is_told_when_nothing_of_it_is_left(marker: str) -> None:
    wait_for(marker, PROGRAMS, 60)
    watched = Watched(marker)
    watched.start()
    assert (watched.count, watched.alive(), watched.signalled()) == (PROGRAMS, PROGRAMS, [])
    for handle in watched._handles:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
    dead = watched.all_dead(60)
    assert watched.alive() == 0
    assert len(dead) == len(heard := watched.signalled()) == PROGRAMS
    assert heard == sorted(heard) and heard[0] <= dead[0] and heard[-1] <= dead[-1]
    watched.close()


def test_a_process_that_lives_on_is_an_error_and_not_a_figure(marker: str) -> None:
    wait_for(marker, PROGRAMS, 60)
    watched = Watched(marker)
    watched.start()
    with pytest.raises(TimeoutError, match=f"{PROGRAMS} of {PROGRAMS} processes live"):
        watched.all_dead(0.1)


def test_too_few_programs_are_an_error_and_not_a_smaller_fan_out(marker: str) -> None:
    wait_for(marker, PROGRAMS, 60)
    with pytest.raises(TimeoutError, match=f"{PROGRAMS} of {PROGRAMS + 1} programs"):
        wait_for(marker, PROGRAMS + 1, 0.1)


def stop(signalled: float, said: float, alive: int) -> FanoutStop:
    return FanoutStop(100.0, 100.25, [100.5, 100.0 + signalled], [100.0 + signalled] * 4, 100.0 + said, alive)


def test_a_final_word_said_too_early_is_counted_by_stops_and_by_processes() -> None:
    summed = fanout.summed([stop(1.0, 2.0, 0), stop(1.0, 0.5, 3)])
    assert (summed["said too early"], summed["stops"]) == (1, 2)
    assert (summed["alive at the final word"], summed["processes"]) == (3, 8)
    assert summed["steps"]["request to last SIGTERM"]["p50"] == 1.0
    assert summed["steps"]["request to first SIGTERM"]["p50"] == 0.5


def test_a_ratio_is_the_runs_median_by_the_jobs_also_where_the_jobs_word_takes_no_time() -> None:
    stops = {way: fanout.summed([stop(2.0, 0.0, 4)]) for way in fanout.WAYS}
    stops[fanout.RUN] = fanout.summed([stop(1.0, 3.0, 0)])
    for ratios in fanout.ratios(stops).values():
        assert ratios["request to last SIGTERM"] == 0.5
        assert ratios["request to final word"] == 3000


def test_writes_are_told_for_each_operation() -> None:
    lines = [line(OPERATOR, "operations", "status")] * 6 + [line(OPERATOR, "workflowexecutions", "status")]
    each = fanout.apiece(counted(lines, NAMESPACE), 2)
    assert (each["status"], each["execution"], each["refused"]) == (3.0, 0.5, 0.0)


def test_one_part_of_the_figures_is_shown_alone(capsys: pytest.CaptureFixture[str]) -> None:
    stops = {
        way: fanout.summed([stop(1.0, 3.0, 0)]) | {"writes": fanout.apiece(counted([], ""), 1)} for way in fanout.WAYS
    }
    run = {"operations": 4, "atATime": 2, "seconds": 8.0, "writes": fanout.apiece(counted([], ""), 4)}
    run["memoryMiB"] = {"before": 60.0, "after": 61.0}
    figures.show({"operations": {"run": run, "pods": 50, "stops": stops, "ratios": fanout.ratios(stops)}})
    shown = capsys.readouterr().out
    assert "time in all 8.0 s, 2.00 s an operation" in shown
    assert "final word said while a process lived: 0 of 1 times" in shown


def test_the_programs_are_python() -> None:
    for source in (STOPPABLE, WORKFLOW):
        compile(source, "program", "exec")
