"""While sending is paused tasks wait: none is lost, sent, failed or counted as tried."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from smsc_async import Outcome, Rules
from smsc_async._tasks import pause_after
from smsc_async._tasks.claims import Claim
from smsc_async.guards import RedisAdmin
from smsc_async.taskiq import FollowResult, SendResult
from tests.tasks.taskiq_post import PHONE, Post


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


@pytest.fixture
async def post(make_post: Callable[..., Any], prefix: str) -> Post:
    made: Post = await make_post(prefix=prefix, tries=2)
    return made


@pytest.fixture
async def admin(post: Post, prefix: str) -> RedisAdmin:
    return RedisAdmin(post.redis, prefix=prefix)


async def test_a_paused_task_waits_however_long_and_is_sent_once_when_sending_is_resumed(
    post: Post, admin: RedisAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admin.pause("incident")
    task = await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    for _ in range(5):  # more than its `tries`
        assert await post.unacknowledged() == 0
        (left,) = await post.waiting()
        assert 0 < left <= 10
        assert not await task.is_ready()
        await post.deliver_postponed(monkeypatch)
    assert post.service.phones == []
    await admin.resume()
    await post.deliver_postponed(monkeypatch)
    result = (await task.get_result()).return_value
    assert isinstance(result, SendResult)
    assert (result.accepted, result.failure, result.tries) == (True, None, 1)
    assert len(post.service.phones) == 1
    assert await post.waiting() == []


async def test_a_message_that_may_have_been_sent_before_a_pause_is_not_sent_after_it(
    make_post: Callable[..., Any], prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    post: Post = await make_post(prefix=prefix, on_unknown="raise")
    admin = RedisAdmin(post.redis, prefix=prefix)
    task = await post.tasks.send(PHONE, "Hello")
    post.service.losing = 1
    await post.deliver()
    assert len(post.service.phones) == 1
    await admin.pause("incident")
    await post.deliver_postponed(monkeypatch)  # its status shows that it was accepted
    result = (await task.get_result()).return_value
    assert isinstance(result, SendResult)
    assert result.sent is not None
    assert result.sent.reconciled
    assert len(post.service.phones) == 1


async def test_a_message_that_may_have_been_sent_stays_so_over_a_pause(
    make_post: Callable[..., Any], prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    post: Post = await make_post(prefix=prefix, on_unknown="raise", rules=Rules().with_policies(identical_send="off"))
    admin = RedisAdmin(post.redis, prefix=prefix)
    task = await post.tasks.send(PHONE, "Hello", id="order-7")
    post.service.losing, post.service.before = 1, True
    await post.deliver()
    await admin.pause("incident")
    await post.deliver_postponed(monkeypatch)
    claim = await post.tasks._claims.take("order-7", "another")
    assert isinstance(claim, Claim)
    assert claim.unresolved
    await post.tasks._claims.give_back(claim, unsent=False)
    await admin.resume()
    await post.deliver_postponed(monkeypatch)
    assert (await task.get_result()).return_value.accepted
    assert len(post.service.phones) == 1


async def test_following_continues_while_sending_is_paused(post: Post, admin: RedisAdmin) -> None:
    task = await post.tasks.send(PHONE, "Hello")
    await post.deliver()
    sent = (await task.get_result()).return_value.sent
    assert sent is not None
    await admin.pause("incident")
    following = await post.tasks.follow(sent.refs, timeout=1e-9)
    await post.deliver()
    result = (await following.get_result()).return_value
    assert isinstance(result, FollowResult)
    assert result.messages[0].report is not None


async def test_a_paused_task_is_tried_again_at_intervals_that_do_not_grow(post: Post, admin: RedisAdmin) -> None:
    error = (await admin.pause("incident")).error()
    assert error.outcome is Outcome.NOT_SENT
    assert all(5 <= (pause_after(error, tries, 61.2) or 0) <= 10 for tries in (1, 100, 10_000))
    assert post.service.phones == []
