"""JSON that is nested as deep as the API server takes it is read; what is deeper is one unreadable object."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from desist.controller.kinds import EXECUTION, WORKFLOW, Unreadable

READS = """
import json, sys
import msgspec
from desist.controller.frame import allow_deep_json
from desist.controller.records import execution_record, workflow_record
from desist.kube.wire import Page, WatchEvent, identity

deep = '{"a":' * 9_900 + "1" + "}" * 9_900
specs = {
    execution_record: ['{"workflowRef":{"name":"w"},"arguments":%s}', '{"workflowSpec":{"template":%s}}'],
    workflow_record: ['{"template":%s}'],
}
allow_deep_json()
for record, texts in specs.items():
    for text in texts:
        metadata = '{"name":"x","namespace":"a","uid":"u","resourceVersion":"5"}'
        raw = '{"metadata":%s,"spec":%s}' % (metadata, text % deep)
        assert identity(raw.encode()).uid == "u"
        Page.decode(('{"metadata":{"resourceVersion":"9"},"items":[%s]}' % raw).encode())
        WatchEvent.decode(('{"type":"ADDED","object":%s}' % raw).encode())
        for read in (json.loads, msgspec.json.decode):
            assert record(read(raw)).metadata.uid == "u"
print("read")
"""


def test_the_operator_reads_what_is_nested_9900_levels_deep() -> None:
    """In a process of its own: where the C stack were too small, it would die."""
    done = subprocess.run([sys.executable, "-c", READS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "read\n"), done.stderr[-2000:]


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


METADATA = {"name": "deep", "namespace": "shop", "uid": "u", "resourceVersion": "7"}
DEEP = nested(100_000)


@pytest.mark.parametrize(
    ("read", "spec"),
    [
        (EXECUTION.read, {"workflowRef": {"name": "order"}, "arguments": DEEP}),
        (EXECUTION.read, {"workflowSpec": {"template": DEEP}}),
        (WORKFLOW.read, {"template": DEEP}),
    ],
    ids=["arguments", "template in place", "template"],
)
def test_what_is_too_deep_to_read_is_left_out_and_told(
    read: Callable[[dict[str, Any]], Any], spec: dict[str, Any]
) -> None:
    record = read({"metadata": METADATA, "spec": spec})
    assert "it is nested too deep" in record.too_large.message


def test_a_status_that_is_too_deep_to_read_is_one_unreadable_object() -> None:
    body = {"metadata": METADATA, "spec": {"workflowRef": {"name": "order"}}, "status": {"result": DEEP}}
    with pytest.raises(Unreadable, match="shop/deep cannot be read: it is nested too deep"):
        EXECUTION.read(body)
