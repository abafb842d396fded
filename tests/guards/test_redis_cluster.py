"""A cluster of three nodes, through the cluster client of redis-py."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import RedisCluster
from redis.exceptions import ClusterDownError, SlotNotCoveredError

from smsc_async import GuardStoreError, SendingPaused
from smsc_async.guards import RedisAdmin, RedisStore
from smsc_async.guards._limits import Release, WindowLimit
from smsc_async.guards._redis import store as _redis
from smsc_async.guards._store import PAUSE
from tests.guards.redis_store import BLOCKED, KEPT, LOGIN, NONE, ONCE, distrusted, on, refused, release, take
from tests.redis_server import RedisServer

_SLOTS = 16_384


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[RedisServer]]:
    with ExitStack() as stack:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
        servers = [stack.enter_context(RedisServer(*options, below=55_000)) for _ in range(3)]
        clients = [stack.enter_context(SyncRedis(port=server.port, decode_responses=True)) for server in servers]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER MEET", "127.0.0.1", servers[0].port)
            first, last = number * _SLOTS // 3, (number + 1) * _SLOTS // 3 - 1
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        for client in clients:
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                time.sleep(0.02)
        yield servers


@pytest.fixture
async def cluster(nodes: list[RedisServer]) -> AsyncIterator[RedisCluster]:
    async with RedisCluster.from_url(nodes[0].url) as client:
        yield client


def port_of(cluster: RedisCluster, key: str) -> int:
    node = cluster.get_node_from_key(key)
    assert node is not None
    return int(node.port)


@pytest.mark.parametrize("prefix", ["one", "two", "three", "four"])
async def test_slots_are_reserved_released_and_shown_in_a_cluster(cluster: RedisCluster, prefix: str) -> None:
    store = RedisStore(cluster, prefix=prefix)
    reservation = await take(store, on("a"), on("b"))
    await refused(store, on("a"))
    await release(store, reservation, KEPT, KEPT)
    await take(store, on("c"))
    await refused(RedisStore(cluster, prefix=prefix), on("b"))
    state = (await store.snapshot({"status": ONCE}))["status"]
    assert (state.keys, state.in_flight) == (3, 1)
    await store.aclose()


async def test_a_cluster_recovers_from_lost_histories(cluster: RedisCluster) -> None:
    store = RedisStore(cluster, prefix="losing")
    bad = on("a", WindowLimit(99, 601.2), "bad_sends")
    before = await take(store, bad, LOGIN, hold=500)
    await cluster.delete("{losing}:epoch")
    assert await distrusted(store, on("a")) == pytest.approx(510 + 60, abs=2)
    await release(store, before, NONE, NONE)
    await release(store, await take(store, bad, LOGIN), Release(clear=True), Release(proof=True))
    await take(store, bad._replace(amount=2), LOGIN)


@pytest.mark.parametrize("prefix", ["one", "two", "three", "four"])
async def test_an_operator_sees_resets_and_pauses_a_cluster(cluster: RedisCluster, prefix: str) -> None:
    store, admin = RedisStore(cluster, prefix=f"{prefix}-admin"), RedisAdmin(cluster, prefix=f"{prefix}-admin")
    await release(store, await take(store, on("a"), on("b")), KEPT, KEPT)
    await refused(store, on("a"))
    (status,) = (await admin.report()).rules
    assert (status.rule, status.full) == ("status", 2)
    assert (await admin.reset("status")).removed == 2
    pause = await admin.pause("incident")
    with pytest.raises(SendingPaused):
        await store.acquire([PAUSE], 30)
    assert await admin.resume() == pause
    await take(store, PAUSE, on("a"))
    await store.aclose()


async def test_a_client_for_one_node_of_a_cluster_is_told_what_to_use(
    nodes: list[RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_redis, "_FAILOVER_WITHIN", 0.1)
    told = 0
    for node in nodes:
        store = RedisStore.from_url(node.url, prefix="single")
        try:
            await store.open()
        except GuardStoreError as error:
            assert "pass redis.asyncio.RedisCluster to RedisStore" in str(error)  # noqa: PT017 - one node has the slot
            told += 1
        await store.aclose()
    assert told == 2


async def test_guards_follow_their_keys_to_another_node(nodes: list[RedisServer], cluster: RedisCluster) -> None:
    store = RedisStore(cluster, prefix="moving")
    await take(store, BLOCKED)
    slot, port = cluster.keyslot("{moving}"), port_of(cluster, "{moving}")
    target = next(node for node in nodes if node.port != port)
    with SyncRedis(port=target.port, decode_responses=True) as to, SyncRedis(port=port, decode_responses=True) as of:
        here, there = of.execute_command("CLUSTER MYID"), to.execute_command("CLUSTER MYID")
        to.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", here)
        of.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", there)
        keys = of.execute_command("CLUSTER GETKEYSINSLOT", slot, 100)
        of.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for client in (to, of):
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", there)
    await take(store, BLOCKED)
    assert port_of(cluster, "{moving}") == target.port
    await store.aclose()


async def test_a_cluster_that_is_down_for_a_while_is_asked_again(cluster: RedisCluster) -> None:
    store = RedisStore(cluster, prefix="down")
    answers = [ClusterDownError("The cluster is down"), SlotNotCoveredError("no node has this slot"), None]

    async def ask() -> str:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return "done"

    assert await store._link.reach(ask, 5) == "done"
    await store.aclose()


def test_a_cluster_client_on_another_event_loop_is_refused() -> None:
    store = RedisStore(RedisCluster.from_url("redis://127.0.0.1:1"), prefix="loops")

    async def bind() -> None:
        store._link.take_up()

    async def ask() -> None:
        with pytest.raises(GuardStoreError, match="works on one event loop only"):
            await store.open()

    asyncio.run(bind())
    asyncio.run(ask())


async def test_a_cluster_that_can_not_be_reached_is_reported() -> None:
    with RedisServer() as gone:
        url = gone.url
    store = RedisStore(RedisCluster.from_url(url), prefix="gone")
    with pytest.raises(GuardStoreError, match=r"can't be reached|didn't answer"):
        await store.open()
    await store.aclose()
