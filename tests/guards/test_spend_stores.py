"""What every store promises about money: one suite over memory, a real Redis and a real Valkey."""

import math

import pytest

from smsc_async.guards._limits import Release, SpendLimit
from smsc_async.guards._store import Demand, Refusal, Reservation
from tests.guards.test_store_contract import GONE, SPAN, Bench, bench, redis_url, valkey_url  # noqa: F401 - fixtures

NOTHING = Release()
UNKNOWN = Release(keep=1)
HELD = Release(keep=1, hold=True)
TEN = SpendLimit(10, 60)


def priced(cost: int, messages: int = 1) -> Release:
    return Release(keep=messages, cost=cost)


def to_spend(messages: int = 1, limit: SpendLimit = TEN, key: bytes = b"a") -> Demand:
    return Demand("spend", key, limit, messages)


async def pay(bench: Bench, cost: int, messages: int = 1, limit: SpendLimit = TEN) -> None:  # noqa: F811
    await bench.release(await bench.take(to_spend(messages, limit)), priced(cost, messages))


async def flying(bench: Bench, limit: SpendLimit = TEN) -> int:  # noqa: F811
    return (await bench.store.snapshot({"spend": limit}))["spend"].in_flight


async def test_messages_go_until_the_next_one_would_cost_too_much(bench: Bench) -> None:  # noqa: F811
    for _ in range(3):
        await pay(bench, 3)
    refusal = await bench.refused(to_spend())
    assert refusal.demand == to_spend()
    assert 55 < refusal.delay <= 60
    await bench.take(to_spend(key=b"another account"))


async def test_spent_exactly_the_limit_not_even_a_free_message_goes(bench: Bench) -> None:  # noqa: F811
    await pay(bench, 10)
    assert (await bench.refused(to_spend())).delay > 0
    await pay(bench, 9, limit=SpendLimit(20, 60))  # other clients may have another limit
    assert (await bench.refused(to_spend(limit=SpendLimit(19, 60)))).delay > 0


async def test_free_messages_have_no_limit(bench: Bench) -> None:  # noqa: F811
    await pay(bench, 0)
    held = [await bench.take(to_spend()) for _ in range(20)]
    for each in held:
        await bench.release(each, priced(0))
    await bench.take(to_spend(100))


async def test_all_messages_of_a_list_count(bench: Bench) -> None:  # noqa: F811
    await pay(bench, 4, 4)
    await bench.refused(to_spend(7))
    held = await bench.take(to_spend(6))
    await bench.release(held, priced(3, 3))  # the others were refused
    await bench.refused(to_spend(4))
    await bench.take(to_spend(3))


async def test_what_was_spent_is_free_again_after_the_window_and_never_before(bench: Bench) -> None:  # noqa: F811
    short = SpendLimit(10, SPAN)
    await pay(bench, 10, limit=short)
    assert 0 < (await bench.refused(to_spend(limit=short))).delay <= SPAN
    await bench.wait(GONE)
    await bench.take(to_spend(limit=short))


async def test_message_dearer_than_the_limit_closes_it_for_a_window_and_not_for_ever(bench: Bench) -> None:  # noqa: F811
    short = SpendLimit(10, SPAN)
    await pay(bench, 1_000, limit=short)
    assert 0 < (await bench.refused(to_spend(limit=short))).delay <= SPAN
    await bench.wait(GONE)
    await pay(bench, 1, limit=short)
    await bench.take(to_spend(9, limit=short))


async def test_without_a_known_cost_one_send_at_a_time_goes(bench: Bench) -> None:  # noqa: F811
    first = await bench.take(to_spend())
    assert await bench.refused(to_spend()) == Refusal(to_spend(), math.inf)
    await bench.release(first, priced(5))
    await bench.take(to_spend())


async def test_message_in_flight_counts_as_the_dearest_until_its_cost_is_known(bench: Bench) -> None:  # noqa: F811
    await pay(bench, 2, limit=SpendLimit(20, 60))
    await pay(bench, 6, limit=SpendLimit(20, 60))
    held = await bench.take(to_spend(limit=SpendLimit(20, 60)))
    assert await flying(bench) == 1
    assert await bench.refused(to_spend(limit=SpendLimit(19, 60))) == Refusal(
        to_spend(limit=SpendLimit(19, 60)), math.inf
    )
    await bench.release(held, priced(1))
    assert await flying(bench) == 0
    await bench.take(to_spend(limit=SpendLimit(19, 60)))


async def test_a_message_that_was_not_sent_costs_nothing(bench: Bench) -> None:  # noqa: F811
    await pay(bench, 5)
    for _ in range(5):
        await bench.release(await bench.take(to_spend()), NOTHING)
    await bench.take(to_spend())


async def test_unknown_costs_count_as_the_dearest_also_if_it_is_seen_later(bench: Bench) -> None:  # noqa: F811
    await bench.release(await bench.take(to_spend()), UNKNOWN)
    await pay(bench, 2)
    await pay(bench, 3)
    await bench.refused(to_spend(limit=SpendLimit(10, 60)))  # 2 + 3, and twice 3
    await bench.take(to_spend(limit=SpendLimit(11, 60)))


async def test_a_lost_send_keeps_what_it_may_cost_until_it_is_reconciled(bench: Bench) -> None:  # noqa: F811
    await pay(bench, 4)
    held = await bench.take(to_spend())
    await bench.release(held, HELD)
    assert await flying(bench) == 0
    assert 0 < (await bench.refused(to_spend())).delay < math.inf  # no request in flight holds it up
    await bench.release(held, priced(1))
    await bench.release(held, priced(100))
    await bench.take(to_spend())


async def test_a_lost_send_without_a_known_cost_holds_up_nobody(bench: Bench) -> None:  # noqa: F811
    await bench.release(await bench.take(to_spend()), HELD)
    await bench.take(to_spend())


async def test_ten_messages_may_be_of_unknown_cost_if_no_other_has_a_known_one(bench: Bench) -> None:  # noqa: F811
    """An unknown cost is no cost of 0; neither are costs of 0 an estimate for it."""
    await bench.release(await bench.take(to_spend(9)), Release(keep=9))
    await bench.take(to_spend(key=b"another account"))
    held = await bench.take(to_spend(5))
    await bench.release(held, UNKNOWN)
    for _ in range(2):
        refusal = await bench.refused(to_spend())
        assert 55 < refusal.delay <= 60
    assert (await bench.store.snapshot({"spend": TEN}))["spend"].keys == 2


async def test_a_known_cost_is_the_estimate_for_any_number_of_unknown_ones(bench: Bench) -> None:  # noqa: F811
    limit = SpendLimit(100, 60)
    await pay(bench, 1, limit=limit)
    for _ in range(3):
        await bench.release(await bench.take(to_spend(30, limit)), Release(keep=30))
    await bench.refused(to_spend(10, limit))
    await bench.take(to_spend(9, limit))


async def test_free_messages_are_no_estimate_for_unknown_costs(bench: Bench) -> None:  # noqa: F811
    await pay(bench, 0)
    await bench.release(await bench.take(to_spend(10)), Release(keep=10))
    assert (await bench.refused(to_spend())).delay > 0


async def test_many_lost_sends_are_of_unknown_cost_too(bench: Bench) -> None:  # noqa: F811
    held = await bench.take(to_spend(10))
    await bench.release(held, Release(keep=10, hold=True))
    assert (await bench.refused(to_spend())).delay > 0
    await bench.release(held, priced(1, 10))
    await bench.take(to_spend())


async def test_a_cost_out_of_all_bounds_is_counted(bench: Bench) -> None:  # noqa: F811
    await pay(bench, 10**13, limit=SpendLimit(10**13, 60))
    await bench.refused(to_spend(limit=SpendLimit(10**13, 60)))


async def test_the_snapshot_shows_what_is_spent_and_until_when(bench: Bench) -> None:  # noqa: F811
    await pay(bench, 10)
    state = (await bench.store.snapshot({"spend": TEN}))["spend"]
    assert (state.keys, state.in_flight, state.used) == (1, 0, 10)
    ((key, left),) = state.full.items()
    assert key == b"a".hex()
    assert left is not None
    assert 55 < left <= 60


@pytest.mark.parametrize("limit", [10, 40])
async def test_many_at_once_never_exceed_the_limit(bench: Bench, limit: int) -> None:  # noqa: F811
    spent = 0
    held: list[Reservation] = []
    for _ in range(50):
        answer = await bench.store.acquire([to_spend(limit=SpendLimit(limit, 60))], 30)
        if isinstance(answer, Refusal):
            if not held:
                break
            for each in held:
                await bench.release(each, priced(3))
            spent, held = spent + 3 * len(held), []
        else:
            held.append(answer)
    assert limit - 3 < spent <= limit
