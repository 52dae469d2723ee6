"""Which worker takes which module: one leads, a second one has company for it, and nobody stands at the gate."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.side_by_side import Gate, Kind, Scheduler, write_kinds


class Worker:
    """Stands for a worker of xdist: keeps what it was given, and runs it when told to."""

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.given: list[int] = []
        self.done = 0
        self._scheduler: Any = scheduler

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    def run(self) -> bool:
        """Run one test, if it knows the next one or that there is none; whether it did."""
        if self.done + (0 if self.shutting_down else 1) >= len(self.given):
            return False
        self.done += 1
        self._scheduler.mark_test_complete(self, self.given[self.done - 1])
        return True


class Suite:
    """A suite of modules of the given kinds, with four tests each, on so many workers."""

    def __init__(self, folder: Path, kinds: list[Kind], workers: int, long: frozenset[int] = frozenset()) -> None:
        modules = {f"tests/test_{number}_{kind.name}.py": kind for number, kind in enumerate(kinds)}
        write_kinds(folder, "gw0", modules, [name for number, name in enumerate(modules) if number in long])
        self.tests = [f"{module}::test_{number}" for module in modules for number in range(4)]
        option = SimpleNamespace(loadscopereorder=False)
        config: Any = SimpleNamespace(option=option, getvalue=lambda _: ["popen"] * workers)
        self.scheduler: Any = Scheduler(config, None, folder)
        self.workers = [Worker(self.scheduler, f"gw{number}") for number in range(workers)]
        for worker in self.workers:
            self.scheduler.add_node(worker)
            self.scheduler.add_node_collection(worker, self.tests)
        self.scheduler.schedule()

    def given(self, worker: int) -> list[str]:
        """The kinds of the modules that it was given, in order."""
        modules = dict.fromkeys(self.tests[index].partition("::")[0] for index in self.workers[worker].given)
        return [module.split("_", 2)[2].removesuffix(".py") for module in modules]

    def run_all(self, order: Sequence[int]) -> None:
        """Run to the end; whoever comes first in `order` runs as long as it can."""
        while any(self.workers[number].run() for number in order):
            pass


MIXED = [Kind.FREE, Kind.ALONE, Kind.OWN, Kind.LOST, Kind.ALONE_ON_RELEASE, Kind.SHARED, Kind.SHARED, Kind.FREE]


@pytest.mark.parametrize("order", [[0, 1], [1, 0], *permutations(range(3))])
def test_every_test_is_run_once_whoever_is_quicker(tmp_path: Path, order: Sequence[int]) -> None:
    suite = Suite(tmp_path, [*MIXED, *MIXED], workers=len(order))
    suite.run_all(order)
    assert sorted(index for worker in suite.workers for index in worker.given) == list(range(len(suite.tests)))
    assert [worker.done for worker in suite.workers] == [len(worker.given) for worker in suite.workers]
    assert all(worker.shutting_down for worker in suite.workers)


def test_shared_modules_come_first_and_one_worker_takes_all_that_is_alone(tmp_path: Path) -> None:
    suite = Suite(tmp_path, MIXED, workers=2)
    suite.run_all([0, 1])
    given = [suite.given(0), suite.given(1)]
    assert {kinds[0] for kinds in given} == {"SHARED"}
    (leader,) = (kinds for kinds in given if "ALONE" in kinds)
    order = [kind for kind in leader if kind not in ("SHARED", "FREE", "OWN")]
    assert order == ["ALONE_ON_RELEASE", "ALONE", "LOST"]


def test_the_second_worker_waits_for_company_and_has_it_when_the_leader_loses_a_node(tmp_path: Path) -> None:
    kinds = [Kind.ALONE_ON_RELEASE, Kind.ALONE_ON_RELEASE, Kind.LOST, Kind.FREE, Kind.OWN]
    suite = Suite(tmp_path, kinds, workers=2)
    assert suite.given(1) == ["FREE"]
    while suite.workers[1].run():
        pass
    assert suite.given(1) == ["FREE"], "with an OWN module it would stand at the gate"
    assert not suite.workers[1].shutting_down
    while "LOST" not in suite.given(0):
        assert suite.workers[0].run()
    assert suite.given(1) == ["FREE", "OWN"]
    suite.run_all([0, 1])
    assert sum(worker.done for worker in suite.workers) == len(suite.tests)


def test_who_is_inside_the_gate_leaves_it_for_the_leader_where_no_unit_test_is_left(tmp_path: Path) -> None:
    kinds = [Kind.SHARED, Kind.SHARED, Kind.ALONE_ON_RELEASE, Kind.OWN, Kind.OWN]
    suite = Suite(tmp_path, kinds, workers=2)
    leader = next(
        number for number in (0, 1) if "ALONE_ON_RELEASE" in suite.given(number) or suite.workers[number].run()
    )
    while "ALONE_ON_RELEASE" not in suite.given(leader):
        assert suite.workers[leader].run()
    second = suite.workers[1 - leader]
    while second.run():
        pass
    assert second.done > 4, "the last test of its shared module waits for ever"
    suite.run_all([0, 1])
    assert sum(worker.done for worker in suite.workers) == len(suite.tests)


def test_a_third_worker_has_company_for_the_leader_too_and_leaves_unit_tests_to_the_others(tmp_path: Path) -> None:
    kinds = [*[Kind.SHARED] * 3, Kind.ALONE_ON_RELEASE, Kind.LOST, *[Kind.OWN] * 4, *[Kind.FREE] * 4]
    suite = Suite(tmp_path, kinds, workers=3)
    assert [suite.given(number) for number in range(3)] == [["SHARED"]] * 3
    while "ALONE_ON_RELEASE" not in suite.given(0):
        assert suite.workers[0].run()
    while suite.workers[2].run() or suite.workers[1].run():
        pass
    assert suite.given(2) == ["SHARED", "FREE"], "it has left the gate"
    assert set(suite.given(1)[1:]) == {"FREE"}
    assert all(worker.done > 4 and not worker.shutting_down for worker in suite.workers[1:])
    while "LOST" not in suite.given(0):
        assert suite.workers[0].run()
    assert suite.given(2)[2:] == ["OWN"]
    suite.run_all([0, 1, 2])
    assert sum(worker.done for worker in suite.workers) == len(suite.tests)


def test_of_one_kind_those_that_are_long_come_first(tmp_path: Path) -> None:
    suite = Suite(tmp_path, [Kind.SHARED] * 4, workers=1, long=frozenset({2, 3}))
    suite.run_all([0])
    begun = dict.fromkeys(suite.tests[index].partition("::")[0] for index in suite.workers[0].given)
    assert [name.split("_")[1] for name in begun] == ["2", "3", "0", "1"]


def test_unit_tests_alone_are_for_all_workers(tmp_path: Path) -> None:
    suite = Suite(tmp_path, [Kind.FREE] * 4, workers=2)
    suite.run_all([0, 1])
    assert all(suite.given(number) for number in range(2))
    assert sum(worker.done for worker in suite.workers) == len(suite.tests)


def test_who_needs_all_nodes_waits_for_the_module_that_loses_one(tmp_path: Path) -> None:
    loses, needs = Gate(tmp_path), Gate(tmp_path)
    loses.enter(Kind.LOST)
    needs.enter(Kind.OWN)
    inside = threading.Event()

    def work() -> None:
        with needs.all_nodes():
            inside.set()

    waits = threading.Thread(target=work)
    waits.start()
    with loses.all_nodes():  # its own nodes are its own business
        assert not inside.wait(0.3)
    loses.leave()
    assert inside.wait(30)
    waits.join()
    needs.leave()


def test_a_module_does_not_lose_a_node_that_is_needed(tmp_path: Path) -> None:
    loses, needs = Gate(tmp_path), Gate(tmp_path)
    inside = threading.Event()

    def work() -> None:
        loses.enter(Kind.LOST)
        inside.set()

    waits = threading.Thread(target=work)
    with needs.all_nodes():
        waits.start()
        assert not inside.wait(0.3)
    assert inside.wait(30)
    waits.join()
    loses.leave()


def test_a_module_that_is_to_lose_a_node_keeps_none_from_those_for_which_it_waits(tmp_path: Path) -> None:
    """Whoever is on the release may have to bring its image into all nodes before it leaves."""
    loses, shares = Gate(tmp_path), Gate(tmp_path)
    shares.enter(Kind.SHARED)
    inside, had_all = threading.Event(), threading.Event()

    def lose() -> None:
        loses.enter(Kind.LOST)
        inside.set()

    def need() -> None:
        with shares.all_nodes():
            had_all.set()

    threads = [threading.Thread(target=work, daemon=True) for work in (lose, need)]
    threads[0].start()
    assert not inside.wait(0.3)
    threads[1].start()
    assert had_all.wait(30), "each waits for the other"
    assert not inside.is_set()
    shares.leave()
    assert inside.wait(30)
    loses.leave()
