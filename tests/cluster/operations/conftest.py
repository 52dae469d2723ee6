"""One namespace for a module, in which workflow processes may ask for operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.operations import Operations, operations_of
from tests.support.operator_process import OperatorProcess
from tests.support.spaces import shared


@pytest.fixture(scope="module")
def operations(api: Any, host_operator: OperatorProcess, request: pytest.FixtureRequest) -> Iterator[Operations]:
    """The namespace's operations, recorded; the operator is a process on this machine."""
    with shared(request, api, host_operator) as lab, operations_of(lab) as made:
        yield made
