"""pod: one attempt's pod, and what it is made of.

`template` is what a template may say, and `limits` how large it may be; `manifest` is the pod that is made of it, and
`launcher` what puts the launcher into that.
"""
