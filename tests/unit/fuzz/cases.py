"""One random case: made, read, decided, and what came of it judged.

Contract: `run` raises AssertionError, or whatever the code under test raised, and nothing else; the same seed and index
give the same case. Two families: objects that are random altogether, as the CRDs' own schemas let them be stored, with
random pods and nodes; and real situations of which somebody has edited the status by hand, or a part of it was lost.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from desist.api.meta import API_VERSION
from desist.api.status import Stoppable, WorkflowExecutionStatus
from desist.controller.kinds import EXECUTION, WORKFLOW
from desist.controller.observe import with_live_pod
from desist.lifecycle.decide import decide
from desist.lifecycle.observed.pods import NodeView, PodView
from desist.lifecycle.observed.questions import Answer, CreateAnswer, Questions
from desist.lifecycle.observed.sight import Observed
from desist.lifecycle.plan import Action, CreatePod, EmitEvent, Plan, PostMailbox, PushStop, WriteStatus
from desist.lifecycle.settings import Settings
from desist.lifecycle.stop.urgency import awaits_stop, urgent
from desist.lifecycle.wire import datagram
from tests.support.builders import TEMPLATE, UID, at
from tests.unit.fuzz import bodies
from tests.unit.fuzz.grow import Grower
from tests.unit.fuzz.proof import unproven_end
from tests.unit.fuzz.schema import complaints
from tests.unit.fuzz.snapshots import snapshots
from tests.unit.lifecycle_sim.check_pushes import pushes_decide_nothing

CRDS = Path(__file__).parents[3] / "crds"
ROUNDS = 8
"""As the controller asks."""
PUSHING = Settings(push_key_id="0a1b2c3d", push_key="x")
REST = 6
"""So many writes may one situation lead to."""
Json = dict[str, Any]


@cache
def schema(plural: str) -> Json:
    """The schema of a kind, as it is stored in crds/."""
    document = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    found: Json = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def run(seed: int, index: int) -> None:
    """One case."""
    random = Random(f"{seed}:{index}")
    seen, now = (_random_case if index % 2 else _edited_case)(random)
    check(seen, now, random)


def check(seen: Observed, now: datetime, random: Random) -> None:
    """What must hold of every decision, up to the rest."""
    for _ in range(REST):
        seen, plan = _decided(seen, now, random)
        if seen.pushes:
            without = decide(replace(seen, pushes=()), now)
            assert isinstance(without, Plan)
            pushes_decide_nothing(seen, plan, without)
        before = seen.execution.status or WorkflowExecutionStatus()
        written = [action for action in plan.actions if isinstance(action, WriteStatus)]
        for action in plan.actions:
            _check_action(action)
        if not written:
            return
        after = _stored(written[0].status)
        if (problem := unproven_end(seen, before, after)) is not None:
            raise AssertionError(f"{before.phase} becomes {after.phase}: {problem}")
        seen = replace(seen, execution=seen.execution.replace(status=after))
    raise AssertionError(f"one situation leads to more than {REST} writes")


def _decided(seen: Observed, now: datetime, random: Random) -> tuple[Observed, Plan]:
    urgent(seen.execution, seen.pods, now)
    awaits_stop(seen.execution, seen.pods)
    for _ in range(ROUNDS):
        decided = decide(seen, now)
        if isinstance(decided, Plan):
            return seen, decided
        seen = _answered(seen, decided, now, random)
    raise AssertionError(f"there is still a question: {decided}")


def _answered(seen: Observed, asked: Questions, now: datetime, random: Random) -> Observed:
    if asked.dry_run:
        answer = random.choice(list(Answer))
        seen = replace(seen, dry_run=CreateAnswer(answer, "\u001b[31mno\u202e" * 900))
    if asked.live_pod is not None:
        wanted = asked.live_pod
        found = next((pod for pod in seen.pods if pod.name == wanted.name and wanted.uid in (None, pod.uid)), None)
        seen = with_live_pod(seen, found, seen.missed_since or now - timedelta(seconds=random.randint(0, 120)))
    listed = seen.operations_listed or asked.operations
    return replace(seen, live_nodes=(*seen.live_nodes, *asked.live_nodes), operations_listed=listed)


def _check_action(action: Action) -> None:
    match action:
        case EmitEvent():
            action.message.encode()
        case PushStop():
            assert len(datagram.body("0" * 32, action.text)) + datagram.BEFORE_BODY <= datagram.SIZE_LIMIT
        case PostMailbox():
            action.text.encode()
        case CreatePod():
            assert action.name
        case _:
            pass


def _stored(status: Stoppable) -> WorkflowExecutionStatus:
    """The status as it comes back from the API server."""
    wire = status.wire()
    found = list(complaints(schema("workflowexecutions")["properties"]["status"], wire, "status"))
    assert not found, f"written outside the schema: {found[:3]}"
    again = WorkflowExecutionStatus.model_validate(wire)
    assert again == status, "the status changes on the wire"
    return again


def _random_case(random: Random) -> tuple[Observed, datetime]:
    grow = Grower(random, density=random.choice((0.2, 0.5, 0.9)))
    execution = EXECUTION.read(_execution_body(grow))
    workflow = WORKFLOW.read(_body("Workflow", grow.value(schema("workflows"))))
    answer = CreateAnswer(random.choice(list(Answer)), grow.text(5000), at(random.randint(-60, 60)))
    seen = Observed(
        execution=execution.execution,
        settings=PUSHING,
        workflow=workflow.workflow if random.random() < 0.5 else None,
        pods=tuple(bodies.listening(grow, bodies.pods(grow))),
        pushes=tuple(bodies.pushes(grow)),
        nodes=tuple(bodies.nodes(grow)),
        created=answer if random.random() < 0.3 else None,
        field_manager=execution.field_manager,
        began=at(random.randint(-3600, 0)) if random.random() < 0.5 else None,
    )
    if random.random() < 0.3:
        kept = {pod.uid for pod in seen.pods}
        deleted = tuple(pod for pod in bodies.pods(grow) if pod.uid not in kept)
        seen = replace(seen, deleted=deleted)
    return seen, at(random.randint(0, 100))


def _execution_body(grow: Grower) -> Json:
    body = grow.value(schema("workflowexecutions"))
    for holder in (body["spec"], body.get("status", {})):
        if "workflowSpec" in holder and grow.random.random() < 0.8:
            holder["workflowSpec"]["template"] = TEMPLATE
    observed = body.get("status", {}).get("cancellation", {}).get("observed")
    if observed and grow.random.random() < 0.5:
        body["spec"]["cancellation"] = observed
    return _body("WorkflowExecution", body)


def _body(kind: str, content: Json) -> Json:
    metadata = {"name": "order-1", "namespace": "test", "uid": UID, "resourceVersion": "1", "generation": 1}
    found = list(complaints(schema(f"{kind.lower()}s"), content, kind))
    assert not found, f"the generator made what does not fit: {found}"
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, **content}


def _edited_case(random: Random) -> tuple[Observed, datetime]:
    seen, seconds = random.choice(snapshots())
    grow = Grower(random, density=0.5)
    execution = seen.execution
    wire = execution.status.wire() if execution.status else {}
    for _ in range(random.randint(1, 3)):
        _edit(grow, schema("workflowexecutions")["properties"]["status"], wire)
    body = _body("WorkflowExecution", {"spec": execution.spec.wire(), "status": wire})
    edited = EXECUTION.read(body).execution
    if random.random() < 0.3:
        edited = edited.replace(spec=edited.spec.replace(cancellation=None))
    seen = replace(seen, execution=edited, live_nodes=(), live_pod=False, dry_run=None)
    if random.random() < 0.5:
        own = [pod.uid for pod in seen.pods]
        pushed = tuple(replace(p, pod_uid=uid) for uid, p in zip(own, bodies.pushes(grow), strict=False))
        seen = replace(seen, settings=PUSHING, pods=tuple(bodies.listening(grow, list(seen.pods))), pushes=pushed)
    return seen, at(seconds + random.choice((0, 1, 30, 3600)))


def _edit(grow: Grower, where: Json, value: Json) -> None:
    """Change, add or take away one field, here or further below."""
    name = grow.random.choice(list(where["properties"]))
    below = where["properties"][name]
    present = value.get(name)
    if isinstance(present, dict) and "properties" in below and grow.random.random() < 0.7:
        _edit(grow, below, present)
    elif (
        isinstance(present, list) and present and "properties" in below.get("items", ()) and grow.random.random() < 0.7
    ):
        item = dict(grow.random.choice(present))
        _edit(grow, below["items"], item)
        value[name] = [item]
    elif name in value and name not in where.get("required", ()) and grow.random.random() < 0.4:
        del value[name]
    else:
        value[name] = grow.value(below, name)


__all__ = ["NodeView", "PodView", "check", "run", "schema"]
