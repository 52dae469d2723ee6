"""`make demo`: real programs on a real cluster, stopped in every way, with what happened to their processes."""
