"""Quotas that leave a namespace no room for pods.

Contract: `no_pods` returns when no pod can be made any more. Admission goes by a quota's status, which a controller
writes: until then it refuses nothing.
"""

from __future__ import annotations

from typing import Any

from kubernetes import watch

from tests.support.lab import Lab

SECONDS = 90


def no_pods(lab: Lab, name: str) -> None:
    """A quota of that name, by which there are to be no pods; those that are there stay."""
    body = {"metadata": {"name": name}, "spec": {"hard": {"pods": "0"}}}
    lab.core.create_namespaced_resource_quota(lab.name, body)
    stream: Any = watch.Watch().stream(lab.core.list_namespaced_resource_quota, lab.name, timeout_seconds=SECONDS)
    held = any((event["object"].status.hard or {}).get("pods") == "0" for event in stream)
    assert held, f"the quota is not in force after {SECONDS} s"
