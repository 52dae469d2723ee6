"""A real Kubernetes cluster on a bare machine: `python -m hack.cluster up`, and `hack.cluster.api` for tests and demo.

What it needs it finds (Docker, kind, kubectl, Helm, a node image) or makes from Debian packages and Go modules; what
it makes is cached under a key of everything that goes into it, outside the checkout, and shared by all checkouts.
Why it is done this way: docs/decisions/0002-cluster-on-a-bare-machine.md.
"""
