"""What the cluster does, as far as decisions need it: pods by execution, nodes, and which executions a node concerns.

Contract: the reflectors call `pod_*` and `node_*`; each call gives the UIDs of the executions that it concerns, for the
queue. A pod's last state is kept after its DELETED event (`deleted`), at most a few an execution, until `release` says
that nobody asks any more: it may hold the proof. A pod that a new list no longer has (`seen` is False: its end was
missed) is kept only if it was bound: that it never was could be told by its DELETED event alone.
A pod that was read (`pod_read`, where a write has found that the cache is behind) takes the place of an older state of
it, and only that: what no watch has brought, none would take away. Events that are older change nothing, unless all
versions are in doubt (`doubt`, where the cluster's own store was restored): then whatever is said of a pod next counts.
Since when a node is Ready or not, and a pod is being deleted, counts from when this process saw it, by the controller's
clock: what it is told anew of the same state does not count anew, and a state that has changed meanwhile does.
All of it is memory only: after a restart such a pod is judged as vanished, which is the slower road to the same end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from desist.api.meta import ObjectMeta
from desist.controller.views import NodeRecord, PodRecord
from desist.lifecycle.observed import NodeView, PodView

DELETED_KEPT = 16
"""Last states kept for one execution; the newest are the current attempt's."""

Records = Mapping[str, Mapping[str, PodRecord]]
"""By the execution's UID, then by the pod's."""


class Caches:
    """Pods and nodes, indexed by what a reconcile asks for."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, PodRecord]] = defaultdict(dict)
        self._deleted: dict[str, dict[str, PodRecord]] = {}
        self._deletions: dict[str, dict[str, tuple[datetime, datetime]]] = {}
        """Of pods that are being deleted: the deletionTimestamp, and when it was first seen."""
        self._nodes: dict[str, NodeRecord] = {}
        self._concerned: dict[str, set[str]] = defaultdict(set)
        self._doubted: set[str] = set()

    def pods(self, owner: ObjectMeta) -> tuple[PodView, ...]:
        """The execution's pods, oldest attempt first."""
        return tuple(sorted(_views(self._pods, owner), key=lambda view: (view.attempt, view.uid)))

    def deleted(self, owner: ObjectMeta) -> tuple[PodView, ...]:
        """Last states of its pods that are gone."""
        return tuple(_views(self._deleted, owner))

    def nodes(self, names: Iterable[str]) -> tuple[NodeView, ...]:
        """The nodes of these names, as far as they exist."""
        return tuple(self._nodes[name].view for name in sorted(set(names)) if name in self._nodes)

    def runtimes(self) -> tuple[str, ...]:
        """The container runtimes of all nodes, as the kubelets spell them."""
        return tuple(node.runtime for node in self._nodes.values())

    def pod_changed(self, record: PodRecord) -> str:
        """A pod was added or modified."""
        if self._knows_better(record):
            return record.execution_uid
        self._doubted.discard(record.view.uid)
        record = replace(record, view=self.dated(record.execution_uid, record.view))
        self._pods[record.execution_uid][record.view.uid] = record
        self._deleted.get(record.execution_uid, {}).pop(record.view.uid, None)
        self._concern(record.execution_uid, record.view.node)
        return record.execution_uid

    def pod_read(self, record: PodRecord) -> None:
        """A GET has found the pod in this state."""
        if record.view.uid in self._pods.get(record.execution_uid, {}):
            self.pod_changed(record)

    def pod_deleted(self, record: PodRecord, seen: bool) -> str:
        """A pod is gone; `seen`: its DELETED event was, and `record` is the state that it carried."""
        execution = record.execution_uid
        siblings = self._pods.get(execution, {})
        if self._knows_better(record):
            record = siblings[record.view.uid]
        siblings.pop(record.view.uid, None)
        self._doubted.discard(record.view.uid)
        if not siblings:
            self._pods.pop(execution, None)
        if seen or record.view.node:
            kept = self._deleted.setdefault(execution, {})
            kept[record.view.uid] = record
            for old in [uid for uid, each in kept.items() if each.namespace == record.namespace][:-DELETED_KEPT]:
                del kept[old]
        return execution

    def dated(self, execution: str, view: PodView) -> PodView:
        """The pod, with the time at which its deletion was first seen; `view` says when it was seen just now."""
        if view.deletion_timestamp is None or view.deletion_seen_at is None:
            return view
        known = self._deletions.setdefault(execution, {})
        deletion, since = known.get(view.uid, (None, view.deletion_seen_at))
        if deletion != view.deletion_timestamp:
            known[view.uid] = (view.deletion_timestamp, view.deletion_seen_at)
            return view
        return replace(view, deletion_seen_at=since)

    def known_since(self, view: NodeView) -> NodeView:
        """The node, with the time at which it was first seen Ready, or not, without a break."""
        known = self._nodes.get(view.name)
        if known is None or (known.view.ready, known.view.ready_changed) != (view.ready, view.ready_changed):
            return view
        return replace(view, ready_since=known.view.ready_since)

    def node_changed(self, record: NodeRecord) -> frozenset[str]:
        """A node was added or modified; what did not change for a reconcile concerns nobody."""
        known = self._nodes.get(record.view.name)
        record = replace(record, view=self.known_since(record.view))
        self._nodes[record.view.name] = record
        unchanged = known is not None and known.view == record.view
        return frozenset() if unchanged else frozenset(self._concerned.get(record.view.name, ()))

    def node_deleted(self, name: str) -> frozenset[str]:
        """A node's object is gone."""
        self._nodes.pop(name, None)
        return frozenset(self._concerned.get(name, ()))

    def doubt(self) -> None:
        """Versions have gone back: whatever is said next of a pod counts."""
        self._doubted = {uid for pods in self._pods.values() for uid in pods}

    def attend(self, execution: str, nodes: Iterable[str]) -> None:
        """Wake this execution when one of these nodes changes."""
        for node in nodes:
            self._concern(execution, node)

    def release(self, execution: str) -> None:
        """The execution has ended or is gone: nobody asks for its nodes and its deleted pods any more."""
        self._deleted.pop(execution, None)
        self._deletions.pop(execution, None)
        for name in [name for name, concerned in self._concerned.items() if execution in concerned]:
            self._concerned[name].discard(execution)
            if not self._concerned[name]:
                del self._concerned[name]

    def _knows_better(self, record: PodRecord) -> bool:
        """Whether a later state of the same pod is known."""
        if record.view.uid in self._doubted:
            return False
        known = self._pods.get(record.execution_uid, {}).get(record.view.uid)
        return known is not None and int(known.view.resource_version) > int(record.view.resource_version)

    def _concern(self, execution: str, node: str) -> None:
        if node:
            self._concerned[node].add(execution)


def _views(records: Records, owner: ObjectMeta) -> Iterator[PodView]:
    """An owner is in its pods' namespace: whatever one in another namespace says of itself, it is nobody's."""
    found = records.get(owner.uid, {}).values()
    return (record.view for record in found if record.namespace == owner.namespace)
