"""The operator on a machine whose clock is off: `python -m tests.support.skewed SECONDS`.

Contract: the process is the operator as it is, but for the wall clock that it takes its time from, which shows so many
seconds more (or less). Certificates are checked by the machine's own time: a clock that is off that far would rather
keep an operator from its API server than do harm.
"""

from __future__ import annotations

import runpy
import sys
from datetime import datetime, timedelta, tzinfo
from typing import Self, cast

from desist.controller import clock


def main(seconds: float) -> None:
    """Run the operator until it is told to stop."""

    class Skewed(datetime):
        """What the machine's clock shows."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cast(Self, datetime.now(tz) + timedelta(seconds=seconds))

    vars(clock)["datetime"] = Skewed
    sys.argv = sys.argv[:1]
    runpy.run_module("desist.controller", run_name="__main__")


if __name__ == "__main__":
    main(float(sys.argv[1]))
