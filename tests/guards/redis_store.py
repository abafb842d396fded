"""A real Redis for the tests, stores over it, and a proxy in front of it."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from smsc_async import GuardStoreError, Outcome
from smsc_async.guards import RedisStore
from smsc_async.guards._limits import BlockLimit, Limit, LoginLimit, Release, StreakLimit, WindowLimit
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


# A rule that holds no histories which a failover could lose.
BLOCKED = on("a", BlockLimit(60, 60, 60), "blocked", 0)
LOGIN = Demand("login_failures", b"a", LoginLimit(3, 1800), proof=b"credentials")
SUBSCRIBER = on("a", StreakLimit(50, 121.2), "subscriber")
IN_FLIGHT = on("a", WindowLimit(14, 0), "in_flight")
STATUS = on("a", WindowLimit(5, 61.2))


async def take(store: RedisStore, *demands: Demand, hold: float = 30) -> Reservation:
    answer = await store.acquire(demands, hold)
    assert isinstance(answer, Reservation), answer
    return answer


async def refused(store: RedisStore, *demands: Demand) -> Refusal:
    answer = await store.acquire(demands, 30)
    assert isinstance(answer, Refusal), answer
    return answer


async def distrusted(store: RedisStore, *demands: Demand) -> float:
    with pytest.raises(GuardStoreError) as caught:
        await store.acquire(demands, 30)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.retry_after is not None
    return caught.value.retry_after


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
        port: The port of the server to which new connections lead.
        connections: The number of connections so far.
        refusing: Answers with which the next scripts are answered instead, at most one for each request.
    """

    url: str
    port: int
    sent: int = 0
    losing: int = 0
    holding: float = 0.0
    connections: int = 0
    refusing: list[bytes] = field(default_factory=list)


async def _pass_answers(wire: Wire, answers: asyncio.StreamReader, writers: list[asyncio.StreamWriter]) -> None:
    with suppress(OSError):
        while answer := await answers.read(65_536):
            if wire.losing:
                wire.losing -= 1
                break
            writers[0].write(answer)
    for closing in writers:
        closing.close()


@asynccontextmanager
async def wire_to(server: RedisServer) -> AsyncIterator[Wire]:
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        writers = [writer]
        answering: asyncio.Task[None] | None = None
        with suppress(OSError, asyncio.CancelledError):
            wire.connections += 1
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", wire.port)
            writers.append(up_writer)
            # Apart, as the answers to one packet may come in several.
            answering = asyncio.create_task(_pass_answers(wire, up_reader, writers))
            while data := await reader.read(65_536):
                wire.sent += 1
                await asyncio.sleep(wire.holding)
                if wire.refusing and b"EVAL" in data:
                    writer.write(wire.refusing.pop(0) * data.count(b"\r\nEVAL"))
                    continue
                up_writer.write(data)
        if answering is not None:
            answering.cancel()
        for closing in writers:
            closing.close()
        for closing in writers:
            with suppress(OSError, asyncio.CancelledError):
                await closing.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = Wire(f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0", server.port)
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


async def elapse(raw: Redis, prefix: str, seconds: float) -> None:
    """Let time pass for the recovery from a loss: date it and all that was counted since to an earlier time."""
    name = f"{{{prefix}}}:epoch"
    await raw.hincrbyfloat(name, "since", -seconds * 1e6)
    async for key in raw.scan_iter(match=f"{{{prefix}}}:*", _type="ZSET"):
        for member in await raw.zrange(key, 0, -1):
            await raw.zincrby(key, -seconds * 1e6, str(member))
