"""The keys that the store writes to Redis: names, lifetimes and their number."""

import asyncio
from collections.abc import Callable

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from smsc_async import Login
from smsc_async._model.operations import Send
from smsc_async.guards import Guards, Identity, RedisStore, Rule, Rules
from smsc_async.guards._demands import Completion, RequestArrival
from smsc_async.guards._limits import WindowLimit
from smsc_async.guards._redis import snapshot as _redis_snapshot
from tests.guards.redis_store import GATE, KEPT, NONE, ONCE, SECRET, on, refused, release, take

ANSWERED = Completion(RequestArrival.ANSWERED)


async def test_every_key_expires_and_has_the_hash_tag_and_reveals_nothing(
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
