"""Graces that follow from a mode alone.

Contract: whole seconds. 0 is SIGKILL at once; of a DELETE 1 is the shortest, as 0 would only forget the pod.
"""

from __future__ import annotations

from typing import assert_never

from desist.api.vocabulary import Mode
from desist.api.workflow import StopPolicy

KILLED_AT_ONCE = 0
SHORTEST_DELETE = 1
"""0 would only forget the pod; its processes would live on."""


def grace_of_unstarted(mode: Mode, grace: int | None, pod_grace: int, policy: StopPolicy) -> int:
    """Seconds for the DELETE of a pod whose workflow container has never started; `grace` is the one in force.

    What runs there are init containers and sidecars. One may hold a lock, and no later command shortens a DELETE: so a
    Cancel, which has no grace of its own, gives them what the pod asks for, and no more than a Kill would.
    """
    match mode:
        case Mode.FORCE | Mode.TERMINATE:
            return SHORTEST_DELETE
        case Mode.KILL:
            return max(grace or 0, SHORTEST_DELETE)
        case Mode.CANCEL:
            return max(min(pod_grace, policy.grace_period_seconds), SHORTEST_DELETE)
        case _:
            assert_never(mode)
