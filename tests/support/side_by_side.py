"""Which test modules run side by side, and the gate that holds it. Why: docs/decisions/0008-tests-side-by-side.md.

Contract: a module is of one `Kind`. FREE needs no cluster. SHARED keeps to namespaces of its own, under the installed
release. OWN has the release put away, and its own operator sees no other worker's namespaces. LOST is the same, and
loses a node meanwhile. ALONE touches what all rely on; those of them on the release come first, so that it is put away
once. Whatever is not known to be of another kind is ALONE.
The scheduler gives each worker of pytest-xdist whole modules, in an order that keeps all busy; of one kind those first
that say by a mark, `long`, that they take more than a minute. That is only for speed: the gate, locks that each module
holds from its first setup to its last teardown, keeps the rule in whatever order modules come; a worker that dies lets
go of them.
A session's fixtures outlive modules: they must change nothing on the cluster that an ALONE module could meet, and one
that touches nodes keeps them up meanwhile (`all_nodes`).
Without -n there is one process, and nothing of this acts.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from pathlib import Path
from typing import IO

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from tests.support.sight import Placement

UNIT = "tests/unit/"
ALONE_FIXTURES = {"release_restored", "release_images"}
"""What a test asks for that acts on what all rely on."""
ALONE_NAMES = {"ensure_release", "uninstall", "scale_operator"}
"""The same, where a module imports it."""
LOST_FIXTURES = {"stopped_kubelet"}
LOST_NAMES = {"stop_kubelet", "stop_node"}
RELEASE_FIXTURES = {"release_operator", "release_images"}
ENOUGH = 2
"""A worker runs a test only when it knows the next one: with fewer than this left it needs another module."""


class Kind(Enum):
    """Beside what a module may run."""

    FREE = "free"
    SHARED = "shared"
    OWN = "own operator"
    LOST = "own operator, loses a node"
    ALONE_ON_RELEASE = "alone, on the release"
    ALONE = "alone"


LEADS = (Kind.ALONE_ON_RELEASE, Kind.ALONE, Kind.LOST, Kind.OWN)
"""What one worker goes through, in this order, while others take what may run beside: first what has only unit tests
for company, as at the end there may be none left."""


def kinds_of(items: Iterable[pytest.Item]) -> dict[str, Kind]:
    """The kind of each module, named as in its tests' node ids."""
    modules: dict[str, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(module_of(item.nodeid), []).append(item)
    return {name: _kind(name, tests) for name, tests in modules.items()}


def long_ones(items: Iterable[pytest.Item]) -> set[str]:
    """The modules that are begun before others of their kind, so that no worker is left with one at the end."""
    return {module_of(item.nodeid) for item in items if "long" in item.keywords}


def module_of(nodeid: str) -> str:
    """The module's part of a node id."""
    return nodeid.partition("::")[0]


def _kind(name: str, tests: Sequence[pytest.Item]) -> Kind:
    if name.startswith(UNIT):
        return Kind.FREE
    loses = any(_has(test, LOST_FIXTURES, LOST_NAMES) for test in tests)
    alone = any("alone" in test.keywords or _has(test, ALONE_FIXTURES, ALONE_NAMES) for test in tests)
    if not alone and all("release_away" in _fixtures(test) for test in tests):
        return Kind.LOST if loses else Kind.OWN
    if not (alone or loses) and all(_on_release(test) or "side_by_side" in test.keywords for test in tests):
        return Kind.SHARED
    return Kind.ALONE_ON_RELEASE if all(_on_release(test) for test in tests) else Kind.ALONE


def _has(test: pytest.Item, fixtures: set[str], names: set[str]) -> bool:
    """Whether the test asks for one of these fixtures, or its module has imported one of these names."""
    there = vars(getattr(test, "module", None) or object).keys()
    return bool(names & there) or bool(fixtures & _fixtures(test))


def _on_release(test: pytest.Item) -> bool:
    return bool(RELEASE_FIXTURES & _fixtures(test))


def _fixtures(test: pytest.Item) -> set[str]:
    names: list[str] = getattr(test, "fixturenames", [])
    return set(names)


class Gate:
    """The locks that modules hold. Those of one company go in together, and never with another company."""

    COMPANY: Mapping[Kind, str] = {
        Kind.SHARED: "release",
        Kind.OWN: "own",
        Kind.LOST: "own",
        Kind.ALONE_ON_RELEASE: "alone",
        Kind.ALONE: "alone",
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[IO[str]] = []
        self._may_lose_a_node = False

    def enter(self, kind: Kind) -> None:
        """Wait until a module of that kind may run; does nothing while this process is inside."""
        if self._held or kind is Kind.FREE:
            return
        company = self.COMPANY[kind]
        # Behind the door nobody else comes in while this one looks whether the others have left.
        door = self._lock("door", fcntl.LOCK_EX)
        for other in sorted({*self.COMPANY.values()} - {company}):
            self._lock(other, fcntl.LOCK_EX).close()
        self._held.append(self._lock(company, fcntl.LOCK_EX if company == "alone" else fcntl.LOCK_SH))
        door.close()
        # Only then: who is inside may need all nodes before it leaves.
        if kind is Kind.LOST:
            self._held.append(self._lock("node", fcntl.LOCK_EX))
            self._may_lose_a_node = True
        Placement.steady = kind is Kind.OWN

    def leave(self) -> None:
        """The module's last teardown is done."""
        for lock in self._held:
            lock.close()
        self._held.clear()
        self._may_lose_a_node = False
        Placement.steady = False

    @contextmanager
    def all_nodes(self) -> Iterator[None]:
        """No module of another process loses a node meanwhile; waits for one that does."""
        lock = None if self._may_lose_a_node else self._lock("node", fcntl.LOCK_SH)
        try:
            yield
        finally:
            if lock is not None:
                lock.close()

    def _lock(self, name: str, how: int) -> IO[str]:
        file = (self._folder / f"{name}.lock").open("a")
        fcntl.flock(file, how)
        return file


GATE = pytest.StashKey[Gate]()
"""Where a worker's configuration has its gate; without workers there is none."""


def all_nodes(config: pytest.Config) -> AbstractContextManager[None]:
    """`Gate.all_nodes`, where there are workers."""
    gate = config.stash.get(GATE, None)
    return nullcontext() if gate is None else gate.all_nodes()


class Scheduler(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Whole modules to workers, in the order that keeps both cores busy and the gate free."""

    def __init__(self, config: pytest.Config, log: object, folder: Path) -> None:
        super().__init__(config, log)
        self._folder = folder
        self._kinds: Mapping[str, Kind] = {}
        self._long: frozenset[str] = frozenset()
        self._leader: WorkerController | None = None
        self._at: dict[WorkerController, Kind] = {}

    def schedule(self) -> None:
        """Called by xdist when all workers have collected."""
        self._kinds, self._long = read_kinds(self._folder)
        super().schedule()

    def _reschedule(self, node: WorkerController) -> None:
        if node.shutting_down or self._pending_of(self.assigned_work[node]) > ENOUGH:
            return
        if self._next_for(node) is not None:
            self._assign_work_unit(node)
        elif not self._has_work_later(node):
            # It runs what it has, and ends.
            node.shutdown()
            self._wake_others(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        module = self._next_for(node)
        if module is None:
            return
        self._at[node] = self._kinds[module]
        if self._at[node] in LEADS and self._leads(node):
            self._leader = node
        self.workqueue.move_to_end(module, last=False)
        super()._assign_work_unit(node)
        self._wake_others(node)

    def _wake_others(self, node: WorkerController) -> None:
        """What the leader goes on to decides what the others may take."""
        if node is self._leader:
            for other in self.nodes:
                if other is not node:
                    self._reschedule(other)

    def _next_for(self, node: WorkerController) -> str | None:
        """The module that this worker takes next; None: none now."""
        for kind in self._order(node):
            fits: list[str] = [module for module in self.workqueue if self._kinds[module] is kind]
            if fits:
                return next((module for module in fits if module in self._long), fits[0])
        return None

    def _order(self, node: WorkerController) -> tuple[Kind, ...]:
        """One worker leads, the others take what may run beside; only one of these computes, in unit tests."""
        if self._leads(node):
            return (Kind.SHARED, *LEADS, Kind.FREE)
        computes = (Kind.FREE,) if node is self._second() else ()
        # While the leader is alone, whatever needs the cluster would only stand at the gate.
        beside = self._leader is not None and self._at[self._leader] in (Kind.OWN, Kind.LOST)
        if beside:
            return (Kind.SHARED, Kind.OWN, *computes)
        # The last test of a module is not run before the next one is known: who is inside the gate would stay there,
        # and the leader outside.
        inside = self._at.get(node) in (Kind.SHARED, Kind.OWN)
        return (Kind.SHARED, Kind.FREE, Kind.OWN) if inside else (Kind.SHARED, *computes)

    def _leads(self, node: WorkerController) -> bool:
        return self._leader is None or self._leader is node or self._leader.shutting_down

    def _second(self) -> WorkerController | None:
        return next((node for node in self.nodes if node is not self._leader and not node.shutting_down), None)

    def _has_work_later(self, node: WorkerController) -> bool:
        """Whether it has to wait until the leader is no longer alone."""
        return not self._leads(node) and Kind.OWN in map(self._kinds.get, self.workqueue)


def write_kinds(folder: Path, worker: str, kinds: Mapping[str, Kind], long: Iterable[str] = ()) -> None:
    """Called in each worker, which alone sees the tests: the scheduler is in another process."""
    part = folder / f"{worker}.part"
    part.write_text(json.dumps({"kinds": {module: kind.value for module, kind in kinds.items()}, "long": [*long]}))
    part.rename(folder / f"{worker}.json")


def read_kinds(folder: Path) -> tuple[dict[str, Kind], frozenset[str]]:
    """What the workers have written, and which modules are long; they agree, as they have collected the same."""
    held = json.loads(next(folder.glob("*.json")).read_text())
    return {module: Kind(kind) for module, kind in held["kinds"].items()}, frozenset(held["long"])
