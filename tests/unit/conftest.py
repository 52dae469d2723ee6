"""Property tests do not judge a machine: what else runs on it may hold one example, or its making, up for seconds."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
