"""After a restart of Redis tasks wait no longer than they must, and none is lost or sent twice."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from smsc_async import Message
from tests.guards.redis_store import elapse
from tests.redis_server import RedisServer
from tests.tasks.taskiq_post import PHONE, Post

MESSAGES = [Message(f"+7999123456{number}", f"Lot {number}") for number in range(2)]


async def test_a_list_goes_soon_after_a_message_is_accepted_although_it_was_told_to_wait_ten_minutes(
    make_post: Callable[..., Any], server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = uuid4().hex
    post: Post = await make_post(prefix=prefix)
    await post.tasks.send(PHONE, "Before")
    await post.deliver()
    await post.redis.hset(f"{{{prefix}}}:epoch", "run", "another")  # a restart with persistence
    (batch,) = [task async for task in post.tasks.send_batch(MESSAGES)]
    await post.deliver()
    async with Redis.from_url(server.url, decode_responses=True) as raw:
        await elapse(raw, prefix, 160)
    await post.deliver_postponed(monkeypatch)
    (left,) = await post.waiting()
    assert 30 < left <= 60
    await post.tasks.send(PHONE, "A code")
    await post.deliver()
    assert len(post.service.phones) == 2
    await post.deliver_postponed(monkeypatch)
    result = (await batch.get_result()).return_value
    assert (result.accepted, result.tries) == (True, 3)
    assert post.service.phones[2:] == [message.phone.removeprefix("+") for message in MESSAGES]
    assert await post.waiting() == []
