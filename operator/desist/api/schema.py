"""From a model's JSON schema to a structural schema, the dialect in which Kubernetes wants CRDs.

Contract: `structural(model)` returns the schema or raises `Inexpressible`, which names the field. What the dialect or
our own rules cannot hold is refused, never weakened silently: recursion, unions, a string, list or map without a
limit, a field without a description, any keyword that is not in the tables below.
Rejected: hand-written CRDs (they drift from the models) and general converters (they know neither list types nor CEL
rules, and they let unlimited strings pass, which the API server then counts at their worst in every rule's cost).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from desist.api.markers import LIST_MAP_KEYS, LIST_TYPE, MAP_TYPE, PRESERVE, VALIDATIONS

Schema = dict[str, Any]

_NULL: Schema = {"type": "null"}
_REF = "#/$defs/"
_DROPPED = frozenset({"title"})
_COMMON = ("description", "default", VALIDATIONS)
_KEPT: Mapping[str, tuple[str, ...]] = {
    "string": ("enum", "format", "minLength", "maxLength", "pattern"),
    "integer": ("minimum", "maximum"),
    "boolean": (),
    "array": ("minItems", "maxItems", LIST_TYPE, LIST_MAP_KEYS),
    "object": ("required", "minProperties", "maxProperties", PRESERVE, MAP_TYPE),
    "": (PRESERVE,),
}
"""Keywords that are carried over as they are, by type; no type stands for any JSON value."""
_CONVERTED: Mapping[str, tuple[str, ...]] = {
    "array": ("items",),
    "object": ("properties", "additionalProperties"),
}


class Inexpressible(ValueError):
    """A model says something that the CRDs cannot; the message names the field."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the conversion stands: the path, for messages, and the definitions that are being expanded."""

    definitions: Mapping[str, Schema]
    path: str
    open: tuple[str, ...] = ()

    def below(self, step: str) -> _Place:
        return replace(self, path=f"{self.path}{step}")

    def refuse(self, why: str) -> Inexpressible:
        return Inexpressible(f"{self.path}: {why}")


def structural(model: type[BaseModel], without: frozenset[str] = frozenset()) -> Schema:
    """The structural schema of a model.

    `without` names properties of the model itself to leave out (Kubernetes owns `metadata`).
    Raises Inexpressible where the model says what a CRD cannot.
    """
    document = model.model_json_schema(by_alias=True, mode="validation")
    definitions = document.pop("$defs", {})
    document["properties"] = {k: v for k, v in document.get("properties", {}).items() if k not in without}
    document["required"] = [name for name in document.get("required", ()) if name not in without]
    return _convert(document, _Place(definitions, model.__name__))


def _convert(node: Schema, at: _Place) -> Schema:
    node, at = _expand(node, at)
    kind = node.get("type", "")
    if kind not in _KEPT:
        raise at.refuse(f"the type {kind!r} is none that a field may have")
    known = {"type", *_DROPPED, *_COMMON, *_KEPT[kind], *_CONVERTED.get(kind, ())}
    if unknown := sorted(node.keys() - known):
        raise at.refuse(f"cannot express {', '.join(unknown)} of a {kind or 'typeless value'}")
    result: Schema = {"type": kind} if kind else {}
    result |= {key: node[key] for key in (*_COMMON, *_KEPT[kind]) if key in node}
    _settle_default(result)
    _BY_KIND[kind](node, result, at)
    return result


def _expand(node: Schema, at: _Place) -> tuple[Schema, _Place]:
    """Follow references and unwrap optional fields until a plain node is left; what the field says wins."""
    while "$ref" in node or "anyOf" in node:
        outer = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
        if "anyOf" in node:
            inner = _sole_alternative(node["anyOf"], at)
        else:
            name = str(node["$ref"]).removeprefix(_REF)
            if name in at.open:
                raise at.refuse(f"recursion through {name}; a CRD has no references")
            at = replace(at, open=(*at.open, name))
            inner = at.definitions[name]
        both = [*inner.get(VALIDATIONS, []), *outer.get(VALIDATIONS, [])]
        node = inner | outer | ({VALIDATIONS: both} if both else {})
    return node, at


def _sole_alternative(alternatives: list[Schema], at: _Place) -> Schema:
    """Absent is how Kubernetes says null, so `X | None` is X; two real alternatives have no common form."""
    real = [alternative for alternative in alternatives if alternative != _NULL]
    if len(real) != 1:
        raise at.refuse("a union; name one field for each alternative and add a rule that exactly one is set")
    return real[0]


def _settle_default(result: Schema) -> None:
    """Absent says the same as null or an empty list: the API server need not write those into every object."""
    default = result.get("default")
    if default is None or default == []:
        result.pop("default", None)
    elif isinstance(default, dict):
        result["default"] = {key: value for key, value in default.items() if value is not None}


def _string(node: Schema, result: Schema, at: _Place) -> None:
    if "enum" in node:
        result["maxLength"] = max(map(len, node["enum"]))
    elif "format" in node:
        if node["format"] != "date-time":
            raise at.refuse(f"the string format {node['format']!r}; only date-time is checked by the API server alike")
    elif "maxLength" not in node:
        raise at.refuse("a string without max_length")


def _integer(node: Schema, result: Schema, at: _Place) -> None:
    result["format"] = "int64"


def _boolean(node: Schema, result: Schema, at: _Place) -> None:
    """Nothing to add."""


def _array(node: Schema, result: Schema, at: _Place) -> None:
    if "maxItems" not in node:
        raise at.refuse("a list without max_length")
    if "items" not in node:
        raise at.refuse("a list whose items have no single type")
    result["items"] = _convert(node["items"], at.below("[]"))
    result.setdefault(LIST_TYPE, "atomic")
    keys = result.get(LIST_MAP_KEYS, ())
    if missing := sorted(set(keys) - set(result["items"].get("required", ()))):
        raise at.refuse(f"the list's key {', '.join(missing)} is not a required field of its items")


def _object(node: Schema, result: Schema, at: _Place) -> None:
    if not result.get("required"):
        result.pop("required", None)
    if "additionalProperties" in node:
        _map(node, result, at)
    elif node.get("properties"):
        result["properties"] = {
            name: _property(schema, at.below(f".{name}")) for name, schema in node["properties"].items()
        }
    elif not node.get(PRESERVE):
        raise at.refuse("an object without fields")


def _map(node: Schema, result: Schema, at: _Place) -> None:
    if not isinstance(node["additionalProperties"], dict):
        raise at.refuse("a map whose values have no type")
    if "maxProperties" not in node:
        raise at.refuse("a map without max_length")
    result["additionalProperties"] = _convert(node["additionalProperties"], at.below("{}"))


def _property(schema: Schema, at: _Place) -> Schema:
    converted = _convert(schema, at)
    if not converted.get("description"):
        raise at.refuse("no description; `kubectl explain` is documentation")
    return converted


def _any(node: Schema, result: Schema, at: _Place) -> None:
    if not node.get(PRESERVE):
        raise at.refuse("no type")


_BY_KIND: Mapping[str, Callable[[Schema, Schema, _Place], None]] = {
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "array": _array,
    "object": _object,
    "": _any,
}
