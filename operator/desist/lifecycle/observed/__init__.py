"""observed: what a reconcile sees, as frozen records.

Contract: no method here decides anything. Times are aware datetimes in UTC. Each says whose clock it is by: the
controller's (this process's, and what another one wrote into status or a mailbox), the API server's, or the node's.
Those of different clocks are never compared as if they were one.
`sight` is the whole of one reconcile; `pods`, `pushes` and `questions` are its parts.
"""
