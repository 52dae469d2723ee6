"""`make bench-latency`: how soon a process hears of its stop, beside Kubernetes' own ways, on one cluster in one run.

Contract: four sides stop the same program in the same pod template, turn by turn: Desist with push, Desist by mailbox
alone, a Job's `suspend: true`, a bare DELETE of a pod. `samples` is what is kept of each stop, raw; `sides` says how
each side starts and stops; `sight` reads handlers and deaths from this machine's kernel; `stage` makes the stops;
`turns` puts them in order; `writes` counts what they wrote; `budgets` and `table` are pure and can be made again from
a file of samples. Rejected: kubectl as the client (its start takes longer than most of what is measured); each side in
a run of its own (these figures drift by half from one quarter of an hour to the next, with all that a machine does).
"""
