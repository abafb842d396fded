"""Recovery from lost histories: reports of requests in flight, logins, proofs, and bad sends one at a time."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from smsc_async import GuardStoreError
from smsc_async.guards import RedisStore
from smsc_async.guards._limits import LoginLimit, Release, WindowLimit
from smsc_async.guards._redis import heartbeat as _heartbeat
from smsc_async.guards._redis import ledger as _ledger
from smsc_async.guards._store import Demand
from tests.guards.redis_store import (
    IN_FLIGHT,
    KEPT,
    LOGIN,
    NONE,
    STATUS,
    SUBSCRIBER,
    distrusted,
    elapse,
    forget,
    on,
    refused,
    release,
    take,
)
from tests.redis_server import RedisServer

LEASE = 500 + 10.0
"""Seconds for which a request that may take 500 s keeps its slots."""
PROVEN = Release(proof=True)
REFUTED = Release(keep=1, proof=False)
ACCEPTED = Release(clear=True)
BAD = on("a", WindowLimit(99, 601.2), "bad_sends")
LIST = BAD._replace(amount=2)


@pytest.fixture
def fast_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_heartbeat, "_EVERY", 0.01)


@asynccontextmanager
async def losing(
    kind: str, prefix: str
) -> AsyncIterator[tuple[Callable[[], RedisStore], Callable[[], Awaitable[None]]]]:
    """Yield what makes clients of one Redis, and what makes it lose its histories."""
    with RedisServer(persistent=kind == "restart with persistence") as server:
        made: list[RedisStore] = []

        def make() -> RedisStore:
            made.append(RedisStore.from_url(server.url, prefix=prefix))
            return made[-1]

        async with Redis.from_url(server.url) as raw:

            async def lose() -> None:
                await (raw.flushall() if kind == "flush" else asyncio.to_thread(server.restart))

            yield make, lose
        for store in made:
            await store.aclose()


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await true():  # noqa: ASYNC110 - what another client does in Redis sets no event here
            await asyncio.sleep(0.005)


async def _has_no_beat(store: RedisStore) -> bool:
    return store._heartbeat._loop is None


async def _has_begun_a_beat(store: RedisStore) -> bool:
    return store._heartbeat._task is not None


# --- reports
@pytest.mark.parametrize("kind", ["flush", "restart", "restart with persistence"])
async def test_requests_that_were_really_in_flight_are_waited_for_after_each_kind_of_loss(
    kind: str, prefix: str
) -> None:
    async with losing(kind, prefix) as (make, lose):
        busy, idle = make(), make()
        await idle.open()
        await take(busy, IN_FLIGHT, hold=500)
        await lose()
        assert await distrusted(idle, IN_FLIGHT) == pytest.approx(30, abs=2)
        assert await distrusted(busy, IN_FLIGHT) == pytest.approx(LEASE, abs=4)
        assert await distrusted(idle, IN_FLIGHT) == pytest.approx(LEASE, abs=4)
        assert await distrusted(idle, STATUS) == pytest.approx(LEASE + 61.2, abs=4)


@pytest.mark.usefixtures("fast_beats")
async def test_a_client_that_makes_no_call_reports_its_requests_in_flight(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    quiet, other = stores(), stores()
    held = await take(quiet, IN_FLIGHT, hold=500)
    await other.open()
    await forget(raw, prefix)

    async def waits_for(low: float, high: float) -> bool:
        return low < await distrusted(other, IN_FLIGHT) < high

    await until(lambda: waits_for(400, 600))
    assert await distrusted(other, IN_FLIGHT) == pytest.approx(LEASE, abs=2)
    await release(quiet, held, NONE)  # and it reports the end by itself, too
    await until(lambda: waits_for(0, 30))
    await until(partial(_has_no_beat, quiet))  # nothing is left to report


async def test_a_report_shrinks_when_the_requests_have_ended_but_not_below_thirty_seconds(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    busy, other = stores(), stores()
    await other.open()
    long, short = [await take(busy, IN_FLIGHT, hold=hold) for hold in (500, 200)]
    await forget(raw, prefix)
    assert await distrusted(busy, IN_FLIGHT) == pytest.approx(LEASE, abs=2)
    busy.release(long, [NONE])
    assert await distrusted(busy, IN_FLIGHT) == pytest.approx(210, abs=2)
    busy.release(short, [NONE])
    assert await distrusted(busy, IN_FLIGHT) == pytest.approx(30, abs=2)
    assert await distrusted(other, SUBSCRIBER) == pytest.approx(151.2, abs=2)


async def test_a_late_end_is_waited_for_as_it_was(stores: Callable[..., RedisStore], raw: Redis, prefix: str) -> None:
    store = stores()
    held = await take(store, SUBSCRIBER, hold=500)
    await forget(raw, prefix)
    await distrusted(store, SUBSCRIBER)
    await elapse(raw, prefix, 100)
    store.release(held, [KEPT])  # its row may have gone on until now
    assert await distrusted(store, SUBSCRIBER) == pytest.approx(121.2, abs=2)


async def test_a_lost_request_may_be_in_flight_for_as_long_as_it_may_be_late(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    held = await take(store, IN_FLIGHT, hold=500)
    await forget(raw, prefix)
    await distrusted(store, IN_FLIGHT)
    store.release(held, [Release(keep=1, late=60)])
    assert await distrusted(store, IN_FLIGHT) == pytest.approx(60, abs=2)


@pytest.mark.parametrize(("late", "waits"), [(0, 30), (60, 60)])
async def test_slots_held_after_the_end_of_a_request_are_not_in_flight(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str, late: float, waits: float
) -> None:
    store = stores()
    held = await take(store, IN_FLIGHT, SUBSCRIBER, hold=500)
    await release(store, held, Release(keep=1, late=late), Release(hold=True))
    await forget(raw, prefix)
    assert await distrusted(store, IN_FLIGHT) == pytest.approx(waits, abs=2)


async def test_requests_that_started_after_the_loss_are_not_reported(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    await store.open()
    await forget(raw, prefix)
    await take(store, LOGIN, hold=500)
    assert await distrusted(store, IN_FLIGHT) == pytest.approx(30, abs=2)
    await elapse(raw, prefix, 30)
    await take(store, IN_FLIGHT, hold=500)
    await take(store, IN_FLIGHT)


async def test_a_dead_client_is_waited_for_thirty_seconds(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    dead, other = stores(), stores()
    await other.open()
    await take(dead, IN_FLIGHT, hold=500)
    await dead._heartbeat.stop()
    await forget(raw, prefix)
    assert await distrusted(other, IN_FLIGHT) == pytest.approx(30, abs=2)


async def test_a_client_that_closes_reports_that_nothing_is_in_flight(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store, other = stores(), stores()
    held = await take(store, IN_FLIGHT, hold=500)
    await other.open()
    await forget(raw, prefix)
    await distrusted(store, IN_FLIGHT)
    store.release(held, [NONE])
    await store.aclose()
    assert await distrusted(other, IN_FLIGHT) == pytest.approx(30, abs=2)


async def test_a_second_loss_is_waited_for_again(stores: Callable[..., RedisStore], raw: Redis, prefix: str) -> None:
    store = stores()
    await take(store, IN_FLIGHT, hold=500)
    for _ in range(2):
        await forget(raw, prefix)
        assert await distrusted(store, IN_FLIGHT) == pytest.approx(LEASE, abs=2)


async def test_a_redis_that_falls_back_behind_what_a_client_has_seen_has_lost_histories(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store, name = stores(), f"{{{prefix}}}:epoch"
    await store.open()
    older: dict[Any, Any] = await raw.hgetall(name)
    await forget(raw, prefix)
    await distrusted(store, IN_FLIGHT)
    await elapse(raw, prefix, 1_000)
    await take(store, IN_FLIGHT)
    await raw.hset(name, mapping={**older, "incomplete": "1", "since": "1"})  # a former primary, say
    assert await distrusted(store, IN_FLIGHT) > 29


def test_a_beat_is_no_task_that_outlives_its_loop(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RedisStore.from_url(server.url, prefix=prefix)

    async def main() -> None:
        await take(store, IN_FLIGHT)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await store._link.aclose()

    async def beating() -> None:
        monkeypatch.setattr(_heartbeat, "_EVERY", 0.0)
        await take(store, IN_FLIGHT)
        await until(partial(_has_begun_a_beat, store))
        await store.aclose()
        assert store._heartbeat._loop is None

    for each in (main, main, beating):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(each())
        loop.close()
        gc.collect()


@pytest.mark.usefixtures("fast_beats")
async def test_beats_go_on_while_redis_is_away(prefix: str) -> None:
    with RedisServer() as server:
        quiet, other = (RedisStore.from_url(server.url, prefix=prefix) for _ in range(2))
        await take(quiet, IN_FLIGHT, hold=500)
        await other.open()
        server.stop()
        await asyncio.sleep(0.1)
        server.start()

        async def has_reported() -> bool:
            return await distrusted(other, IN_FLIGHT) > 400

        await until(has_reported)
        await quiet.aclose()
        await other.aclose()


# --- logins and proofs
@pytest.mark.parametrize("lost", [False, True])
async def test_one_login_at_a_time_in_all_processes_and_three_errors_2_close_it(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str, lost: bool
) -> None:
    one, other = stores(), stores()
    await one.open()
    await other.open()
    if lost:
        await forget(raw, prefix)
    for number in range(3):
        held = await take(one if number % 2 else other, LOGIN)
        assert (await refused(one, LOGIN)).delay == float("inf")
        assert (await refused(other, LOGIN)).delay == float("inf")
        await release(one if number % 2 else other, held, REFUTED)
    assert (await refused(one, LOGIN)).delay == pytest.approx(1800, abs=2)
    assert (await refused(other, LOGIN)).delay == pytest.approx(1800, abs=2)


@pytest.mark.parametrize("limit", [LoginLimit(3, 1800), WindowLimit(4, 1800)])
@pytest.mark.usefixtures("short_leases")
async def test_a_process_that_dies_with_a_login_is_no_failed_login(
    stores: Callable[..., RedisStore], limit: LoginLimit | WindowLimit
) -> None:
    demand = LOGIN._replace(limit=limit)
    for _ in range(limit.count + 1):
        await take(stores(late_arrival=0), demand, hold=0.01)
        await asyncio.sleep(0.02)
    store = stores()
    shown = await store.snapshot({"login_failures": limit})
    assert shown["login_failures"].full == {}
    await take(store, demand)


async def test_credentials_that_were_seen_to_work_need_no_login_after_a_loss(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    knows, has_seen, knows_not = stores(), stores(), stores()
    await release(knows, await take(knows, LOGIN), PROVEN)
    assert (await take(has_seen, LOGIN)).amounts == [0]
    await knows_not.open()
    await forget(raw, prefix)
    await release(knows_not, await take(knows_not, LOGIN), NONE)  # without a proof it is one at a time
    for store in (has_seen, knows_not, knows):
        assert (await take(store, LOGIN)).amounts == [0]


async def test_what_was_refuted_since_the_loss_is_not_asserted_again(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store, other = stores(), stores()
    for one in (store, other):
        await release(one, await take(one, LOGIN), PROVEN)
    older = await take(store, LOGIN)
    await forget(raw, prefix)
    await release(store, await take(store, LOGIN), REFUTED)
    await release(store, older, PROVEN)  # its answer may be older than the refutation
    for one in (other, store):
        held = await take(one, LOGIN)
        assert held.amounts == [1]
        await release(one, held, NONE)
    await forget(raw, prefix)
    assert (await take(store, LOGIN)).amounts == [1]


async def test_a_proof_lasts_for_half_an_hour_after_the_last_good_answer(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store, name = stores(), f"{{{prefix}}}:proof:{b'credentials'.hex()}"
    await release(store, await take(store, LOGIN), PROVEN)
    assert await raw.pttl(name) == pytest.approx(1_800_000, abs=2_000)
    await raw.pexpire(name, 100_000)  # as after 1700 s
    held = await take(store, LOGIN)
    await release(store, await take(store, LOGIN), NONE)
    assert await raw.pttl(name) <= 100_000
    await release(store, held, PROVEN)
    assert await raw.pttl(name) == pytest.approx(1_800_000, abs=2_000)
    await raw.delete(name)  # as after half an hour, however well it is known
    assert (await take(store, LOGIN)).amounts == [1]


async def test_a_proof_is_renewed_once_a_second(stores: Callable[..., RedisStore], raw: Redis, prefix: str) -> None:
    store, name = stores(), f"{{{prefix}}}:proof:{b'credentials'.hex()}"
    await release(store, await take(store, LOGIN), PROVEN)
    await raw.pexpire(name, 1_799_500)  # as after half a second
    await release(store, await take(store, LOGIN), PROVEN)
    assert await raw.pttl(name) <= 1_799_500
    await raw.pexpire(name, 1_798_900)
    await release(store, await take(store, LOGIN), PROVEN)
    assert await raw.pttl(name) > 1_799_000


async def test_a_loss_makes_no_proof_last_longer(stores: Callable[..., RedisStore], raw: Redis, prefix: str) -> None:
    store, other = stores(), stores()
    name = f"{{{prefix}}}:proof:{b'credentials'.hex()}"
    await release(store, await take(store, LOGIN), PROVEN)
    await raw.pexpire(name, 100_000)
    assert (await take(other, LOGIN)).amounts == [0]
    await forget(raw, prefix)
    assert (await take(other, LOGIN)).amounts == [0]
    assert 90_000 < await raw.pttl(name) <= 100_000


async def test_the_number_of_remembered_proofs_is_limited(
    stores: Callable[..., RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ledger, "_PROOFS", 2)
    store = stores()
    for proof in (b"1", b"2", b"3"):
        await release(store, await take(store, LOGIN._replace(key=proof, proof=proof)), PROVEN)
    assert [bool(store._proofs.left(proof)) for proof in (b"1", b"2", b"3")] == [False, True, True]


# --- bad sends
async def test_messages_go_one_at_a_time_after_a_loss_until_one_is_accepted(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    one, other = stores(), stores()
    before = await take(one, BAD, hold=20)
    await other.open()
    await forget(raw, prefix)
    held = await take(one, BAD)
    await release(one, before, ACCEPTED)  # it may have arrived before the bad sends that were lost
    assert (await refused(other, BAD)).delay == float("inf")
    assert (await refused(other, LIST)).delay == float("inf")
    await release(one, held, KEPT)
    with pytest.raises(GuardStoreError, match="sooner once a request with a single message is accepted") as caught:
        await other.acquire([LIST], 1)
    assert caught.value.retry_after == pytest.approx(30 + 601.2, abs=2)
    held = await take(other, BAD)
    await refused(one, BAD)
    await release(other, held, ACCEPTED)
    await take(one, BAD)
    await take(other, LIST._replace(amount=97))
    assert 0 < await raw.pttl(f"{{{prefix}}}:accepted:{b'a'.hex()}") < 2 * 86_400_000


async def test_what_was_accepted_before_a_second_loss_counts_no_more(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store, name = stores(), f"{{{prefix}}}:epoch"
    await store.open()
    await forget(raw, prefix)
    await release(store, await take(store, BAD), ACCEPTED)
    await take(store, LIST)
    await raw.hset(name, "run", "another")  # a restart with persistence
    await raw.delete(f"{{{prefix}}}:bad_sends:{b'a'.hex()}")
    await take(store, BAD)
    await refused(store, BAD)


async def test_lists_go_again_when_the_lost_row_is_over(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    await store.open()
    await forget(raw, prefix)
    with pytest.raises(GuardStoreError):
        await store.acquire([LIST], 1)
    await elapse(raw, prefix, 631.2)
    await take(store, LIST)
    await take(store, LIST)


async def test_bad_messages_are_counted_while_they_go_one_at_a_time(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    await store.open()
    await forget(raw, prefix)
    few = BAD._replace(limit=WindowLimit(2, 601.2))
    for _ in range(2):
        await release(store, await take(store, few), KEPT)
    assert (await refused(store, few)).delay == pytest.approx(601.2, abs=2)


# --- held slots
HELD = Release(hold=True)


async def test_held_slots_stay_reserved_until_a_later_release(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    bad = BAD._replace(limit=WindowLimit(1, 601.2))
    gate = on("a", WindowLimit(1, 0), "in_flight")
    held = await take(store, bad, gate)
    await release(store, held, HELD, NONE)
    assert held.amounts == [1, 0]
    await take(store, gate)
    assert (await refused(store, bad)).delay == float("inf")
    assert await raw.exists(f"{{{prefix}}}:token:{held.token}") == 0
    await release(store, held, ACCEPTED, NONE)
    assert held.amounts == [0, 0]
    await refused(store, gate)  # that of the other request
    await release(store, await take(store, bad), KEPT)
    await release(store, held, ACCEPTED, NONE)  # the reservation has ended
    assert (await refused(store, bad)).delay == pytest.approx(601.2, abs=2)


async def test_held_slots_that_are_kept_at_last_count(stores: Callable[..., RedisStore]) -> None:
    store = stores()
    bad: Demand = BAD._replace(limit=WindowLimit(1, 601.2))
    held = await take(store, bad)
    await release(store, held, HELD)
    await release(store, held, KEPT)
    assert (await refused(store, bad)).delay == pytest.approx(601.2, abs=2)


@pytest.mark.usefixtures("short_leases")
async def test_held_slots_of_a_process_that_dies_count_when_the_lease_ends(
    stores: Callable[..., RedisStore],
) -> None:
    store, other = stores(late_arrival=0), stores()
    bad = BAD._replace(limit=WindowLimit(1, 601.2))
    await release(store, await take(store, bad, hold=0.1), HELD)
    await asyncio.sleep(0.15)
    assert (await refused(other, bad)).delay == pytest.approx(601.2, abs=1)
