"""Claims give a task to one worker at a time, and record whether the message may have been sent."""

import asyncio
from uuid import uuid4

from redis.asyncio import Redis

from smsc_async._tasks.claims import Busy, Claim, Claims
from tests.redis_server import RedisServer


async def test_a_worker_that_has_lost_its_lease_can_not_clear_unresolved(server: RedisServer) -> None:
    async with Redis.from_url(server.url) as redis:
        prefix = uuid4().hex
        claims = Claims(redis, prefix, 60)
        first = await Claims(redis, prefix, 0.05).take("x", "t")
        await asyncio.sleep(0.06)
        second = await claims.take("x", "t")
        assert isinstance(first, Claim)
        assert isinstance(second, Claim)
        assert (first.unresolved, second.unresolved) == (False, True)
        await claims.give_back(first, unsent=True)
        assert isinstance(await claims.take("x", "t"), Busy)
        await claims.give_back(second, unsent=False)
        third = await claims.take("x", "t")
        assert isinstance(third, Claim)
        assert (third.unresolved, third.tries) == (True, 3)
        await claims.give_back(third, unsent=True)
        assert not (await claims.take("x", "t")).unresolved  # type: ignore[union-attr]
