"""Modules run side by side where pytest is given workers (`-n 2`), under one lock of the cluster for all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.home import cluster_lock, home
from tests.support.side_by_side import GATE, Gate, Kind, Scheduler, kinds_of, long_ones, module_of, write_kinds

HELD = pytest.StashKey[ExitStack]()
FOLDER = pytest.StashKey[Path]()
KINDS = pytest.StashKey[Mapping[str, Kind]]()


def pytest_configure(config: pytest.Config) -> None:
    """In a worker: take part. In the process that has workers: make their folder, and lock the cluster."""
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is not None:
        config.stash[FOLDER] = Path(given["side_by_side"])
        config.stash[GATE] = Gate(config.stash[FOLDER])
    elif config.getoption("dist", "no") != "no":
        # A worker that dies ends the run: xdist would give another one the same test, and the same end.
        config.option.maxworkerrestart = config.option.maxworkerrestart or "0"
        config.stash[HELD] = ExitStack()
        config.stash[FOLDER] = Path(config.stash[HELD].enter_context(tempfile.TemporaryDirectory()))
        if _may_need_the_cluster(config):
            # Workers find it held: they inherit the environment.
            config.stash[HELD].enter_context(cluster_lock())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In the process that has workers, when they have ended: the release runs again."""
    if HELD in session.config.stash and _may_need_the_cluster(session.config) and home().kubeconfig.exists():
        # Imported here: it takes longer than most runs of a few unit tests.
        from kubernetes import config as credentials

        from tests.support import release

        release.put_back(credentials.new_client_from_config(str(home().kubeconfig)))


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """With workers: name what fails when it fails. Its full report comes at the end, a quarter of an hour later."""
    node = getattr(report, "node", None)
    terminal = node and node.config.pluginmanager.getplugin("terminalreporter")
    if terminal and report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        why = str(crash.message).splitlines()[0] if crash else ""
        terminal.write_line(f"\nFAILED in {report.when}: {report.nodeid} {why[:200]}".rstrip(), red=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    held = config.stash.get(HELD, None)
    if held is not None:
        held.close()


def _may_need_the_cluster(config: pytest.Config) -> bool:
    return not all("tests/unit" in str(argument) for argument in config.args)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["side_by_side"] = str(node.config.stash[FOLDER])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    return Scheduler(config, log, config.stash[FOLDER])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if GATE in config.stash:
        config.stash[KINDS] = kinds_of(items)
        worker = config.workerinput["workerid"]  # type: ignore[attr-defined]
        write_kinds(config.stash[FOLDER], worker, config.stash[KINDS], long_ones(items))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """A module is inside the gate from its first test's setup to its last one's teardown."""
    gate = item.config.stash.get(GATE, None)
    if gate is None:
        return (yield)
    module = module_of(item.nodeid)
    gate.enter(item.config.stash[KINDS][module])
    try:
        return (yield)
    finally:
        if nextitem is None or module_of(nextitem.nodeid) != module:
            gate.leave()
