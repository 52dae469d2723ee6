"""Where the time of a storm goes: what is made of an audit log, and of two looks at the processes of a machine."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest

from hack.bench.fanout_audit import BENCH, OPERATOR
from hack.bench.latency import spans
from hack.bench.latency.processors import ALL, TICKS, Load, busy, program
from hack.bench.latency.processors import BENCH as OURSELVES
from hack.bench.latency.samples import Sample

NAME, NODE = "mailbox-storm-cancel-0000", "system:node:desist-worker"
SAMPLE = Sample("mailbox", "storm", "Cancel", NAME, 0, 100.0, 100.01, 100.5, 100.6, 101.5, 0)


def line(user: str, what: str, began: float, ended: float, name: str = NAME, code: int = 200) -> str:
    resource, _, subresource = what.partition("/")
    times = [datetime.fromtimestamp(each, UTC).isoformat() for each in (began, ended)]
    return json.dumps(
        {
            "user": {"username": user},
            "objectRef": {"resource": resource, "subresource": subresource, "name": name},
            "responseStatus": {"code": code},
            "requestReceivedTimestamp": times[0],
            "stageTimestamp": times[1],
        }
    )


LOG = [
    line(BENCH, "workflowexecutions", 100.0, 100.01),
    line(OPERATOR, "workflowexecutions/status", 99.0, 99.1),
    line(OPERATOR, "workflowexecutions/status", 100.05, 100.08),
    line(OPERATOR, "pods", 100.1, 100.12, f"{NAME}-0123456789-1"),
    line(NODE, "pods/status", 100.3, 100.31, f"{NAME}-0123456789-1"),
    line(NODE, "pods/status", 101.0, 101.02, f"{NAME}-0123456789-1"),
    line(OPERATOR, "workflowexecutions/status", 101.2, 101.25, code=409),
    line(OPERATOR, "workflowexecutions/status", 101.3, 101.4),
]


def test_each_step_of_a_stop_is_found_and_what_lay_between_two_of_them() -> None:
    [found] = spans.spans(LOG, [SAMPLE])
    assert found.keys() == set(spans.ORDER)
    assert found[spans.ACCEPTANCE] == pytest.approx((0.05, 0.08))
    assert found[spans.REPORT] == pytest.approx((1.0, 1.02)), "the first after the death"
    assert found[spans.END] == pytest.approx((1.3, 1.4)), "not the one that was refused"
    between = spans.gaps([found])
    assert between["mailbox written → handler"] == pytest.approx([0.38])
    assert between["end reported → end written"] == pytest.approx([0.28])
    assert spans.took([found])[spans.END] == pytest.approx([0.1])
    assert spans.reached([found])[spans.SAID] == pytest.approx([1.5])


def test_what_the_log_does_not_have_is_left_out() -> None:
    [found] = spans.spans(LOG[:3], [SAMPLE])
    assert spans.MAILBOX not in found and spans.END not in found
    assert spans.gaps([found])["acceptance written → mailbox written"] == []


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/opt/python3", "-m", "desist.controller"], "operator"),
        (["kube-apiserver", "--advertise-address=1"], "kube-apiserver"),
        (["/usr/local/bin/containerd-shim-runc-v2", "-namespace", "k8s.io"], "containerd-shim"),
        (["python3", "-uc", "program"], "other programs"),
        ([""], "other programs"),
    ],
)
def test_a_program_is_told_by_its_command_line(command: list[str], name: str) -> None:
    assert program(command, pid=-1) == name
    assert program(command, os.getpid()) == OURSELVES


def test_time_is_what_was_used_between_two_looks_also_by_what_came_meanwhile() -> None:
    before = Load({1: ("etcd", 5.0), 2: ("kubelet", 9.0)}, 20.0)
    after = Load({1: ("etcd", 6.5), 2: ("runc", 0.5), 3: ("runc", 0.25)}, 24.0)
    assert after.since(before) == {"etcd": 1.5, "runc": 0.75, ALL: 4.0}


def test_waiting_is_not_being_busy() -> None:
    assert busy("cpu  100 10 50 9999 8888 4 6 7 0 0\ncpu0 1 1 1 1\n") == pytest.approx(170 / TICKS)
    assert Load.now().used[os.getpid()][0] == OURSELVES
