"""api: the custom resources, and the only place that knows field names."""
