"""What the cluster does, as far as decisions need it: pods by what they belong to, nodes, and whom a node concerns.

Contract: the reflectors call `pod_*` and `node_*`; each call gives the keys that it concerns, for the queue. A pod
belongs to an execution or to one of its operations, and is kept under the UID of that; `operation_pods` are those of
all operations of an execution, also of operations that are not there any more.
A pod's last state is kept after its DELETED event (`deleted`), at most a few of each, until `release` says that nobody
asks any more: it may hold the proof. A pod that a new list no longer has (`seen` is False: its end was missed) is kept
only if it was bound: that it never was could be told by its DELETED event alone.
A pod that was read (`pod_read`, where a write has found that the cache is behind) takes the place of an older state of
it, and only that: what no watch has brought, none would take away. Events that are older change nothing, unless all
versions are in doubt (`doubt`, where the cluster's own store was restored): then whatever is said of a pod next counts.
Since when a node is Ready or not, and a pod is being deleted, counts from when this process saw it, by the controller's
clock: what it is told anew of the same state does not count anew, and a state that has changed meanwhile does.
All of it is memory only: after a restart such a pod is judged as vanished, which is the slower road to the same end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from desist.api.meta import ObjectMeta
from desist.controller.kinds import Key
from desist.controller.records import Placed
from desist.controller.views import NodeRecord, PodRecord
from desist.lifecycle.observed.pods import NodeView, PodView

DELETED_KEPT = 16
"""Last states kept for one execution; the newest are the current attempt's."""

Records = Mapping[str, Mapping[str, PodRecord]]
"""By the UID of what they belong to, then by the pod's."""


class Caches:
    """Pods and nodes, indexed by what a reconcile asks for."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, PodRecord]] = defaultdict(dict)
        self._deleted: dict[str, dict[str, PodRecord]] = {}
        self._deletions: dict[str, dict[str, tuple[datetime, datetime]]] = {}
        """Of pods that are being deleted: the deletionTimestamp, and when it was first seen."""
        self._operations: dict[str, set[str]] = defaultdict(set)
        """By the execution's UID: UIDs of the operations with pods that it controls."""
        self._nodes: dict[str, NodeRecord] = {}
        self._runtimes: Counter[str] = Counter()
        self._concerned: dict[str, set[Key]] = defaultdict(set)
        self._doubted: set[str] = set()

    def of(self, record: Placed) -> tuple[PodView, ...]:
        """All pods that bear on an execution, or on an operation: of an execution those of its operations, too."""
        return (*self.pods(record.metadata, record.owner.uid), *self.operation_pods(record.metadata))

    def pods(self, of: ObjectMeta, execution: str = "") -> tuple[PodView, ...]:
        """The pods of an execution, or of an operation of the execution of that UID; oldest attempt first."""
        return tuple(sorted(_views(self._pods, of, execution), key=lambda view: (view.attempt, view.uid)))

    def deleted(self, of: ObjectMeta, execution: str = "") -> tuple[PodView, ...]:
        """Last states of its pods that are gone."""
        return tuple(_views(self._deleted, of, execution))

    def operation_pods(self, execution: ObjectMeta) -> tuple[PodView, ...]:
        """The pods of all operations of an execution."""
        operations = sorted(self._operations.get(execution.uid, ()))
        found = (record for uid in operations for record in self._pods[uid].values())
        return tuple(each.view for each in found if _is_of(each, execution.namespace, execution.uid))

    def nodes(self, names: Iterable[str]) -> tuple[NodeView, ...]:
        """The nodes of these names, as far as they exist."""
        return tuple(self._nodes[name].view for name in sorted(set(names)) if name in self._nodes)

    def runtimes(self) -> tuple[str, ...]:
        """The container runtimes of all nodes, as the kubelets spell them, each once."""
        return tuple(self._runtimes)

    def push_keys(self) -> frozenset[str]:
        """Ids of the push keys that pods name."""
        pods = (record.view.push for records in self._pods.values() for record in records.values())
        return frozenset(push.key_id for push in pods if push is not None)

    def pod_changed(self, record: PodRecord) -> Key:
        """A pod was added or modified."""
        key = record.key
        if self._knows_better(record):
            return key
        self._doubted.discard(record.view.uid)
        record = replace(record, view=self.dated(key.uid, record.view))
        self._pods[key.uid][record.view.uid] = record
        self._deleted.get(key.uid, {}).pop(record.view.uid, None)
        if record.view.operation:
            self._operations[record.execution_uid].add(key.uid)
        self._concern(key, record.view.node)
        return key

    def pod_read(self, record: PodRecord) -> None:
        """A GET has found the pod in this state."""
        if record.view.uid in self._pods.get(record.key.uid, {}):
            self.pod_changed(record)

    def pod_deleted(self, record: PodRecord, seen: bool) -> Key:
        """A pod is gone; `seen`: its DELETED event was, and `record` is the state that it carried."""
        key = record.key
        siblings = self._pods.get(key.uid, {})
        if self._knows_better(record):
            record = siblings[record.view.uid]
        siblings.pop(record.view.uid, None)
        self._doubted.discard(record.view.uid)
        if not siblings:
            self._pods.pop(key.uid, None)
        self._drop_operation(record)
        if seen or record.view.node:
            kept = self._deleted.setdefault(key.uid, {})
            kept[record.view.uid] = record
            for old in [uid for uid, each in kept.items() if each.namespace == record.namespace][:-DELETED_KEPT]:
                del kept[old]
        return key

    def dated(self, of: str, view: PodView) -> PodView:
        """The pod, with the time at which its deletion was first seen; `view` says when it was seen just now."""
        if view.deletion_timestamp is None or view.deletion_seen_at is None:
            return view
        known = self._deletions.setdefault(of, {})
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

    def node_changed(self, record: NodeRecord) -> frozenset[Key]:
        """A node was added or modified; what did not change for a reconcile concerns nobody."""
        known = self._nodes.get(record.view.name)
        record = replace(record, view=self.known_since(record.view))
        self._nodes[record.view.name] = record
        self._recount(known, record)
        unchanged = known is not None and known.view == record.view
        return frozenset() if unchanged else frozenset(self._concerned.get(record.view.name, ()))

    def node_deleted(self, name: str) -> frozenset[Key]:
        """A node's object is gone."""
        self._recount(self._nodes.pop(name, None), None)
        return frozenset(self._concerned.get(name, ()))

    def doubt(self) -> None:
        """Versions have gone back: whatever is said next of a pod counts."""
        self._doubted = {uid for pods in self._pods.values() for uid in pods}

    def attend(self, key: Key, nodes: Iterable[str]) -> None:
        """Wake this key when one of these nodes changes."""
        for node in nodes:
            self._concern(key, node)

    def release(self, key: Key) -> None:
        """It has ended or is gone: nobody asks for its nodes and its deleted pods any more."""
        self._deleted.pop(key.uid, None)
        self._deletions.pop(key.uid, None)
        for name in [name for name, concerned in self._concerned.items() if key in concerned]:
            self._concerned[name].discard(key)
            if not self._concerned[name]:
                del self._concerned[name]

    def _recount(self, before: NodeRecord | None, now: NodeRecord | None) -> None:
        """A node had one runtime and has another: keep the count of each."""
        self._runtimes.update([now.runtime] if now is not None else ())
        self._runtimes.subtract([before.runtime] if before is not None else ())
        self._runtimes = +self._runtimes

    def _drop_operation(self, gone: PodRecord) -> None:
        """A pod of an operation is gone; where the execution controls no other of it, the operation goes, too."""
        left = self._pods.get(gone.key.uid, {}).values()
        if gone.view.operation and not any(each.execution_uid == gone.execution_uid for each in left):
            self._operations[gone.execution_uid].discard(gone.view.operation)
            if not self._operations[gone.execution_uid]:
                del self._operations[gone.execution_uid]

    def _knows_better(self, record: PodRecord) -> bool:
        """Whether a later state of the same pod is known."""
        if record.view.uid in self._doubted:
            return False
        known = self._pods.get(record.key.uid, {}).get(record.view.uid)
        return known is not None and int(known.view.resource_version) > int(record.view.resource_version)

    def _concern(self, key: Key, node: str) -> None:
        if node:
            self._concerned[node].add(key)


def _views(records: Records, of: ObjectMeta, execution: str) -> Iterator[PodView]:
    """Its execution controls a pod, in its namespace: whatever another pod says of itself, it is nobody's."""
    found = records.get(of.uid, {}).values()
    return (record.view for record in found if _is_of(record, of.namespace, execution or of.uid))


def _is_of(record: PodRecord, namespace: str, execution: str) -> bool:
    return (record.namespace, record.execution_uid) == (namespace, execution)
