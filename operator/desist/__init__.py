"""Desist: runs workflow executions on Kubernetes and stops them, with proof."""
