"""wire: the texts that the core and the launcher exchange.

`mailbox` is what a pod is told, `termination` what it leaves behind; `fields` reads JSON that anybody may have written.
"""
