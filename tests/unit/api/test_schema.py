"""The converter: what it makes of models, and what it refuses."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import ConfigDict, Field, create_model

from desist.api.base import LEFT_OUT_EMPTY, Model, Opaque, Time
from desist.api.markers import AnyJson, ListMap, OneOf, Rule, rules
from desist.api.schema import Inexpressible, structural


class Colour(StrEnum):
    RED = "Red"
    GREEN = "Green"


class Item(Model):
    """An item."""

    key: Annotated[str, Field(max_length=8)]
    """Its key."""
    size: int | None = None
    """Its size."""


class Tree(Model):
    """A tree."""

    child: Tree | None = None
    """A subtree."""


def _property_of(annotation: Any, default: Any = ..., description: str | None = "Words.") -> dict[str, Any]:
    """The structural schema of a model's only field `it`."""
    model = create_model("Trial", __base__=Model, it=(annotation, Field(default, description=description)))
    converted: dict[str, Any] = structural(model)["properties"]["it"]
    converted.pop("description", None)
    return converted


SHORT = Annotated[str, Field(max_length=8)]
EXPRESSED: list[tuple[str, Any, dict[str, Any]]] = [
    ("a string with its limit", SHORT, {"type": "string", "maxLength": 8}),
    ("an optional string without null", SHORT | None, {"type": "string", "maxLength": 8}),
    ("an enum as long as its longest value", Colour, {"type": "string", "maxLength": 5, "enum": ["Red", "Green"]}),
    ("an optional enum", Colour | None, {"type": "string", "maxLength": 5, "enum": ["Red", "Green"]}),
    (
        "a closed set of strings, without its pattern",
        Annotated[str, Field(pattern="^(a|bb)$"), OneOf(("a", "bb"))],
        {"type": "string", "maxLength": 2, "enum": ["a", "bb"]},
    ),
    ("an integer of 64 bits", int, {"type": "integer", "format": "int64"}),
    (
        "an integer with bounds",
        Annotated[int, Field(ge=1, le=9)] | None,
        {"type": "integer", "minimum": 1, "maximum": 9, "format": "int64"},
    ),
    ("a boolean", bool, {"type": "boolean"}),
    ("a time", Time, {"type": "string", "format": "date-time"}),
    (
        "a free object, as one value",
        Opaque,
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-map-type": "atomic"},
    ),
    ("any JSON value", Annotated[Opaque, AnyJson()] | None, {"x-kubernetes-preserve-unknown-fields": True}),
    (
        "a list as one value",
        Annotated[tuple[SHORT, ...], Field(max_length=3)],
        {
            "type": "array",
            "maxItems": 3,
            "x-kubernetes-list-type": "atomic",
            "items": {"type": "string", "maxLength": 8},
        },
    ),
    (
        "a map with its limit",
        Annotated[dict[str, SHORT], Field(max_length=3)],
        {"type": "object", "maxProperties": 3, "additionalProperties": {"type": "string", "maxLength": 8}},
    ),
    (
        "a rule",
        Annotated[SHORT, Rule("self != ''", message="say something")],
        {
            "type": "string",
            "maxLength": 8,
            "x-kubernetes-validations": [{"rule": "self != ''", "message": "say something"}],
        },
    ),
]


@pytest.mark.parametrize(("annotation", "expected"), [row[1:] for row in EXPRESSED], ids=[row[0] for row in EXPRESSED])
def test_the_converter_expresses(annotation: Any, expected: dict[str, Any]) -> None:
    assert _property_of(annotation) == expected


def test_a_list_of_objects_that_a_field_tells_apart_names_that_field() -> None:
    converted = _property_of(Annotated[tuple[Item, ...], Field(max_length=3), ListMap("key")])
    assert converted["x-kubernetes-list-type"] == "map"
    assert converted["x-kubernetes-list-map-keys"] == ["key"]
    assert converted["items"]["required"] == ["key"]
    assert converted["items"]["properties"]["size"] == {
        "type": "integer",
        "format": "int64",
        "description": "Its size.",
    }


DEFAULTS: list[tuple[str, Any, Any, Any]] = [
    ("a value", int, 5, 5),
    ("a model without its absent fields", Item, Item(key="a"), {"key": "a"}),
    ("nothing for null", int | None, None, None),
    ("nothing for the empty list", Annotated[tuple[SHORT, ...], Field(max_length=3), LEFT_OUT_EMPTY], (), None),
]


@pytest.mark.parametrize(
    ("annotation", "default", "expected"), [row[1:] for row in DEFAULTS], ids=[row[0] for row in DEFAULTS]
)
def test_a_default_is_written_as(annotation: Any, default: Any, expected: Any) -> None:
    assert _property_of(annotation, default).get("default") == expected


def test_a_rule_of_a_model_sits_at_the_model_and_keeps_its_parts() -> None:
    rule = Rule("self.it == oldSelf.it", "it stays", message_expression="'it stays ' + self.it", field_path=".it")
    model = create_model(
        "Ruled", __base__=Model, it=(SHORT, Field(description="Words.")), __config__=None, __doc__="Ruled."
    )
    model.model_config = ConfigDict(**model.model_config | {"json_schema_extra": rules(rule)})
    model.model_rebuild(force=True)
    assert structural(model)["x-kubernetes-validations"] == [
        {
            "rule": "self.it == oldSelf.it",
            "message": "it stays",
            "messageExpression": "'it stays ' + self.it",
            "fieldPath": ".it",
        }
    ]


def test_a_field_of_the_model_can_be_left_out_with_its_requirement() -> None:
    schema = structural(Item, without=frozenset({"key"}))
    assert "required" not in schema
    assert list(schema["properties"]) == ["size"]


REFUSED: list[tuple[str, Any, str]] = [
    ("a string without a limit", str, "Trial.it: a string without max_length"),
    ("an optional string without a limit", str | None, "Trial.it: a string without max_length"),
    ("a list without a limit", tuple[SHORT, ...], "Trial.it: a list without max_length"),
    (
        "a string without a limit in a list",
        Annotated[tuple[str, ...], Field(max_length=3)],
        "Trial.it[]: a string without max_length",
    ),
    ("a map without a limit", dict[str, SHORT], "Trial.it: a map without max_length"),
    (
        "a string without a limit in a map",
        Annotated[dict[str, str], Field(max_length=3)],
        "Trial.it{}: a string without max_length",
    ),
    (
        "a map of anything",
        Annotated[dict[str, Any], Field(max_length=3)],
        "Trial.it: a map whose values have no type",
    ),
    (
        "a union",
        SHORT | int,
        "Trial.it: a union; name one field for each alternative and add a rule that exactly one is set",
    ),
    ("recursion", Tree, "Trial.it.child: recursion through Tree; a CRD has no references"),
    ("a fraction", float, "Trial.it: the type 'number' is none that a field may have"),
    ("any type at all", Any, "Trial.it: no type"),
    (
        "a keyword that it does not know",
        Annotated[int, Field(multiple_of=2)],
        "Trial.it: cannot express multipleOf of a integer",
    ),
    (
        "a list whose key may be absent",
        Annotated[tuple[Item, ...], Field(max_length=3), ListMap("size")],
        "Trial.it: the list's key size is not a required field of its items",
    ),
    (
        "a tuple of several types",
        Annotated[tuple[int, SHORT], Field(description="x")],
        "Trial.it: cannot express prefixItems of a array",
    ),
]


@pytest.mark.parametrize(("annotation", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_the_converter_refuses(annotation: Any, message: str) -> None:
    with pytest.raises(Inexpressible) as refused:
        _property_of(annotation)
    assert str(refused.value) == message


def test_the_converter_refuses_a_field_without_a_description() -> None:
    with pytest.raises(Inexpressible, match=r"^Trial\.it: no description"):
        _property_of(int, description=None)
