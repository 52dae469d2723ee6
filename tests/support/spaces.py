"""Namespaces that several tests of a module share: made, recorded, and told about when one of the tests failed.

Contract: `shared(request, api)` yields a `Lab` whose namespace is deleted at the end; the log that is printed after a
failure is the host operator's where the module has one, else the release's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from kubernetes import client

from tests.support.dump import dump
from tests.support.lab import Lab
from tests.support.namespaces import make_namespace
from tests.support.operator_process import OperatorProcess, parsed
from tests.support.release import log_lines
from tests.support.sight import fresh_name


@contextmanager
def shared(
    request: pytest.FixtureRequest,
    api: Any,
    operator: OperatorProcess | None = None,
    labels: Mapping[str, str] | None = None,
) -> Iterator[Lab]:
    """A namespace with these labels; `operator` is the one on this machine, None: the installed release."""
    core: Any = client.CoreV1Api(api)
    name = fresh_name()
    make_namespace(core, name, labels)
    lab = Lab(name, api)
    lab.recorder.start()
    failed = request.session.testsfailed
    try:
        yield lab
    finally:
        if request.session.testsfailed > failed:
            lines = operator.lines() if operator else [parsed(line) for line in log_lines(api)]
            _say(request, f"\n{dump(lab, lines)}")
        lab.recorder.stop()
        _delete(core, name)


def _say(request: pytest.FixtureRequest, text: str) -> None:
    """Print it past the capture: what a module's fixture prints at its end would go to a test that passed.

    To standard error: a worker of pytest-xdist has no other way to the terminal.
    """
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(text, file=sys.stderr)


def _delete(core: Any, name: str) -> None:
    try:
        core.delete_namespace(name)
    except client.ApiException as error:
        if error.status not in (404, 409):
            raise
