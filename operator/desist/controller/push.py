"""Push: the stop of a mailbox once more, as one signed datagram to the pod's launcher, which has it some ms later.

Contract: it is only faster. With every datagram lost all ends as by mailbox, and nothing here can fail or hold up a
plan: `send` returns at once; it signs and hands over to the kernel, after a burst of acceptances where there is one
(`Burst`); what goes wrong is said in the log, seldom.
- Sent is `magic, pod UID, signature, body` (docs/push.md): 24 + 64 bytes and `datagram.body`. A pod whose key is not
  held gets none.
- What is sent is in `Memory` when `send` returns, also where it could not be: the core goes by the last try.
- An answer counts where its nonce is one that is waited for (each once, for PATIENCE, at most WAITED of them) and it
  comes of the pod and names the command that were sent. It goes into `Memory`; where it says something new, the object
  is woken (`Waking.confirmed`: not at once). The nonce is random, and goes to that pod alone: whoever has not seen the
  datagram cannot answer it.
Rejected: to wait for an answer, or to send once more without one (the mailbox's PATCH is on its way already).
"""

from __future__ import annotations

import errno
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from desist.controller import log
from desist.controller.burst import Burst
from desist.controller.datagrams import Datagrams
from desist.controller.kinds import Key
from desist.controller.memory import Memory
from desist.controller.push_keys import PushKeys
from desist.controller.push_ring import PushKey
from desist.lifecycle.observed.pushes import PushAnswer, Pushed
from desist.lifecycle.plan import PushStop
from desist.lifecycle.wire import datagram

logger = logging.getLogger(__name__)
MAGIC = b"desist1\n"
PATIENCE = 30.0
"""Seconds in which an answer still counts."""
WAITED = 8192
"""Answers that are waited for at once; the oldest goes."""
FIRST, LONGEST = 1.0, 600.0
"""Seconds in which the same complaint is not made again; doubles each time, until it was not made for so long."""


class NotPushed(Exception):
    """A stop that is not pushed; the message says why."""


class _Stop(msgspec.Struct, frozen=True, rename="camel"):
    command_id: str


@dataclass(frozen=True, slots=True)
class _Sent:
    key: Key
    pod: str
    pod_uid: str
    command_id: str
    at: float
    fields: Mapping[str, str]
    """Of the log line that told of it."""


def packed(pod_uid: str, body: bytes, key: PushKey) -> bytes:
    """The datagram. Raises NotPushed."""
    try:
        uid = UUID(pod_uid)
    except ValueError:
        raise NotPushed("its UID is none") from None
    if str(uid) != pod_uid:
        raise NotPushed("its UID is written in another way")
    header = MAGIC + uid.bytes
    whole = header + key.sign(header + body) + body
    if len(whole) > datagram.SIZE_LIMIT:
        raise NotPushed(f"the datagram would have {len(whole)} bytes")
    return whole


class Push:
    """Sends, and takes answers. `seconds` only ever goes forward."""

    def __init__(
        self,
        keys: PushKeys,
        memory: Memory,
        wake: Callable[[Key], None],
        clock: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
        burst: Burst | None = None,
    ) -> None:
        """`burst` calls what sends, at once or shortly after; None: at once."""
        self._keys = keys
        self._memory = memory
        self._wake = wake
        self._clock = clock
        self._seconds = seconds
        self._burst = burst
        self._complaints = Complaints(seconds)
        self._sent: dict[str, _Sent] = {}
        """By nonce, oldest first."""
        self._datagrams = Datagrams(self.heard)

    def open(self) -> None:
        """Make the sockets."""
        self._datagrams.open()

    def close(self) -> None:
        """Send what is held back, and close them."""
        if self._burst is not None:
            self._burst.flush()
        self._datagrams.close()

    def send(self, of: Key, stop: PushStop) -> None:
        """Push a stop to a pod of that object. Never raises."""
        known = self._memory.pushed(of.uid, Pushed(stop.uid, stop.sequence, stop.asks, self._clock()))
        again = known is not None and (known.sequence, known.asks) == (stop.sequence, stop.asks)
        if self._burst is None:
            self._try(of, stop, again)
        else:
            self._burst.send(lambda: self._try(of, stop, again))

    def _try(self, of: Key, stop: PushStop, again: bool) -> None:
        if self._sends(of, stop):
            logger.log(logging.DEBUG if again else logging.INFO, "stop pushed to pod %s", stop.pod)
        else:
            self._memory.not_pushed(of.uid, stop.uid)

    def _sends(self, of: Key, stop: PushStop) -> bool:
        try:
            self._send(of, stop)
        except NotPushed as error:
            self._complaints.make(f"no push to pod {stop.pod}: {error}", str(error))
        except OSError as error:
            why = errno.errorcode.get(error.errno or 0, type(error).__name__)
            self._complaints.make(f"no push to pod {stop.pod}: {error}", why)
        except Exception:
            logger.exception("no push to pod %s", stop.pod)
        else:
            return True
        return False

    def heard(self, data: bytes) -> None:
        """Something has come in."""
        found = datagram.parse_answer(data, self._clock())
        if found is None:
            self._complaints.make("something was sent to the port of pushes that is no answer", "no answer")
            return
        nonce, pod_uid, answer = found
        sent = self._sent.get(nonce)
        if sent is None or self._seconds() - sent.at > PATIENCE:
            self._complaints.make("an answer to a push came that nobody waits for", "not waited for")
        elif (sent.pod_uid, sent.command_id) != (pod_uid, answer.command_id):
            self._complaints.make(f"an answer to the push to pod {sent.pod} names another pod, or command", "another")
        else:
            del self._sent[nonce]
            self._answered(sent, answer)

    def _send(self, of: Key, stop: PushStop) -> None:
        """Raises NotPushed, OSError, and whatever else is wrong with it."""
        key = self._keys.get(stop.key_id)
        if key is None:
            raise NotPushed(f"its key {stop.key_id} is not known")
        command = msgspec.json.decode(stop.text, type=_Stop).command_id
        nonce, now = secrets.token_hex(datagram.NONCE_DIGITS // 2), self._seconds()
        self._datagrams.send(packed(stop.uid, datagram.body(nonce, stop.text), key), stop.address, stop.port)
        self._forget(now)
        self._sent[nonce] = _Sent(of, stop.pod, stop.uid, command, now, log.fields())

    def _forget(self, now: float) -> None:
        """Drop what is too old, and make room."""
        while self._sent:
            oldest = next(iter(self._sent))
            if len(self._sent) < WAITED and now - self._sent[oldest].at <= PATIENCE:
                return
            del self._sent[oldest]

    def _answered(self, sent: _Sent, answer: PushAnswer) -> None:
        if not self._memory.push_answered(sent.key.uid, sent.pod_uid, answer):
            return
        with log.context(**sent.fields):
            took = (self._seconds() - sent.at) * 1000
            logger.info("pod %s has answered the push after %.1f ms: %s", sent.pod, took, _words(answer))
        self._wake(sent.key)


def _words(answer: PushAnswer) -> str:
    main = "the main program has ended" if answer.main_ended else "the main program lives"
    return f"{answer.did}; {answer.told} told, {answer.refused} refused; {main}, {answer.left} others are left"


@dataclass(slots=True)
class Complaints:
    """Warnings that may come a thousand times a second, and are made seldom."""

    seconds: Callable[[], float]
    _next: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    """By what is complained of: when it may be said again, how long after that one it may be, and how often it was not
    said. What is complained of is one of a few words, or names one of few keys."""

    def make(self, words: str, of: str) -> None:
        """Say so, or count it."""
        now = self.seconds()
        due, pause, left_out = self._next.pop(of, (now, FIRST / 2, 0))
        if now < due:
            self._next[of] = (due, pause, left_out + 1)
            return
        pause = FIRST if now - due > LONGEST else min(pause * 2, LONGEST)
        more = f" (and {left_out} times since it was said last)" if left_out else ""
        logger.warning("%s%s", words, more)
        self._next[of] = (now + pause, pause, 0)
        if len(self._next) > 64:
            del self._next[next(iter(self._next))]
