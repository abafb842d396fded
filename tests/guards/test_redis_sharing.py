"""Many processes that share one Redis."""

import asyncio
import math
from collections.abc import Callable
from contextlib import AsyncExitStack

import anyio
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from smsc_async import ApiKey, BreakerOpen, Login, MessageRef, StatusTooOften
from smsc_async._model.operations import GetBalance, GetStatus
from smsc_async.guards import Guards, Identity, RedisStore, Rules
from smsc_async.guards._demands import Completion, RequestArrival
from smsc_async.guards._limits import Release, WindowLimit
from tests.guards.redis_store import GATE, NONE, RANDOM, SECRET, on, refused, release, take

ANSWERED = Completion(RequestArrival.ANSWERED)


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
            await asyncio.sleep(0.2)  # one starts before the other and holds all slots
    assert service["peak"] == 4
    shares = [service["a"], service["b"]]
    assert min(shares) >= 0.2 * sum(shares)


async def test_single_slot_is_passed_from_process_to_process(stores: Callable[..., RedisStore]) -> None:
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
    await take(one, gate)  # no process has waited for long


async def test_process_that_holds_less_takes_the_turn_from_one_that_holds_more(
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


async def test_process_that_holds_less_does_not_wait_for_the_turn_of_one_that_holds_more(
    stores: Callable[..., RedisStore],
) -> None:
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
