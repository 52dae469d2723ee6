"""Log lines that a person and a program can both search: what happened, to which execution, in which reconcile.

Contract: `configure` owns the root logger (kopf's own handlers go). Inside `context(...)` every line carries the
given fields (execution, namespace, run, command, reconcile), also those of the Kubernetes client. Json: one object a
line, with `time`, `level`, `logger`, `message`. Text: the same for a terminal. Fields travel by a context variable, so
that no function hands a logger on. Rejected: kopf's object logger (it knows of no reconcile and no run), structlog (one
formatter does it).
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from desist.api.base import rfc3339
from desist.controller.settings import LogFormat, LogLevel

QUIET = {"kopf.objects": logging.WARNING, "aiohttp.access": logging.WARNING}
"""Loggers that would write a line for every event or request."""

_fields: ContextVar[Mapping[str, str]] = ContextVar("desist log fields", default=MappingProxyType({}))


@contextmanager
def context(**fields: str | None) -> Iterator[None]:
    """Add these fields to every line that is written inside; those that are None are left out."""
    token = _fields.set({**_fields.get(), **{name: value for name, value in fields.items() if value is not None}})
    try:
        yield
    finally:
        _fields.reset(token)


def fields() -> Mapping[str, str]:
    """The fields of the present context."""
    return _fields.get()


def configure(level: LogLevel, form: LogFormat) -> None:
    """Write to stderr from now on, and nowhere else."""
    handler = logging.StreamHandler(sys.stderr)
    as_text = form is LogFormat.TEXT or (form is LogFormat.AUTO and sys.stderr.isatty())
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    handler.addFilter(_attach)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.value)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least)


def _attach(record: logging.LogRecord) -> bool:
    record.desist = dict(_fields.get())
    return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "desist", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Time, level, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback below it."""
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        tail = "".join(f" {name}={value}" for name, value in getattr(record, "desist", {}).items())
        line = f"{moment} {record.levelname:<7} {record.getMessage()}{tail}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
