"""Reading a node's process table, and showing that a long step moves."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from hack.cluster import progress
from hack.cluster.errors import ClusterError
from hack.cluster.processes import Process, parse_line, pod_uid_of, processes_with
from hack.cluster.progress import Progress, Step

UID = "eafb6fc4-5772-4933-abc1-f57279700f64"


@pytest.mark.parametrize(
    ("cgroup", "uid"),
    [
        (f"4:memory:/desist/{'a' * 64}/kubelet/kubepods/besteffort/pod{UID}/{'b' * 64}\n", UID),
        (f"0::/kubelet.slice/kubelet-kubepods-burstable-pod{UID.replace('-', '_')}.slice/x.scope", UID),
        (f"0::/docker/{'a' * 64}/system.slice/containerd.service", None),
    ],
)
def test_a_process_belongs_to_the_pod_of_its_cgroup(cgroup: str, uid: str | None) -> None:
    assert pod_uid_of(cgroup) == uid


def test_a_line_of_the_search_is_read_whatever_the_program_is_called() -> None:
    arguments = base64.b64encode(b"sh\0-c\0two words\0").decode()
    line = f"42\t42 (a) b) T 1 42 42\t0::/kubepods/pod{UID}/x \t{arguments}"
    assert parse_line("n1", line) == Process("n1", 42, "T", ("sh", "-c", "two words"), UID)


@pytest.mark.parametrize("marker", ["", "two\nlines"])
def test_a_marker_that_would_match_anything_is_refused(marker: str) -> None:
    with pytest.raises(ValueError, match="one non-empty line"):
        processes_with(marker)


def test_without_a_terminal_a_long_step_prints_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.01)
    log = tmp_path / "log"
    log.write_text("one\ntwo\n")
    shown = Progress(2)
    with shown.step("node image") as step:
        step.part(2, 9)
        step.say("compiling kube")
        step.watch(log, 1900, "packages")
        while not (lines := capsys.readouterr().err):
            pass
        step.result("made")
    assert lines.startswith("  ... [1/2] node image: part 2 of 9, compiling kube, 2 of at most 1900 packages, 0 s\n")
    assert capsys.readouterr().err.splitlines()[-1].startswith("[1/2] node image: made (0.")


def test_a_step_that_fails_says_so_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClusterError), Progress(1).step("engine"):
        raise ClusterError("dockerd does not answer")
    assert capsys.readouterr().err.startswith("[1/1] engine: failed after 0.")


def test_a_steps_estimate_is_never_below_what_was_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x\n" * 7)
    step = Step("x")
    step.watch(log, 5, "packages")
    assert "7 of at most 7 packages" in step.line()


def test_an_error_names_the_log_and_what_to_do(tmp_path: Path) -> None:
    said = str(ClusterError("it failed", log=tmp_path / "x.log", advice="try again"))
    assert said == f"it failed\n  log:  {tmp_path / 'x.log'}\n  next: try again"
