"""operation: one unit of work of a run, from its creation to its end.

`view` is what its reconcile looks at; `belong` says whose it is, `begin` starts it, `taken` takes over what its run's
stop or end means for it, `close` ends it; `seen` is what its run sees of it. All else is as for a run's own process.
"""
