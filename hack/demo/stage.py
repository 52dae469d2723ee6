"""Drives the scenarios: creates the executions, sends the patches, watches the API and reads the nodes.

Contract: everything that a user would do is done with kubectl, and printed as it is typed. The watch runs in a thread
of its own and is begun anew when it breaks; the loop ends when every story is told, or after `limit` seconds.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from hack.cluster.api import kubeconfig, processes_with, tool
from hack.demo.scenarios import Scenario
from hack.demo.story import Story

NAMESPACE = "desist-demo"
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
        self._uids: dict[str, str] = {}
        self._watch: subprocess.Popen[str] | None = None
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
        kubectl("wait", "pod", "--all", "--for=delete", "--timeout=60s")

    def begin(self) -> None:
        """Apply the manifests and start watching."""
        threading.Thread(target=self._follow, daemon=True).start()
        for story in self.stories:
            kubectl("apply", "-f", str(story.scenario.path))
            story.created = self.now

    def run(self, show: Callable[[], None], limit: float = 180.0) -> None:
        """Send patches as they fall due until every story is told. Raises RuntimeError where the watch cannot go on.

        Args:
            show: called after each round, some twice a second.
            limit: seconds after which the demo gives up.
        """
        try:
            while self.now < limit and not all(story.closed and story.proven for story in self.stories):
                self._send_due()
                self._count()
                show()
                if self._over.wait(0.4):
                    raise RuntimeError(f"the watch of the executions ended: {self._broken}")
        finally:
            self._over.set()
            if self._watch:
                self._watch.terminate()

    def _send_due(self) -> None:
        for story in self.stories:
            patch = story.due(self.now)
            if patch and not story.closed:
                story.patched(self.now, patch)
                kubectl(*patch.command(story.scenario.execution))

    def _count(self) -> None:
        for story in self.stories:
            if not story.proven:
                count = len(processes_with(story.scenario.marker))
                with self._lock:
                    story.counted(self.now, count)

    def _follow(self) -> None:
        """Watch until all is over. An error that a new watch does not mend ends the demo at once, not at its limit."""
        try:
            while not self._over.is_set():
                self._watch_once()
                self._over.wait(0.3)
        except Exception as error:
            self._broken = error
            self._over.set()

    def _watch_once(self) -> None:
        command = [str(tool("kubectl")), "--kubeconfig", str(kubeconfig()), "-n", NAMESPACE]
        self._watch = subprocess.Popen(
            [*command, "get", "wfx", "--watch", "-o", "json"], stdout=subprocess.PIPE, text=True
        )
        assert self._watch.stdout is not None
        for item in documents(self._watch.stdout):
            # A watch that ends sends an error object (kind Status): the next one starts with a list.
            if item.get("kind") == "WorkflowExecution":
                self._take(item)
        self._watch.wait()

    def _take(self, item: dict[str, Any]) -> None:
        with self._lock:
            for story in self.stories:
                if story.scenario.execution == item["metadata"]["name"]:
                    story.observe(self.now, item.get("status", {}))


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
