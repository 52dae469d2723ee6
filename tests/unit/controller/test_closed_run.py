"""A run has ended and a pod that nobody wants turns up: its stop is refused for a moment, and tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from desist.kube.errors import ApiError, Forbidden, ServerUnavailable
from desist.lifecycle.plan import DeletePod, PostMailbox
from tests.unit.controller.fakes import NOW
from tests.unit.controller.test_reconcile import Setting
from tests.unit.controller.test_resting import resting, with_pod

ERRORS = [ServerUnavailable(500, "InternalError", "failed calling webhook"), Forbidden(403, "Forbidden", "policy")]


async def drive(setting: Setting, seconds: float) -> None:
    """As the queue does: a reconcile whenever one is due, until that time."""
    for _ in range(200):
        due = await setting.reconciler.reconcile("wfx")
        if due is None or (due - NOW).total_seconds() > seconds:
            return
        setting.wall = setting.seconds = max((due - NOW).total_seconds(), setting.wall)


@pytest.mark.conformance("C16", "C19")
@pytest.mark.parametrize("error", ERRORS, ids=["500", "403"])
async def test_a_late_start_whose_stop_is_refused_for_a_moment_is_stopped_later(error: ApiError) -> None:
    setting = resting()
    with_pod(setting, uid="late", attempt=0, phase="Running", name="order-1-x-0")
    fake: Any = setting.fake
    post, delete = fake.post_mailbox, fake.delete_pod

    async def post_mailbox(namespace: str, action: PostMailbox) -> str:
        if setting.wall < 2:
            raise error
        version: str = await post(namespace, action)
        return version

    async def delete_pod(namespace: str, action: DeletePod, version: str) -> None:
        if setting.wall < 2:
            raise error
        await delete(namespace, action, version)

    fake.post_mailbox, fake.delete_pod = post_mailbox, delete_pod
    await drive(setting, timedelta(hours=1).total_seconds())
    verbs = [call.split()[0] for call in fake.calls]
    assert "post" in verbs and "delete" in verbs
