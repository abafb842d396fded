"""The Redis store on several event loops, with its own client or the user's."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import pytest
import trio
from pydantic import SecretStr
from redis.asyncio import Redis

from smsc_async import GuardStoreError
from smsc_async.guards import RedisStore
from smsc_async.guards._limits import BlockLimit
from tests.guards.redis_store import KEPT, LOGIN, ONCE, on, release, take
from tests.redis_server import RedisServer


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
        await store._link._disconnect(in_use=True)

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


def test_trio_is_refused_with_an_explanation(server: RedisServer, prefix: str) -> None:
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
