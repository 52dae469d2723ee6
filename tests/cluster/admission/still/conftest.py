"""The release's policies without an operator: what admission says of operations needs none, and it would do them.

The release is put away, which leaves its policies in force, and what these tests need of an operator is done by one on
this machine: so they run beside other modules. With the release's own operator, scaled down and up, they ran alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hack.cluster.api import kubeconfig
from hack.image.release import is_current
from tests.cluster.admission.processes import Process
from tests.support.lab import Lab
from tests.support.operator_process import OperatorProcess
from tests.support.spaces import shared


@pytest.fixture(scope="module")
def policies(release_away: None) -> None:
    """Those of this checkout, of the release that is put away."""
    assert is_current(kubeconfig()), "this checkout's release is not on the cluster: run `make install`"


@pytest.fixture(scope="module")
def room(api: Any, policies: None, host_operator: OperatorProcess, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A namespace that the tests of a module share."""
    with shared(request, api, host_operator) as lab:
        yield lab


@pytest.fixture(scope="module")
def operator_still(process: Process, of_another_run: Process, host_operator: OperatorProcess) -> None:
    """No operator from here on: it would do the operations, or fail them."""
    host_operator.kill()


@contextmanager
def operator_back(operator: OperatorProcess) -> Iterator[None]:
    """The operator for a moment, for runs that need a pod."""
    operator.start()
    yield
    operator.kill()
