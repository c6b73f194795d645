"""Settings for the whole suite."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

from nearhop.tests.support import examples

settings.register_profile("nearhop", examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nearhop")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts its background jobs
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by how many they are: packed ones hold a time, and processes that share tests agree on names."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) and len(val) > 32 else None
