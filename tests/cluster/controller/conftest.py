"""The controller's own tests: the operator reaches the API server through a proxy that can break things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from desist.kube.connection import Connection
from hack.cluster.api import kubeconfig
from tests.support import sight
from tests.support.apiproxy import ApiProxy
from tests.support.operator_process import OperatorProcess, fresh_log

ENVIRONMENT = {
    "DESIST_RESYNC_SECONDS": "2",
    "DESIST_NODE_READY_MARGIN_SECONDS": "1",
}


@pytest.fixture(scope="module")
def proxy(api: object) -> Iterator[ApiProxy]:
    """Stands between the operator and the API server; tests themselves go past it."""
    with ApiProxy(Connection.from_kubeconfig(kubeconfig()), sight.mine()) as made:
        yield made


@pytest.fixture(scope="module")
def through_proxy(proxy: ApiProxy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig that leads to the proxy."""
    return proxy.kubeconfig(tmp_path_factory.mktemp("proxy") / "kubeconfig")


@pytest.fixture(scope="module")
def environment(launcher_image: str) -> dict[str, str]:
    """What the operators of these tests are set to."""
    return {"DESIST_LAUNCHER_IMAGE": launcher_image, **ENVIRONMENT}


@pytest.fixture(scope="module")
def host_operator(
    release_away: None,
    crds: None,
    through_proxy: Path,
    environment: dict[str, str],
    request: pytest.FixtureRequest,
) -> Iterator[OperatorProcess]:
    """The operator as a process here, behind the proxy."""
    operator = OperatorProcess(through_proxy, fresh_log(request.module.__name__), environment)
    operator.start()
    yield operator
    operator.kill()
