"""An Event says one thing about one version of one object, and saying it twice is the same Event."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

from desist.api.meta import ObjectMeta
from desist.controller.events import NOTE_BYTES, EventRecorder, Notice, Subject, event_body
from desist.controller.kinds import EXECUTION, WORKFLOW
from tests.unit.controller.fakes import NOW

SUBJECT = Subject(EXECUTION, ObjectMeta(name="order-1", namespace="shop", uid="u", resource_version="8"))
NOTICE = Notice("CancelRequested", "by kubectl")


def name(subject: Subject, notice: Notice) -> str:
    return str(event_body(subject, notice, NOW, "pod-1")["metadata"]["name"])


def test_the_same_thing_has_the_same_name_and_another_thing_another_one() -> None:
    assert name(SUBJECT, NOTICE) == name(SUBJECT, NOTICE)
    later = Subject(EXECUTION, SUBJECT.metadata.model_copy(update={"resource_version": "9"}))
    others = [name(later, NOTICE), name(SUBJECT, replace(NOTICE, reason="KillRequested"))]
    assert len({name(SUBJECT, NOTICE), *others}) == 3


def test_an_event_names_its_object_its_reason_and_its_reporter() -> None:
    body = event_body(SUBJECT, replace(NOTICE, warning=True), NOW, "pod-1")
    assert (body["type"], body["reason"], body["note"]) == ("Warning", "CancelRequested", "by kubectl")
    assert body["reportingController"] == "desist.dev/operator"
    assert body["regarding"]["uid"] == "u"
    assert body["eventTime"] == "2026-05-01T00:00:00.000000Z"


def test_a_long_name_and_a_long_message_are_cut_to_what_the_api_server_takes() -> None:
    long = Subject(WORKFLOW, SUBJECT.metadata.model_copy(update={"name": "a" * 253}))
    body = event_body(long, Notice("R", "ü" * 2000), NOW, "p" * 300)
    assert len(body["metadata"]["name"]) <= 253
    assert len(body["note"].encode()) <= NOTE_BYTES
    assert len(body["reportingInstance"]) == 128


async def test_an_api_server_that_is_slow_with_events_holds_nobody_up() -> None:
    answered, made = asyncio.Event(), []

    async def make(subject: Subject, notice: Notice, now: datetime) -> None:
        await answered.wait()
        made.append((notice.reason, now))

    recorder = EventRecorder(make, lambda: NOW)
    recorder.record(SUBJECT, NOTICE)
    assert made == []
    answered.set()
    await recorder.stop(5)
    assert made == [("CancelRequested", NOW)]


async def test_events_that_do_not_get_through_are_dropped_at_the_end() -> None:
    async def never(subject: Subject, notice: Notice, now: datetime) -> None:
        await asyncio.Event().wait()

    recorder = EventRecorder(never, lambda: NOW)
    recorder.record(SUBJECT, NOTICE)
    await asyncio.wait_for(recorder.stop(0.01), 20)
