"""Reserving and releasing slots in Redis, with lost answers, cancellations and dead processes."""

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from smsc_async import GuardStoreError
from smsc_async.guards import RedisStore
from smsc_async.guards._limits import WindowLimit
from smsc_async.guards._store import Demand, Reservation
from tests.guards.redis_store import GATE, KEPT, NONE, RANDOM, SECRET, forget, on, refused, release, take, wire_to
from tests.redis_server import RedisServer


# --- reserving
async def test_reserving_is_one_round_trip_and_brings_what_was_released_along(
    server: RedisServer, stores: Callable[..., RedisStore]
) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url)
        demand = on("a", WindowLimit(1, 0), "in_flight")
        held = await take(store, on("b"), demand)
        store.release(held, [NONE] * 2)
        held = await take(store, on("b"), demand)  # now Redis knows both scripts
        before = wire.sent
        for _ in range(10):
            store.release(held, [NONE] * 2)
            held = await take(store, on("b"), demand)
        assert wire.sent - before == 10
        await store.aclose()


async def test_lost_answer_is_asked_for_again_and_reserves_once(
    server: RedisServer, stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    demand = on("a", WindowLimit(2, 60))
    async with wire_to(server) as wire:
        store = stores(wire.url)
        await store.open()
        wire.losing = 1
        held = await take(store, demand)
        assert wire.losing == 0
        name = f"{{{prefix}}}:token:{held.token}"
        assert await raw.get(name) == f"granted {round(held.started * 1e6)} 1"
        assert (await stores().snapshot({"status": WindowLimit(2, 60)}))["status"].in_flight == 1
        await take(store, demand)
        await refused(store, demand)
        await release(store, held, NONE)
        assert await raw.exists(name) == 0
        await store.aclose()


async def test_two_lost_answers_give_up_and_release_the_slot(
    server: RedisServer, stores: Callable[..., RedisStore]
) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url)
        await store.open()
        wire.losing = 2
        with pytest.raises(GuardStoreError, match="can't be reached"):
            await store.acquire([on()], 30)
        await store.flush()
        await take(stores(), on())
        await store.aclose()


async def test_request_that_was_given_up_is_void_when_it_arrives_later(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    await store.open()
    store._give_up([on()], "0123456789abcdef", 1.0)
    await store.flush()
    line = await store._ask([on()], "0123456789abcdef", store._epoch, 1.0, 0.0)
    assert line == "void"
    assert 0 < await raw.pttl(f"{{{prefix}}}:token:0123456789abcdef") <= 1_000
    await take(stores(), on())


async def test_cancelled_requests_leak_neither_slots_nor_connections(
    server: RedisServer, stores: Callable[..., RedisStore]
) -> None:
    gate = on("a", WindowLimit(50, 0), "in_flight")
    async with wire_to(server) as wire:
        store = stores(wire.url)
        await store.open()
        for round_trip in (0.0, 0.002):
            wire.holding = round_trip
            for _ in range(25):
                with anyio.move_on_after(RANDOM.uniform(0, 0.004)):
                    async with anyio.create_task_group() as group:
                        for _ in range(3):
                            group.start_soon(_hold_for_ever, store, gate)
        wire.holding = 0.0
        await store.flush()
        assert (await store.snapshot({"in_flight": WindowLimit(50, 0)}))["in_flight"].in_flight == 0
        for _ in range(50):
            await take(store, gate)
        await store.aclose()


async def _hold_for_ever(store: RedisStore, demand: Demand) -> None:
    held = await store.acquire([demand], 30)
    assert isinstance(held, Reservation)
    try:
        await anyio.sleep_forever()
    finally:
        store.release(held, [NONE])


@pytest.mark.usefixtures("short_leases")
async def test_process_that_dies_in_flight_frees_its_gate_after_the_lease_and_its_window_a_span_later(
    stores: Callable[..., RedisStore],
) -> None:
    gate, window = on("a", GATE, "in_flight"), on("b", WindowLimit(1, 0.3))
    await take(stores(late_arrival=0.05), gate, window, hold=0.1)
    other = stores(late_arrival=0.05)
    assert (await refused(other, gate)).delay == math.inf
    await asyncio.sleep(0.17)
    await take(other, gate)
    assert 0 < (await refused(other, window)).delay <= 0.3
    await asyncio.sleep(0.3)
    await take(other, window)


async def test_lease_outlives_the_reservation(stores: Callable[..., RedisStore], raw: Redis, prefix: str) -> None:
    store = stores(max_hold=100, late_arrival=7)
    before = anyio.current_time()
    held = await take(store, on(), hold=math.inf)
    assert before + 100 <= held.expires <= anyio.current_time() + 100
    entries: Any = await raw.zrange(f"{{{prefix}}}:status:{b'a'.hex()}", 0, -1, withscores=True)
    ((_, score),) = entries
    assert score / 1e6 - held.started == pytest.approx(100 + 7 + 5)
    assert (await take(store, on("b"), hold=3)).expires <= anyio.current_time() + 3


# --- releasing
async def test_release_returns_at_once_and_flush_waits_until_it_is_stored(
    server: RedisServer, stores: Callable[..., RedisStore]
) -> None:
    async with wire_to(server) as wire:
        store, other = stores(wire.url), stores()
        held = [await take(store, on(str(i), GATE, "in_flight")) for i in range(100)]
        before, wire.holding = wire.sent, 0.05
        for reservation in held:
            store.release(reservation, [NONE])
        assert wire.sent == before
        await store.flush()
        assert wire.sent == before + 2
        for i in range(100):
            await take(other, on(str(i), GATE, "in_flight"))
        await store.aclose()


async def test_flush_waits_for_what_a_request_carries(server: RedisServer, stores: Callable[..., RedisStore]) -> None:
    async with wire_to(server) as wire:
        store, other = stores(wire.url), stores()
        held = await take(store, on("a", GATE, "in_flight"))
        wire.holding = 0.05
        store.release(held, [NONE])
        async with anyio.create_task_group() as group:
            group.start_soon(take, store, on("b"))
            await asyncio.sleep(0.01)
            await store.flush()
            await take(other, on("a", GATE, "in_flight"))
        await store.aclose()


async def test_release_that_a_failed_request_carried_is_sent_again(
    server: RedisServer, stores: Callable[..., RedisStore]
) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url)
        held = await take(store, on("a", GATE, "in_flight"))
        wire.losing = 2
        store.release(held, [NONE])
        with pytest.raises(GuardStoreError):
            await store.acquire([on("b")], 30)
        await store.flush()
        await take(stores(), on("a", GATE, "in_flight"), on("b"))
        await store.aclose()


async def test_release_in_a_redis_that_was_flushed_still_leaves_what_must_be_kept(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    held = await take(store, on("a", WindowLimit(2, 60)))
    await forget(raw, prefix)
    await release(store, held, KEPT)
    assert await raw.zcard(f"{{{prefix}}}:status:{b'a'.hex()}") == 1


async def test_failed_release_is_logged_without_secrets_and_left_to_the_lease(
    prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer("--requirepass", SECRET) as server:
        store = RedisStore.from_url(server.url.replace("//", f"//:{SECRET}@"), prefix=prefix)
        held = await take(store, on())
        server.stop()
        with caplog.at_level(logging.DEBUG, "smsc_async"):
            await release(store, held, KEPT)
        await store.aclose()
    assert [(record.name, record.levelname) for record in caplog.records] == [("smsc_async", "WARNING")]
    assert "1 requests keep their slots" in caplog.text
    assert SECRET not in caplog.text


def test_what_was_not_sent_when_a_loop_ended_is_sent_on_the_next(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RedisStore.from_url(server.url, prefix=prefix)

    async def first() -> None:
        held = await take(store, on("a", GATE, "in_flight"))
        await store._link.aclose()
        with monkeypatch.context() as patch:
            patch.setattr(store, "_send_soon", lambda: None)
            store.release(held, [NONE])

    async def second() -> None:
        store.rebind()
        await store.flush()
        other = RedisStore.from_url(server.url, prefix=prefix)
        await take(other, on("a", GATE, "in_flight"))
        await other.aclose()
        await store.aclose()

    asyncio.run(first())
    asyncio.run(second())


def test_release_cut_by_the_end_of_a_loop_is_sent_on_the_next(server: RedisServer, prefix: str) -> None:
    async def first() -> RedisStore:
        async with wire_to(server) as wire:
            store = RedisStore.from_url(wire.url, prefix=prefix, timeout=0.2)
            held = await take(store, on("a", GATE, "in_flight"))
            wire.holding = 30
            store.release(held, [NONE])
            await asyncio.sleep(0.02)
            assert store._sender is not None
            store._sender.cancel()
            await asyncio.wait((store._sender,))
            await store._link.aclose()
        return store

    async def second(store: RedisStore) -> None:
        assert len(store._queue) == 1
        store._link = RedisStore.from_url(server.url)._link
        store.rebind()
        await store.flush()
        await take(store, on("a", GATE, "in_flight"))
        await store.aclose()

    asyncio.run(second(asyncio.run(first())))
