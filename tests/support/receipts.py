"""How a workflow container ended, and the launcher's receipt in its termination message."""

from __future__ import annotations

import json
from typing import Any


def ended(pod: Any) -> Any:
    """The state `terminated` of the workflow's container."""
    return next(s for s in pod.status.container_statuses if s.name == "workflow").state.terminated


def receipt(pod: Any) -> dict[str, Any]:
    """The receipt: the first line of the termination message. Fails where there is none."""
    found: dict[str, Any] = json.loads(ended(pod).message.partition("\n")[0])
    assert found["receipt"] == 1
    return found
