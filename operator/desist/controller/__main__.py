"""`python -m desist.controller`: `kopf run` with our handlers, as a call.

Contract: exit code 0 after a SIGTERM, else 1. A wrong setting and credentials that are not there are said in one line,
before anything starts: kopf would try to log in again for ever.
Rejected: kopf's command line (`kopf.cli`), of which nothing is used: with click it takes memory for no more than this
call.
"""

from __future__ import annotations

import os
import sys

import kopf

import desist.controller.handlers  # noqa: F401 - kopf finds them registered
from desist.controller import log, login
from desist.controller.settings import SettingError, from_environment
from desist.kube.connection import ConnectionProblem


def main() -> None:
    """Run the operator until it is told to stop."""
    try:
        settings = from_environment(os.environ)
        login.connection()
    except (SettingError, ConnectionProblem) as error:
        sys.exit(f"desist: {error}")
    log.configure(settings.log_level, settings.log_format)
    kopf.run(clusterwide=True, standalone=True)


if __name__ == "__main__":
    main()
