"""Tasks that send and follow: delivered at least once, accepted exactly once, and each with a result."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import httpx
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from taskiq import AsyncTaskiqTask
from taskiq.exceptions import SendTaskError

from smsc_async import (
    Client,
    DeliveryReport,
    Message,
    MessageNotFound,
    MessageRef,
    Outcome,
    Rule,
    Rules,
)
from smsc_async import taskiq as module
from smsc_async._tasks import end_of
from smsc_async._tasks.claims import Busy, Claim, Over
from smsc_async.taskiq import FollowResult, SendResult
from tests.odd_answers import ODD, OddTransport
from tests.tasks.taskiq_post import IDLE, PHONE, URL, Post, queued_message

T = TypeVar("T")


async def result_of(task: AsyncTaskiqTask[Any]) -> Any:
    return (await task.get_result()).return_value


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


async def test_the_record_of_a_completed_task_expires(post: Post) -> None:
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


async def test_a_batch_is_divided_into_requests_with_one_task_each(make_post: Callable[..., Any]) -> None:
    post: Post = await make_post(batch_size=2, late_arrival=0.05)
    messages = [Message(f"+7999123456{number}", f"Lot {number}") for number in range(3)]
    tasks = [task async for task in post.tasks.send_batch(messages)]
    assert len(tasks) == 2
    await post.deliver(2)
    results = [await result_of(task) for task in tasks]
    assert [ref.phone for result in results for ref in result.sent.refs] == [message.phone for message in messages]
    assert post.service.phones == [message.phone.removeprefix("+") for message in messages]


async def test_a_message_that_turns_out_wrong_ends_a_batch_after_the_tasks_before_it(post: Post) -> None:
    queued: list[Any] = []
    given = [Message(PHONE, "Hello"), Message("a@example.com", "no SMS"), Message("+79991234568", "Hello")]

    async def put() -> None:
        async for task in post.tasks.send_batch(given):
            queued.append(task)  # noqa: PERF401 - a message is wrong

    with pytest.raises(ValueError, match="a phone in international format"):
        await put()
    assert len(queued) == await post.redis.xlen(post.broker.queue_name) == 1


async def test_a_batch_and_what_is_followed_may_come_from_an_async_source(post: Post) -> None:
    messages = [Message(f"+7999123456{number}", "Hello") for number in range(3)]

    async def source(items: Iterable[T]) -> AsyncIterator[T]:
        for item in items:
            yield item

    (task,) = [task async for task in post.tasks.send_batch(source(messages))]
    await post.deliver()
    refs = (await result_of(task)).sent.refs
    assert [ref.phone for ref in refs] == [message.phone for message in messages]
    await post.tasks.follow(source(refs))


async def test_what_a_source_has_returned_is_queued_before_its_failure_is_raised(post: Post) -> None:
    queued: list[Any] = []

    def source() -> Iterator[Message]:
        yield Message(PHONE, "Hello")
        raise LookupError("the table is gone")

    async def put() -> None:
        async for task in post.tasks.send_batch(source()):
            queued.append(task)  # noqa: PERF401 - the source fails

    with pytest.raises(LookupError, match="gone"):
        await put()
    assert len(queued) == await post.redis.xlen(post.broker.queue_name) == 1


async def test_four_requests_of_a_batch_leave_room_for_other_calls(post: Post) -> None:
    messages = [Message(f"+7999{number:07d}", "Hello") for number in range(5 * 22)]
    assert len([task async for task in post.tasks.send_batch(messages)]) == 5
    limit = Rules().bad_sends.count
    assert limit - limit // 22 * 22 > 10


async def test_wrong_arguments_are_refused_before_anything_is_queued(post: Post) -> None:
    with pytest.raises(ValueError, match="recipient"):
        await post.tasks.send("nobody, really", "Hello")
    for name in ("id", "to", "text"):
        options: Any = {name: "+79991234567"}
        with pytest.raises(ValueError, match=f"{name} is not an argument"):
            await anext(post.tasks.send_batch([Message("+79991234567", "Hello")], **options))
    with pytest.raises(ValueError, match="via must be a channel"):
        await anext(post.tasks.send_batch([], via="x"))  # type: ignore[arg-type]
    assert await post.redis.xlen(post.broker.queue_name) == 0


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
    await post.tasks._queue.tend()  # otherwise taskiq-redis would not look for stale entries
    await post.deliver(2)  # the wake-up task and the stale one
    result = await result_of(task)
    assert (result.sent.reconciled, result.tries) == (True, 2)
    assert len(post.service.phones) == 1
    assert await post.unacknowledged() == 0


async def test_a_cancelled_worker_returns_its_task(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_a_task_is_returned_when_redis_fails(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise RedisConnectionError

    task = await post.tasks.send(PHONE, "Hello")
    monkeypatch.setattr(post.tasks._claims, "take", fail)
    await post.deliver()
    assert await post.unacknowledged() == 1
    assert not await task.is_ready()
    assert post.service.phones == []


async def test_a_task_that_another_worker_holds_waits_for_the_end_of_its_lease(
    make_post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    post = await make_post(deadline=30, idle_timeout=60_000)  # a busy machine may need seconds for a send
    task = await post.tasks.send(PHONE, "Hello", id="held")
    with monkeypatch.context() as patch:
        patch.setattr(post.tasks._claims, "_lease", 0.3)
        held = await post.tasks._claims.take("held", "t")
    assert isinstance(held, Claim)
    await post.deliver()
    (pause,) = await post.waiting()
    assert 0 < pause <= 0.3
    assert await post.unacknowledged() == 0
    await asyncio.sleep(0.31)
    await post.deliver_postponed(monkeypatch)
    # The other worker may have sent it, so the service is asked twice: the request might still arrive.
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
    copy = post.broker.formatter.dumps(await queued_message(post))
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
    # It was definitely not sent, so no status is requested, and the guards still refuse it.
    assert post.service.asked("get_status") == 0
    assert len(await post.waiting()) == 1


async def test_a_send_whose_answer_is_lost_is_reconciled_and_never_repeated(
    make_post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    post: Post = await make_post(on_unknown="raise")
    post.service.losing = 1
    task = await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    (pause,) = await post.waiting()
    assert 23 < pause <= 25  # five statuses a minute are allowed, and reconciling may take two
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


async def test_a_send_that_is_refused_repeatedly_ends_with_the_reason(make_post: Callable[..., Any]) -> None:
    post: Post = await make_post(tries=1)
    tasks = [await post.tasks.send(PHONE, "The same") for _ in range(2)]
    await post.deliver(2)
    failure = (await result_of(tasks[1])).failure
    assert (failure.error, failure.outcome, failure.unresolved) == ("DuplicateSend", Outcome.NOT_SENT, None)


async def test_a_send_of_unknown_outcome_ends_with_an_unresolved_send(make_post: Callable[..., Any]) -> None:
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


async def test_a_refusal_does_not_resolve_an_earlier_attempt(make_post: Callable[..., Any]) -> None:
    post: Post = await make_post(tries=2)
    await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    task = await post.tasks.send(["G7", PHONE], "Hello", id="second")
    assert isinstance(await post.tasks._claims.take("second", "t"), Claim)  # by a worker that was killed
    await asyncio.sleep(0.31)
    post.service.losing = 100
    await post.deliver()
    failure = (await result_of(task)).failure
    assert failure.outcome is Outcome.UNKNOWN
    assert (failure.unresolved.id, failure.unresolved.groups) == ("second", 1)


async def test_a_task_that_this_version_cant_read_ends_with_an_error(post: Post) -> None:
    task = await post.tasks._queue.put("send", {"what": "ever"})
    await post.deliver()
    assert (await task.get_result()).is_err
    assert await post.unacknowledged() == 0


@pytest.mark.parametrize(("tries", "error", "left"), [(2, RuntimeError, 1), (1, RuntimeError, 0), (2, ValueError, 0)])
async def test_a_defect_ends_a_task_only_after_all_tries(
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


async def test_messages_are_followed_until_their_delivery_is_final(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("timeout", [0, 0.0001])
async def test_a_message_pending_at_the_timeout_ends_with_its_last_report(post: Post, timeout: float) -> None:
    sent = await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    (ref,) = (await result_of(sent)).sent.refs
    task = await post.tasks.follow([ref], timeout=timeout)
    await post.deliver()
    (end,) = (await result_of(task)).messages
    assert isinstance(end.report, DeliveryReport)
    assert not end.report.is_final


@pytest.mark.parametrize("off", [-86_400.0, 86_400.0])
async def test_the_clocks_of_the_machines_may_differ(post: Post, monkeypatch: pytest.MonkeyPatch, off: float) -> None:
    sent = await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    (ref,) = (await result_of(sent)).sent.refs
    await post.tasks.follow([ref], timeout=1000)
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + off)  # that of the machine of the worker
    await post.deliver()
    (left,) = await post.waiting()  # it has not ended, and is neither due at once nor in a day
    assert 0 < left < 100
    await post.tasks._queue.tend()
    assert len(await post.waiting()) == 1


async def test_a_follow_task_that_can_not_be_dated_is_not_queued(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone() -> float:
        raise RedisConnectionError

    monkeypatch.setattr(post.tasks._queue, "now", gone)
    with pytest.raises(SendTaskError):
        await post.tasks.follow([MessageRef(PHONE, "1")])
    assert await post.redis.xlen(post.broker.queue_name) == 0


async def test_one_task_follows_at_most_a_hundred_messages(post: Post) -> None:
    with pytest.raises(ValueError, match="at most 100"):
        await post.tasks.follow(MessageRef(PHONE, number + 1) for number in range(101))


@pytest.mark.parametrize("timeout", [-1, math.nan, math.inf, "5"])
async def test_a_wrong_timeout_is_refused_before_anything_is_queued(post: Post, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be a number of seconds, at least 0, or None"):
        await post.tasks.follow([MessageRef(PHONE, 1)], timeout=timeout)
    assert await post.waiting() == []


@pytest.mark.parametrize(
    ("is_young", "is_over", "ends"), [(True, False, False), (False, False, True), (True, True, True)]
)
def test_a_message_may_be_unknown_at_first(is_young: bool, is_over: bool, ends: bool) -> None:
    end = end_of(MessageRef(PHONE, 1), MessageNotFound("x", code=3), is_young=is_young, is_over=is_over)
    assert (end is not None) is ends


async def test_a_followed_message_is_asked_about_no_more_often_than_the_rules_allow(
    make_post: Callable[..., Any],
) -> None:
    post: Post = await make_post(rules=Rules(status=Rule(1, 900)))
    await post.tasks.follow([MessageRef(PHONE, "unknown")])
    await post.deliver()
    (pause,) = await post.waiting()
    assert 899 < pause <= 900.01


async def test_the_result_of_a_send_with_odd_details_is_loaded_as_it_was(post: Post) -> None:
    post.service._inner = OddTransport(post.service.sandbox, ODD)
    task = await post.tasks.send(PHONE, "Hello", cost=3)
    await post.deliver()
    sent = (await result_of(task)).sent
    assert (sent.cost, sent.balance, sent.sms_count) == (None, None, None)
    assert sent.extra == {"cost": "3,50", "cnt": "x", "balance": "1 000"}


async def test_each_refused_recipient_of_a_task_keeps_its_own_number(post: Post) -> None:
    task = await post.tasks.send(["+79000009007", "+79000009008"], "Hello")
    await post.deliver()
    failure = (await result_of(task)).failure
    assert (failure.error, failure.code) == ("InvalidPhone", 7)
    assert [(each.phone, each.code) for each in failure.errors] == [("79000009007", 7), ("79000009008", 8)]
