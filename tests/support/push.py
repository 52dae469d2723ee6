"""Push as somebody on the network sees it: whom a datagram goes to, how it is made, and the key that signs it.

Contract: `Target.of(pod)` is where the launcher of a pod listens and which key it believes; `Keys.of_release` are the
release's own keys, out of its Secret, so that a test can sign what the controller could have signed. `datagram` is
docs/mailbox.md's, written here a second time: what the operator and the launcher have misread together would pass
otherwise. Nothing here sends anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from nacl.signing import SigningKey

from tests.support.lab import Execution
from tests.support.release import NAMESPACE

MAGIC = b"desist1\n"
HEADER, SIGNATURE, LARGEST = 24, 64, 1200
KEY_ANNOTATION, PORT_ANNOTATION = "desist.dev/push-key", "desist.dev/push-port"
SECRET, CURRENT, MADE = "desist-push", "current", ".made"
"""The release's keys: an entry for each key's id, when it was made, and which one new pods get."""
ID = re.compile("[0-9a-f]{8}")
Stop = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """The launcher of one pod."""

    namespace: str
    pod: str
    uid: str
    node: str
    address: str
    port: int
    key_id: str

    @classmethod
    def of(cls, pod: Any) -> Self:
        """Of a pod that has an address. Fails where it was not told of a key."""
        notes, metadata = pod.metadata.annotations or {}, pod.metadata
        assert KEY_ANNOTATION in notes, f"pod {metadata.name} has no key: {sorted(notes)}"
        found = (int(notes[PORT_ANNOTATION]), notes[KEY_ANNOTATION])
        return cls(metadata.namespace, metadata.name, metadata.uid, pod.spec.node_name, pod.status.pod_ip, *found)


def target(execution: Execution) -> Target:
    """The launcher of the run's only pod."""
    (pod,) = execution.pods()
    return Target.of(pod)


@dataclass(frozen=True)
class Keys:
    """The keys in the release's Secret, by their ids."""

    by_id: Mapping[str, SigningKey]

    @classmethod
    def of_release(cls, core: Any) -> Self:
        """As they are now; empty before the first start has made one."""
        data = core.read_namespaced_secret(SECRET, NAMESPACE).data or {}
        return cls({name: SigningKey(base64.b64decode(text)) for name, text in data.items() if ID.fullmatch(name)})

    def of(self, target: Target) -> SigningKey:
        """The one that this launcher believes. Fails where the Secret does not have it."""
        assert target.key_id in self.by_id, f"no key {target.key_id} among {sorted(self.by_id)}"
        return self.by_id[target.key_id]


def key_id(key: SigningKey) -> str:
    """Eight digits of the SHA-256 of its public half."""
    return hashlib.sha256(bytes(key.verify_key)).hexdigest()[:8]


def stop_for(run_id: str, sequence: int = 1, **changes: Any) -> Stop:
    """A mailbox's content, a Force by default: nothing that obeys it can be overlooked."""
    posted = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    stop = {
        "sequence": sequence,
        "runId": run_id,
        "commandId": "01K0ZJ5S9N8D4C3B2A1QRSTVWX",
        "mode": "Force",
        "signal": "SIGTERM",
        "graceSeconds": 0,
        "postedAt": posted,
    }
    return {name: value for name, value in (stop | changes).items() if value is not None}


@dataclass(frozen=True)
class Datagram:
    """The parts of one, so that a test can exchange any of them."""

    pod_uid: str
    stop: Stop
    nonce: str
    magic: bytes = MAGIC

    @classmethod
    def to(cls, target: Target, stop: Stop) -> Self:
        """With a nonce of its own."""
        return cls(target.uid, stop, os.urandom(16).hex())

    @property
    def head(self) -> bytes:
        """What a launcher can compare without any arithmetic."""
        return self.magic + uuid.UUID(self.pod_uid).bytes

    @property
    def body(self) -> bytes:
        """What the launcher is told."""
        return json.dumps({"nonce": self.nonce, "stop": self.stop}, separators=(",", ":"), ensure_ascii=False).encode()

    def signed(self, key: SigningKey) -> bytes:
        """On the wire."""
        return self.head + key.sign(self.head + self.body).signature + self.body

    def unsigned(self) -> bytes:
        """With anything in the signature's place."""
        return self.head + os.urandom(SIGNATURE) + self.body

    def having(self, **changes: Any) -> Self:
        """With other parts."""
        return replace(self, **changes)


def parsed(data: bytes) -> Datagram:
    """The parts of one that was seen on its way."""
    body = json.loads(data[HEADER + SIGNATURE :])
    return Datagram(str(uuid.UUID(bytes=data[8:HEADER])), body["stop"], body["nonce"], data[:8])


def answer_for(target: Target, command_id: str, sequence: int, nonce: str = "") -> bytes:
    """What that launcher would say if it had told one process, whoever says it."""
    said = {
        "nonce": nonce or os.urandom(16).hex(),
        "podUid": target.uid,
        "commandId": command_id,
        "sequence": sequence,
        "did": "told",
        "told": 1,
        "refused": 0,
        "mainEnded": False,
        "left": 1,
    }
    return json.dumps(said, separators=(",", ":")).encode()
