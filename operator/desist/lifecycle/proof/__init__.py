"""proof: whether a process is gone, and how it ended.

`verdict` is the only judge of "gone"; `end` holds the cause of an end and what came with it; `cause` finds it.
"""
