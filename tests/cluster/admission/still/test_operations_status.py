"""Only the operator writes the status of operations, and by it nothing else of them."""

from __future__ import annotations

import pytest

from tests.cluster.admission.accounts import Account, acting_as, status_refused
from tests.cluster.admission.processes import Process, owner_of, path_of
from tests.cluster.admission.test_status import ENDED, HOW, of_status, tried
from tests.cluster.chart.conftest import ACCOUNT
from tests.support.lab import Execution

pytestmark = [pytest.mark.conformance("I6"), pytest.mark.usefixtures("operator_still")]


@pytest.mark.parametrize("how", HOW)
def test_nobody_else_ends_an_operation_by_writing_its_status(
    mallory: Account, process: Process, running: Execution, how: str
) -> None:
    held = process.creates(process.asks_for(running, f"status by {how}"))
    assert "status" not in held, "a status that comes with a new object is dropped, whoever sends it"
    path = path_of(process.lab, held, "status")
    assert status_refused(tried(mallory, how, path, of_status(how, ENDED)))
    assert tried(acting_as(ACCOUNT), how, path, of_status(how, ENDED)).status == 200


def test_by_its_status_nothing_else_of_an_operation_changes(process: Process, running: Execution) -> None:
    held = process.creates(process.asks_for(running, "all by status"))
    changed = held | {
        "metadata": held["metadata"] | {"ownerReferences": [owner_of(running) | {"name": "x"}], "finalizers": ["a/b"]},
        "spec": held["spec"] | {"cleanup": True, "cancellation": {"mode": "Kill"}},
        "status": {"phase": "Running"},
    }
    written = acting_as(ACCOUNT).ask("PUT", path_of(process.lab, held, "status"), changed)
    assert written.status == 200, written.message
    assert written.body["spec"] == held["spec"]
    assert written.body["metadata"]["ownerReferences"] == held["metadata"]["ownerReferences"]
    assert "finalizers" not in written.body["metadata"]
