"""How the launcher gets into pods follows from what the server and all nodes can do, and its key from the Secret."""

from __future__ import annotations

import pytest

from desist.api.base import EARLIEST
from desist.controller.platform import Platform, delivery
from desist.controller.push_ring import PushKey
from desist.controller.settings import ControllerSettings
from desist.lifecycle.settings import LauncherDelivery

IMAGE, INIT = LauncherDelivery.IMAGE_VOLUME, LauncherDelivery.INIT_CONTAINER

CASES = [
    ((1, 36), ("containerd://2.3.4", "containerd://2.1.0"), IMAGE),
    ((1, 35), ("containerd://v2.1.5-k3s1",), IMAGE),
    ((1, 34), ("containerd://2.3.4",), INIT),
    ((1, 36), ("containerd://2.3.4", "containerd://2.0.9"), INIT),
    ((1, 36), ("containerd://1.7.20",), INIT),
    ((1, 36), ("containerd://2.3.4", "cri-o://1.35.0"), INIT),
    ((1, 36), ("",), INIT),
    ((1, 36), (), INIT),
]


@pytest.mark.parametrize(("server", "runtimes", "way"), CASES)
def test_auto_takes_an_image_volume_only_where_all_have_it(
    server: tuple[int, int], runtimes: tuple[str, ...], way: LauncherDelivery
) -> None:
    assert delivery(server, runtimes) is way


def test_new_pods_get_the_key_that_is_current_at_that_moment() -> None:
    keys = [PushKey.of(bytes([number]) * 32, EARLIEST) for number in range(2)]
    held: list[PushKey | None] = [None]
    platform = Platform(ControllerSettings(), tuple, lambda: held[0])
    assert (platform.core_settings().push_key_id, platform.core_settings().push_key) == ("", "")
    for key in keys:
        held[0] = key
        settings = platform.core_settings()
        assert (settings.push_key_id, settings.push_key) == (key.id, key.public)


def test_the_way_is_settled_anew_when_a_node_comes_that_cannot() -> None:
    runtimes = ["containerd://2.3.4"]
    platform = Platform(ControllerSettings(), lambda: runtimes)
    platform.server = (1, 36)
    assert platform.core_settings().launcher_delivery is IMAGE
    runtimes.append("containerd://1.7.20")
    assert platform.core_settings().launcher_delivery is INIT
