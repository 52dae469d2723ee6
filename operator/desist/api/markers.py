"""What a field can say to the API server beyond its Python type: CEL rules, list types, closed sets of strings.

Contract: a marker goes into `Annotated[...]` beside `Field`; a rule for a whole model goes into its `model_config` by
`rules(...)`. Both only add to the JSON schema, from which schema.py makes the CRDs; they change nothing in Python,
because what reaches Python has passed the API server.
Rejected: bare `json_schema_extra` dicts on every field (their keys are checked by nobody before the API server does).
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import GetJsonSchemaHandler
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

VALIDATIONS = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"
PRESERVE = "x-kubernetes-preserve-unknown-fields"


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule with the message that a user reads when it fails."""

    rule: str
    """The CEL expression; True means valid. `oldSelf` makes it a transition rule, asked on updates only."""
    message: str
    """Says what is allowed. Shown where `message_expression` is absent or fails."""
    message_expression: str = ""
    """A CEL string that names the values at hand."""
    field_path: str = ""
    """The field that the message is about, where the rule sits above it, such as `.spec.cancellation`."""
    also_on_create: bool = False
    """`oldSelf` is an optional value, and the rule is asked where there is none, too."""

    def wire(self) -> JsonDict:
        """The rule as Kubernetes spells it."""
        spelled: JsonDict = {"rule": self.rule, "message": self.message}
        if self.message_expression:
            spelled["messageExpression"] = self.message_expression
        if self.field_path:
            spelled["fieldPath"] = self.field_path
        if self.also_on_create:
            spelled["optionalOldSelf"] = True
        return spelled

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the rule to the field's schema."""
        node = handler(schema)
        node[VALIDATIONS] = [*node.get(VALIDATIONS, []), self.wire()]
        return node


def rules(*given: Rule) -> JsonDict:
    """For `json_schema_extra` of a model: rules that see the whole object."""
    return {VALIDATIONS: [rule.wire() for rule in given]}


@dataclass(frozen=True, slots=True)
class ListMap:
    """A list whose items are told apart by one field: server-side apply merges them, a key cannot occur twice."""

    key: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the list type to the field's schema."""
        return handler(schema) | {LIST_TYPE: "map", LIST_MAP_KEYS: [self.key]}


@dataclass(frozen=True, slots=True)
class Whole:
    """An object with one owner, who always replaces all of it.

    managedFields then name it, and not each field below: a third of what such an object weighs, and of each write a
    fourth of the API server's work (decision 12).
    """

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the map type to the field's schema."""
        return handler(schema) | {MAP_TYPE: "atomic"}


@dataclass(frozen=True, slots=True)
class OneOf:
    """A closed set of strings; unlike a pattern, the API server's refusal lists them."""

    values: tuple[str, ...]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Name the values instead of a pattern."""
        return {"type": "string", "enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class AnyJson:
    """For an `Opaque` that may be any JSON value, not only an object."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """No type at all."""
        return {PRESERVE: True}
