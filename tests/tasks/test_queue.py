"""Postponed tasks are queued when due, completed ones are trimmed, and the queue survives failures of Redis."""

import asyncio
from contextlib import aclosing

import anyio
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from taskiq import BrokerMessage

from tests.tasks.taskiq_post import IDLE, PHONE, Post, queued_message


async def test_completed_tasks_are_trimmed_and_open_ones_stay(post: Post) -> None:
    for number in range(3):
        await post.tasks.send(PHONE, f"Hello {number}")
    await post.deliver()
    await post.tasks._queue._trim()
    # The last delivered entry is the bound and stays until the next one is delivered.
    assert await post.redis.xlen(post.broker.queue_name) == 3
    async with aclosing(post.broker.listen()) as messages:
        await anext(messages)
        await post.deliver()
        await post.tasks._queue._trim()
    assert await post.redis.xlen(post.broker.queue_name) == 2


async def test_a_stream_without_groups_is_not_trimmed(post: Post) -> None:
    await post.redis.xgroup_destroy(post.broker.queue_name, "taskiq")
    await post.redis.xadd(post.broker.queue_name, {"data": "x"})
    await post.tasks._queue._trim()
    assert await post.redis.xlen(post.broker.queue_name) == 1


async def test_one_worker_at_a_time_queues_the_tasks_that_are_due(post: Post) -> None:
    queue = post.tasks._queue
    task = await post.tasks.send(PHONE, "Hello")
    message = post.broker.formatter.dumps(await queued_message(post))
    await queue._postpone(message.message, -1.0)
    assert await post.redis.set(f"{queue._later}:mover", "another")
    await queue._move()
    assert len(await post.waiting()) == 1
    await post.redis.delete(f"{queue._later}:mover")
    await queue._move()
    assert await post.waiting() == []
    assert not await task.is_ready()


async def test_a_task_postponed_again_while_it_is_queued_is_not_lost(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, kick = post.tasks._queue, post.broker.kick
    await post.tasks.send(PHONE, "Hello")
    message = post.broker.formatter.dumps(await queued_message(post))
    await queue._postpone(message.message, -1.0)

    async def overtaken(due: BrokerMessage) -> None:
        await kick(due)  # a worker gets it, the service is down, and the same bytes are postponed again
        await queue._postpone(due.message, 30.0)

    monkeypatch.setattr(post.broker, "kick", overtaken)
    await queue._move()
    (left,) = await post.waiting()
    assert 25 < left < 31


async def test_a_worker_whose_lock_has_expired_stops_queuing(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    async def expire(*_: object, **__: object) -> list[bytes]:
        await post.redis.delete(f"{post.tasks._queue._later}:mover")
        return []

    monkeypatch.setattr(post.tasks._queue._redis, "zrange", expire)
    await post.tasks._queue._move()


@pytest.mark.parametrize("broken", ["_trim", "_wake"])
async def test_a_keeper_survives_failures_of_redis(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    failed = anyio.Event()

    async def fail(*_: object) -> None:
        failed.set()
        raise RedisConnectionError

    queue = post.tasks._queue
    monkeypatch.setattr("smsc_async._tasks.queue._LOOK_EVERY", 0.01)
    if broken == "_trim":
        monkeypatch.setattr(queue, "_trim", fail)
    else:
        await post.tasks.send(PHONE, "Hello")
        async with aclosing(post.broker.listen()) as messages:
            await anext(messages)
        await asyncio.sleep(IDLE / 1000 + 0.05)
        monkeypatch.setattr(post.broker, "kick", fail)
    queue.start()
    queue.start()  # one is enough
    with anyio.fail_after(5):
        await failed.wait()
        while "trying again later" not in caplog.text:  # noqa: ASYNC110 - a log sets no event
            await asyncio.sleep(0.01)
    assert queue._keeper is not None
    assert not queue._keeper.done()
