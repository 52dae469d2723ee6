"""lifecycle: the pure core. `decide.decide(observed, now) -> Plan`, and nothing else decides.

Contract: frozen values in, frozen values out; no I/O, no clock, no client. Where to look:
what is seen and wanted: observed, plan, settings, view; the pass and its order: decide;
the tables: accept (commands), verdict (proof), cause and outcome (how a run ends), template (what is refused);
the steps: reports, commands with deadlines, start, late, closing;
what is derived: flags, conditions, waiting, history, notes, events, timers, ids;
what reaches pods: delivery, manifest, and the wire: mailbox, termination.
Rejected: a method per event (what was missed would be lost), and state that is kept between two passes.
"""
