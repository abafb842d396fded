"""The Redis store: what many processes share, and what it does when Redis fails, forgets or lies."""

import asyncio
import logging
import math
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
import trio
from pydantic import SecretStr
from redis.asyncio import Redis

import smsc_async.guards
from smsc_async import ApiKey, BreakerOpen, GuardStoreError, Login, MessageRef, Outcome, StatusTooOften
from smsc_async._model.operations import GetBalance, GetStatus, Send
from smsc_async.guards import Guards, Identity, RedisStore, Rule, Rules
from smsc_async.guards._demands import Completion, RequestArrival
from smsc_async.guards._limits import BlockLimit, Limit, Release, StreakLimit, WindowLimit
from smsc_async.guards._redis import snapshot as _redis_snapshot
from smsc_async.guards._redis import store as _redis
from smsc_async.guards._store import Demand, Refusal, Reservation
from tests.redis_server import RedisServer

ROOT = Path(__file__).parent.parent.parent
NONE = Release()
KEPT = Release(keep=1)
ONCE = WindowLimit(1, 60)
GATE = WindowLimit(1, 0)
SECRET = "s3cret-pa55word"
ANSWERED = Completion(RequestArrival.ANSWERED)
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
    """Make stores as several processes would, on one set of histories."""
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


LOGIN = Demand("login_failures", b"a", WindowLimit(3, 1800), proof=b"credentials")


async def take(store: RedisStore, *demands: Demand, hold: float = 30) -> Reservation:
    answer = await store.acquire(demands, hold)
    assert isinstance(answer, Reservation), answer
    return answer


async def refused(store: RedisStore, *demands: Demand) -> Refusal:
    answer = await store.acquire(demands, 30)
    assert isinstance(answer, Refusal), answer
    return answer


async def release(store: RedisStore, reservation: Reservation, *releases: Release) -> None:
    store.release(reservation, releases)
    await store.flush()


async def distrusted(store: RedisStore, *demands: Demand) -> float:
    with pytest.raises(GuardStoreError) as caught:
        await store.acquire(demands, 30)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.retry_after is not None
    return caught.value.retry_after


@dataclass
class Wire:
    """A way to Redis that counts what passes, and fails when told.

    Attributes:
        url: Where it listens.
        sent: How many pieces of requests have passed.
        losing: How many answers get lost with their connection from now on.
        holding: Seconds for which each request is held back.
    """

    url: str
    sent: int = 0
    losing: int = 0
    holding: float = 0.0


@asynccontextmanager
async def wire_to(server: RedisServer) -> AsyncIterator[Wire]:
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        writers = [writer]
        with suppress(OSError, asyncio.CancelledError):
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)
            writers.append(up_writer)
            while data := await reader.read(65_536):
                wire.sent += 1
                await asyncio.sleep(wire.holding)
                up_writer.write(data)
                answer = await up_reader.read(65_536)
                if wire.losing:
                    wire.losing -= 1
                    break
                writer.write(answer)
        for closing in writers:
            closing.close()
        for closing in writers:
            with suppress(OSError, asyncio.CancelledError):
                await closing.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = Wire(f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0")
    async with listening:
        yield wire
        listening.close()
        await asyncio.sleep(0)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


# --- reserving


async def test_reserving_is_one_round_trip_and_brings_what_was_settled_along(
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


async def test_two_lost_answers_give_up_and_give_the_place_back(
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
    line = await store._ask([on()], "0123456789abcdef", store._epoch, 1.0)
    assert line == "void"
    assert 0 < await raw.pttl(f"{{{prefix}}}:token:0123456789abcdef") <= 1_000
    await take(stores(), on())


async def test_cancelled_requests_leak_neither_places_nor_connections(
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


# --- settling


async def test_settling_waits_for_nobody_and_flush_makes_it_known(
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


async def test_settling_that_a_failed_request_carried_is_sent_again(
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


async def test_settling_in_a_redis_that_was_flushed_still_leaves_what_must_be_kept(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    held = await take(store, on("a", WindowLimit(2, 60)))
    await _forget(raw, prefix)
    await release(store, held, KEPT)
    assert await raw.zcard(f"{{{prefix}}}:status:{b'a'.hex()}") == 1


async def test_failed_settling_is_logged_without_secrets_and_left_to_the_lease(
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
    assert "1 requests stay unsettled" in caplog.text
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


def test_settling_cut_by_the_end_of_a_loop_is_sent_on_the_next(server: RedisServer, prefix: str) -> None:
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


# --- losses


async def _forget(raw: Redis, prefix: str) -> None:
    """Flush what one test has put into the server that all share."""
    names = [name async for name in raw.scan_iter(match=f"{{{prefix}}}:*")]
    await raw.delete(*names)


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
    await _forget(raw, prefix)
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
    await _forget(raw, prefix)
    assert await distrusted(store, gate) <= 0.15
    await asyncio.sleep(0.16)
    await release(store, await take(store, gate), NONE)
    assert 0 < await distrusted(store, gate, window) <= 0.15
    await asyncio.sleep(0.16)
    await take(store, gate, window)


async def test_distrust_that_somebody_began_is_not_begun_again(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store, other = stores(), stores()
    await store.open()
    await other.open()
    await _forget(raw, prefix)
    first = await distrusted(store, on())
    await asyncio.sleep(0.05)
    assert await distrusted(other, on()) <= first - 0.05
    assert await distrusted(store, on()) <= first - 0.05


async def test_new_process_trusts_a_flushed_redis_until_an_old_one_knows_better(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    old, new = stores(), stores()
    salt = await old.open()
    await _forget(raw, prefix)
    await take(new, on())
    assert new.salt != salt
    assert await distrusted(old, on("b")) == 0.0  # its keys are hashed with a salt that nobody knows now
    assert old.salt == new.salt
    assert await distrusted(old, on("b")) > 600
    assert await distrusted(new, on("b")) > 600


async def test_requests_that_learn_of_another_salt_at_once_are_all_refused(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    old, new = stores(), stores()
    await old.open()
    await _forget(raw, prefix)
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
    await _forget(raw, prefix)
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
    await _forget(raw, prefix)
    await release(store, await take(store, LOGIN), Release(keep=1, proof=False))
    assert await distrusted(other, LOGIN) > 1800
    assert await distrusted(store, LOGIN) > 1800


async def test_no_more_proofs_are_remembered_than_make_sense(
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
    await _forget(raw, prefix)
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


# --- a Redis that can't be used


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_redis_that_throws_keys_away_is_refused(policy: str, prefix: str) -> None:
    with RedisServer("--maxmemory", "64mb", "--maxmemory-policy", policy) as server:
        store = RedisStore.from_url(server.url, prefix=prefix)
        with pytest.raises(GuardStoreError, match=f"maxmemory-policy {policy}.*set maxmemory-policy noeviction"):
            await store.open()
        with pytest.raises(GuardStoreError, match=policy):
            await store.acquire([on()], 30)
        await store.aclose()


async def test_memory_policy_is_looked_at_again_and_again(prefix: str) -> None:
    with RedisServer("--maxmemory", "64mb", "--maxmemory-policy", "noeviction") as server:
        store = RedisStore.from_url(server.url, prefix=prefix)
        await take(store, on("a"))
        async with Redis.from_url(server.url) as raw:
            await raw.config_set("maxmemory-policy", "allkeys-random")
            await take(store, on("b"))
            store._look_at = time.monotonic() - 1
            for _ in range(2):
                with pytest.raises(GuardStoreError, match="allkeys-random"):
                    await store.acquire([on("c")], 30)
            await raw.config_set("maxmemory", "0")
        await take(store, on("c"))
        assert store._look_at == pytest.approx(time.monotonic() + 30, abs=1)
        await store.aclose()


async def test_full_memory_is_a_refusal(prefix: str) -> None:
    with RedisServer() as server:
        store = RedisStore.from_url(server.url, prefix=prefix)
        await store.open()
        async with Redis.from_url(server.url) as raw:
            await raw.config_set("maxmemory", "1")
        with pytest.raises(GuardStoreError, match=r"refused the request \(O"):
            await store.acquire([on("a", BlockLimit(60, 60, 60), "blocked", 0)], 30)
        await store.aclose()


async def test_forbidden_info_is_told(prefix: str) -> None:
    with RedisServer() as server:
        async with Redis.from_url(server.url) as raw:
            await raw.acl_setuser(
                "app", enabled=True, passwords=[f"+{SECRET}"], keys=["*"], categories=["+@all"], commands=["-info"]
            )
        store = RedisStore.from_url(server.url.replace("//", f"//app:{SECRET}@"), prefix=prefix)
        with pytest.raises(GuardStoreError, match="forbids INFO") as caught:
            await store.open()
        assert SECRET not in _everything_told(caught.value)
        await store.aclose()


async def test_replica_is_refused(server: RedisServer, prefix: str) -> None:
    with RedisServer("--replicaof", "127.0.0.1", str(server.port)) as replica:
        store = RedisStore.from_url(replica.url, prefix=prefix)
        with pytest.raises(GuardStoreError, match=r"READONLY|ReadOnly|MASTERDOWN|LOADING"):
            await store.open()
        await store.aclose()


async def test_unreachable_redis_is_told_at_once(prefix: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = RedisStore.from_url(f"redis://app:{SECRET}@127.0.0.1:{port}/0", prefix=prefix)
    start = time.monotonic()
    with pytest.raises(GuardStoreError, match=r"can't be reached \(ConnectionError\)") as caught:
        await store.acquire([on()], 30)
    assert time.monotonic() - start < 0.5
    assert caught.value.outcome is Outcome.NOT_SENT
    assert SECRET not in _everything_told(caught.value)
    with pytest.raises(GuardStoreError, match="can't be reached"):
        await store.snapshot({})
    await store.aclose()


async def test_silent_redis_is_told_after_the_timeout(server: RedisServer, stores: Callable[..., RedisStore]) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url, timeout=0.2)
        await store.open()
        wire.holding = 30
        start = time.monotonic()
        with pytest.raises(GuardStoreError, match=r"didn't answer within 0.2 s"):
            await store.acquire([on()], 30)
        assert 0.15 < time.monotonic() - start < 0.6
        await store.aclose()


async def test_wrong_password_is_told_and_not_shown(prefix: str) -> None:
    with RedisServer("--requirepass", "another-one") as server:
        store = RedisStore.from_url(server.url.replace("//", f"//:{SECRET}@"), prefix=prefix)
        with pytest.raises(GuardStoreError, match="AuthenticationError") as caught:
            await store.open()
        assert SECRET not in _everything_told(caught.value)
        await store.aclose()


async def test_key_of_another_kind_is_a_refusal(stores: Callable[..., RedisStore], raw: Redis, prefix: str) -> None:
    store = stores()
    await store.open()
    await raw.set(f"{{{prefix}}}:status:{b'a'.hex()}", "odd")
    with pytest.raises(GuardStoreError, match=r"refused the request \(WRONGTYPE\)"):
        await store.acquire([on()], 30)


async def test_answer_without_a_code_is_told_by_its_kind(stores: Callable[..., RedisStore], raw: Redis) -> None:
    store = stores()
    await store.open()
    with pytest.raises(GuardStoreError, match=r"refused the request \(ResponseError\)"):
        await store._link.reach(lambda: raw.eval("return redis.error_reply('odd words')", 0))


async def test_redis_that_keeps_no_scripts_is_told(
    stores: Callable[..., RedisStore], raw: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores()
    await raw.script_flush()
    pipeline: Callable[..., Any] = store._link.client.pipeline

    def forgetful(**options: Any) -> Any:
        pipe = pipeline(**options)
        execute = pipe.execute_command
        pipe.execute_command = lambda *words: None if words[0] == "SCRIPT LOAD" else execute(*words)
        return pipe

    monkeypatch.setattr(store._link.client, "pipeline", forgetful)
    with pytest.raises(GuardStoreError, match=r"NOSCRIPT|NoScript"):
        await store.open()


@pytest.mark.parametrize(
    "url", [f"http://:{SECRET}@host", f"redis://:{SECRET}#@host:1/0", f"redis://:x@host:{SECRET}/0", "redis"]
)
def test_odd_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="no URL of a Redis") as caught:
        RedisStore.from_url(url)
    assert SECRET not in f"{caught.value!r}"


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"max_hold": 0}, {"late_arrival": -1}, {"prefix": ""}, {"prefix": "a}b"}]
)
def test_option_out_of_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"0|prefix"):
        RedisStore.from_url("redis://localhost", **options)


def test_repr_shows_no_secret() -> None:
    store = RedisStore.from_url(f"redis://app:{SECRET}@localhost", salt=SECRET)
    assert repr(store) == "<smsc_async.guards.RedisStore prefix='smsc'>"


def _everything_told(error: BaseException) -> str:
    told = [repr(error), str(error)]
    cause = error.__cause__
    while cause is not None:
        told += [repr(cause), str(cause)]
        cause = cause.__cause__
    return " ".join(told)


# --- event loops and clients


def test_one_store_serves_one_loop_after_the_other(server: RedisServer, prefix: str) -> None:
    store = RedisStore.from_url(server.url, prefix=prefix)

    async def main(key: str) -> None:
        store.rebind()
        await take(store, on(key))
        await store.aclose()

    for key in "abc":
        asyncio.run(main(key))


def test_connections_of_another_loop_are_dropped(server: RedisServer, prefix: str) -> None:
    async def one(store: RedisStore) -> None:
        await take(store, on(uuid4().hex))
        await store._link.client.connection_pool.disconnect()

    def use(store: RedisStore) -> None:
        asyncio.run(one(store))
        asyncio.run(one(store))

    own = RedisStore.from_url(server.url, prefix=prefix)
    first = own._link.client
    use(own)
    assert own._link.client is not first
    theirs = Redis.from_url(server.url)
    store = RedisStore(theirs, prefix=prefix)
    use(store)
    assert store._link.client is theirs


async def test_client_of_the_user_stays_open_and_may_decode(server: RedisServer, prefix: str) -> None:
    async with Redis.from_url(server.url, decode_responses=True) as client:
        store = RedisStore(client, prefix=prefix)
        await release(
            store, await take(store, on(), LOGIN, on("b", BlockLimit(60, 60, 60), "blocked", 0)), KEPT, KEPT, KEPT
        )
        shown = await store.snapshot({"status": ONCE, "blocked": BlockLimit(60, 60, 60)})
        assert {rule: state.keys for rule, state in shown.items()} == {"status": 1, "blocked": 1}
        await store.aclose()
        assert await client.ping()


def test_trio_is_refused_in_a_sentence(server: RedisServer, prefix: str) -> None:
    store = RedisStore.from_url(server.url, prefix=prefix)

    async def main() -> None:
        store.rebind()
        for asking in (store.open, lambda: store.acquire([on()], 30), lambda: store.snapshot({})):
            with pytest.raises(GuardStoreError, match="asyncio only"):
                await asking()
        await store.aclose()

    trio.run(main)


async def test_pepper_changes_the_salt(stores: Callable[..., RedisStore]) -> None:
    salts = [await stores(salt=salt).open() for salt in (None, "pepper", b"pepper", SecretStr("pepper"), "x" * 500)]
    assert len(set(salts)) == 3
    assert salts[1] == salts[2] == salts[3]
    assert {len(salt) for salt in salts} == {32}


# --- what is in Redis


async def test_every_key_expires_and_bears_the_hash_tag_and_tells_nothing(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    guards = Guards(store, rules=Rules(in_flight=Rule(1)))
    guards.bind()
    who = Identity(Login(login=SecretStr("my-login"), password=SecretStr(SECRET)), egress="my-egress")
    send = Send(to=("+79991234567",), text="very private words", id="a1")
    for completion in (ANSWERED, Completion(RequestArrival.ANSWERED, 4), Completion(RequestArrival.LOST)):
        held = await guards.reserve(who, send, within=30, allow_duplicate=True)
        await refused(store, *(demand for demand in held.demands if demand.rule == "in_flight"))
        guards.release(held, completion)
        await guards.flush()
        for rule in ("blocked", "in_flight"):
            for name in [name async for name in raw.scan_iter(match=f"{{{prefix}}}:{rule}:*", count=1_000)]:
                await raw.delete(name)
    held = await guards.reserve(who, send, within=30, allow_duplicate=True)
    await refused(store, *(demand for demand in held.demands if demand.rule == "in_flight"))
    names = [name async for name in raw.scan_iter(match=f"*{prefix}*", count=1_000)]
    kinds = {name.removeprefix(f"{{{prefix}}}:").partition(":")[0] for name in names}
    assert kinds >= {"epoch", "token", "turn", "proof", "in_flight", "subscriber", "identical_send", "bad_sends"}
    for name in names:
        assert name.startswith(f"{{{prefix}}}:")
        assert 0 < await raw.pttl(name) <= 2 * 86_400_000
        for private in ("9991234567", "private", SECRET, "my-login", "my-egress"):
            assert private not in name
    await guards.aclose()


async def test_keys_vanish_when_they_are_idle(stores: Callable[..., RedisStore], raw: Redis, prefix: str) -> None:
    store = stores()
    for key in "abc":
        await release(store, await take(store, on(key, WindowLimit(1, 0.05)), on(key, GATE, "in_flight")), KEPT, NONE)
    await asyncio.sleep(0.1)
    names = [name async for name in raw.scan_iter(match=f"{{{prefix}}}:*", count=1_000)]
    assert names == [f"{{{prefix}}}:epoch"]


async def test_key_lives_as_long_as_the_longest_lease_on_it(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    store = stores()
    demand = on("a", WindowLimit(5, 60))
    await take(store, demand, hold=500)
    short = await take(store, demand, hold=1)
    name = f"{{{prefix}}}:status:{b'a'.hex()}"
    assert await raw.pttl(name) > 569_000
    await release(store, short, KEPT)
    assert await raw.pttl(name) > 569_000


async def test_forced_sends_do_not_pile_up(stores: Callable[..., RedisStore], raw: Redis, prefix: str) -> None:
    store = stores()
    demand = on("a", WindowLimit(1, 0.02), "identical_send")._replace(forced=True)
    for _ in range(5):
        await release(store, await take(store, demand), KEPT)
        await asyncio.sleep(0.03)
    await take(store, demand)
    assert await raw.zcard(f"{{{prefix}}}:identical_send:{b'a'.hex()}") == 1


async def test_snapshot_looks_at_a_limited_number_of_keys(
    stores: Callable[..., RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores()
    for number in range(30):
        await take(store, on(str(number)))
    monkeypatch.setattr(_redis_snapshot, "_READ", 7)
    monkeypatch.setattr(_redis_snapshot, "_PAGE", 5)
    assert (await store.snapshot({"status": ONCE}))["status"].keys == 30
    monkeypatch.setattr(_redis_snapshot, "_SCANNED", 0)
    assert (await store.snapshot({"status": ONCE}))["status"].keys == 0
    monkeypatch.setattr(_redis_snapshot, "_SCANNED", 10_000)
    monkeypatch.setattr(_redis_snapshot, "_SHOWN", 1)
    assert (await store.snapshot({"status": ONCE}))["status"].keys >= 1


# --- many processes, and the guards


async def _work(guards: Guards, who: Identity, name: str, seconds: float, service: dict[str, int]) -> None:
    start = anyio.current_time()
    end = start + seconds
    number = 0
    while anyio.current_time() < end:
        number += 1
        held = await guards.reserve(who, GetStatus(ref=MessageRef("+79991234567", f"{name}-{number}")), within=30)
        service["now"] += 1
        service["peak"] = max(service["peak"], service["now"])
        await asyncio.sleep(RANDOM.uniform(0.03, 0.05))
        service["now"] -= 1
        guards.release(held, ANSWERED)
        if anyio.current_time() > start + 1:  # by then the one that came later has taken its part
            service[name[0]] = service.get(name[0], 0) + 1


async def test_two_processes_never_exceed_a_gate_and_neither_starves(stores: Callable[..., RedisStore]) -> None:
    who = Identity(ApiKey(key=SecretStr("key")))
    service = {"now": 0, "peak": 0}
    async with AsyncExitStack() as stack, anyio.create_task_group() as group:
        for name in "ab":
            guards = Guards(stores(), rules=Rules().with_policies(login_failures="off", address_failures="off"))
            guards.bind()
            stack.push_async_callback(guards.aclose)
            for number in range(8):
                group.start_soon(_work, guards, who, f"{name}{number}", 4.0, service)
            await asyncio.sleep(0.2)  # one is there before the other and holds all places
    assert service["peak"] == 4
    shares = [service["a"], service["b"]]
    assert sum(shares) > 0.75 * 4 * 3.0 / 0.04
    assert min(shares) >= 0.2 * sum(shares)


async def test_single_place_is_passed_from_process_to_process(stores: Callable[..., RedisStore]) -> None:
    one, other = stores(), stores()
    gate = on("a", GATE, "in_flight")
    held = await take(one, gate)
    await refused(other, gate)
    await asyncio.sleep(0.32)
    await refused(other, gate)
    one.release(held, [NONE])
    await refused(one, gate)  # it is the other's turn
    await release(other, await take(other, gate), NONE)
    await take(one, gate)  # and its turn is over


async def test_turn_of_a_process_that_has_gone_is_over_soon(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    one, other = stores(), stores()
    gate = on("a", GATE, "in_flight")
    await release(one, await take(one, gate), NONE)
    held = await take(one, gate)
    await refused(other, gate)
    assert 0 < await raw.pttl(f"{{{prefix}}}:turn:in_flight:{b'a'.hex()}") <= 1_000
    await release(one, held, NONE)
    await take(one, gate)  # nobody has waited for long


async def test_who_holds_less_takes_the_turn_from_who_holds_more(
    stores: Callable[..., RedisStore], raw: Redis, prefix: str
) -> None:
    rich, poor = stores(), stores()
    gate = on("a", WindowLimit(3, 0), "in_flight")
    name = f"{{{prefix}}}:turn:in_flight:{b'a'.hex()}"
    held = [await take(rich, gate) for _ in range(2)]
    await take(poor, gate)
    await refused(rich, gate)
    first = str(await raw.get(name))
    await refused(rich, gate)
    assert await raw.get(name) == first
    await refused(poor, gate)
    turn = str(await raw.get(name))
    assert turn.split(maxsplit=1)[0] != first.split(maxsplit=1)[0]
    await refused(rich, gate)
    assert await raw.get(name) == turn
    await asyncio.sleep(0.32)
    await refused(poor, gate)
    await release(rich, held.pop(), NONE)
    await refused(rich, gate)  # one each, and the poor one's turn
    await take(poor, gate)


async def test_who_holds_less_does_not_wait_for_the_turn_of_who_holds_more(stores: Callable[..., RedisStore]) -> None:
    rich, poor = stores(), stores()
    gate = on("a", WindowLimit(3, 0), "in_flight")
    for _ in range(2):
        await take(rich, gate)
    held = await take(poor, gate)
    await refused(rich, gate)
    await asyncio.sleep(0.32)
    await refused(rich, gate)
    await release(poor, held, NONE)
    await take(poor, gate)


async def test_late_request_and_one_in_flight_at_a_gate_may_free_it_any_moment(
    stores: Callable[..., RedisStore],
) -> None:
    store = stores()
    gate = on("a", WindowLimit(2, 0), "in_flight")
    held = await take(store, gate)
    await release(store, await take(store, gate), Release(keep=1, late=20))
    assert (await refused(store, gate)).delay == math.inf
    await release(store, held, Release(keep=1, late=30))
    assert (await refused(store, gate)).delay == pytest.approx(20, abs=1)


async def test_guards_refuse_in_one_process_what_another_has_used_up(stores: Callable[..., RedisStore]) -> None:
    rules = Rules().with_policies(status="raise")
    pair = [Guards(stores(), rules=rules) for _ in range(2)]
    who = Identity(Login(login=SecretStr("login"), password=SecretStr(SECRET)))
    ref = MessageRef("+79991234567", "a1")
    for guards in pair:
        guards.bind()
    for number in range(5):
        guards = pair[number % 2]
        guards.release(await guards.reserve(who, GetStatus(ref=ref), within=30), ANSWERED)
        await guards.flush()
    for guards in pair:
        with pytest.raises(StatusTooOften) as caught:
            await guards.reserve(who, GetStatus(ref=ref), within=30)
        assert caught.value.retry_after == pytest.approx(61.2, abs=2)
    shown = await pair[1].snapshot()
    assert shown.rules["status"].keys == 1
    pair[0].release(await pair[0].reserve(who, GetBalance(), within=30), Completion(RequestArrival.ANSWERED, 4))
    await pair[0].flush()
    with pytest.raises(BreakerOpen):
        await pair[1].reserve(who, GetBalance(), within=30)
    for guards in pair:
        await guards.aclose()


# --- the extra


def test_store_comes_with_its_extra_and_the_package_without() -> None:
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "import smsc_async.guards\n"
        "try:\n"
        "    from smsc_async.guards import RedisStore\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stderr == ""
    assert ran.stdout == "the Redis store needs an extra package: pip install 'smsc-async[redis]'\n"


@pytest.mark.parametrize(
    ("missing", "told"), [("redis.asyncio", "pip install"), ("smsc_async.guards._redis.link", r"_redis\.link")]
)
def test_only_what_the_extra_brings_is_blamed_on_it(missing: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("smsc_async.guards._redis.store")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=told):
        getattr(smsc_async.guards, "RedisStore")  # noqa: B009 - it is made on demand


def test_guards_have_no_other_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'FileStore'"):
        getattr(smsc_async.guards, "FileStore")  # noqa: B009 - mypy knows as well
