"""Which test modules run side by side, and the gate that holds it. Why: docs/decisions/0008-tests-side-by-side.md.

Contract: a module is of one `Kind`. FREE needs no cluster. SHARED keeps to namespaces of its own, under the installed
release as it is, and runs beside others of its kind. ALONE touches what others rely on (the release, a node, a CRD,
an operator of its own) and runs beside FREE ones only; those on the release come first, so that it is put away once.
Whatever is not known to be SHARED is ALONE.
The scheduler gives each worker of pytest-xdist whole modules: the SHARED ones first, then all ALONE ones to one worker,
while another takes the FREE ones. That is only for speed: the gate, a lock that each module holds from its first setup
to its last teardown, keeps the rule in whatever order modules come; a worker that dies lets go of it.
A session's fixtures outlive modules: they must change nothing on the cluster that an ALONE module could meet.
Without -n there is one process, and nothing of this acts.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import IO

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

UNIT = "tests/unit/"
ALONE_FIXTURES = {"release_away", "release_restored", "release_images", "stopped_kubelet"}
"""What a test asks for that acts on more than its own namespaces."""
ALONE_NAMES = {"stop_kubelet", "stop_node", "ensure_release", "uninstall", "scale_operator", "OperatorProcess"}
"""The same, where a module imports it."""
RELEASE_FIXTURES = {"release_operator", "release_images"}
ENOUGH = 2
"""A worker runs a test only when it knows the next one: with fewer than this left it needs another module."""


class Kind(Enum):
    """Beside what a module may run."""

    FREE = "free"
    SHARED = "shared"
    ALONE_ON_RELEASE = "alone, on the release"
    ALONE = "alone"


ALONE = (Kind.ALONE_ON_RELEASE, Kind.ALONE)


def kinds_of(items: Iterable[pytest.Item]) -> dict[str, Kind]:
    """The kind of each module, named as in its tests' node ids."""
    modules: dict[str, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(module_of(item.nodeid), []).append(item)
    return {name: _kind(name, tests) for name, tests in modules.items()}


def module_of(nodeid: str) -> str:
    """The module's part of a node id."""
    return nodeid.partition("::")[0]


def _kind(name: str, tests: Sequence[pytest.Item]) -> Kind:
    if name.startswith(UNIT):
        return Kind.FREE
    if not any(_disturbs(test) for test in tests) and all(_keeps_to_itself(test) for test in tests):
        return Kind.SHARED
    on_release = all(RELEASE_FIXTURES & _fixtures(test) for test in tests)
    return Kind.ALONE_ON_RELEASE if on_release else Kind.ALONE


def _disturbs(test: pytest.Item) -> bool:
    names = vars(getattr(test, "module", None) or object).keys()
    return "alone" in test.keywords or bool(ALONE_NAMES & names) or bool(ALONE_FIXTURES & _fixtures(test))


def _keeps_to_itself(test: pytest.Item) -> bool:
    return "side_by_side" in test.keywords or "release_operator" in _fixtures(test)


def _fixtures(test: pytest.Item) -> set[str]:
    names: list[str] = getattr(test, "fixturenames", [])
    return set(names)


class Gate:
    """The lock that modules hold: SHARED ones together, an ALONE one without any other."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held: IO[str] | None = None

    def enter(self, kind: Kind) -> None:
        """Wait until a module of that kind may run; does nothing while this process is inside."""
        if self._held is None and kind is not Kind.FREE:
            self._held = self._file.open("a")
            fcntl.flock(self._held, fcntl.LOCK_SH if kind is Kind.SHARED else fcntl.LOCK_EX)

    def leave(self) -> None:
        """The module's last teardown is done."""
        if self._held is not None:
            self._held.close()
            self._held = None


class Scheduler(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Whole modules to workers, in the order that keeps both cores busy and the gate free."""

    def __init__(self, config: pytest.Config, log: object, folder: Path) -> None:
        super().__init__(config, log)
        self._folder = folder
        self._kinds: Mapping[str, Kind] = {}
        self._alone: WorkerController | None = None
        self._free: WorkerController | None = None

    def schedule(self) -> None:
        """Called by xdist when all workers have collected."""
        self._kinds = read_kinds(self._folder)
        super().schedule()

    def _reschedule(self, node: WorkerController) -> None:
        if node.shutting_down or self._pending_of(self.assigned_work[node]) > ENOUGH:
            return
        if self._next_for(node) is None:
            # It runs what it has, and ends.
            node.shutdown()
        else:
            self._assign_work_unit(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        module = self._next_for(node)
        if module is None:
            return
        if self._kinds[module] in ALONE:
            self._alone = node
        elif self._kinds[module] is Kind.FREE:
            self._free = node
        self.workqueue.move_to_end(module, last=False)
        super()._assign_work_unit(node)

    def _next_for(self, node: WorkerController) -> str | None:
        """The module that this worker takes next; None: none. Beside ALONE modules one core stays free for them."""
        alone = ALONE if self._alone in (None, node) else ()
        free = (Kind.FREE,) if self._alone in (None, node) or self._free in (None, node) else ()
        order = (Kind.SHARED, *alone, *free)
        return next((module for kind in order for module in self.workqueue if self._kinds[module] is kind), None)


def write_kinds(folder: Path, worker: str, kinds: Mapping[str, Kind]) -> None:
    """Called in each worker, which alone sees the tests: the scheduler is in another process."""
    part = folder / f"{worker}.part"
    part.write_text(json.dumps({module: kind.value for module, kind in kinds.items()}))
    part.rename(folder / f"{worker}.json")


def read_kinds(folder: Path) -> dict[str, Kind]:
    """What the workers have written; they agree, as they have collected the same."""
    file = next(folder.glob("*.json"))
    return {module: Kind(kind) for module, kind in json.loads(file.read_text()).items()}
