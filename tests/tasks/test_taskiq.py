"""Tasks of taskiq over a real Redis: delivered at least once, accepted exactly once, and each with a result."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import anyio
import httpx
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from taskiq import AsyncTaskiqTask, BrokerMessage, InMemoryBroker
from taskiq.receiver import Receiver
from taskiq_redis import (
    ListQueueBroker,
    PubSubBroker,
    RedisAsyncResultBackend,
    RedisStreamBroker,
    RedisStreamClusterBroker,
)

import smsc_async
from smsc_async import (
    AddressBlocked,
    BreakerOpen,
    Client,
    ConnectionLost,
    DeliveryReport,
    DuplicateSend,
    Guards,
    InvalidPhone,
    Message,
    MessageNotFound,
    MessageRef,
    Outcome,
    ReadTimeout,
    SmscError,
    TooManyRequests,
)
from smsc_async import taskiq as module
from smsc_async._tasks import end_of, pause_after
from smsc_async._tasks.claims import Busy, Claim, Claims, Over
from smsc_async.guards import MemoryStore
from smsc_async.guards._redis import store as _redis
from smsc_async.sandbox import Sandbox
from smsc_async.taskiq import FollowResult, SendResult, SmscTasks
from tests.redis_server import RedisServer

ROOT = Path(__file__).parent.parent.parent
URL = "http://127.0.0.1/sys/soap.php"
PHONE = "+79991234567"
IDLE = 400
"""Milliseconds; the lease in these tests is 0.3 s."""


class Service(httpx.AsyncBaseTransport):
    """The sandbox behind a network that loses what it is told to.

    Attributes:
        sandbox: Behind it.
        losing: How many of the next answers are lost.
        before: Whether those requests never arrive either.
        methods: What arrived.
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
        """Who got a message, in order."""
        return [message.phone for message in self.sandbox.messages]

    def asked(self, method: str) -> int:
        """Return how often a method was called."""
        return sum(count for (name, _), count in self.sandbox.counts.items() if name == method)


@dataclass
class Post:
    """A queue with one worker that takes one delivery when it is told to.

    Attributes:
        tasks: What is tested.
        broker: The stream.
        service: Where the messages go.
        redis: The Redis.
    """

    tasks: SmscTasks
    broker: RedisStreamBroker
    service: Service
    redis: Redis
    _receiver: Receiver = field(init=False)

    def __post_init__(self) -> None:
        self._receiver = Receiver(self.broker, max_async_tasks=10)

    async def deliver(self, count: int = 1) -> None:
        """Let the worker take so many deliveries, one after the other."""
        with anyio.fail_after(10):
            async with aclosing(self.broker.listen()) as messages:
                for _ in range(count):
                    await self._receiver.callback(await anext(messages))

    async def deliver_postponed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a day pass for what waits, and take it."""
        later = SimpleNamespace(time=lambda: time.time() + 86_400)
        with monkeypatch.context() as patch:
            patch.setattr("smsc_async._tasks.queue.time", later)
            await self.tasks._queue.tend()
        await self.deliver()

    async def unacknowledged(self) -> int:
        """Return how many deliveries are open."""
        open_ones: int = (await self.redis.xpending(self.broker.queue_name, "taskiq"))["pending"]
        return open_ones

    async def waiting(self) -> list[float]:
        """Return in how many seconds each postponed task is due."""
        rows: list[Any] = await self.redis.zrange(self.tasks._queue._later, 0, -1, withscores=True)
        return [score - time.time() for _, score in rows]


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

    async def make(*, on_unknown: Any = "reconcile", **options: Any) -> Post:
        service, broker = Service(), make_broker()

        def client(guards: Guards) -> Client:
            return Client(apikey="demo", url=URL, transport=service, guards=guards, on_unknown=on_unknown)

        given: dict[str, Any] = {"deadline": 0.25, "late_arrival": 0.05, "margin": 0.01, "prefix": uuid4().hex}
        tasks = SmscTasks(broker, client, **given | options)
        broker.is_worker_process = True
        await broker.startup()
        await tasks._queue.stop()  # what the keeper does, the tests do
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


async def result_of(task: AsyncTaskiqTask[Any]) -> Any:
    return (await task.get_result()).return_value


# --- sending


async def test_a_send_that_is_delivered_is_accepted_and_has_its_result(post: Post) -> None:
    task = await post.tasks.send(PHONE, "Hello", sender="Shop")
    await post.deliver()
    result = await result_of(task)
    assert isinstance(result, SendResult)
    assert result.accepted
    assert result.sent is not None
    assert (result.sent.refs, result.tries, result.failure) == ((MessageRef(PHONE, result.id),), 1, None)
    assert post.service.phones == [PHONE.removeprefix("+")]
    assert post.service.asked("get_status") == 0
    assert await post.unacknowledged() == 0


async def test_what_is_remembered_of_a_task_that_is_over_expires(post: Post) -> None:
    await post.tasks.send(PHONE, "Hello", id="order-7")
    await post.deliver()
    (key,) = await post.redis.keys("*:task:{order-7}")
    assert 0 < await post.redis.ttl(key) <= 604_800


async def test_a_send_that_is_queued_twice_under_one_id_is_sent_once(post: Post) -> None:
    for _ in range(2):
        task = await post.tasks.send(PHONE, "Hello", id="order-7")
    await post.deliver()
    await asyncio.sleep(0.31)  # the lease of the first
    await post.deliver()
    result = await result_of(task)
    assert result.sent.reconciled
    assert len(post.service.phones) == 1


async def test_a_batch_is_divided_in_requests_each_with_a_task(make_post: Callable[..., Any]) -> None:
    post: Post = await make_post(batch_size=2, late_arrival=0.05)
    messages = [Message(f"+7999123456{number}", f"Lot {number}") for number in range(3)]
    tasks = [task async for task in post.tasks.send_batch(messages)]
    assert len(tasks) == 2
    await post.deliver(2)
    results = [await result_of(task) for task in tasks]
    assert [ref.phone for result in results for ref in result.sent.refs] == [message.phone for message in messages]
    assert post.service.phones == [message.phone.removeprefix("+") for message in messages]


async def test_wrong_arguments_are_refused_before_anything_is_queued(post: Post) -> None:
    with pytest.raises(ValueError, match="recipient"):
        await post.tasks.send("nobody, really", "Hello")
    assert await post.redis.xlen(post.broker.queue_name) == 0


# --- delivered again


async def test_a_task_whose_result_was_not_saved_is_delivered_again_and_not_sent_again(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RedisConnectionError

    task = await post.tasks.send(PHONE, "Hello")
    with monkeypatch.context() as patch:
        patch.setattr(post.broker.result_backend, "set_result", fail)
        await post.deliver()
    assert await post.unacknowledged() == 1
    await asyncio.sleep(IDLE / 1000 + 0.05)
    await post.tasks._queue.tend()  # nothing else would make taskiq-redis look
    await post.deliver(2)  # that, and what it has woken
    result = await result_of(task)
    assert (result.sent.reconciled, result.tries) == (True, 2)
    assert len(post.service.phones) == 1
    assert await post.unacknowledged() == 0


async def test_a_worker_that_is_cancelled_hands_its_task_back(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    posted = anyio.Event()

    async def hang(_: httpx.Request) -> httpx.Response:
        posted.set()
        await anyio.sleep_forever()
        raise AssertionError

    task = await post.tasks.send(PHONE, "Hello")
    with monkeypatch.context() as patch:
        patch.setattr(post.service, "handle_async_request", hang)
        worker = asyncio.create_task(post.deliver())
        await posted.wait()
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
    assert await post.unacknowledged() == 1
    assert not await task.is_ready()


async def test_a_task_is_handed_back_when_redis_fails(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise RedisConnectionError

    task = await post.tasks.send(PHONE, "Hello")
    monkeypatch.setattr(post.tasks._claims, "take", fail)
    await post.deliver()
    assert await post.unacknowledged() == 1
    assert not await task.is_ready()
    assert post.service.phones == []


async def test_a_task_that_another_worker_holds_waits_for_the_end_of_its_lease(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await post.tasks.send(PHONE, "Hello", id="held")
    held = await post.tasks._claims.take("held", "t")
    assert isinstance(held, Claim)
    await post.deliver()
    (pause,) = await post.waiting()
    assert 0 < pause <= 0.3
    assert await post.unacknowledged() == 0
    await asyncio.sleep(0.31)
    await post.deliver_postponed(monkeypatch)
    # Who held it may have sent it, so the service was asked, twice: it might have been on its way.
    assert post.service.asked("get_status") == 2
    assert (await result_of(task)).tries == 2
    assert len(post.service.phones) == 1


async def test_a_worker_that_was_held_up_after_its_claim_sends_nothing(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = post.tasks._claims.take

    async def held_up(id_: str, ticket: str) -> Claim | Busy | Over:
        claim = await take(id_, ticket)
        await asyncio.sleep(0.3)
        return claim

    await post.tasks.send(PHONE, "Hello")
    monkeypatch.setattr(post.tasks._claims, "take", held_up)
    await post.deliver()
    assert post.service.phones == []
    assert len(await post.waiting()) == 1


async def test_a_copy_of_a_task_that_has_ended_is_dropped_even_if_it_failed(post: Post) -> None:
    task = await post.tasks.send("+79000009007", "Hello")
    copy = post.broker.formatter.dumps(await _as_message(post))
    await post.deliver()
    await post.broker.kick(copy)
    await post.deliver()
    assert (await result_of(task)).tries == 1
    assert (post.service.asked("send_sms"), await post.unacknowledged()) == (1, 0)


async def test_a_failed_send_may_be_queued_again_under_its_id(post: Post) -> None:
    tasks = [await post.tasks.send("+79000009007", f"Hello {number}", id="order-7") for number in range(2)]
    await post.deliver()
    await asyncio.sleep(0.31)  # the lease of the first
    await post.deliver()
    assert [(await result_of(task)).tries for task in tasks] == [1, 2]
    assert post.service.asked("send_sms") == 2


# --- later again


async def test_a_send_that_a_guard_refuses_is_tried_again_later_without_asking_the_service(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [await post.tasks.send(PHONE, "The same") for _ in range(2)]
    await post.deliver(2)
    (pause,) = await post.waiting()
    assert 55 < pause <= 61
    assert (len(post.service.phones), await post.unacknowledged()) == (1, 0)
    assert [await task.is_ready() for task in tasks] == [True, False]
    await post.deliver_postponed(monkeypatch)
    # It was surely not sent, so nothing has to be looked up, and the guards still refuse it.
    assert post.service.asked("get_status") == 0
    assert len(await post.waiting()) == 1


async def test_a_send_whose_answer_is_lost_is_settled_and_never_repeated(
    make_post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    post: Post = await make_post(on_unknown="raise")
    post.service.losing = 1
    task = await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    (pause,) = await post.waiting()
    assert 23 < pause <= 25  # five statuses a minute are allowed, and settling may take two
    await post.deliver_postponed(monkeypatch)
    result = await result_of(task)
    assert (result.sent.reconciled, result.tries) == (True, 2)
    assert len(post.service.phones) == 1


async def test_a_refused_send_ends_with_the_error(post: Post) -> None:
    task = await post.tasks.send("+79000009007", "Hello")
    await post.deliver()
    result = await result_of(task)
    assert not result.accepted
    assert (result.failure.error, result.failure.code, result.failure.outcome) == ("InvalidPhone", 7, Outcome.REJECTED)


async def test_a_send_that_is_refused_time_and_again_ends_with_the_reason(make_post: Callable[..., Any]) -> None:
    post: Post = await make_post(tries=1)
    tasks = [await post.tasks.send(PHONE, "The same") for _ in range(2)]
    await post.deliver(2)
    failure = (await result_of(tasks[1])).failure
    assert (failure.error, failure.outcome, failure.unresolved) == ("DuplicateSend", Outcome.NOT_SENT, None)


async def test_a_send_of_which_nobody_knows_ends_with_the_doubt(make_post: Callable[..., Any]) -> None:
    post: Post = await make_post(tries=1)
    post.service.losing = 10
    task = await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    failure = (await result_of(task)).failure
    assert (failure.error, failure.outcome) == ("SendOutcomeUnknown", Outcome.UNKNOWN)
    async with Client(apikey="demo", url=URL, transport=post.service) as client:
        post.service.losing = 0
        sent = await client.resolve(failure.unresolved)
    assert sent is not None


async def test_a_refusal_is_no_word_about_an_attempt_before_it(make_post: Callable[..., Any]) -> None:
    post: Post = await make_post(tries=2)
    await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    task = await post.tasks.send(["G7", PHONE], "Hello", id="second")
    assert isinstance(await post.tasks._claims.take("second", "t"), Claim)  # by one who was killed
    await asyncio.sleep(0.31)
    post.service.losing = 100
    await post.deliver()
    failure = (await result_of(task)).failure
    assert failure.outcome is Outcome.UNKNOWN
    assert (failure.unresolved.id, failure.unresolved.groups) == ("second", 1)


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (DuplicateSend("x", retry_after=40.0), 40, 40),
        (DuplicateSend("x"), 0.5, 1),
        (ReadTimeout("x"), 0.5, 1),
        (TooManyRequests("x", code=9), 60, 62),
        (AddressBlocked("x", code=4), 600, 600),
        (BreakerOpen("x", retry_after=600.0), 60, 60),
    ],
)
def test_what_may_succeed_later_waits_for_as_long_as_it_takes(error: SmscError, least: float, most: float) -> None:
    pause = pause_after(error, 1)
    assert pause is not None
    assert least <= pause <= most


def test_pauses_grow_and_have_an_end() -> None:
    pauses = [pause_after(ConnectionLost("x"), tries) or 0.0 for tries in (1, 5, 5_000)]
    assert pauses == sorted(pauses)
    assert 30 <= pauses[-1] <= 60


def test_what_is_refused_for_good_is_not_tried_again() -> None:
    assert pause_after(InvalidPhone("x", code=7), 1) is None


# --- defects


async def test_a_task_that_this_version_cant_read_ends_with_an_error(post: Post) -> None:
    task = await post.tasks._queue.put("send", {"what": "ever"})
    await post.deliver()
    assert (await task.get_result()).is_err
    assert await post.unacknowledged() == 0


@pytest.mark.parametrize(("tries", "error", "left"), [(2, RuntimeError, 1), (1, RuntimeError, 0), (2, ValueError, 0)])
async def test_a_defect_ends_a_task_only_when_it_has_had_its_tries(
    make_post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tries: int, error: type[Exception], left: int
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    post: Post = await make_post(tries=tries)
    task = await post.tasks.send(PHONE, "Hello")
    monkeypatch.setattr(post.tasks._worker_client()._reconciler, "send", fail)
    await post.deliver()
    assert (await task.get_result()).is_err
    assert await post.unacknowledged() == left


# --- following


async def test_messages_are_followed_until_their_delivery_is_decided(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = await post.tasks.send([PHONE, "+79991234568"], "Hello")
    await post.deliver()
    refs = (await result_of(sent)).sent.refs
    task = await post.tasks.follow([*refs, MessageRef(PHONE, "unknown")])
    await post.deliver()
    (pause,) = await post.waiting()
    assert 14 < pause <= 15
    post.service.sandbox.advance(3600)
    monkeypatch.setattr(module, "_GRACE", -1.0)
    await post.deliver_postponed(monkeypatch)
    result = await result_of(task)
    assert isinstance(result, FollowResult)
    reports = {each.ref: each.report for each in result.messages}
    assert [report is not None and report.is_final for report in map(reports.get, refs)] == [True, True]
    assert result.messages[-1].failure is not None
    assert result.messages[-1].failure.error == "MessageNotFound"


async def test_what_is_undecided_when_the_time_is_over_ends_as_it_is(post: Post) -> None:
    sent = await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    (ref,) = (await result_of(sent)).sent.refs
    task = await post.tasks.follow([ref], timeout=0.0001)
    await post.deliver()
    (end,) = (await result_of(task)).messages
    assert isinstance(end.report, DeliveryReport)
    assert not end.report.is_final


async def test_one_task_follows_a_hundred_messages_at_most(post: Post) -> None:
    with pytest.raises(ValueError, match="at most 100"):
        await post.tasks.follow(MessageRef(PHONE, number + 1) for number in range(101))


@pytest.mark.parametrize(
    ("is_young", "is_over", "ends"), [(True, False, False), (False, False, True), (True, True, True)]
)
def test_a_message_may_be_unknown_at_first(is_young: bool, is_over: bool, ends: bool) -> None:
    end = end_of(MessageRef(PHONE, 1), MessageNotFound("x", code=3), is_young=is_young, is_over=is_over)
    assert (end is not None) is ends


# --- the queue


async def test_what_is_done_is_trimmed_and_what_is_open_stays(post: Post) -> None:
    for number in range(3):
        await post.tasks.send(PHONE, f"Hello {number}")
    await post.deliver()
    await post.tasks._queue._trim()
    # The last that was delivered bounds what is done; it goes with the next.
    assert await post.redis.xlen(post.broker.queue_name) == 3
    async with aclosing(post.broker.listen()) as messages:
        await anext(messages)
        await post.deliver()
        await post.tasks._queue._trim()
    assert await post.redis.xlen(post.broker.queue_name) == 2


async def test_a_stream_without_groups_is_left_alone(post: Post) -> None:
    await post.redis.xgroup_destroy(post.broker.queue_name, "taskiq")
    await post.redis.xadd(post.broker.queue_name, {"data": "x"})
    await post.tasks._queue._trim()
    assert await post.redis.xlen(post.broker.queue_name) == 1


async def test_one_worker_at_a_time_queues_what_is_due(post: Post) -> None:
    queue = post.tasks._queue
    task = await post.tasks.send(PHONE, "Hello")
    message = post.broker.formatter.dumps(await _as_message(post))
    await queue._postpone(message.message, -1.0)
    assert await post.redis.set(f"{queue._later}:mover", "another")
    await queue._move()
    assert len(await post.waiting()) == 1
    await post.redis.delete(f"{queue._later}:mover")
    await queue._move()
    assert await post.waiting() == []
    assert not await task.is_ready()


async def test_what_is_postponed_again_while_it_is_being_queued_is_not_lost(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, kick = post.tasks._queue, post.broker.kick
    await post.tasks.send(PHONE, "Hello")
    message = post.broker.formatter.dumps(await _as_message(post))
    await queue._postpone(message.message, -1.0)

    async def overtaken(due: BrokerMessage) -> None:
        await kick(due)  # a worker gets it, the service is down, and the same bytes wait once more
        await queue._postpone(due.message, 30.0)

    monkeypatch.setattr(post.broker, "kick", overtaken)
    await queue._move()
    (left,) = await post.waiting()
    assert 25 < left < 31


async def _as_message(post: Post) -> Any:
    entries: Any = await post.redis.xrange(post.broker.queue_name)
    ((_, fields),) = entries
    return post.broker.formatter.loads(fields[b"data"])


async def test_who_was_too_slow_leaves_the_rest_to_another(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    async def expire(*_: object, **__: object) -> list[bytes]:
        await post.redis.delete(f"{post.tasks._queue._later}:mover")
        return []

    monkeypatch.setattr(post.tasks._queue._redis, "zrange", expire)
    await post.tasks._queue._move()


@pytest.mark.parametrize("broken", ["_trim", "_wake"])
async def test_a_keeper_outlives_failures_of_redis(
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
        while "later again" not in caplog.text:  # noqa: ASYNC110 - a log sets no event
            await asyncio.sleep(0.01)
    assert queue._keeper is not None
    assert not queue._keeper.done()


# --- claims


async def test_whoever_has_lost_his_lease_has_no_word_about_the_doubt(server: RedisServer) -> None:
    async with Redis.from_url(server.url) as redis:
        claims = Claims(redis, uuid4().hex, 0.05)
        first = await claims.take("x", "t")
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


# --- the worker


async def test_a_worker_has_one_client_even_if_it_starts_again(post: Post) -> None:
    client = post.tasks._worker_client()
    await post.broker.startup()
    assert post.tasks._worker_client() is client
    await post.broker.shutdown()
    await post.broker.shutdown()
    assert client._caller.closed


async def test_a_client_without_the_shared_guards_is_refused(make_broker: Callable[..., RedisStreamBroker]) -> None:
    def client(_: Guards) -> Client:
        return Client(apikey="demo", url=URL, guards=Guards(MemoryStore()))

    broker = make_broker()
    SmscTasks(broker, client, deadline=0.1, late_arrival=0.05, margin=0.01)
    broker.is_worker_process = True
    with pytest.raises(ValueError, match="guards=guards"):
        await broker.startup()
    await broker.shutdown()


async def test_the_plain_client_is_that_of_the_environment(
    make_broker: Callable[..., RedisStreamBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMSC_APIKEY", "demo")
    broker = make_broker()
    tasks = SmscTasks(broker, deadline=0.1, late_arrival=0.05, margin=0.01)
    broker.is_worker_process = True
    await broker.startup()
    assert tasks._worker_client().guards is tasks._guards
    await broker.shutdown()


@pytest.mark.parametrize("kind", [ListQueueBroker, PubSubBroker, RedisStreamClusterBroker])
def test_brokers_that_lose_the_task_of_a_killed_worker_are_refused(kind: type[Any]) -> None:
    broker: Any = object.__new__(kind)  # to make one would be to connect
    with pytest.raises(TypeError, match=f"{kind.__name__} loses the task of a killed worker"):
        SmscTasks(broker)


def test_a_broker_in_memory_is_refused() -> None:
    with pytest.raises(TypeError, match="InMemoryBroker loses"):
        SmscTasks(InMemoryBroker())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({"maxlen": 1000}, {}, "maxlen"),
        ({"consumer_id": "$"}, {}, "consumer_id"),
        ({"idle_timeout": 300}, {"deadline": 0.25, "late_arrival": 0.05}, "idle_timeout=300"),
        ({}, {"deadline": 0.0}, "deadline"),
        ({}, {"tries": 0}, "tries"),
        ({}, {"margin": 5.0}, "margin"),
    ],
)
def test_settings_that_lose_tasks_or_could_send_twice_are_refused(
    make_broker: Callable[..., RedisStreamBroker], settings: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        SmscTasks(make_broker(**settings), **{"deadline": 0.1, "late_arrival": 0.05, "margin": 0.01, **options})


# --- the extra


@pytest.mark.parametrize("missing", ["redis", "taskiq", "taskiq_redis"])
def test_tasks_come_with_their_extra(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "try:\n"
        "    import smsc_async.taskiq\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stdout == "tasks need an extra package: pip install 'smsc-async[taskiq]'\n"


def test_only_what_the_extra_brings_is_blamed_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("smsc_async.taskiq", "smsc_async._tasks", "smsc_async._tasks.queue"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(smsc_async, "taskiq")
    monkeypatch.setitem(sys.modules, "smsc_async._tasks.claims", None)
    with pytest.raises(ModuleNotFoundError, match=r"_tasks\.claims"):
        __import__("smsc_async.taskiq")


# --- the campaign


@pytest.mark.usefixtures("server")
def test_a_campaign_whose_workers_and_service_are_killed_is_sent_exactly_once() -> None:
    given = {"messages": 300, "workers": 2, "kills": 3, "service-kills": 1, "window": 2.0, "deadline": 2.0}
    command = [sys.executable, str(ROOT / "examples" / "campaign.py")]
    command += [f"--{name}={value}" for name, value in given.items()]
    ran = subprocess.run(  # noqa: S603 - our own words
        command, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]
    assert "accepted 300, doubled 0, lost 0, error 9: 0, wrong results 0" in ran.stdout
