"""A lossy service, and a queue in a real Redis with one worker."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import anyio
import httpx
import pytest
from redis.asyncio import Redis
from taskiq.receiver import Receiver
from taskiq_redis import (
    RedisAsyncResultBackend,
    RedisStreamBroker,
)

from smsc_async import (
    Client,
    Guards,
)
from smsc_async import taskiq as module
from smsc_async.guards._redis import store as _redis
from smsc_async.sandbox import Sandbox
from smsc_async.taskiq import SmscTasks
from tests.redis_server import RedisServer

URL = "http://127.0.0.1/sys/soap.php"
PHONE = "+79991234567"
IDLE = 400
"""Milliseconds; the lease in these tests is 0.3 s."""


class Service(httpx.AsyncBaseTransport):
    """The sandbox behind a network that loses answers.

    Attributes:
        sandbox: The sandbox.
        losing: The number of next answers that are lost.
        before: Whether those requests are lost too.
    """

    def __init__(self) -> None:
        self.sandbox = Sandbox()
        self.losing = 0
        self.before = False
        self._inner = self.sandbox.transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        lost = self.losing > 0
        self.losing -= lost
        if lost and self.before:
            raise httpx.ReadError("cut")
        response = await self._inner.handle_async_request(request)
        if lost:
            await response.aread()
            raise httpx.ReadError("cut")
        return response

    @property
    def phones(self) -> list[str]:
        """The recipients of the messages, in order."""
        return [message.phone for message in self.sandbox.messages]

    def asked(self, method: str) -> int:
        """Return how often a method was called."""
        return sum(count for (name, _), count in self.sandbox.counts.items() if name == method)


@dataclass
class Post:
    """A queue with one worker that handles deliveries when `deliver` is called.

    Attributes:
        tasks: The tasks under test.
        broker: The broker of the stream.
        service: The service that receives the messages.
        redis: A client of the Redis server.
    """

    tasks: SmscTasks
    broker: RedisStreamBroker
    service: Service
    redis: Redis
    _receiver: Receiver = field(init=False)

    def __post_init__(self) -> None:
        self._receiver = Receiver(self.broker, max_async_tasks=10)

    async def deliver(self, count: int = 1) -> None:
        """Let the worker handle `count` deliveries, one after the other."""
        with anyio.fail_after(10):
            async with aclosing(self.broker.listen()) as messages:
                for _ in range(count):
                    await self._receiver.callback(await anext(messages))

    async def deliver_postponed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Queue the postponed tasks as if a day had passed, and handle one delivery."""
        queue = self.tasks._queue
        later = await queue.now() + 86_400

        async def now() -> float:
            return later

        with monkeypatch.context() as patch:
            patch.setattr(queue, "now", now)
            await queue.tend()
        await self.deliver()

    async def unacknowledged(self) -> int:
        """Return the number of unacknowledged deliveries."""
        count: int = (await self.redis.xpending(self.broker.queue_name, "taskiq"))["pending"]
        return count

    async def waiting(self) -> list[float]:
        """Return the seconds until each postponed task is due."""
        rows: list[Any] = await self.redis.zrange(self.tasks._queue._later, 0, -1, withscores=True)
        now = await self.tasks._queue.now()
        return [score - now for _, score in rows]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture(autouse=True)
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redis, "_SLACK", 0.0)
    monkeypatch.setattr(module, "_SLACK", 0.0)


@pytest.fixture
def make_broker(server: RedisServer) -> Callable[..., RedisStreamBroker]:
    def make(**options: Any) -> RedisStreamBroker:
        given: dict[str, Any] = {"consumer_id": "0", "idle_timeout": IDLE, "xread_block": 20, "xread_count": 1}
        broker = RedisStreamBroker(server.url, queue_name=uuid4().hex, **given | options)
        return broker.with_result_backend(RedisAsyncResultBackend(server.url))

    return make


@pytest.fixture
async def make_post(
    server: RedisServer, make_broker: Callable[..., RedisStreamBroker]
) -> AsyncIterator[Callable[..., Any]]:
    made: list[Post] = []

    async def make(*, on_unknown: Any = "reconcile", idle_timeout: int = IDLE, **options: Any) -> Post:
        service, broker = Service(), make_broker(idle_timeout=idle_timeout)

        def client(guards: Guards) -> Client:
            return Client(apikey="demo", url=URL, transport=service, guards=guards, on_unknown=on_unknown)

        given: dict[str, Any] = {"deadline": 0.25, "late_arrival": 0.05, "margin": 0.01, "prefix": uuid4().hex}
        tasks = SmscTasks(broker, client, **given | options)
        broker.is_worker_process = True
        await broker.startup()
        await tasks._queue.stop()  # the tests maintain the stream themselves
        made.append(Post(tasks, broker, service, Redis.from_url(server.url)))
        return made[-1]

    yield make
    for post in made:
        await post.broker.shutdown()
        await post.redis.aclose()


@pytest.fixture
async def post(make_post: Callable[..., Any]) -> Post:
    made: Post = await make_post()
    return made


async def queued_message(post: Post) -> Any:
    entries: Any = await post.redis.xrange(post.broker.queue_name)
    ((_, fields),) = entries
    return post.broker.formatter.loads(fields[b"data"])
