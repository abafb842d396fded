"""A real Redis for the tests, stores over it, and a proxy in front of it."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from smsc_async.guards import RedisStore
from smsc_async.guards._limits import Limit, Release, WindowLimit
from smsc_async.guards._redis import store as _redis
from smsc_async.guards._store import Demand, Refusal, Reservation
from tests.redis_server import RedisServer

NONE = Release()
KEPT = Release(keep=1)
ONCE = WindowLimit(1, 60)
GATE = WindowLimit(1, 0)
SECRET = "s3cret-pa55word"
RANDOM = random.Random(1)  # noqa: S311 - it times tests


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


@pytest.fixture
async def stores(server: RedisServer, prefix: str) -> AsyncIterator[Callable[..., RedisStore]]:
    """Create stores on one set of histories, as several processes would."""
    made: list[RedisStore] = []

    def make(url: str = server.url, **options: Any) -> RedisStore:
        made.append(RedisStore.from_url(url, **{"prefix": prefix, **options}))
        return made[-1]

    yield make
    for store in made:
        await store.aclose()


@pytest.fixture
async def raw(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redis, "_SLACK", 0.0)


def on(key: str = "a", limit: Limit = ONCE, rule: str = "status", amount: int = 1) -> Demand:
    return Demand(rule, key.encode(), limit, amount)


LOGIN = Demand("login_failures", b"a", WindowLimit(3, 1800), proof=b"credentials")


async def take(store: RedisStore, *demands: Demand, hold: float = 30) -> Reservation:
    answer = await store.acquire(demands, hold)
    assert isinstance(answer, Reservation), answer
    return answer


async def refused(store: RedisStore, *demands: Demand) -> Refusal:
    answer = await store.acquire(demands, 30)
    assert isinstance(answer, Refusal), answer
    return answer


async def release(store: RedisStore, reservation: Reservation, *releases: Release) -> None:
    store.release(reservation, releases)
    await store.flush()


@dataclass
class Wire:
    """A proxy in front of Redis that counts requests and fails on demand.

    Attributes:
        url: The URL at which it listens.
        sent: The number of requests, or parts of them, that have passed.
        losing: The number of answers still to be lost with their connection.
        holding: Seconds for which each request is delayed.
    """

    url: str
    sent: int = 0
    losing: int = 0
    holding: float = 0.0


@asynccontextmanager
async def wire_to(server: RedisServer) -> AsyncIterator[Wire]:
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        writers = [writer]
        with suppress(OSError, asyncio.CancelledError):
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)
            writers.append(up_writer)
            while data := await reader.read(65_536):
                wire.sent += 1
                await asyncio.sleep(wire.holding)
                up_writer.write(data)
                answer = await up_reader.read(65_536)
                if wire.losing:
                    wire.losing -= 1
                    break
                writer.write(answer)
        for closing in writers:
            closing.close()
        for closing in writers:
            with suppress(OSError, asyncio.CancelledError):
                await closing.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = Wire(f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0")
    async with listening:
        yield wire
        listening.close()
        await asyncio.sleep(0)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def forget(raw: Redis, prefix: str) -> None:
    """Delete the keys that one test has written to the shared server."""
    names = [name async for name in raw.scan_iter(match=f"{{{prefix}}}:*")]
    await raw.delete(*names)
