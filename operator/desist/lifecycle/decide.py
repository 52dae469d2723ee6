"""The pass: everything that one look at an execution leads to.

Contract: `decide` is pure and total; it may be called at any time, any number of times, by several controllers. Where
its plan was carried out and seen, the same call plans no further write. The order of the judgements is fixed, see
`judge`; a terminal write ends the pass.
"""

from __future__ import annotations

from datetime import datetime

from desist.lifecycle.observed import Observed, Questions
from desist.lifecycle.plan import Plan


def questions(observed: Observed, now: datetime) -> Questions:
    """What to ask the API server before `decide`, so that its answers are in `observed.trial` and `.live_absent`.

    A live pod that was found belongs into `observed.pods`. Nothing is asked twice for what is already answered.
    """
    raise NotImplementedError


def decide(observed: Observed, now: datetime) -> Plan:
    """What to do now: at most one status write, then what it permits."""
    raise NotImplementedError
