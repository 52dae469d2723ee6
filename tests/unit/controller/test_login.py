"""kopf's credentials: one refusal does not use them up, and many of them are no storm."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import kopf
import pytest

# kopf's own store of credentials, because what it does with an equal login is what is tested; it has no public name.
from kopf._cogs.structs.credentials import Vault, VaultKey

from desist.controller import handlers, login
from desist.controller.login import Logins
from desist.kube.connection import Connection
from tests.unit.kube.virtual import run


async def token(renew: bool) -> str:
    return "the same as before"


HELD = Connection("https://127.0.0.1:6443", token=token)


async def test_kopf_goes_on_after_a_401_though_the_token_is_the_same() -> None:
    logins, vault = Logins(), Vault()

    async def log_in() -> None:
        while True:
            await vault.wait_for_emptiness()
            await vault.populate({"log_in": await logins.next(HELD)})

    task = asyncio.create_task(log_in())
    used: list[kopf.ConnectionInfo] = []
    async with asyncio.timeout(20):
        async for key, info in vault:
            assert isinstance(info, kopf.ConnectionInfo)
            used.append(info)
            if len(used) < 5:
                await vault.invalidate(VaultKey(key), info, exc=RuntimeError("401"))
    task.cancel()
    assert [info.token for info in used] == ["the same as before"] * 5


def test_logins_that_follow_each_other_pause_longer_and_longer_until_there_was_calm() -> None:
    async def play() -> list[float]:
        logins, loop, pauses = Logins(), asyncio.get_running_loop(), []
        for before in [0.0] * 10 + [login.CALM]:
            await asyncio.sleep(before)
            begun = loop.time()
            await logins.next(HELD)
            pauses.append(round(loop.time() - begun, 3))
        return pauses

    assert run(play()) == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 0])


async def test_credentials_that_cannot_be_read_are_permanent_at_the_first_login_and_passing_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(handlers, "LOGINS", Logins())
    log_in: Any = handlers.log_in
    with pytest.raises(kopf.PermanentError, match="cannot read"):
        await log_in()
    monkeypatch.setattr(handlers, "LOGINS", logins := Logins())
    await logins.next(HELD)
    with pytest.raises(kopf.TemporaryError, match="cannot read") as passing:
        await log_in()
    assert passing.value.delay == login.LONGEST_PAUSE
