"""A failover behind one address: the connections are dropped, and requests are repeated within their deadline."""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from redis.asyncio import Redis

from smsc_async import Client, GuardStoreError, Outcome
from smsc_async.guards import Guards, RedisStore
from smsc_async.guards._redis import store as _redis
from smsc_async.guards._store import Reservation
from smsc_async.sandbox import Sandbox
from tests.guards.redis_store import BLOCKED, NONE, on, refused, release, take, wire_to
from tests.redis_server import RedisServer

UNSENT = "nothing was sent"
TRANSIENT = [
    b"-READONLY You can't write against a read only replica. script: 1a2b, on @user_script:9.\r\n",
    b"-ERR Error running script (call to f_1a2b): @user_script:9: -READONLY You can't write against a replica.\r\n",
    b"-MOVED 1234 10.0.0.1:6379\r\n",
    b"-ASK 1234 10.0.0.1:6379\r\n",
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    b"-NOREPLICAS Not enough good replicas to write.\r\n",
    b"-CLUSTERDOWN The cluster is down\r\n",
    b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
]


@pytest.mark.parametrize("answer", TRANSIENT)
async def test_a_request_is_repeated_on_a_new_connection_until_the_failover_is_over(
    server: RedisServer, stores: Callable[..., RedisStore], answer: bytes
) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url)
        await store.open()
        connections = wire.connections
        wire.refusing = [answer] * 3
        await take(store, on())
        assert wire.refusing == []
        assert wire.connections >= connections + 3
        await refused(store, on())  # it was reserved once


@pytest.mark.parametrize("answer", TRANSIENT)
async def test_releases_are_repeated_until_the_failover_is_over(
    server: RedisServer, stores: Callable[..., RedisStore], answer: bytes
) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url)
        reservation = await take(store, on())
        wire.refusing = [answer] * 2
        await release(store, reservation, NONE)
        assert wire.refusing == []


@pytest.mark.parametrize("answer", TRANSIENT)
async def test_a_failover_that_outlasts_the_deadline_is_reported_at_the_deadline(
    server: RedisServer, stores: Callable[..., RedisStore], answer: bytes
) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url)
        await store.open()
        wire.refusing = [answer] * 1000
        start = time.monotonic()
        with pytest.raises(GuardStoreError, match=UNSENT) as caught:
            await store.acquire([on()], 0.3)
        assert 0.25 < time.monotonic() - start < 0.8
        wire.refusing = []
        code = next(word for word in answer.decode().replace("-", " ").split() if word.isupper() and word != "ERR")
        assert code in str(caught.value)
        assert "10.0.0.1" not in str(caught.value)


@pytest.mark.parametrize("answer", [b"-MOVED 1234 10.0.0.1:6379\r\n", b"-ASK 1234 10.0.0.1:6379\r\n"])
async def test_a_client_for_one_node_that_meets_a_cluster_says_so(
    server: RedisServer, stores: Callable[..., RedisStore], answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_redis, "_FAILOVER_WITHIN", 0.1)
    async with wire_to(server) as wire:
        store = stores(wire.url)
        wire.refusing = [answer] * 1000
        with pytest.raises(GuardStoreError, match=r"node of a cluster.*pass redis\.asyncio\.RedisCluster"):
            await store.open()
        wire.refusing = []


async def test_a_refusal_after_a_failover_is_reported_at_once(
    server: RedisServer, stores: Callable[..., RedisStore]
) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url)
        await store.open()
        wire.refusing = [TRANSIENT[0], b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"]
        with pytest.raises(GuardStoreError, match=r"it accepted no request .*refused the request \(O"):
            await store.acquire([on()], 30)


async def test_an_address_that_falls_silent_during_a_failover_is_left_at_the_deadline(
    server: RedisServer, stores: Callable[..., RedisStore]
) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url, timeout=20)
        await store.open()
        wire.refusing = [TRANSIENT[0]]
        start = time.monotonic()
        asking = asyncio.create_task(store.acquire([on()], 0.5))
        while wire.refusing:  # noqa: ASYNC110 - a proxy sets no event
            await asyncio.sleep(0)
        wire.holding = 30
        with pytest.raises(GuardStoreError, match=r"READONLY.*in the end Redis didn't answer"):
            await asking
        assert time.monotonic() - start < 2
        wire.holding = 0


async def test_a_caller_cancelled_during_a_failover_stops_asking(
    server: RedisServer, stores: Callable[..., RedisStore]
) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url)
        await store.open()
        wire.refusing = [TRANSIENT[0]] * 1000
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await store.acquire([on()], 600)
        wire.refusing = []
        await store.flush()
        await take(store, on())


async def test_guards_go_on_with_the_new_primary_behind_the_same_address(prefix: str) -> None:
    with ExitStack() as stack:
        old, new = stack.enter_context(RedisServer()), stack.enter_context(RedisServer())
        async with Redis.from_url(old.url) as one, Redis.from_url(new.url) as two, wire_to(old) as wire:
            await two.replicaof("127.0.0.1", old.port)
            store = RedisStore.from_url(wire.url, prefix=prefix)
            await take(store, BLOCKED)
            while (await two.info("replication"))["master_link_status"] != "up":  # noqa: ASYNC110 - it reports nothing
                await asyncio.sleep(0.02)
            await one.wait(1, 5000)
            # The old primary becomes a replica; connections to it stay open, and the address still leads to it.
            await two.replicaof("NO", "ONE")
            await one.replicaof("127.0.0.1", new.port)
            asking = asyncio.create_task(store.acquire([BLOCKED], 20))
            sent = wire.sent
            while wire.sent < sent + 3:  # noqa: ASYNC110 - a proxy sets no event
                await asyncio.sleep(0.01)
            wire.port = new.port
            assert isinstance(await asking, Reservation)
            assert await two.exists(f"{{{prefix}}}:epoch")
            await store.aclose()


async def test_a_primary_without_replicas_is_asked_again_until_it_has_one(prefix: str) -> None:
    with ExitStack() as stack:
        primary = stack.enter_context(RedisServer("--min-replicas-to-write", "1", "--repl-diskless-sync-delay", "0"))
        store = RedisStore.from_url(primary.url, prefix=prefix)
        asking = asyncio.create_task(store.open())
        await asyncio.sleep(0.1)
        assert not asking.done()
        stack.enter_context(RedisServer("--replicaof", "127.0.0.1", str(primary.port)))
        assert await asking
        await take(store, on())
        await store.aclose()


async def test_a_server_that_still_loads_is_asked_again_until_it_is_ready(prefix: str) -> None:
    slow = ("--key-load-delay", "30000", "--loading-process-events-interval-bytes", "1024")
    with RedisServer(persistent=True) as server:
        store = RedisStore.from_url(server.url, prefix=prefix)
        await take(store, BLOCKED)
        async with Redis.from_url(server.url) as raw:
            await raw.mset({f"key{number}": "x" * 1000 for number in range(20)})
            await raw.bgrewriteaof()
            while (await raw.info("persistence"))["aof_rewrite_in_progress"]:  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.02)
        server.stop()
        server.start(*slow, awaiting=b"-LOADING")
        await take(store, BLOCKED)
        await store.aclose()


async def test_a_replica_without_its_primary_is_asked_again_until_it_is_one_itself(prefix: str) -> None:
    with RedisServer("--replica-serve-stale-data", "no", "--replicaof", "127.0.0.1", "1") as orphan:
        store = RedisStore.from_url(orphan.url, prefix=prefix)
        asking = asyncio.create_task(store.open())
        await asyncio.sleep(0.1)
        assert not asking.done()
        async with Redis.from_url(orphan.url) as raw:
            await raw.replicaof("NO", "ONE")
        assert await asking
        await take(store, on())
        await store.aclose()


async def test_a_client_that_starts_into_a_failover_waits_until_its_deadline(
    server: RedisServer, stores: Callable[..., RedisStore]
) -> None:
    async with wire_to(server) as wire:
        wire.refusing = [TRANSIENT[0]] * 1000
        store = stores(wire.url)
        guards = Guards(store, late_arrival=0)
        async with Client(apikey="demo", transport=Sandbox().transport(), guards=guards) as client:
            start = time.monotonic()
            with pytest.raises(GuardStoreError, match="before the deadline") as caught:
                await client.balance(deadline=0.4)
            assert 0.3 < time.monotonic() - start < 1
            assert caught.value.outcome is Outcome.NOT_SENT
            wire.refusing = [TRANSIENT[0]] * 3
            await client.balance(deadline=10)
            assert wire.refusing == []
