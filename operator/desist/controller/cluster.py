"""Every call that the controller makes to the API server, each with what its answers mean.

Contract: the only module that knows paths and status codes. What concerns one object comes back as a value or as one
of two exceptions (`Outdated`: it is not what was judged; `Vanished`: it is not there); faults of the API server are
kube's errors and pass through. Nothing is repeated here: that is the queue's, with its back-off. The account needs the
verbs that these calls use, and no others.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from desist.api.base import Opaque
from desist.api.meta import API_VERSION, GROUP, STOP_ANNOTATION, VERSION, ObjectMeta
from desist.controller.events import Notice, Subject, event_body
from desist.controller.kinds import KINDS, Body, Kind
from desist.controller.raw import RawNode, RawPod
from desist.controller.store import Listed
from desist.controller.views import node_record, wanted_view
from desist.kube.client import Client
from desist.kube.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Invalid,
    NoAnswer,
    NotFound,
    NotServed,
    TooManyRequests,
)
from desist.kube.lanes import Budget, Passage
from desist.kube.listing import PAGE, pages
from desist.kube.options import Deletion
from desist.kube.resource import EVENTS, NODES, PODS, SECRETS, Query
from desist.kube.wire import identity, served_kinds, server_version
from desist.lifecycle.observed.pods import NodeView, PodView
from desist.lifecycle.observed.questions import Answer, CreateAnswer, WantedPod
from desist.lifecycle.plan import DeletePod, PostMailbox
from desist.lifecycle.pod.manifest import wanted_pod

logger = logging.getLogger(__name__)

ADDED = (
    "its admission adds the regular container {}, which no stop would reach and no end of the run would end: exempt "
    "the pods of this template from that injection (by a label or an annotation of the template, as the injector has "
    "it), or have it inject a native sidecar (an init container with restartPolicy: Always)"
)


CREATE_WITHIN = 12.0
"""Seconds that a create may take: above a webhook's default timeout of ten, so that the API server names it."""
BURST = 1.0
"""Seconds that a burst of acceptances lasts; what lasts longer is the usual load."""
STOP_ANSWER = 2.0
"""Seconds in which the API server must have answered a call that brings a stop to a pod: its admission may hang."""

TAKEN = "pod {0} exists and is not this run's: delete it, for the run's own pod must have that name"


class Outdated(Exception):
    """409: the object is not what was judged (another version, or another UID)."""


class Vanished(Exception):
    """404 by the API server's own word: the object is not there."""


@dataclass(frozen=True, slots=True)
class SecretData:
    """A Secret's data, as the API server has them, and its version."""

    version: str
    data: Mapping[str, str] = field(repr=False)
    """Values in base64."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The calls. `instance` names this process in Events, `clock` is its time."""

    client: Client
    instance: str
    clock: Callable[[], datetime]

    async def served(self) -> bool:
        """Whether the API server serves all of our kinds."""
        try:
            found = served_kinds(await self.client.read(f"/apis/{GROUP}/{VERSION}"))
        except NotServed:
            return False
        return {kind.resource.plural for kind in KINDS} <= found

    async def version(self) -> tuple[int, int]:
        """The API server's version, major and minor."""
        return server_version(await self.client.read("/version"))

    async def list(self, kind: Kind[Any]) -> AsyncIterator[Body]:
        """All objects of one of our kinds, as they come: no more than a page is held, and one object decoded.

        Raises kube's errors in the middle too; begin again then.
        """
        async for page in pages(self.client, kind.resource, Query(limit=PAGE)):
            for item in page.items:
                yield msgspec.json.decode(item)

    async def list_metadata(
        self, kind: Kind[Any], namespace: str = "", fields: str = "", budget: Budget = Budget.START
    ) -> tuple[dict[str, Listed], int]:
        """Objects of one of our kinds by UID, names and versions only; and the list's version.

        All of them, or those of a namespace, that a field selector names. `budget`: STOP where an end waits for it.
        """
        listed: dict[str, Listed] = {}
        version = ""
        query = Query(namespace, fields=fields, limit=PAGE, metadata_only=True)
        async for page in pages(self.client, kind.resource, query, budget):
            version = page.resource_version
            for each in map(identity, page.items):
                listed[each.uid] = Listed(each.namespace, each.name, int(each.resource_version))
        return listed, int(version)

    async def get(self, kind: Kind[Any], namespace: str, name: str, budget: Budget = Budget.STOP) -> Body:
        """One object of our kinds as it is now; a stop may wait for it. Raises Vanished."""
        return await _one(self.client.get(kind.resource.at(name, namespace), budget=budget))

    async def metadata(self, kind: Kind[Any], namespace: str, name: str) -> ObjectMeta:
        """Identity and age of one object of our kinds as it is now. Raises Vanished."""
        address = kind.resource.at(name, namespace)
        body = await _one(self.client.get(address, budget=Budget.STOP, metadata_only=True))
        return ObjectMeta.model_validate(body["metadata"])

    def server_time(self) -> datetime | None:
        """The time by the API server's own clock; None before its first answer."""
        return self.client.server_time()

    async def replace_status(
        self,
        kind: Kind[Any],
        metadata: ObjectMeta,
        status: Body,
        budget: Budget = Budget.STOP,
        answer_within: float | None = None,
        passage: Passage | None = None,
    ) -> Body:
        """PUT status under the UID and the version of `metadata`; gives the object. Raises Outdated, Vanished.

        `budget`: STOP where a stop waits for the write. `answer_within`: seconds; None: the client's own.
        """
        identity = {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        }
        body = {"apiVersion": API_VERSION, "kind": kind.name, "metadata": identity, "status": status}
        address = kind.resource.at(metadata.name, metadata.namespace)
        call = self.client.replace_status(address, body, budget=budget, answer_within=answer_within, passage=passage)
        return await _one(call)

    async def dry_run_pod(self, owner: ObjectMeta, manifest: Opaque) -> CreateAnswer:
        """Dry-run create of a pod in the owner's namespace; one that admission makes unstoppable is invalid."""
        try:
            made = await self._create(owner, manifest, dry_run=True)
        except ApiError as error:
            return _refusal(error)
        added = _added(manifest.value, made)
        return CreateAnswer(Answer.INVALID, ADDED.format(added)) if added else CreateAnswer(Answer.PASSED)

    async def create_pod(self, owner: ObjectMeta, manifest: Opaque, passage: Passage | None = None) -> CreateAnswer:
        """Create a pod; one that is there already and was made for the same attempt is as good."""
        wanted = wanted_pod(manifest)
        try:
            made = await self._create(owner, manifest, passage=passage)
        except AlreadyExists:
            found = await self.live_pod(owner, wanted)
            if found is None or not found.launched:
                return CreateAnswer(Answer.TAKEN, TAKEN.format(wanted.name))
            return CreateAnswer(Answer.PASSED, pod_uid=found.uid)
        except ApiError as error:
            return _refusal(error)
        return CreateAnswer(Answer.PASSED, pod_uid=str(made["metadata"]["uid"]))

    async def _create(
        self, owner: ObjectMeta, manifest: Opaque, dry_run: bool = False, passage: Passage | None = None
    ) -> Body:
        return await self.client.create(
            PODS,
            manifest.value,
            namespace=owner.namespace,
            dry_run=dry_run,
            answer_within=CREATE_WITHIN,
            passage=passage,
        )

    async def live_pod(self, owner: ObjectMeta, wanted: WantedPod) -> PodView | None:
        """The owner's pod of that name as it is now; None where there is none (another's does not count)."""
        try:
            # A stop may wait for the reconcile that asks.
            body = await self.client.get(PODS.at(wanted.name, owner.namespace), budget=Budget.STOP)
        except NotFound:
            return None
        return wanted_view(msgspec.convert(body, RawPod), owner.uid, wanted, self.clock())

    async def live_node(self, name: str) -> NodeView | None:
        """The node of that name as it is now; None where there is none."""
        try:
            # A stop may wait for the reconcile that asks.
            body = await self.client.get(NODES.at(name), budget=Budget.STOP)
        except NotFound:
            return None
        return node_record(msgspec.convert(body, RawNode), self.clock()).view

    async def post_mailbox(self, namespace: str, action: PostMailbox) -> str:
        """PATCH the mailbox under the pod's UID and version; gives the new version. Raises Outdated, Vanished."""
        metadata = {
            "uid": action.uid,
            "resourceVersion": action.resource_version,
            "annotations": {STOP_ANNOTATION: action.text},
        }
        address = PODS.at(action.pod, namespace)
        call = self.client.patch(address, {"metadata": metadata}, budget=Budget.TELL, answer_within=STOP_ANSWER)
        body = await _one(call)
        return str(body["metadata"]["resourceVersion"])

    def busy_with_stops(self) -> bool:
        """Whether acceptances, mailboxes or DELETEs are on their way, or wait."""
        return any(self.client.lane(budget).busy() for budget in (Budget.STOP, Budget.TELL))

    def burst_of_stops(self) -> bool:
        """Whether acceptances are on their way, and have been for less than a BURST."""
        return self.client.lane(Budget.STOP).busy(BURST)

    async def delete_pod(self, namespace: str, action: DeletePod, resource_version: str) -> None:
        """DELETE under the pod's UID, and its version unless that is empty. Raises Outdated, Vanished."""
        deletion = Deletion(grace_seconds=action.grace_seconds, uid=action.uid, resource_version=resource_version)
        address = PODS.at(action.pod, namespace)
        await _one(self.client.delete(address, deletion, budget=Budget.TELL, answer_within=STOP_ANSWER))

    async def secret(self, namespace: str, name: str) -> SecretData:
        """A Secret as it is now. Raises Vanished."""
        return _secret(await _one(self.client.get(SECRETS.at(name, namespace))))

    async def change_secret(
        self, namespace: str, name: str, version: str, changes: Mapping[str, str | None]
    ) -> SecretData:
        """PATCH entries of a Secret's data under its version; None takes one away. Raises Outdated, Vanished."""
        patch = {"metadata": {"resourceVersion": version}, "data": changes}
        return _secret(await _one(self.client.patch(SECRETS.at(name, namespace), patch)))

    async def create_event(self, subject: Subject, notice: Notice, now: datetime) -> None:
        """Make an Event; a failure is logged and that is all."""
        body = event_body(subject, notice, now, self.instance)
        try:
            await self.client.create(EVENTS, body, namespace=subject.metadata.namespace, budget=Budget.EVENT)
        except AlreadyExists:
            logger.debug("Event %s was made before", notice.reason)
        except ApiError as error:
            logger.warning("Event %s was not made: %s", notice.reason, error)


async def _one(call: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """The answer about one object. Raises Outdated, Vanished."""
    try:
        return await call
    except NotFound as error:
        raise Vanished(str(error)) from error
    except Conflict as error:
        raise Outdated(str(error)) from error


def _secret(body: Body) -> SecretData:
    return SecretData(str(body["metadata"]["resourceVersion"]), body.get("data") or {})


def _added(asked: Body, made: Body) -> str:
    """Names of the regular containers that a mutating webhook or policy has added."""
    known = {container["name"] for container in asked["spec"]["containers"]}
    found = [container["name"] for container in made["spec"]["containers"]]
    return ", ".join(name for name in found if name not in known)


def _refusal(error: ApiError) -> CreateAnswer:
    """What a refused create means. Raises the error again where it is none: not so fast, or nobody there."""
    if isinstance(error, NoAnswer):
        return CreateAnswer(Answer.REFUSED, f"no answer within {CREATE_WITHIN:g} s: does an admission webhook hang?")
    if isinstance(error, TooManyRequests) or error.status == 0:
        raise error
    return CreateAnswer(Answer.INVALID if isinstance(error, Invalid | BadRequest) else Answer.REFUSED, error.message)
