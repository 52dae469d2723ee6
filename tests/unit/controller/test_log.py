"""Every line carries the fields of the reconcile that it is written in."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from desist.controller import log
from desist.controller.settings import LogFormat, LogLevel


@pytest.fixture(autouse=True)
def _restore() -> object:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    yield
    root.handlers[:], _ = before
    root.setLevel(before[1])


def test_a_line_is_json_with_the_fields_of_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(LogLevel.INFO, LogFormat.JSON)
    with log.context(namespace="shop", execution="order-1", command=None), log.context(reconcile="ab"):
        logging.getLogger("desist.x").info("phase %s", "Running")
    logging.getLogger("desist.x").debug("not this one")
    lines = capsys.readouterr().err.splitlines()
    line = json.loads(lines[0])
    assert len(lines) == 1
    assert (line["message"], line["level"]) == ("phase Running", "info")
    assert (line["namespace"], line["execution"], line["reconcile"]) == ("shop", "order-1", "ab")
    assert "command" not in line


def test_a_traceback_is_in_the_line_and_the_line_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(LogLevel.INFO, LogFormat.JSON)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("desist.x").exception("a reconcile failed")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "ValueError: broken" in json.loads(lines[0])["error"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(LogLevel.INFO, LogFormat.TEXT)
    with log.context(execution="order-1"):
        logging.getLogger("desist.x").warning("refused")
    assert capsys.readouterr().err.strip().endswith("WARNING refused execution=order-1")


def test_kopf_does_not_write_a_line_for_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(LogLevel.DEBUG, LogFormat.JSON)
    logging.getLogger("kopf.objects").info("Handler 'workflow_event' succeeded.")
    assert capsys.readouterr().err == ""


async def test_passes_that_run_at_once_do_not_mix_their_fields() -> None:
    seen: dict[str, str] = {}

    async def work(name: str) -> None:
        with log.context(execution=name):
            await asyncio.sleep(0)
            seen[name] = log.fields()["execution"]

    await asyncio.gather(work("a"), work("b"))
    assert seen == {"a": "a", "b": "b"}
