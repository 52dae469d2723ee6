"""What the operator holds of operations: bytes of memory for each open one, and for each that has ended.

`python -m hack.bench.operations`. No cluster: bodies as the API server would give them go through the watch's own
reader into the store, and what the reflector keeps besides is counted, too.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec

from desist.controller.kinds import OPERATION
from desist.controller.operation_records import Known, kept
from desist.controller.operations import Operations
from desist.kube.listing import Entry
from desist.kube.wire import identity

COUNT = 10_000
OF_A_RUN = 1_000
RUN = "01JD8XH3M4Q2V7T5K9W6C1B0Z{}"


def body(number: int, ended: bool) -> bytes:
    """An operation in a pod, with arguments of a kilobyte, as a watch delivers it."""
    of = number // OF_A_RUN
    execution = {"name": f"order-{of}", "uid": f"6f0f1c5e-0b2c-4f3c-9a7e-{of:012}"}
    place = {"pod": f"order-{of}-{number:020x}-1", "podUid": f"p{number:035}", "node": "node-1"}
    process = place | {"role": "operation", "state": "gone" if ended else "alive", "since": "2026-01-01T00:00:00Z"}
    status: dict[str, Any] = {
        "observedGeneration": 1,
        "phase": "Succeeded" if ended else "Running",
        "runId": RUN.format(of),
        "attempt": 1,
        "acceptedAt": "2026-01-01T00:00:00.000000Z",
        "startTime": "2026-01-01T00:00:01.000000Z",
        "processes": [process],
    }
    if ended:
        status |= {"endTime": "2026-01-01T00:10:00.000000Z", "result": {"rows": number}}
    return msgspec.json.encode(
        {
            "apiVersion": "desist.dev/v1alpha1",
            "kind": OPERATION.name,
            "metadata": {
                "name": f"order-{of}-{number:020x}",
                "namespace": "shop",
                "uid": f"0b2c1e5e-6f0f-4f3c-9a7e-{number:012}",
                "resourceVersion": str(1_000_000 + number + COUNT * ended),
                "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {
                "executionRef": execution,
                "runId": RUN.format(of),
                "key": f"charge/{number}",
                "pod": {"command": ["python", "-m", "shop.charge"]},
                "arguments": {"text": "a" * 1024},
                "createdBy": {"podName": f"order-{of}-abcdefghij-1", "podUid": f"w{of:035}"},
            },
            "status": status,
        }
    )


def each(ended: bool) -> float:
    """Bytes for each, of COUNT; one that has ended was open before."""
    operations, entries = Operations(), dict[str, Entry[Known]]()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(COUNT):
        for state in {False, ended}:
            raw = body(number, state)
            who = identity(raw)
            record = kept(OPERATION.read(msgspec.json.decode(raw), operations.trusted(who.uid)))
            operations.note(record)
            entries[who.uid] = Entry(who, record)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / COUNT


def main() -> None:
    open_, ended = each(ended=False), each(ended=True)
    print(f"{COUNT} operations: {open_:.0f} bytes for each open one, {ended:.0f} for each ended one")


if __name__ == "__main__":
    main()
