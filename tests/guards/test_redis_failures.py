"""A Redis that can't be reached or used, and options out of range."""

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from smsc_async import GuardStoreError, Outcome
from smsc_async.guards import RedisStore
from smsc_async.guards._limits import BlockLimit
from smsc_async.guards._redis import store as _redis
from tests.guards.redis_store import SECRET, on, take, wire_to
from tests.redis_server import RedisServer


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_redis_that_evicts_keys_is_refused(policy: str, prefix: str) -> None:
    with RedisServer("--maxmemory", "64mb", "--maxmemory-policy", policy) as server:
        store = RedisStore.from_url(server.url, prefix=prefix)
        with pytest.raises(GuardStoreError, match=f"maxmemory-policy {policy}.*set maxmemory-policy noeviction"):
            await store.open()
        with pytest.raises(GuardStoreError, match=policy):
            await store.acquire([on()], 30)
        await store.aclose()


async def test_memory_policy_is_checked_repeatedly(prefix: str) -> None:
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


async def test_forbidden_info_is_reported(prefix: str) -> None:
    with RedisServer() as server:
        async with Redis.from_url(server.url) as raw:
            await raw.acl_setuser(
                "app", enabled=True, passwords=[f"+{SECRET}"], keys=["*"], categories=["+@all"], commands=["-info"]
            )
        store = RedisStore.from_url(server.url.replace("//", f"//app:{SECRET}@"), prefix=prefix)
        with pytest.raises(GuardStoreError, match="forbids INFO") as caught:
            await store.open()
        assert SECRET not in texts_of(caught.value)
        await store.aclose()


async def test_replica_is_refused(server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redis, "_FAILOVER_WITHIN", 0.1)
    with RedisServer("--replicaof", "127.0.0.1", str(server.port)) as replica:
        store = RedisStore.from_url(replica.url, prefix=prefix)
        with pytest.raises(GuardStoreError, match=r"READONLY|ReadOnly|MASTERDOWN|LOADING"):
            await store.open()
        await store.aclose()


async def test_unreachable_redis_is_reported_at_once(prefix: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = RedisStore.from_url(f"redis://app:{SECRET}@127.0.0.1:{port}/0", prefix=prefix)
    start = time.monotonic()
    with pytest.raises(GuardStoreError, match=r"can't be reached \(ConnectionError\)") as caught:
        await store.acquire([on()], 30)
    assert time.monotonic() - start < 0.5
    assert caught.value.outcome is Outcome.NOT_SENT
    assert SECRET not in texts_of(caught.value)
    with pytest.raises(GuardStoreError, match="can't be reached"):
        await store.snapshot({})
    await store.aclose()


async def test_silent_redis_is_reported_after_the_timeout(
    server: RedisServer, stores: Callable[..., RedisStore]
) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url, timeout=0.2)
        await store.open()
        wire.holding = 30
        start = time.monotonic()
        with pytest.raises(GuardStoreError, match=r"didn't answer within 0.2 s"):
            await store.acquire([on()], 30)
        assert 0.15 < time.monotonic() - start < 0.6
        await store.aclose()


async def test_wrong_password_is_reported_and_not_shown(prefix: str) -> None:
    with RedisServer("--requirepass", "another-one") as server:
        store = RedisStore.from_url(server.url.replace("//", f"//:{SECRET}@"), prefix=prefix)
        with pytest.raises(GuardStoreError, match="AuthenticationError") as caught:
            await store.open()
        assert SECRET not in texts_of(caught.value)
        await store.aclose()


async def test_key_of_another_kind_is_a_refusal(stores: Callable[..., RedisStore], raw: Redis, prefix: str) -> None:
    store = stores()
    await store.open()
    await raw.set(f"{{{prefix}}}:status:{b'a'.hex()}", "odd")
    with pytest.raises(GuardStoreError, match=r"refused the request \(WRONGTYPE\)"):
        await store.acquire([on()], 30)


async def test_answer_without_a_code_is_reported_by_its_type(stores: Callable[..., RedisStore], raw: Redis) -> None:
    store = stores()
    await store.open()
    with pytest.raises(GuardStoreError, match=r"refused the request \(ResponseError\)"):
        await store._link.reach(lambda: raw.eval("return redis.error_reply('odd words')", 0))


async def test_redis_that_runs_no_scripts_is_reported(server: RedisServer, stores: Callable[..., RedisStore]) -> None:
    async with wire_to(server) as wire:
        store = stores(wire.url)
        wire.refusing = [b"-NOSCRIPT No matching script. Please use EVAL.\r\n"] * 3
        with pytest.raises(GuardStoreError, match=r"NOSCRIPT|NoScript"):
            await store.open()
        assert len(wire.refusing) == 1


@pytest.mark.parametrize(
    "url", [f"http://:{SECRET}@host", f"redis://:{SECRET}#@host:1/0", f"redis://:x@host:{SECRET}/0", "redis"]
)
def test_odd_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="invalid Redis URL") as caught:
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


def texts_of(error: BaseException) -> str:
    texts = [repr(error), str(error)]
    cause = error.__cause__
    while cause is not None:
        texts += [repr(cause), str(cause)]
        cause = cause.__cause__
    return " ".join(texts)
