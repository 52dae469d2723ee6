"""Builds a model with every field filled to its limits, from its own schema: the worst that may have to be stored.

Contract: strings and numbers at their largest, every enum at its last value, every list with two entries (a full
history of longest texts exceeds what any object may weigh). A new field is filled without a change here.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from desist.api.rules import RUN_ID
from desist.api.schema import structural

ModelT = TypeVar("ModelT", bound=BaseModel)
WIDEST = "ü"
ENTRIES = 2


def fullest(model: type[ModelT]) -> ModelT:
    """The model with everything that it can hold."""
    return model.model_validate(_value(structural(model), 0))


def _value(schema: dict[str, Any], number: int) -> Any:
    """The largest value of a schema; `number` tells entries of a list apart."""
    match schema.get("type"):
        case "object" if "properties" in schema:
            return {name: _value(below, number) for name, below in schema["properties"].items()}
        case "array":
            return [_value(schema["items"], entry) for entry in range(ENTRIES)]
        case "string":
            return _string(schema, number)
        case "integer":
            return schema.get("maximum", 2**53 - 1) - number
        case "boolean":
            return True
        case _:
            return {"any": [1, {"json": None}]}


def _string(schema: dict[str, Any], number: int) -> str:
    if "enum" in schema:
        return str(schema["enum"][-1 - number % len(schema["enum"])])
    if "format" in schema:
        return "2026-01-02T03:04:05.000006Z"
    if RUN_ID.wire() in schema.get("x-kubernetes-validations", ()):
        return "7" * 26
    longest: int = schema["maxLength"]
    return str(number) + WIDEST * (longest - 1)
