"""Who we are to the API server, and where it is: one answer for kopf and for our own client.

Contract: in a pod the service account, elsewhere the kubeconfig (kube's `Connection`). kopf asks again after a 401, and
then gets the token as it is by then. Its vault never takes again what was refused once, and without credentials it ends
the process: so each login of ours is unequal to those before, though one passing 401 leaves the token as it was. kopf
then tries at once, for ever; the pause between logins is ours. Rejected: kopf's own logins (which one is taken depends
on the client libraries that are installed, and in a pod they go by the server's DNS name: stopping must not depend on
DNS).
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import kopf

from desist.kube.connection import SERVICE_ACCOUNT, Connection

CALM = 60.0
"""Seconds; a login that comes sooner after the last one is a repeated one."""
PAUSE = 0.1
"""Seconds before the second of repeated logins; doubles with each one more."""
LONGEST_PAUSE = 10.0


def connection() -> Connection:
    """Where we are. Raises ConnectionProblem."""
    if os.environ.get("KUBERNETES_SERVICE_HOST") and (SERVICE_ACCOUNT / "token").exists():
        return Connection.in_cluster()
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Connection.from_kubeconfig(Path(first).expanduser() if first else Path.home() / ".kube" / "config")


@dataclass(slots=True)
class Logins:
    """What kopf is told when it asks for credentials."""

    _count: int = 0
    _repeated: int = 0
    _last: float = float("-inf")
    succeeded: bool = False
    """Whether there were credentials once."""

    async def next(self, held: Connection) -> kopf.ConnectionInfo:
        """Where and who we are, with the token as it is now, after the pause that is due. Raises ConnectionProblem."""
        await self._pause()
        user, password = held.basic or (None, None)
        info = kopf.ConnectionInfo(
            server=held.server,
            ca_data=held.ca or None,
            certificate_data=held.certificate or None,
            private_key_data=held.key or None,
            token=await held.token(True) if held.token is not None else None,
            username=user,
            password=password,
            insecure=held.insecure or None,
            # There is one login only: its priority decides nothing, and makes it unequal to the one before.
            priority=self._count,
        )
        self.succeeded = True
        return info

    async def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        self._count += 1
        self._repeated = self._repeated + 1 if loop.time() - self._last < CALM else 0
        if self._repeated:
            await asyncio.sleep(min(PAUSE * 2.0 ** min(self._repeated - 1, 30), LONGEST_PAUSE))
        self._last = loop.time()
