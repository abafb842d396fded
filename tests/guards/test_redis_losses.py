"""Lost histories: what the Redis store refuses after a flush or a restart, and for how long."""

import asyncio
import time
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from smsc_async import GuardStoreError, Outcome
from smsc_async.guards import RedisStore
from smsc_async.guards._limits import BlockLimit, Release, StreakLimit, WindowLimit
from smsc_async.guards._redis import store as _redis
from smsc_async.guards._store import Demand
from tests.guards.redis_store import GATE, KEPT, LOGIN, NONE, ONCE, forget, on, release, take
from tests.redis_server import RedisServer


async def distrusted(store: RedisStore, *demands: Demand) -> float:
    with pytest.raises(GuardStoreError) as caught:
        await store.acquire(demands, 30)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.retry_after is not None
    return caught.value.retry_after


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
    store, other = stores(max_hold=100), stores(max_hold=100)
    salt = await store.open()
    await other.open()
    await forget(raw, prefix)
    assert await distrusted(store, on("a", GATE, "in_flight")) == pytest.approx(110, abs=1)
    assert await distrusted(store, on("a", WindowLimit(5, 61.2))) == pytest.approx(171.2, abs=1)
    assert await distrusted(store, on("a", StreakLimit(50, 121.2), "subscriber")) == pytest.approx(231.2, abs=1)
    assert await distrusted(other, on("a", GATE, "in_flight"), LOGIN) == pytest.approx(1910, abs=1)
    assert await distrusted(other, LOGIN, on("a", GATE, "in_flight")) == pytest.approx(1910, abs=1)
    await take(store, on("a", BlockLimit(600, 1800, 1800), "blocked", 0))
    await take(store, on("a", ONCE, "identical_send")._replace(forced=True))
    assert store.salt is salt


@pytest.mark.usefixtures("short_leases")
async def test_distrust_ends_when_nothing_that_was_lost_can_matter(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores(max_hold=0.1, late_arrival=0.05)
    gate, window = on("a", GATE, "in_flight"), on("a", WindowLimit(1, 0.15))
    await take(store, gate, window)
    await forget(raw, prefix)
    assert await distrusted(store, gate) <= 0.15
    await asyncio.sleep(0.16)
    await release(store, await take(store, gate), NONE)
    assert 0 < await distrusted(store, gate, window) <= 0.15
    await asyncio.sleep(0.16)
    await take(store, gate, window)


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
    assert await distrusted(old, on("b")) > 600
    assert await distrusted(new, on("b")) > 600


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


async def test_credentials_that_were_seen_to_work_need_no_half_hour(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    knows, has_seen, knows_not = stores(), stores(), stores()
    await release(knows, await take(knows, LOGIN), Release(proof=True))
    assert (await take(has_seen, LOGIN)).amounts == [0]
    await knows_not.open()
    await forget(raw, prefix)
    assert await distrusted(knows_not, LOGIN) > 1800
    assert (await take(has_seen, LOGIN)).amounts == [0]
    assert (await take(knows_not, LOGIN)).amounts == [0]
    assert (await take(knows, LOGIN)).amounts == [0]


async def test_credentials_are_proven_again_once_a_day_however_well_they_are_known(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    await release(store, await take(store, LOGIN), Release(proof=True))
    await raw.delete(f"{{{prefix}}}:proof:{b'credentials'.hex()}")  # as after a day
    assert (await take(store, LOGIN)).amounts == [1]


async def test_what_was_refuted_since_the_loss_is_not_asserted_again(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store, other = stores(), stores()
    for one in (store, other):
        await release(one, await take(one, LOGIN), Release(proof=True))
    await forget(raw, prefix)
    await release(store, await take(store, LOGIN), Release(keep=1, proof=False))
    assert await distrusted(other, LOGIN) > 1800
    assert await distrusted(store, LOGIN) > 1800


async def test_the_number_of_remembered_proofs_is_limited(
    stores: Callable[..., RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_redis, "_PROOFS", 2)
    store = stores()
    for proof in (b"1", b"2", b"3"):
        await release(store, await take(store, LOGIN._replace(key=proof, proof=proof)), Release(proof=True))
    assert list(store._proven) == [b"2", b"3"]


@pytest.mark.parametrize("persistent", [True, False])
async def test_restart_is_noticed_whatever_is_left(persistent: bool, prefix: str) -> None:
    with RedisServer(persistent=persistent) as server:
        store = RedisStore.from_url(server.url, prefix=prefix)
        demand = on("a", WindowLimit(2, 60))
        await release(store, await take(store, demand), KEPT)
        async with Redis.from_url(server.url) as raw:
            await raw.hset(f"{{{prefix}}}:epoch", "since", "1")  # it began long ago
        server.restart()
        assert await distrusted(store, demand) == pytest.approx(600 + 10 + 60, abs=2)
        late = RedisStore.from_url(server.url, prefix=prefix)
        assert await distrusted(late, demand) <= 670
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
        assert await distrusted(after, on()) > 600
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
