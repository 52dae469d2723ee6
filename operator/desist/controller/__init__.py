"""controller: the kopf operator. Observe, decide, apply."""
