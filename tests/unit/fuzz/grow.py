"""Random values that fit a structural schema.

Contract: `Grower.value` gives a value that the API server would store under that schema. The same random source gives
the same values. Fields of one name draw from a small pool now and then, so that what belongs together in a real object
(a run's id, a pod's UID, a command's id, a time) also does in some of the random ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from desist.lifecycle.ids import ulid
from tests.support.builders import T0, UID, at

Schema = Mapping[str, Any]

RUNS = (ulid(T0, UID, "run/1"), ulid(at(60), UID, "run/2"))
COMMANDS = tuple(ulid(at(n), UID, f"command/{n}") for n in range(1, 4))
PODS = ("order-1-abc-1", "order-1-abc-2", "other")
POD_UIDS = ("uid-1", "uid-2", "uid-3")
NODES = ("node-1", "node-2")
BOOTS = ("boot-1", "boot-2", "")
POOLS: Mapping[str, tuple[Any, ...]] = {
    "runId": RUNS,
    "requestedRunId": RUNS,
    "resolvedRunId": RUNS,
    "pod": PODS,
    "podUid": POD_UIDS,
    "node": NODES,
    "bootId": BOOTS,
    "commandId": COMMANDS,
    "supersededBy": (*COMMANDS, "completion"),
    "id": COMMANDS,
    "attempt": (0, 1, 1, 2),
    "sequence": (1, 2, 3, 4),
    "seq": (1, 2, 3, 4, 5),
    "commandCount": (0, 1, 2, 3, 40),
    "historyCount": (0, 1, 5, 300),
    "observedGeneration": (0, 1, 2),
    "killAfterSequence": (1, 2, 3),
    "gracePeriodSeconds": (0, 1, 5, 3600),
    "role": ("workflow", "workflow", "late-start"),
    "reason": ("PodMissed", "Forgotten", "NodeLost", "customer asked", ""),
}
"""By the name of the field; a value that does not fit its schema is not taken."""
TEXTS = ("", "a", "\u001b[31m", "\u202e", "\U0001f600", "<>&", "\x00", "ü", "line\nline", ": ")
TIMES = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "9999-12-31T23:59:59-14:00",
    "2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05.123456Z",
)
NUMBERS = (0, 1, 2, 31, 3600, 2**31, 2**53, 2**63 - 1, -1, -(2**63))


@dataclass
class Grower:
    """Grows values from one random source. `density` is how many of the optional fields are there, from 0 to 1."""

    random: Random
    density: float = 0.5

    def value(self, schema: Schema, name: str = "") -> Any:
        """A value of that schema, for a field of that name."""
        pool = [found for found in POOLS.get(name, ()) if _fits(schema, found)]
        if pool and self.random.random() < 0.8:
            return self.random.choice(pool)
        match schema.get("type"):
            case "object" if "properties" in schema:
                return self._object(schema)
            case "array":
                return self._array(schema, name)
            case "string":
                return self._string(schema)
            case "integer":
                return self._integer(schema)
            case "boolean":
                return self.random.random() < 0.5
            case "object":
                return {self.text(8): self.json(2) for _ in range(self.random.randint(0, 2))}
            case _:
                return self.json(3)

    def json(self, depth: int) -> Any:
        """Any JSON value."""
        kind = self.random.randint(0, 7 if depth else 5)
        if kind == 6:
            return [self.json(depth - 1) for _ in range(self.random.randint(0, 3))]
        if kind == 7:
            return {self.text(8): self.json(depth - 1) for _ in range(self.random.randint(0, 3))}
        return (None, True, self.random.choice(NUMBERS), 1.5, self.text(20), "")[kind]

    def text(self, longest: int) -> str:
        """Text of at most so many characters, sometimes of exactly so many."""
        piece = self.random.choice(TEXTS) or ""
        if self.random.random() < 0.1 and piece:
            return (piece * (longest // len(piece) + 1))[:longest]
        return "".join(self.random.choice(TEXTS) for _ in range(self.random.randint(0, 3)))[:longest]

    def time(self) -> str:
        """A time, near T0 or at the edge of all times."""
        if self.random.random() < 0.2:
            return self.random.choice(TIMES)
        return at(self.random.randint(-200, 200)).isoformat().replace("+00:00", "Z")

    def _object(self, schema: Schema) -> dict[str, Any]:
        required = schema.get("required", ())
        there = [n for n in schema["properties"] if n in required or self.random.random() < self.density]
        return {name: self.value(schema["properties"][name], name) for name in there}

    def _array(self, schema: Schema, name: str) -> list[Any]:
        most = schema["maxItems"]
        length = most if self.random.random() < 0.01 else min(most, self.random.randint(0, 4))
        keys = schema.get("x-kubernetes-list-map-keys", ())
        items = [self.value(schema["items"], name) for _ in range(length)]
        return list({tuple(item.get(key) for key in keys): item for item in items}.values()) if keys else items

    def _string(self, schema: Schema) -> str:
        if "enum" in schema:
            return str(self.random.choice(schema["enum"]))
        if schema.get("format") == "date-time":
            return self.time()
        least = schema.get("minLength", 0)
        return self.text(schema["maxLength"]).ljust(least, "x")

    def _integer(self, schema: Schema) -> int:
        least, most = schema.get("minimum", -(2**63)), schema.get("maximum", 2**63 - 1)
        found = [number for number in (*NUMBERS, least, most) if least <= number <= most]
        return self.random.choice(found)


def _fits(schema: Schema, found: Any) -> bool:
    match schema.get("type"):
        case "string":
            return isinstance(found, str) and ("enum" not in schema or found in schema["enum"])
        case "integer":
            fits = isinstance(found, int) and schema.get("minimum", found) <= found
            return fits and found <= schema.get("maximum", found)
        case _:
            return False
