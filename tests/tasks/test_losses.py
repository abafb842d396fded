"""After a restart of Redis tasks wait no longer than they must, and none is lost or sent twice."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from smsc_async import Message, Rule, Rules
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


async def test_lists_that_lost_requests_keep_back_go_soon_after_a_message_is_accepted(
    make_post: Callable[..., Any], server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = uuid4().hex
    rules = Rules(bad_sends=Rule(5, 600.0, "raise"), identical_send=Rule(1, 0.01, "raise"))
    post: Post = await make_post(prefix=prefix, on_unknown="raise", rules=rules, batch_size=2)
    await post.tasks.send(PHONE, "Before")
    await post.deliver()
    lists = [Message(f"+7999123457{number}", f"Lot {number}") for number in range(6)]
    batches = [task async for task in post.tasks.send_batch(lists)]
    post.service.losing = 2
    await post.deliver(3)
    assert len(post.service.phones) == 1 + 4  # two lists of two, whose answers were lost
    assert max(await post.waiting()) <= 60
    await deliver_all_postponed(post, monkeypatch)
    assert not await batches[2].is_ready()
    async with Redis.from_url(server.url, decode_responses=True) as raw:
        await elapse(raw, prefix, 1)  # what may have arrived late has
    await post.tasks.send(PHONE, "A code")
    await post.deliver()
    await deliver_all_postponed(post, monkeypatch)
    assert (await batches[2].get_result()).return_value.accepted
    phones = [PHONE.removeprefix("+")] * 2 + [message.phone.removeprefix("+") for message in lists]
    assert sorted(post.service.phones) == sorted(phones)


async def deliver_all_postponed(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(await post.waiting())
    await post.deliver_postponed(monkeypatch)
    await post.deliver(count - 1)
