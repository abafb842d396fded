"""A caller that is cancelled while Redis is slow leaves nothing behind."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from smsc_async.guards import RedisStore
from tests.guards.redis_store import on, wire_to
from tests.redis_server import RedisServer


@pytest.mark.parametrize("method", ["open", "acquire", "snapshot"])
async def test_a_caller_cancelled_while_redis_is_slow_leaves_no_exception_behind(
    server: RedisServer, stores: Callable[..., RedisStore], method: str
) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with wire_to(server) as wire:
        store = stores(wire.url, timeout=0.1)
        await store.open()
        wire.holding = 30
        calls: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "open": store.open,
            "acquire": lambda: store.acquire([on()], 30),
            "snapshot": lambda: store.snapshot({}),
        }
        caller = asyncio.ensure_future(calls[method]())
        while not store._link._tasks:  # noqa: ASYNC110 - a request sets no event
            await asyncio.sleep(0)
        asked = set(store._link._tasks)
        caller.cancel()
        with suppress(asyncio.CancelledError):
            await caller
        await asyncio.wait(asked)
        asked.clear()
        await store.flush()
        del caller
        gc.collect()
        await asyncio.sleep(0)
    assert reported == []
