"""What is said of several measurements of the same thing."""

from __future__ import annotations

import statistics


def spread(seconds: list[float]) -> dict[str, float]:
    """Minimum, median, 95th percentile and maximum in seconds."""
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    values = {"min": ordered[0], "p50": statistics.median(ordered), "p95": p95, "max": ordered[-1]}
    return {name: round(value, 3) for name, value in values.items()}
