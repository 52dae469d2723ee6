"""Drives the scenarios: creates the executions, sends the patches, watches the API and reads the nodes.

Contract: everything that a user would do is done with kubectl, and printed as it is typed. Each watch runs in a thread
of its own and is begun anew when it breaks; the loop ends when every story is told, or after `limit` seconds.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from hack.cluster.api import kubeconfig, processes_with, tool
from hack.demo.scenarios import Scenario
from hack.demo.story import Story

NAMESPACE = "desist-demo"
KINDS = ("wfx", "op")
NAMESPACE_MANIFEST = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
}


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """Run kubectl in the demo's namespace; its output. Raises RuntimeError with kubectl's own words."""
    command = [str(tool("kubectl")), "--kubeconfig", str(kubeconfig()), "--namespace", NAMESPACE, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


class Stage:
    """The demo's executions, and what is known of them."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        self.stories = [Story(scenario) for scenario in scenarios]
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._watches: dict[str, subprocess.Popen[str]] = {}
        self._over = threading.Event()
        self._broken: Exception | None = None

    @property
    def now(self) -> float:
        """Seconds since the stage was set."""
        return time.monotonic() - self._began

    def prepare(self) -> None:
        """Make the namespace and remove what an earlier demo left in it."""
        kubectl("apply", "-f", "-", stdin=json.dumps(NAMESPACE_MANIFEST))
        kubectl("delete", "wfx,dwf", "--all", "--wait")
        kubectl("wait", "op,pod", "--all", "--for=delete", "--timeout=60s")

    def begin(self) -> None:
        """Apply the manifests, but of those that begin alone, and start watching."""
        for kind in KINDS:
            threading.Thread(target=self._follow, args=(kind,), daemon=True).start()
        self._apply([story for story in self.stories if not story.scenario.alone])

    def _apply(self, stories: Sequence[Story]) -> None:
        paths = dict.fromkeys(story.scenario.path for story in stories)
        kubectl("apply", *(f"--filename={path}" for path in paths))
        for story in stories:
            story.created = self.now

    def _begin_due(self) -> None:
        waiting = [story for story in self.stories if story.created is None]
        begun = [story for story in self.stories if story.created is not None]
        with self._lock:
            over = all(story.settled for story in begun)
        if waiting and begun and over:
            self._apply(waiting)

    def run(self, show: Callable[[], None], limit: float = 180.0) -> None:
        """Send patches as they fall due until every story is told. Raises RuntimeError where the watch cannot go on.

        Args:
            show: called after each round, some twice a second.
            limit: seconds after which the demo gives up.
        """
        try:
            while self.now < limit and not all(story.proven for story in self.stories):
                # In this order: nobody is stopped whose processes were not looked for.
                self._count()
                self._send_due()
                self._begin_due()
                show()
                if self._over.wait(0.4):
                    raise RuntimeError(f"the watch of the executions ended: {self._broken}")
        finally:
            self._over.set()
            for watch in self._watches.values():
                watch.terminate()

    def _send_due(self) -> None:
        for story in self.stories:
            with self._lock:
                patch = story.due(self.now)
                if patch:
                    story.patched(self.now, patch)
            if patch:
                kubectl(*story.command(patch))

    def _count(self) -> None:
        for story in self.stories:
            if not story.proven:
                with self._lock:
                    settled = story.settled
                count = Counter(process.node for process in processes_with(story.scenario.marker))
                with self._lock:
                    story.counted(self.now, count, settled=settled)

    def _follow(self, kind: str) -> None:
        """Watch until all is over. An error that a new watch does not mend ends the demo at once, not at its limit."""
        try:
            while not self._over.is_set():
                self._watch_once(kind)
                self._over.wait(0.3)
        except Exception as error:
            self._broken = error
            self._over.set()

    def _watch_once(self, kind: str) -> None:
        command = [str(tool("kubectl")), "--kubeconfig", str(kubeconfig()), "-n", NAMESPACE]
        watch = subprocess.Popen([*command, "get", kind, "--watch", "-o", "json"], stdout=subprocess.PIPE, text=True)
        self._watches[kind] = watch
        assert watch.stdout is not None
        for item in documents(watch.stdout):
            self._take(item)
        watch.wait()

    def _take(self, item: dict[str, Any]) -> None:
        """What a watch brings. One that ends sends an error object (kind Status), which is no story's."""
        with self._lock:
            for story in self.stories:
                if item["kind"] == "WorkflowExecution" and story.scenario.execution == item["metadata"]["name"]:
                    story.observe(self.now, item.get("status", {}))
                if item["kind"] == "Operation" and story.scenario.execution == item["spec"]["executionRef"]["name"]:
                    story.observe_operation(self.now, item)


def documents(stream: Iterable[str]) -> Iterator[dict[str, Any]]:
    """JSON objects as kubectl prints them one after the other: each ends with a brace in the first column.

    One that was cut off when kubectl ended never comes.
    """
    lines: list[str] = []
    for line in stream:
        lines.append(line)
        if line.startswith("}"):
            document = json.loads("".join(lines))
            lines.clear()
            yield from document.get("items", [document])
