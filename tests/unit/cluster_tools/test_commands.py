"""Programs that the cluster tools run: what is told when they fail, and that none outlives its parent."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hack.cluster.commands import How, answer, run
from hack.cluster.errors import ClusterError

FAILS = [sys.executable, "-c", "import sys; print('out'); print('why', file=sys.stderr); sys.exit(3)"]
PARENT = """
import sys
from hack.cluster.commands import How, run
child = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
run([sys.executable, "-c", child], How(log=__import__("pathlib").Path("/dev/stdout"), outlives=sys.argv[1] == "yes"))
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESIST_HOME", str(tmp_path))
    return tmp_path


def test_a_failure_names_a_log_with_all_that_was_printed_where_none_was_given(state: Path) -> None:
    with pytest.raises(ClusterError, match="exit code 3") as caught:
        run(FAILS)
    assert caught.value.log == state / "logs" / f"{Path(sys.executable).name}-failed.log"
    kept = caught.value.log.read_text()
    assert "out" in kept and "why" in kept


def test_a_failure_names_the_log_that_was_given(state: Path) -> None:
    with pytest.raises(ClusterError, match="why") as caught:
        run(FAILS, How(log=state / "given.log"))
    assert caught.value.log == state / "given.log"


def test_a_program_that_is_not_there_is_an_error_in_a_line() -> None:
    with pytest.raises(ClusterError, match="no-such-program is not installed"):
        run(["no-such-program"])


def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(ClusterError, match="took more than"):
        run(["sleep", "600"], How(seconds=0.05))


def test_a_question_without_an_answer_keeps_no_log(state: Path) -> None:
    assert answer(FAILS) is None
    assert not (state / "logs").exists()


@pytest.mark.parametrize("outlives", ["no", "yes"])
def test_a_program_ends_with_its_killed_parent_unless_it_may_outlive_it(outlives: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, outlives], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            ended, _, _ = select.select([child], [], [], 0.3 if outlives == "yes" else 10)
            assert bool(ended) is (outlives == "no")
        finally:
            if outlives == "yes":
                signal.pidfd_send_signal(child, signal.SIGKILL)
            os.close(child)
