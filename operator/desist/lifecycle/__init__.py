"""lifecycle: the pure core. `decide.decide(observed, now)`, and nothing else decides.

Contract: frozen values in, frozen values out; no I/O, no clock, no client. Where to look, from the top:
`decide` is the order of one reconcile;
`shown/` is what is derived for people: conditions, flags, waitingOn, events;
`stop/` is what is asked and accepted, and how it reaches the processes;
`run/` begins a run, follows its attempts and closes it;
`proof/` says whether a process is gone and how it ended; `pod/` is what a template may say and the pod made of it;
`wire/` is what core and launcher exchange; `observed`, `plan`, `settings`, `view`, `history`, `ids` are values.
Five words are about ends: a verdict says whether a process is gone, a cause why it ended, a termination is the text
that it left, an outcome is what becomes of the run, and closing writes it.
Rejected: a method per event (what was missed would be lost), and state that is kept between two reconciles.
"""
