"""What an administrator may set about stopping and starting; all durations in seconds.

Contract: frozen, with the values that the documents promise as defaults. The controller fills it from its
environment and passes it with every observation, so that the core reads no environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LauncherDelivery(StrEnum):
    """How the launcher gets into a pod."""

    IMAGE_VOLUME = "ImageVolume"
    INIT_CONTAINER = "InitContainer"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the core."""

    launcher_image: str = "localhost/desist-launcher:dev"
    launcher_pull_policy: str = "IfNotPresent"
    launcher_delivery: LauncherDelivery = LauncherDelivery.INIT_CONTAINER
    node_ready_margin: float = 30.0
    """A vanished pod is closed unproven once its node has been Ready for the pod's grace and this long."""
    node_lost_after: float = 30.0
    """A node counts as lost once it has not been Ready for so long."""
    unkillable_after: float = 30.0
    """A process not reported ended so long after its SIGKILL was due, on a Ready node, is unkillable."""
    delete_after: float = 5.0
    """The pod is deleted (grace 1) where its workflow container is not reported ended so long after the deadline."""
    restart_backoff: float = 1.0
    """Wait before the attempt after the first disruption; doubles each time."""
    restart_backoff_max: float = 60.0
    """The longest such wait."""
    retry_after: float = 1.0
    """A start that the API server refused for a reason that may pass is tried again so much later, doubling."""
    retry_after_max: float = 300.0
    """The longest such wait."""
    retry_invalid_after: float = 60.0
    """A first pod that the API server calls invalid is tried again after so long, doubling too."""
    look_again_after: float = 5.0
    """A pod that no watch shows, though it is or should be there, is looked at again after so long."""
    push_key_id: str = ""
    """Id of the key by which pushes to new pods are signed; empty: push is off, also to the pods that are there."""
    push_key: str = ""
    """Its public half, 32 bytes in base64."""
    push_port: int = 7633
    """The launcher's UDP port in new pods."""
    push_every: float = 1.0
    """A stop is pushed again after so long to a pod that is being deleted, where no mailbox arrives any more."""
    repeat_after: tuple[float, ...] = (3.0, 20.0)
    """A posting is repeated so long after it to a container that still runs: its kubelet may have missed it. Rising.
    The first is so far below `delete_after` that a grace which begins with it ends before the pod is deleted."""
