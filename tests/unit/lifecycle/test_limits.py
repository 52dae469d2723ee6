"""Sizes are the API server's: each line here was printed by Go's own encoder."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desist.lifecycle.pod.limits import ARGUMENTS_BYTES, TEMPLATE_BYTES, stored_size, too_large

GO = [
    ('"a"', 3),
    ('"<>&"', 20),
    ('"\\u2028\\u2029"', 14),
    ('"\\u0000\\u001f\\u007f\\b\\f\\n\\r\\t\\"\\\\/"', 30),
    ('"\U0001f600é\xa0"', 10),
    ('"\\ud800"', 5),
    ("[1,2,-3]", 8),
    ("1e20", 21),
    ("1e21", 5),
    ("1.5e300", 8),
    ("1e-6", 8),
    ("1e-7", 4),
    ("1.23e-10", 8),
    ("123456789.125", 13),
    ("[1.5,0.1,0.000001234]", 21),
    ("-0.0", 2),
    ("100000.0", 6),
    ("5e-324", 6),
    ('{"a":{"b":[true,false,null]}}', 29),
]


@pytest.mark.parametrize(("text", "bytes_of_go"), GO)
def test_a_value_is_as_large_as_go_writes_it(text: str, bytes_of_go: int) -> None:
    assert stored_size(json.loads(text)) == bytes_of_go


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(json_values)
def test_sizes_of_parts_add_up(value: Any) -> None:
    # Two values in a list: their own sizes, the brackets and the comma.
    assert stored_size([value, value]) == 2 * stored_size(value) + 3
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert stored_size(value) >= len(text.encode())


def padded(size: int, character: str = "x") -> dict[str, Any]:
    """A template that is stored with that many bytes, most of them of this character."""
    bare: dict[str, Any] = {"metadata": {"annotations": {"a": ""}}}
    each = stored_size(character) - 2
    count, rest = divmod(size - stored_size(bare), each)
    bare["metadata"]["annotations"]["a"] = character * count + "x" * rest
    assert stored_size(bare) == size
    return bare


@pytest.mark.parametrize("character", ["x", "<", "\u2028", "\U0001f600", "\x01", '"'])
@pytest.mark.parametrize(
    ("spec", "most", "reason", "where"),
    [
        (lambda value: {"template": value}, TEMPLATE_BYTES, "TemplateRefused", "spec.template"),
        (
            lambda value: {"workflowSpec": {"template": value}},
            TEMPLATE_BYTES,
            "TemplateRefused",
            "spec.workflowSpec.template",
        ),
        (
            lambda value: {"workflowRef": {"name": "a"}, "arguments": value},
            ARGUMENTS_BYTES,
            "ArgumentsRefused",
            "spec.arguments",
        ),
    ],
)
def test_the_largest_that_is_allowed_passes_and_a_byte_more_does_not(
    spec: Any, most: int, reason: str, where: str, character: str
) -> None:
    assert too_large(spec(padded(most, character))) is None
    found = too_large(spec(padded(most + 1, character)))
    assert found is not None
    assert found.reason == reason
    assert found.message.startswith(f"{where}: {most + 1} bytes of JSON are more than the {most} that are allowed")


def test_numbers_that_the_api_server_writes_out_count_in_full() -> None:
    # 60 KB as a user writes it, 300 KB as it is stored.
    assert too_large({"template": {"numbers": [1e20] * 12_500}}) is not None


def test_what_is_nested_too_deep_to_be_measured_is_too_large() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200_000):
        deep = {"a": deep}
    found = too_large({"template": deep})
    assert found is not None
    assert "nested too deep" in found.message
    while deep:  # an object that is this deep cannot be freed in one piece
        deep = deep["a"]


@pytest.mark.parametrize("spec", [None, [], "x", {}, {"workflowSpec": None}, {"workflowSpec": 3}, {"template": None}])
def test_what_is_no_spec_is_not_too_large(spec: Any) -> None:
    assert too_large(spec) is None
