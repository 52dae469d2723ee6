"""How the launcher gets into pods follows from what the server and all nodes can do."""

from __future__ import annotations

import pytest

from desist.controller.platform import delivery
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
