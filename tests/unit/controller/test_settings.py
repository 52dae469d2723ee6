"""The environment is read once, and a typo never becomes a default."""

from __future__ import annotations

import pytest

from desist.controller.settings import ControllerSettings, Delivery, LogLevel, SettingError, from_environment
from desist.lifecycle.settings import LauncherDelivery, Settings


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    assert from_environment({}) == ControllerSettings()


def test_an_empty_variable_counts_as_absent_as_charts_write_it() -> None:
    assert from_environment({"DESIST_WORKERS": "", "DESIST_LAUNCHER_IMAGE": " "}) == ControllerSettings()


def test_each_margin_reaches_the_core() -> None:
    settings = from_environment(
        {
            "DESIST_NODE_READY_MARGIN_SECONDS": "1",
            "DESIST_NODE_LOST_AFTER_SECONDS": "2",
            "DESIST_UNKILLABLE_AFTER_SECONDS": "3",
            "DESIST_DELETE_AFTER_SECONDS": "4",
            "DESIST_RESTART_BACKOFF_SECONDS": "0.5",
            "DESIST_RESTART_BACKOFF_MAX_SECONDS": "6",
            "DESIST_RETRY_AFTER_SECONDS": "7",
            "DESIST_RETRY_AFTER_MAX_SECONDS": "70",
            "DESIST_RETRY_INVALID_AFTER_SECONDS": "8",
            "DESIST_LAUNCHER_IMAGE": "localhost/other:1",
            "DESIST_LAUNCHER_PULL_POLICY": "Never",
            "DESIST_LAUNCHER_DELIVERY": "ImageVolume",
        }
    )
    assert settings.core == Settings(
        "localhost/other:1", "Never", LauncherDelivery.IMAGE_VOLUME, 1.0, 2.0, 3.0, 4.0, 0.5, 6.0, 7.0, 70.0, 8.0
    )
    assert settings.delivery is Delivery.IMAGE_VOLUME


def test_the_log_level_and_the_probes_are_read() -> None:
    settings = from_environment(
        {"DESIST_LOG_LEVEL": "DEBUG", "DESIST_PROBE_PORT": "0", "DESIST_PROBE_HOST": "127.0.0.1"}
    )
    assert (settings.log_level, settings.probe_port, settings.probe_host) == (LogLevel.DEBUG, 0, "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("DESIST_LAUNCHER_DELIVERY", "auto", "Auto, ImageVolume, InitContainer"),
        ("DESIST_LAUNCHER_PULL_POLICY", "Sometimes", "Always, IfNotPresent, Never"),
        ("DESIST_LOG_LEVEL", "info", "DEBUG, INFO, WARNING, ERROR"),
        ("DESIST_LOG_FORMAT", "yaml", "Auto, Json, Text"),
        ("DESIST_WORKERS", "0", "1 to 256"),
        ("DESIST_WORKERS", "many", "1 to 256"),
        ("DESIST_PROBE_PORT", "70000", "0 to 65535"),
        ("DESIST_NODE_LOST_AFTER_SECONDS", "-1", "from 0 to 86400"),
        ("DESIST_NODE_LOST_AFTER_SECONDS", "nan", "from 0 to 86400"),
        ("DESIST_RETRY_AFTER_SECONDS", "0", "from 0.1 to 86400"),
        ("DESIST_PUSH_SECRET", "desist-push", "a namespace and a name"),
        ("DESIST_PUSH_SECRET", "a/b/c", "a namespace and a name"),
        ("DESIST_PUSH_PORT", "0", "1 to 65535"),
        ("DESIST_PUSH_ROTATE_AFTER_DAYS", "-1", "days, from 0 to 3650"),
    ],
)
def test_a_wrong_value_names_the_variable_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingError) as error:
        from_environment({name: value})
    assert str(error.value).startswith(f"{name} is {value!r}")
    assert allowed in str(error.value)


def test_push_is_off_where_no_secret_is_named() -> None:
    assert from_environment({}).push_secret == ""
    settings = from_environment(
        {
            "DESIST_PUSH_SECRET": "desist-system/desist-push",
            "DESIST_PUSH_PORT": "7000",
            "DESIST_PUSH_ROTATE_AFTER_DAYS": "0.5",
        }
    )
    assert (settings.push_secret, settings.push_rotate_after) == ("desist-system/desist-push", 0.5)
    assert (settings.core.push_port, settings.core.push_key_id) == (7000, "")
