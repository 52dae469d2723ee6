"""Namespaces of tests, in which pods can be made at once.

Contract: `make_namespace` returns when the namespace has its service account `default`. Another controller makes that,
and until then the API server, after a second or two of patience, refuses every pod of the namespace.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from kubernetes import client

SECONDS = 60
LABEL = {"desist.dev/test": "true"}


def make_namespace(core: Any, name: str, labels: Mapping[str, str] | None = None) -> None:
    """Make it, with the label of all tests and these."""
    core.create_namespace({"metadata": {"name": name, "labels": {**LABEL, **(labels or {})}}})
    end = time.monotonic() + SECONDS
    while not _has_account(core, name):
        assert time.monotonic() < end, f"namespace {name} has no service account after {SECONDS} s"
        time.sleep(0.02)  # a watch costs more than the few milliseconds that it takes


def _has_account(core: Any, name: str) -> bool:
    try:
        core.read_namespaced_service_account("default", name)
    except client.ApiException as error:
        if error.status != 404:
            raise
        return False
    return True
