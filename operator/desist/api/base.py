"""What all models of the custom resources share: frozen values, camelCase on the wire, exact times.

Contract: a model is immutable and hashable (lists are tuples, free-form JSON is `Opaque`), so that the core can
compare, store and search observed states. Parsing ignores fields that this version does not know: a newer
controller may have written them. `wire()` is the only way back to JSON; it leaves absent fields out.
Rejected: TypedDicts and plain dicts (nobody checks their names), msgspec structs here (no JSON schema constraints
of the kind that a CRD needs, so the CRDs could not be generated from them).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainSerializer
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Model(BaseModel):
    """A frozen value with camelCase names on the wire."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore", use_attribute_docstrings=True
    )

    def wire(self) -> dict[str, Any]:
        """The JSON object as Kubernetes stores it: camelCase, absent fields left out, times in RFC 3339."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Opaque:
    """Free-form JSON kept as canonical text: immutable, hashable, compared by content.

    `Opaque.of(value)` takes any JSON value; `.value` gives a fresh copy of it back.
    """

    __slots__ = ("text",)

    text: str

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def of(cls, value: Any) -> Opaque:
        """Wrap a JSON value (objects, lists, strings, numbers, booleans, None)."""
        if isinstance(value, Opaque):
            return value
        return cls(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))

    @property
    def value(self) -> Any:
        """A fresh copy of the JSON value."""
        return json.loads(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Opaque({self.text[:60]!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.of,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda held: held.value, when_used="always"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, the one spelling of times in Desist."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""A moment in UTC."""
