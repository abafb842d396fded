"""Processes that share one Redis keep the limits of the service, also when they are killed with requests in flight."""

import pytest

from benchmarks.guards_processes import IN_FLIGHT, PER_WINDOW, prove
from tests.redis_server import RedisServer


@pytest.mark.slow
async def test_processes_that_are_killed_at_random_never_break_a_limit() -> None:
    with RedisServer() as redis:
        service, kills = await prove(redis.url, windows=8, window=1.0, processes=3, pause=2.0, seed=1)
    assert kills >= 1
    assert len(service.by_process) == 3
    assert service.arrivals > 20
    assert (service.refused, service.fullest <= PER_WINDOW, service.crowd <= IN_FLIGHT) == (0, True, True)
