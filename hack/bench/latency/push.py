"""Push of the installed release, off for a while: pods that are made meanwhile carry no key, and hear by mailbox alone.

Contract: `there` says whether the release knows push at all. Inside of `off` no pod gets a key; afterwards everything
is as it was, and the pods made inside are still without one, so that both kinds can be stopped turn by turn under one
operator. The key of the release's state is another one meanwhile: where this process is killed, `make install` sees it
and brings the release back. Rejected: pods on the host's network, which get no push either (their start and their end
are different ones), and two releases (one cluster, one operator).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hack.cluster.api import kubeconfig
from hack.image.release import KEY, RELEASE, Client, scale_operator, upgrade

Values = dict[str, Any]


class Push:
    """Of the one release on the cluster."""

    def __init__(self) -> None:
        self._client = Client(kubeconfig())

    def there(self) -> bool:
        """Whether the release has it, and on."""
        return enabled(self._values("--all"))

    @contextmanager
    def off(self) -> Iterator[None]:
        """No pod gets a key."""
        given = self._values()
        self._bring(without(given))
        try:
            yield
        finally:
            self._bring(given)

    def _values(self, *more: str) -> Values:
        found: Values = json.loads(self._client.helm("get", "values", RELEASE, "--output", "json", *more)) or {}
        return found

    def _bring(self, values: Values) -> None:
        upgrade(self._client, values)
        scale_operator(kubeconfig(), 1)


def enabled(values: Values) -> bool:
    """Whether these values, the chart's own included, have push on."""
    return bool(values.get("push", {}).get("enabled", False))


def without(values: Values) -> Values:
    """The values that were given, with push off."""
    controller = values.get("controller", {})
    marked = {**controller.get("deploymentAnnotations", {}), KEY: "bench-latency"}
    push = {**values.get("push", {}), "enabled": False}
    return {**values, "push": push, "controller": {**controller, "deploymentAnnotations": marked}}
