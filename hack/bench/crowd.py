"""Thousands of executions, made quickly: ended ones, and open ones that cannot begin.

Contract: bodies are made by `body`, written by many requests at a time; statuses are written by the bench, so that no
run has to be run. An ended one's status is that of a real run (`ended`); an open one is refused by Desist itself (two
regular containers), so it is Stalled without a request of its own, and a stop of it is an acceptance and an end.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from desist.kube.client import Client
from desist.kube.connection import Connection
from desist.kube.errors import AlreadyExists
from desist.kube.lanes import Allowance
from desist.kube.options import ClientOptions
from desist.kube.resource import Resource

EXECUTIONS = Resource("desist.dev", "v1alpha1", "workflowexecutions")
AT_A_TIME = 24
WIDE = Allowance(at_a_time=AT_A_TIME, a_second=100_000, burst=1000)
Object = dict[str, Any]


def template(padding: int = 1500) -> Object:
    """A pod template of a usual size: a container with a dozen variables."""
    variables = [{"name": f"VARIABLE_{number}", "value": "v" * (padding // 12)} for number in range(12)]
    return {
        "spec": {
            "containers": [
                {
                    "name": "workflow",
                    "image": "localhost/desist-workload:1",
                    "imagePullPolicy": "Never",
                    "command": ["sleep", "infinity"],
                    "env": variables,
                }
            ]
        }
    }


def stalled(padding: int = 1500) -> Object:
    """A template that Desist refuses: two regular containers."""
    made = template(padding)
    made["spec"]["containers"].append({"name": "second", "image": "a", "command": ["a"]})
    return made


def body(name: str, spec_template: Object, number: int, **spec: Any) -> Object:
    """An execution; each has arguments of its own."""
    workflow = {"template": spec_template, "stopPolicy": {"gracePeriodSeconds": 5}}
    return {
        "apiVersion": "desist.dev/v1alpha1",
        "kind": "WorkflowExecution",
        "metadata": {"name": name},
        "spec": {"workflowSpec": workflow, "arguments": {"order": number}, **spec},
    }


def ended_status(of: Object, made: Object) -> Object:
    """The status of a run that has ended, for another execution."""
    status: Object = copy.deepcopy(of["status"])
    for part in (status, *status["conditions"]):
        part["observedGeneration"] = made["metadata"]["generation"]
    status["workflowSpec"] = made["spec"]["workflowSpec"]
    status["arguments"] = made["spec"]["arguments"]
    for process in status["processes"]:
        process["pod"] = f"{made['metadata']['name']}-{status['runId'].lower()}-1"
    return status


class Crowd:
    """Writes many objects in one namespace."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

    def create(self, bodies: Iterable[Object], status: Callable[[Object], Object] | None = None) -> None:
        """Create them, each with the status that the function gives."""

        async def one(client: Client, held: Object) -> None:
            try:
                made = await client.create(EXECUTIONS, held, namespace=self._namespace)
            except AlreadyExists:
                return
            if status is not None:
                address = EXECUTIONS.at(made["metadata"]["name"], self._namespace)
                await client.replace_status(address, {**made, "status": status(made)})

        asyncio.run(self._all(one, bodies))

    def patch(self, names: Iterable[str], patch: Object) -> None:
        """Merge this into each."""

        async def one(client: Client, name: str) -> None:
            await client.patch(EXECUTIONS.at(name, self._namespace), patch)

        asyncio.run(self._all(one, names))

    async def _all(self, one: Callable[[Client, Any], Awaitable[None]], items: Iterable[Any]) -> None:
        left = iter(items)
        options = ClientOptions(starts=WIDE, patience=60, request_timeout=60)
        async with Client(self._connection, options) as client, asyncio.TaskGroup() as group:

            async def worker() -> None:
                for item in left:
                    await one(client, item)

            for _ in range(AT_A_TIME):
                group.create_task(worker())
