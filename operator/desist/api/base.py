"""What all models of the custom resources share: frozen values, camelCase on the wire, exact times.

Contract: a model is immutable and hashable (lists are tuples, free-form JSON is `Opaque`), so that the core can
compare, store and search observed states. Parsing ignores fields that this version does not know: a newer
controller may have written them. `wire()` is the only way back to JSON; parsing its result gives an equal model.
It leaves absent fields and empty lists out, so it is a whole to replace the stored one with, never a merge patch.
Defaults are written out: what a run was started with must still say the same when a later version defaults otherwise.
Rejected: TypedDicts and plain dicts (nobody checks their names), msgspec structs here (no JSON schema constraints
of the kind that a CRD needs, so the CRDs could not be generated from them).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import not_
from typing import Annotated, Any, Self
from weakref import WeakValueDictionary

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from desist.api.markers import MAP_TYPE, PRESERVE


class Model(BaseModel):
    """A frozen value with camelCase names on the wire."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore", use_attribute_docstrings=True
    )

    def replace(self, **changes: Any) -> Self:
        """The same value with other fields, by their Python names. Raises TypeError for a name that it does not have.

        `model_copy` takes any name: a misspelled one would compare as equal and be dropped when it is written.
        Where nothing differs it is the same object, which costs no copy and compares at once.
        """
        if changes.items() <= vars(self).items():
            return self
        unknown = changes.keys() - type(self).__pydantic_fields__.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        return self.model_copy(update=changes)

    def wire(self) -> dict[str, Any]:
        """The JSON object as Kubernetes stores it: camelCase, absent fields and empty lists left out, RFC 3339."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True, weakref_slot=True, repr=False)
class Opaque:
    """Free-form JSON kept as canonical text: immutable, hashable, compared by content.

    `Opaque.of(value)` takes any JSON value; `.value` gives a fresh copy of it back. Equal ones are one object: what ten
    thousand executions were started with is held once. Kept as bytes, because one emoji makes Python hold a whole text
    at four bytes a character.
    """

    data: bytes
    """The text in UTF-8."""

    @classmethod
    def of(cls, value: Any) -> Opaque:
        """Wrap a JSON value (objects, lists, strings, numbers, booleans, None).

        Raises TypeError or ValueError for what JSON cannot hold (NaN, dates, ...).
        """
        if isinstance(value, Opaque):
            return value
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        data = text.encode()
        held = _HELD.get(data)
        if held is None:
            held = _HELD[data] = cls(data)
        return held

    @property
    def text(self) -> str:
        """As text."""
        return self.data.decode()

    @property
    def value(self) -> Any:
        """A fresh copy of the JSON value."""
        return json.loads(self.data)

    def __repr__(self) -> str:
        return f"Opaque({self.data[:60].decode(errors='replace')!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.of,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda held: held.value, when_used="always"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # Granular, managedFields would name each of its fields again, and double what an object takes in etcd.
        return {"type": "object", PRESERVE: True, MAP_TYPE: "atomic"}


_HELD: WeakValueDictionary[bytes, Opaque] = WeakValueDictionary()
NULL = Opaque.of(None)


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, the one spelling of times in Desist. `moment` must be aware."""
    # Not strftime: its %Y writes the year 1 as "1", which nothing reads.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9990, 1, 1, tzinfo=UTC)
"""Between these every time that can be stored is told, so that no sum with a duration leaves what can be told."""


_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d.*(Z|z|[+-]\d\d:\d\d)")


def within(moment: datetime) -> datetime:
    """The nearest time that can be told, in UTC. `moment` must be aware."""
    return min(max(moment, EARLIEST), LATEST).astimezone(UTC)


def _told(value: Any, read: ValidatorFunctionWrapHandler) -> datetime:
    """The API server takes the year 0, and offsets of four days: such a time is an early one."""
    try:
        return within(read(value))
    except ValidationError:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return EARLIEST
        raise


Time = Annotated[AwareDatetime, WrapValidator(_told), PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""A moment with its time zone, from 1970 to 9990; written in UTC."""

Id = Annotated[str, Field(max_length=36)]
"""A ULID, or a UID of Kubernetes."""
Short = Annotated[str, Field(max_length=128)]
Text = Annotated[str, Field(max_length=4096)]

LEFT_OUT_EMPTY = Field(exclude_if=not_)
"""For lists whose default is the empty one: `wire()` leaves them out then."""
