"""A checker of the structural schemas of crds/, as the API server applies them to what is written.

Contract: `complaints` yields one message for each place where a value does not fit; a field that the schema does not
name is one too, because the API server drops it. A keyword that is not known here raises, so that a new one is not
passed over. CEL rules are not judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

KNOWN = {
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
INT64 = 2**63


def complaints(schema: Schema, value: Any, at: str = "") -> Iterator[str]:
    """What of the value does not fit."""
    if unknown := set(schema) - KNOWN:
        raise AssertionError(f"{at}: the checker does not know {sorted(unknown)}")
    kind = schema.get("type")
    if kind is not None and not _TYPES[kind](value):
        yield f"{at}: {value!r:.60} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r:.60} is none of {schema['enum']}"
    if kind is not None and kind in _BY_TYPE:
        yield from _BY_TYPE[kind](schema, value, at)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _string(schema: Schema, value: str, at: str) -> Iterator[str]:
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{at}: {len(value)} characters are more than {schema['maxLength']}"
    if len(value) < schema.get("minLength", 0):
        yield f"{at}: {len(value)} characters are fewer than {schema['minLength']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r:.60} does not match {schema['pattern']}"
    if schema.get("format") == "date-time" and not DATE_TIME.fullmatch(value):
        yield f"{at}: {value!r} is no time"
    try:
        value.encode()
    except UnicodeEncodeError:
        yield f"{at}: is no Unicode text"


def _integer(schema: Schema, value: int, at: str) -> Iterator[str]:
    least, most = schema.get("minimum", -INT64), schema.get("maximum", INT64 - 1)
    if not least <= value <= most:
        yield f"{at}: {value} is not from {least} to {most}"


def _array(schema: Schema, value: list[Any], at: str) -> Iterator[str]:
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{at}: {len(value)} items are more than {schema['maxItems']}"
    for index, item in enumerate(value):
        yield from complaints(schema["items"], item, f"{at}[{index}]")
    keys = schema.get("x-kubernetes-list-map-keys", ())
    found = [tuple(item.get(key) for key in keys) for item in value if isinstance(item, dict)] if keys else []
    if len(set(found)) < len(found):
        yield f"{at}: two items have the same {', '.join(keys)}"


def _object(schema: Schema, value: dict[str, Any], at: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}.{name}: is missing"
    for name, below in value.items():
        if name in properties:
            yield from complaints(properties[name], below, f"{at}.{name}")
        elif not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{at}.{name}: is not in the schema"


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_BY_TYPE: Mapping[str, Callable[[Schema, Any, str], Iterator[str]]] = {
    "string": _string,
    "integer": _integer,
    "array": _array,
    "object": _object,
}
