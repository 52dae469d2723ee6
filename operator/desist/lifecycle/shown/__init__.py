"""shown: what is derived from the rest for people and their tools.

Nothing is decided by it: conditions, flags, waiting (`waitingOn`), notes (what rides on a write), events.
"""
