"""A namespace for a module, under the installed release."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.lab import Lab
from tests.support.spaces import shared


@pytest.fixture(scope="module")
def place(api: Any, crds: None, release_operator: Any, request: pytest.FixtureRequest) -> Iterator[Lab]:
    with shared(request, api) as lab:
        yield lab
