"""The operator, as kopf sees it. `python -m desist.controller` runs it.

Contract: here is the frame, and what people change now and then. Executions and operations, which are on a stop's way,
come through reflectors of ours (`watches`). A handler notes what it is told and puts a key into the queue; it never
waits, never raises, and returns nothing (kopf would write a return value into status). All writing is done by the
queue's workers. Only raw events: they need no annotation and no finalizer, so an uninstalled operator leaves nothing
behind that wedges. What fails at the start or at the end is permanent: kopf would try it again a minute later, and
meanwhile look healthy. So are credentials that cannot be read at the first login; later they may be back in a moment (a
file that is being replaced). Never start this file by its path: kopf would load it twice, under two names, and every
handler would run twice. (`kopf run -m desist.controller.handlers -A` works.)
"""

from __future__ import annotations

import gc
import os
from typing import Any

import kopf

from desist.controller import frame, log, login
from desist.controller.kinds import WORKFLOW
from desist.controller.operator import Operator
from desist.controller.settings import SettingError, from_environment
from desist.kube.connection import ConnectionProblem

LOGINS = login.Logins()


@kopf.on.startup(errors=kopf.ErrorsMode.PERMANENT)
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """Wait for our kinds, fill the caches, start the workers; then kopf begins to watch."""
    try:
        ours = from_environment(os.environ)
        log.configure(ours.log_level, ours.log_format)  # under `kopf run` nobody has
        frame.configure(settings)
        memo.operator = Operator(ours)
    except (SettingError, ConnectionProblem) as error:
        raise kopf.PermanentError(str(error)) from error
    await memo.operator.life.start()
    # What the start has made stays: from now on no search for garbage looks through it.
    gc.collect()
    gc.freeze()
    settings.watching.initial_streaming = memo.operator.streams


@kopf.on.cleanup(errors=kopf.ErrorsMode.PERMANENT)
async def stop(memo: kopf.Memo, **_: Any) -> None:
    """End what was started; raises where a part of it had died, so that the exit code says so."""
    await memo.operator.life.stop()


@kopf.on.login(backoff=login.LONGEST_PAUSE)
async def log_in(**_: Any) -> kopf.ConnectionInfo:
    """The same credentials as our own client's."""
    try:
        return await LOGINS.next(login.connection())
    except ConnectionProblem as error:
        if LOGINS.succeeded:
            raise kopf.TemporaryError(str(error), delay=login.LONGEST_PAUSE) from error
        raise kopf.PermanentError(str(error)) from error


@kopf.on.event(*WORKFLOW.path)
async def workflow_event(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A Workflow was listed, added, modified or deleted."""
    memo.operator.event(WORKFLOW, event["type"], event["object"])
