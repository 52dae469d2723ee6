"""The grace of a pod that is deleted before its workflow container has ever started."""

from __future__ import annotations

import pytest

from desist.api.vocabulary import Mode
from desist.api.workflow import StopPolicy
from desist.lifecycle.graces import grace_of_unstarted

TABLE = [
    # mode, grace in force, the pod's own, the workflow's; then the grace of the DELETE
    (Mode.CANCEL, None, 30, 5, 5),
    (Mode.CANCEL, None, 3, 5, 3),
    (Mode.CANCEL, None, 0, 5, 1),
    (Mode.FORCE, 0, 30, 5, 1),
    (Mode.TERMINATE, 0, 30, 5, 1),
    (Mode.KILL, 20, 30, 5, 20),
    (Mode.KILL, 20, 3, 5, 20),
    (Mode.KILL, 0, 30, 5, 1),
    (Mode.KILL, None, 30, 5, 1),
]


@pytest.mark.parametrize(("mode", "grace", "pod_grace", "own", "expected"), TABLE)
def test_what_an_init_container_gets_to_clean_up_depends_on_the_mode(
    mode: Mode, grace: int | None, pod_grace: int, own: int, expected: int
) -> None:
    assert grace_of_unstarted(mode, grace, pod_grace, StopPolicy(grace_period_seconds=own)) == expected
