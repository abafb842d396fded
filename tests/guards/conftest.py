"""Fixtures of the tests of the guards: a real Redis and stores over it."""

from tests.parts import is_installed

if is_installed("redis"):
    from tests.guards.redis_store import prefix, raw, server, short_leases, stores  # noqa: F401 - fixtures
