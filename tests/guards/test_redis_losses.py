"""Lost histories: what the Redis store refuses after a flush or a restart, and for how long."""

import asyncio
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from smsc_async import GuardStoreError
from smsc_async.guards import RedisStore
from smsc_async.guards._limits import BlockLimit, WindowLimit
from smsc_async.guards._store import Demand
from tests.guards.redis_store import (
    IN_FLIGHT,
    KEPT,
    LOGIN,
    NONE,
    ONCE,
    STATUS,
    SUBSCRIBER,
    distrusted,
    elapse,
    forget,
    on,
    release,
    take,
)
from tests.redis_server import RedisServer


async def test_scripts_that_redis_forgets_are_loaded_again(stores: Callable[..., RedisStore], raw: Redis) -> None:
    store = stores()
    await raw.script_flush()
    held = await take(store, on())
    await raw.script_flush()
    await release(store, held, NONE)
    held = await take(store, on())
    await raw.script_flush()
    store.release(held, [NONE])
    await take(store, on())


async def test_flushed_redis_is_distrusted_for_the_time_of_each_rule(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store, other = stores(), stores()
    salt = await store.open()
    await other.open()
    await forget(raw, prefix)
    assert await distrusted(store, IN_FLIGHT) == pytest.approx(30, abs=1)
    assert await distrusted(store, STATUS) == pytest.approx(91.2, abs=1)
    assert await distrusted(store, SUBSCRIBER) == pytest.approx(151.2, abs=1)
    assert await distrusted(other, IN_FLIGHT, LOGIN) == pytest.approx(30, abs=1)
    assert await distrusted(other, LOGIN, STATUS, IN_FLIGHT) == pytest.approx(91.2, abs=1)
    await take(store, on("a", BlockLimit(600, 1800, 1800), "blocked", 0))
    await take(store, on("a", ONCE, "identical_send")._replace(forced=True))
    assert store.salt is salt


async def test_distrust_ends_when_nothing_that_was_lost_can_matter(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    await release(store, await take(store, IN_FLIGHT, STATUS, SUBSCRIBER), NONE, KEPT, KEPT)
    await forget(raw, prefix)
    assert await distrusted(store, IN_FLIGHT) > 29
    await elapse(raw, prefix, 30)
    await release(store, await take(store, IN_FLIGHT), NONE)
    assert await distrusted(store, STATUS, IN_FLIGHT) == pytest.approx(61.2, abs=1)
    await elapse(raw, prefix, 61.2)
    await take(store, STATUS, IN_FLIGHT)
    assert await distrusted(store, SUBSCRIBER) == pytest.approx(60, abs=1)
    await elapse(raw, prefix, 60)
    await take(store, SUBSCRIBER, STATUS, IN_FLIGHT)


@pytest.mark.parametrize(("demand", "waited"), [(IN_FLIGHT, "in flight"), (STATUS, "the 61.2 s that its rule status")])
async def test_distrust_says_what_is_waited_for_and_until_when(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str, demand: Demand, waited: str
) -> None:
    store = stores()
    await store.open()
    await forget(raw, prefix)
    with pytest.raises(GuardStoreError, match=waited) as caught:
        await store.acquire([demand], 30)
    assert caught.value.retry_after is not None
    ends = datetime.now(UTC) + timedelta(seconds=caught.value.retry_after)
    said = re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", str(caught.value))[-1]
    assert 0 <= (datetime.fromisoformat(f"{said}+00:00") - ends).total_seconds() + 0.2 < 1.3
    await elapse(raw, prefix, 30)
    if demand is STATUS:
        with pytest.raises(GuardStoreError) as caught:
            await store.acquire([demand], 30)
        assert "in flight" not in str(caught.value)


async def test_distrust_that_another_process_began_is_not_begun_again(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store, other = stores(), stores()
    await store.open()
    await other.open()
    await forget(raw, prefix)
    first = await distrusted(store, on())
    await asyncio.sleep(0.05)
    assert await distrusted(other, on()) <= first - 0.05
    assert await distrusted(store, on()) <= first - 0.05


async def test_new_process_trusts_a_flushed_redis_until_an_old_one_reports_the_loss(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    old, new = stores(), stores()
    salt = await old.open()
    await forget(raw, prefix)
    await take(new, on())
    assert new.salt != salt
    assert await distrusted(old, on("b")) == 0.0  # its keys are hashed with a salt that is lost
    assert old.salt == new.salt
    assert await distrusted(old, on("b")) > 89
    assert await distrusted(new, on("b")) > 89


async def test_requests_that_learn_of_another_salt_at_once_are_all_refused(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    old, new = stores(), stores()
    await old.open()
    await forget(raw, prefix)
    await new.open()
    blocked = on("a", BlockLimit(600, 1800, 1800), "blocked", 0)  # not even distrust refuses it
    answers = await asyncio.gather(*(old.acquire([blocked], 30) for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [GuardStoreError] * 5


@pytest.mark.parametrize("persistent", [True, False])
async def test_restart_is_noticed_whatever_is_left(persistent: bool, prefix: str) -> None:
    with RedisServer(persistent=persistent) as server:
        store = RedisStore.from_url(server.url, prefix=prefix)
        demand = on("a", WindowLimit(2, 60))
        await release(store, await take(store, demand), KEPT)
        async with Redis.from_url(server.url) as raw:
            await raw.hset(f"{{{prefix}}}:epoch", "since", "1")  # it began long ago
        server.restart()
        assert await distrusted(store, demand) == pytest.approx(30 + 60, abs=2)
        late = RedisStore.from_url(server.url, prefix=prefix)
        assert await distrusted(late, demand) <= 90
        assert late.salt == store.salt
        assert (await store.snapshot({"status": WindowLimit(2, 60)}))["status"].keys == int(persistent)
        await store.aclose()
        await late.aclose()


async def test_restart_is_noticed_by_a_process_that_comes_first_after_it(prefix: str) -> None:
    with RedisServer(persistent=True) as server:
        before, after = (RedisStore.from_url(server.url, prefix=prefix) for _ in range(2))
        await before.open()
        await before.aclose()
        server.restart()
        await after.open()
        assert await distrusted(after, on()) > 89
        await after.aclose()


async def test_store_that_rested_for_longer_than_anything_matters_starts_afresh(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    await take(store, on())
    life = store._trusted_until - time.monotonic()
    assert life == pytest.approx(43_200 + 30 + 10 + 60, abs=1)
    assert await raw.pttl(f"{{{prefix}}}:epoch") / 1_000 > life
    await forget(raw, prefix)
    store._trusted_until = time.monotonic() - 1
    assert [store.salt] == [None]
    await store.open()
    assert store.salt is not None
    await take(store, on())


async def test_epoch_lives_as_long_as_it_is_used(stores: Callable[..., RedisStore], raw: Redis, prefix: str) -> None:
    store = stores()
    await store.open()
    await raw.pexpire(f"{{{prefix}}}:epoch", 1_000)
    await take(store, on("a", WindowLimit(1, 200_000)))
    assert await raw.pttl(f"{{{prefix}}}:epoch") > 243_000_000
