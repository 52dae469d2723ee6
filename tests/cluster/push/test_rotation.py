"""The key is rotated by hand: new pods get the new one, a pod keeps its own, and an old one goes with its last pod.

An administrator takes `current` out of the Secret. A key stays for ten minutes after it was replaced, whoever names it:
here its successor is made to look older. Who does not want to wait for the operator's next look at the Secret, once a
minute, stops a pod that names a key nobody has: then it looks at once.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cluster.push.conftest import Told
from tests.support import programs
from tests.support.lab import Execution, Lab
from tests.support.last_states import last_states
from tests.support.logs import wait_until_started
from tests.support.push import CURRENT, KEY_ANNOTATION, MADE, SECRET, target
from tests.support.release import NAMESPACE

# Other modules' pods would name keys, and get others in the middle of a test.
pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("datagrams_arrive", "release_operator")]

NOBODYS = "00000000"
SECONDS = 75
"""In which the operator has looked at the Secret, even where nobody asks it to."""


def entries(lab: Lab) -> dict[str, str]:
    """The Secret's names and what they hold; the keys' own halves stay where they are."""
    data = lab.core.read_namespaced_secret(SECRET, NAMESPACE).data or {}
    return {
        name: base64.b64decode(text).decode() if name == CURRENT or name.endswith(MADE) else ""
        for name, text in data.items()
    }


def change(lab: Lab, **data: str | None) -> None:
    body = {name: None if text is None else base64.b64encode(text.encode()).decode() for name, text in data.items()}
    lab.core.patch_namespaced_secret(SECRET, NAMESPACE, {"data": body})


def wait_until(lab: Lab, fits: Callable[[dict[str, str]], bool], what: str) -> dict[str, str]:
    end = time.monotonic() + SECONDS
    while not fits(held := entries(lab)):
        assert time.monotonic() < end, f"{what}: not after {SECONDS} s, but {sorted(held)}"
        time.sleep(0.2)  # the Secret is watched by nobody, and a watch of it would be one more thing to go wrong
    return held


def running(lab: Lab) -> Execution:
    execution = lab.start(programs.POLITE)
    wait_until_started(execution)
    return execution


def look(bait: Execution) -> None:
    """Let the operator miss a key."""
    bait.stop("Cancel")


def bait(lab: Lab) -> Execution:
    """A run whose pod names a key that nobody has; it can only be told by mailbox."""
    execution = running(lab)
    named = {"metadata": {"annotations": {KEY_ANNOTATION: NOBODYS}}}
    lab.core.patch_namespaced_pod(execution.pods()[0].metadata.name, lab.name, named)
    return execution


def rotated(lab: Lab, by: Execution) -> str:
    """The new key's id."""
    before = entries(lab)[CURRENT]
    change(lab, **{CURRENT: None})
    look(by)
    held = wait_until(lab, lambda found: found.get(CURRENT) not in (None, before), "a new key")
    assert before in held, "pods still name the one before"
    return held[CURRENT]


@pytest.mark.conformance("C18", "I6")
def test_each_pod_is_told_with_the_key_that_it_names_and_an_old_key_goes_with_its_last_pod(place: Lab) -> None:
    first = running(place)
    baits = [bait(place) for _ in range(3)]
    old = target(first).key_id
    middle = rotated(place, baits[0])
    second = running(place)
    assert target(second).key_id == middle != old
    new = rotated(place, baits[1])
    third = running(place)
    assert target(third).key_id == new
    runs = (first, second, third)
    with last_states(place) as kept:
        for execution in runs:
            execution.stop("Cancel")
        told = [Told.of(execution, "Cancelled", kept) for execution in runs]
        by_mailbox = Told.of(baits[0], "Cancelled", kept)
    assert [found.way for found in told] == ["push"] * 3
    assert by_mailbox.way == "mailbox"
    assert {old, middle, new} <= entries(place).keys()
    second.delete()
    second.wait_until_deleted()
    wait_until_gone(place, second)
    long_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    change(place, **{new + MADE: long_ago})
    look(baits[2])
    held = wait_until(place, lambda found: middle not in found, "the old key is gone")
    assert new in held
    assert middle + MADE not in held
    assert old in held, "its pod is still there"


def wait_until_gone(lab: Lab, execution: Execution) -> None:
    """No pod of it is left."""
    end = time.monotonic() + SECONDS
    while execution.pods():
        assert time.monotonic() < end, "its pods did not go"
        time.sleep(0.2)  # the garbage collector's work, which no event of the execution tells


def test_the_secret_holds_no_more_than_it_says(place: Lab) -> None:
    held: dict[str, Any] = entries(place)
    assert held[CURRENT] in held
    assert all(name.removesuffix(MADE) in held for name in held)
