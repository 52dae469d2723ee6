"""What is kept of pods by a watch that begins anew again and again."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes import client, watch

from tests.support.lab import Lab
from tests.support.last_states import LastStates


def pod(version: int, ended: bool = False) -> Any:
    """The state of one pod at that version."""
    state = SimpleNamespace(terminated=SimpleNamespace(exit_code=0) if ended else None)
    metadata = SimpleNamespace(uid="it", name="it", labels={}, resource_version=str(version), creation_timestamp=1)
    status = SimpleNamespace(container_statuses=[SimpleNamespace(name="workflow", state=state)])
    return SimpleNamespace(metadata=metadata, status=status)


def begun(monkeypatch: pytest.MonkeyPatch, *turns: list[Any] | Exception) -> tuple[LastStates, list[str | None]]:
    """What was kept after these turns of the watch, and the version from which each began."""
    left, versions = list(turns), list[str | None]()
    kept = LastStates(Lab("space", client.ApiClient()))

    class Turns:
        def stream(self, *_: Any, resource_version: str | None = None, **__: Any) -> Iterator[dict[str, Any]]:
            versions.append(resource_version)
            turn = left.pop(0)
            if not left:
                kept.stop()
            if isinstance(turn, Exception):
                raise turn
            return iter([{"type": "MODIFIED", "object": seen} for seen in turn])

    monkeypatch.setattr(watch, "Watch", Turns)
    monkeypatch.setattr("tests.support.last_states.AGAIN_SECONDS", 0)
    kept._run()
    return kept, versions


def test_an_end_between_two_watches_is_seen_as_the_next_goes_on_where_the_last_one_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, versions = begun(monkeypatch, [pod(5), pod(7)], [pod(9, ended=True)])
    assert versions == [None, "7"]
    assert kept.named("it", 0).metadata.resource_version == "9"


def test_where_that_is_too_old_what_is_there_comes_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, versions = begun(monkeypatch, [pod(5)], client.ApiException(410), [pod(90, ended=True)])
    assert versions == [None, "5", None]
    assert kept.named("it", 0).metadata.resource_version == "90"
