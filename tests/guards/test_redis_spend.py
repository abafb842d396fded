"""The rule `spend` in Redis: processes share it, a dead one keeps it, a flush forgets it."""

import math
from collections.abc import Callable
from random import Random
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from smsc_async import Client, GuardError, Guards, Rules, Spend, SpendLimitReached
from smsc_async.guards import RedisAdmin, RedisStore
from smsc_async.guards._limits import Release, SpendLimit
from smsc_async.guards._spend import DAY, Slice, SpendHistory
from smsc_async.guards._store import Demand, Refusal
from smsc_async.sandbox import Limits, Sandbox
from tests.guards.redis_store import forget, refused, release, take
from tests.redis_server import RedisServer

PHONE = "+79991234567"
TEN = SpendLimit(10, DAY)
SPEND = Demand("spend", b"a", TEN)
PAID = Release(keep=1, cost=4)
MICROSECONDS = 1_000_000


def name(prefix: str) -> str:
    return f"{{{prefix}}}:spend:{SPEND.key.hex()}"


async def test_two_processes_spend_the_same_money(stores: Callable[..., RedisStore]) -> None:
    one, two = stores(), stores()
    await release(one, await take(one, SPEND), PAID)
    held = await take(two, SPEND)
    assert (await refused(one, SPEND)).delay == math.inf
    await release(two, held, PAID)
    assert DAY - 60 < (await refused(one, SPEND)).delay <= DAY


@pytest.mark.usefixtures("short_leases")
async def test_what_a_dead_process_had_in_flight_counts_as_sent(stores: Callable[..., RedisStore]) -> None:
    one, dead = stores(late_arrival=0), stores(late_arrival=0)
    await release(one, await take(one, SPEND), PAID)
    await take(dead, SPEND, hold=0.2)
    assert (await refused(one, SPEND)).delay == math.inf
    await anyio.sleep(0.3)
    assert DAY - 60 < (await refused(one, SPEND)).delay <= DAY


async def test_a_second_release_of_the_same_send_counts_nothing(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    held = await take(store, SPEND)
    calls = []
    run = store._link.run

    async def twice(*given: Any, within: float) -> str:
        calls.append(given)
        await run(*given, within=within)
        return await run(*given, within=within)

    store._link.run = twice  # type: ignore[method-assign,assignment]
    await release(store, held, PAID)
    assert calls
    ((_, value),) = (await raw.hgetall(name(prefix))).items()
    assert value.split()[1:] == ["4", "0", "4"]


async def test_after_a_flush_nothing_is_spent_and_nothing_waits_a_day(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    held = await take(store, SPEND)
    await release(store, await take(store, Demand("spend", b"b", TEN)), Release(keep=1, cost=100))
    await forget(raw, prefix)
    await release(store, held, PAID)  # it was lost together with the history
    await take(store, SPEND)
    await take(store, Demand("spend", b"b", TEN))


async def test_the_keys_of_the_rule_expire_after_a_day(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    held = await take(store, SPEND, hold=30)
    assert DAY + 30 < await raw.ttl(name(prefix)) < DAY + 60
    await release(store, held, PAID)
    assert DAY <= await raw.ttl(name(prefix)) < DAY + 60


@pytest.mark.parametrize("seed", range(20))
async def test_redis_and_memory_count_the_same(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str, seed: int
) -> None:
    """Over histories of days, which no test can wait for."""
    chance, store, spent = Random(seed), stores(), SpendHistory()  # noqa: S311 - it makes histories
    await store.open()
    seconds, microseconds = await raw.time()
    now = seconds * MICROSECONDS + microseconds
    for number in range(chance.randint(1, 12)):
        age, units, unpriced = chance.randint(60, 100_000), chance.randint(0, 4), chance.randint(0, 1)
        slice_ = Slice(-float(age), units, unpriced, chance.randint(-1, 3))
        value = f"{now - age * MICROSECONDS} {units} {unpriced} {slice_.dearest}"
        if chance.random() < 0.2:
            spent.flights[number] = unpriced, float(age if chance.random() < 0.5 else -age)
            value = f"{now + int(spent.flights[number][1]) * MICROSECONDS} 0 {unpriced} -1"
            await raw.hset(name(prefix), f"f{number}", value)
        else:
            spent.slices[number] = slice_
            await raw.hset(name(prefix), str(number), value)
    for messages in (1, 2, 5):
        expected = spent.delay(TEN, 0.0, messages)
        answer = await store.acquire([SPEND._replace(amount=messages)], 30)
        delay = answer.delay if isinstance(answer, Refusal) else 0.0
        assert delay == pytest.approx(expected, abs=30)
        if not isinstance(answer, Refusal):
            await release(store, answer, Release())


async def test_clients_of_several_processes_stop_together(server: RedisServer, prefix: str) -> None:
    sandbox = Sandbox(limits=Limits.off())
    rules = Rules(spend=Spend(30))

    def connect() -> Client:
        guards = Guards(RedisStore.from_url(server.url, prefix=prefix), rules=rules)
        return Client(apikey="demo", transport=sandbox.transport(), guards=guards)

    errors: list[GuardError] = []

    async def send(client: Client, number: int) -> None:
        try:
            await client.send(f"+7999{number:07}", "Hi")
        except GuardError as error:
            errors.append(error)

    async with connect() as one, connect() as two, anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(send, (one, two)[number % 2], number)
    assert len(sandbox.messages) == 6  # 4.5 each
    assert [type(error) for error in errors] == [SpendLimitReached] * 14


async def test_the_report_shows_the_rule_and_a_reset_forgets_what_was_spent(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store, admin = stores(), RedisAdmin(raw, prefix=prefix)
    assert (await admin.report()).rules == []
    await release(store, await take(store, SPEND), PAID)
    held = await take(store, Demand("spend", b"b", TEN))
    await release(store, await take(store, SPEND), Release(keep=1, cost=6))
    assert (await refused(store, SPEND)).delay > 0
    (shown,) = (await admin.report()).rules
    assert (shown.rule, shown.count, shown.keys, shown.full, shown.in_flight) == ("spend", 10, 2, 2, 1)
    assert shown.is_closed
    assert "rule spend" in shown.why
    reset = await admin.reset("spend")
    assert (reset.keys, reset.removed, reset.in_flight) == (2, 1, 1)
    await take(store, SPEND)
    await release(store, held, PAID)


async def test_a_report_after_a_loss_does_not_wait_for_money(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    await release(store, await take(store, SPEND), PAID)
    await raw.hset(f"{{{prefix}}}:epoch", "incomplete", "1")
    report = await RedisAdmin(raw, prefix=prefix).report()
    assert all(each.recovering_until is None for each in report.rules if each.rule == "spend")
    await take(store, SPEND)
