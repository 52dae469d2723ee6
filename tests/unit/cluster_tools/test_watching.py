"""What the helper that waits records of a watch, however often that begins anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import watch

from tests.support.lab import phase_of
from tests.support.watching import Recorder


def event(kind: str, version: int, phase: str = "", uid: str = "it") -> dict[str, Any]:
    status = {"status": {"phase": phase}} if phase else {}
    return {"type": kind, "object": {"metadata": {"uid": uid, "resourceVersion": str(version)}, **status}}


def recorded(monkeypatch: pytest.MonkeyPatch, *turns: list[dict[str, Any]]) -> tuple[Recorder, list[str]]:
    """A recorder after these turns of its watch, and from which version each began, and the next would."""
    left, begun = list(turns), ["0"]

    class Turns:
        def stream(self, *_: Any, resource_version: str, **__: Any) -> Iterator[dict[str, Any]]:
            assert resource_version == begun[-1]
            return iter(left.pop(0))

    monkeypatch.setattr(watch, "Watch", Turns)
    recorder = Recorder(_Api(), "space")
    while left:
        begun.append(recorder._watch(begun[-1]))
    return recorder, begun


class _Api:
    list_namespaced_custom_object = None


def test_what_a_watch_shows_again_is_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = [event("ADDED", 5, "Pending"), event("MODIFIED", 7, "Running")]
    again = [event("ADDED", 7, "Running"), event("ADDED", 6, "Pending", "other"), event("MODIFIED", 9, "Cancelling")]
    recorder, _ = recorded(monkeypatch, first, [*first, *again], [event("DELETED", 12, "Cancelling")])
    seen = recorder.history("it")
    assert [phase_of(state.object) for state in seen] == ["Pending", "Running", "Cancelling", "Cancelling"]
    assert [state.event for state in seen] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    assert len(recorder.history("other")) == 1


def test_a_watch_goes_on_from_its_last_bookmark(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, begun = recorded(
        monkeypatch, [event("ADDED", 5), event("BOOKMARK", 90)], [], [event("MODIFIED", 95, "x")]
    )
    assert begun == ["0", "90", "90", "95"]
    assert [state.object["status"] for state in recorder.history("it")] == [{}, {"phase": "x"}]
