"""What an administrator may set, read from the environment once at start.

Contract: every variable begins with `DESIST_` and has a default; a wrong value is a `SettingError` that names the
variable and what it may hold, and it ends the process: a typo must not become a default. The core's own part is
`lifecycle.Settings`, handed on with every observation. Rejected: a settings library (one table does it), a
configuration file (the chart would mount it, and a change would need the same restart).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from desist.lifecycle.settings import LauncherDelivery, Settings

Choice = TypeVar("Choice", bound=StrEnum)


class SettingError(ValueError):
    """An environment variable holds something that it may not."""


class Delivery(StrEnum):
    """How the launcher gets into pods: fixed, or by what the cluster can do."""

    AUTO = "Auto"
    IMAGE_VOLUME = "ImageVolume"
    INIT_CONTAINER = "InitContainer"

    @property
    def fixed(self) -> LauncherDelivery | None:
        """The way itself; None for `Auto`."""
        return None if self is Delivery.AUTO else LauncherDelivery(self.value)


class PullPolicy(StrEnum):
    """Kubernetes' image pull policies."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class LogLevel(StrEnum):
    """The least severe line that is written."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogFormat(StrEnum):
    """How a log line looks; `Auto`: Text on a terminal, else Json."""

    AUTO = "Auto"
    JSON = "Json"
    TEXT = "Text"


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """Settings of the controller; durations in seconds."""

    core: Settings = field(default_factory=Settings)
    """What the core goes by; its `launcher_delivery` holds only where `delivery` is fixed."""
    delivery: Delivery = Delivery.AUTO
    workers: int = 16
    """Reconciles at the same time."""
    resync: float = 60.0
    """How often executions and workflows are listed (metadata only) and compared with what is known."""
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.AUTO
    push_secret: str = ""
    """NAMESPACE/NAME of the Secret that holds the push keys; empty: push is off."""
    push_rotate_after: float = 30.0
    """Days after which new pods get a new key; 0: never by itself."""
    probe_host: str = "::"
    probe_port: int = 8080
    """0: a free one, which the log names."""


def from_environment(environment: Mapping[str, str]) -> ControllerSettings:
    """The settings that the environment holds. Raises SettingError."""
    read = _Reader(environment)
    delivery = read.choice("LAUNCHER_DELIVERY", Delivery.AUTO)
    return ControllerSettings(
        core=_core(read, delivery),
        delivery=delivery,
        workers=read.integer("WORKERS", 16, 1, 256),
        resync=read.seconds("RESYNC_SECONDS", 60.0, least=1.0),
        log_level=read.choice("LOG_LEVEL", LogLevel.INFO),
        log_format=read.choice("LOG_FORMAT", LogFormat.AUTO),
        push_secret=read.place("PUSH_SECRET"),
        push_rotate_after=read.days("PUSH_ROTATE_AFTER_DAYS", 30.0),
        probe_host=read.text("PROBE_HOST", "::"),
        probe_port=read.integer("PROBE_PORT", 8080, 0, 65535),
    )


def _core(read: _Reader, delivery: Delivery) -> Settings:
    default = Settings()
    return Settings(
        launcher_image=read.text("LAUNCHER_IMAGE", default.launcher_image),
        launcher_pull_policy=read.choice("LAUNCHER_PULL_POLICY", PullPolicy(default.launcher_pull_policy)).value,
        launcher_delivery=delivery.fixed or default.launcher_delivery,
        node_ready_margin=read.seconds("NODE_READY_MARGIN_SECONDS", default.node_ready_margin),
        node_lost_after=read.seconds("NODE_LOST_AFTER_SECONDS", default.node_lost_after),
        unkillable_after=read.seconds("UNKILLABLE_AFTER_SECONDS", default.unkillable_after),
        delete_after=read.seconds("DELETE_AFTER_SECONDS", default.delete_after),
        restart_backoff=read.seconds("RESTART_BACKOFF_SECONDS", default.restart_backoff),
        restart_backoff_max=read.seconds("RESTART_BACKOFF_MAX_SECONDS", default.restart_backoff_max),
        retry_after=read.seconds("RETRY_AFTER_SECONDS", default.retry_after, least=0.1),
        retry_after_max=read.seconds("RETRY_AFTER_MAX_SECONDS", default.retry_after_max, least=0.1),
        push_port=read.integer("PUSH_PORT", default.push_port, 1, 65535),
        retry_invalid_after=read.seconds("RETRY_INVALID_AFTER_SECONDS", default.retry_invalid_after, least=0.1),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one variable at a time. An empty one counts as absent, as charts write it."""

    environment: Mapping[str, str]

    def text(self, name: str, default: str) -> str:
        return self.environment.get(f"DESIST_{name}", "").strip() or default

    def choice(self, name: str, default: Choice) -> Choice:
        kind = type(default)
        held = self.text(name, default.value)
        try:
            return kind(held)
        except ValueError:
            raise SettingError(f"DESIST_{name} is {held!r}; it may be one of {', '.join(kind)}") from None

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        held = self.text(name, str(default))
        if not held.isdecimal() or not least <= int(held) <= most:
            raise SettingError(f"DESIST_{name} is {held!r}; it must be a whole number from {least} to {most}")
        return int(held)

    def seconds(self, name: str, default: float, least: float = 0.0) -> float:
        return self._number(name, default, "seconds", least, 86_400)

    def days(self, name: str, default: float) -> float:
        return self._number(name, default, "days", 0, 3650)

    def place(self, name: str) -> str:
        held = self.text(name, "")
        if held and not re.fullmatch("[^/]+/[^/]+", held):
            raise SettingError(f"DESIST_{name} is {held!r}; it must be a namespace and a name, as a/b")
        return held

    def _number(self, name: str, default: float, what: str, least: float, most: float) -> float:
        held = self.text(name, str(default))
        try:
            value = float(held)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise SettingError(f"DESIST_{name} is {held!r}; it must be {what}, from {least:g} to {most:g}")
        return value
