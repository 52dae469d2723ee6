"""What of push is in the pod that is made: the key by which its launcher verifies, and its port."""

from __future__ import annotations

from typing import Any

import pytest

from desist.api import meta
from desist.api.base import Opaque
from desist.api.workflow import WorkflowSpec
from desist.lifecycle.observed.questions import WantedPod
from desist.lifecycle.pod.manifest import dry_run_manifest, pod_manifest
from desist.lifecycle.settings import Settings
from tests.unit.wire.builders import RUN_ID, execution, template, with_container

KEY = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
ON = Settings(push_key_id="0a1b2c3d", push_key=KEY, push_port=7700)


def made(given: dict[str, Any] | None = None, settings: Settings = ON) -> dict[str, Any]:
    spec = WorkflowSpec(template=Opaque.of(given or template()))
    found: dict[str, Any] = pod_manifest(execution(), spec, None, WantedPod("pod-1", RUN_ID, 1), settings).value
    return found


def said(pod: dict[str, Any]) -> dict[str, str]:
    env = {entry["name"]: entry.get("value") for entry in pod["spec"]["containers"][0]["env"]}
    return {name: env[name] for name in ("DESIST_PUSH_KEY", "DESIST_PUSH_PORT")}


def noted(pod: dict[str, Any]) -> dict[str, str]:
    kept = (meta.PUSH_KEY_ANNOTATION, meta.PUSH_PORT_ANNOTATION)
    return {key: value for key, value in pod["metadata"]["annotations"].items() if key in kept}


def test_the_launcher_gets_key_and_port_and_the_pod_says_which() -> None:
    pod = made()
    assert said(pod) == {"DESIST_PUSH_KEY": KEY, "DESIST_PUSH_PORT": "7700"}
    assert noted(pod) == {"desist.dev/push-key": "0a1b2c3d", "desist.dev/push-port": "7700"}


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        (template(), Settings()),
        (template(), Settings(push_key_id="0a1b2c3d", push_key=KEY, push_port=0)),
        (template(hostNetwork=True), ON),
    ],
)
def test_without_push_both_are_empty_and_nothing_is_noted(given: dict[str, Any], settings: Settings) -> None:
    """Empty, not absent: what an envFrom or the image says of them does not count."""
    pod = made(given, settings)
    assert said(pod) == {"DESIST_PUSH_KEY": "", "DESIST_PUSH_PORT": ""}
    assert noted(pod) == {}


def test_a_template_cannot_say_where_a_push_goes() -> None:
    given = with_container() | {"metadata": {"annotations": {"desist.dev/push-key": "x", "desist.dev/push-port": "1"}}}
    assert noted(made(given, Settings())) == {}
    assert noted(made(given))["desist.dev/push-key"] == "0a1b2c3d"


def test_a_dry_run_has_them_too() -> None:
    tried = dry_run_manifest(execution(), WorkflowSpec(template=Opaque.of(template())), None, ON).value
    assert noted(tried) == noted(made())
    assert said(tried) == said(made())
