"""Who we are to the API server, and where it is: one answer for kopf and for our own client.

Contract: in a pod the service account, elsewhere the kubeconfig (kube's `Connection`). kopf asks again after a 401, and
then gets the token as it is by then. Rejected: kopf's own logins (which one is taken depends on the client libraries
that are installed, and in a pod they go by the server's DNS name: stopping must not depend on DNS).
"""

from __future__ import annotations

import os
from pathlib import Path

import kopf

from desist.kube.connection import SERVICE_ACCOUNT, Connection


def connection() -> Connection:
    """Where we are. Raises ConnectionProblem."""
    if os.environ.get("KUBERNETES_SERVICE_HOST") and (SERVICE_ACCOUNT / "token").exists():
        return Connection.in_cluster()
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Connection.from_kubeconfig(Path(first).expanduser() if first else Path.home() / ".kube" / "config")


async def for_kopf(held: Connection) -> kopf.ConnectionInfo:
    """The same for kopf, with the token as it is now. Raises ConnectionProblem."""
    user, password = held.basic or (None, None)
    return kopf.ConnectionInfo(
        server=held.server,
        ca_data=held.ca or None,
        certificate_data=held.certificate or None,
        private_key_data=held.key or None,
        token=await held.token(True) if held.token is not None else None,
        username=user,
        password=password,
        insecure=held.insecure or None,
    )
