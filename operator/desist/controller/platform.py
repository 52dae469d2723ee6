"""What this cluster can do, as far as starts depend on it: how the launcher gets into pods, and its key for pushes.

Contract: `core_settings` are the settings of the core with the launcher's way settled: fixed by the administrator, or
found. Only the controller sees the server's version and the nodes' runtimes, and nodes come and go: so it is settled
anew when one of them differs. So is the key, which is rotated. `server` is set once, by the start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace

from desist.controller.push_ring import PushKey
from desist.controller.settings import ControllerSettings
from desist.lifecycle.settings import LauncherDelivery, Settings

IMAGE_VOLUME_SERVER = (1, 35)
IMAGE_VOLUME_CONTAINERD = (2, 1)


def _none() -> None:
    return None


@dataclass(slots=True)
class Platform:
    """The settings of an administrator, and what they meet."""

    settings: ControllerSettings
    runtimes: Callable[[], Iterable[str]]
    """The container runtimes of all nodes, as the kubelets spell them."""
    push_key: Callable[[], PushKey | None] = _none
    """The key for new pods; None: they get no push."""
    server: tuple[int, int] = field(default=(0, 0), init=False)
    """The API server's version, major and minor."""
    _settled: tuple[Hashable, Settings] | None = field(default=None, init=False)
    """By what, and how it was settled last."""

    def core_settings(self) -> Settings:
        """The core's settings, with the launcher's way into pods settled."""
        runtimes, key = tuple(self.runtimes()), self.push_key()
        by = (self.server, runtimes, key.id if key is not None else None)
        if self._settled is None or self._settled[0] != by:
            self._settled = by, self._settle(runtimes, key)
        return self._settled[1]

    def _settle(self, runtimes: Iterable[str], key: PushKey | None) -> Settings:
        way = self.settings.delivery.fixed or delivery(self.server, runtimes)
        core = replace(self.settings.core, launcher_delivery=way)
        return core if key is None else replace(core, push_key_id=key.id, push_key=key.public)


def delivery(server: tuple[int, int], runtimes: Iterable[str]) -> LauncherDelivery:
    """By image volume where the server and every node's runtime have them, else by an init container."""
    versions = [_containerd(runtime) for runtime in runtimes]
    able = server >= IMAGE_VOLUME_SERVER and bool(versions) and min(versions) >= IMAGE_VOLUME_CONTAINERD
    return LauncherDelivery.IMAGE_VOLUME if able else LauncherDelivery.INIT_CONTAINER


def _containerd(runtime: str) -> tuple[int, int]:
    """Major and minor; (0, 0) for another runtime, of which nothing is known."""
    found = re.match(r"containerd://v?(\d+)\.(\d+)", runtime)
    return (int(found[1]), int(found[2])) if found else (0, 0)
