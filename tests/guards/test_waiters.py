"""Waiters for keys: turns, tickets, and nothing left of waiters that are gone."""

from math import inf
from typing import NoReturn

import pytest

from smsc_async.guards._limits import WindowLimit
from smsc_async.guards._store import Demand
from smsc_async.guards._waiters import Waiter, Waiters


def on(key: str, *, rule: str = "status", forced: bool = False) -> Demand:
    return Demand(rule, key.encode(), WindowLimit(1, 60), forced=forced)


@pytest.fixture
def waiters() -> Waiters:
    return Waiters()


def woken(*waiting: Waiter) -> list[bool]:
    return [waiter.woken.is_set() for waiter in waiting]


def leave_in_order(waiters: Waiters, *waiting: Waiter) -> list[Waiter]:
    """Let always the first leave; return the waiters in the order in which they left."""
    order = []
    left = list(waiting)
    while left:
        firsts = [waiter for waiter in left if waiters.is_first(waiter)]
        assert len(firsts) == 1
        order += firsts
        waiters.leave(firsts[0])
        left.remove(firsts[0])
    return order


async def test_there_are_no_waiters_at_first(waiters: Waiters) -> None:
    assert len(waiters) == 0
    assert waiters.by_rule() == {}
    assert waiters.ahead_of([on("a"), on("b")]) is None
    waiters.wake([on("a")])


async def test_waiters_for_one_key_have_their_turns_in_the_order_they_came(waiters: Waiters) -> None:
    waiting = [waiters.join(on("a"), inf) for _ in range(5)]
    assert leave_in_order(waiters, *waiting) == waiting


async def test_each_key_has_a_first_of_its_own(waiters: Waiters) -> None:
    one, two, other = waiters.join(on("a"), inf), waiters.join(on("b"), inf), waiters.join(on("a", rule="balance"), inf)
    assert all(map(waiters.is_first, (one, two, other)))
    assert len(waiters) == 3


async def test_ahead_of_returns_the_first_demand_that_others_wait_for(waiters: Waiters) -> None:
    waiters.join(on("a"), inf)
    waiters.join(on("b"), inf)
    assert waiters.ahead_of([on("x"), on("b"), on("a")]) == on("b")
    assert waiters.ahead_of([on("x")]) is None
    assert waiters.ahead_of([on("a", rule="balance")]) is None


async def test_a_forced_demand_does_not_wait_behind_others(waiters: Waiters) -> None:
    waiters.join(on("a"), inf)
    assert waiters.ahead_of([on("a", forced=True)]) is None


async def test_no_request_is_served_before_the_first_waiter(waiters: Waiters) -> None:
    first = waiters.join(on("a"), 100)
    waiters.join(on("a"), 70)
    assert waiters.delay(on("a"), 40) == 60
    assert waiters.delay(on("a"), 100) == inf, "it is its turn, and the next delay is unknown"
    waiters.move(first, on("a"), 130)
    assert waiters.delay(on("a"), 100) == 30
    waiters.leave(first)
    assert waiters.delay(on("a"), 40) == 30
    waiters.join(on("b"), inf)
    assert waiters.delay(on("b"), 40) == inf


async def test_leaving_wakes_only_the_next_of_the_same_key(waiters: Waiters) -> None:
    one, two, three, other = *(waiters.join(on("a"), inf) for _ in range(3)), waiters.join(on("b"), inf)
    waiters.leave(one)
    assert woken(two, three, other) == [True, False, False]


async def test_leaving_from_the_middle_changes_no_turn(waiters: Waiters) -> None:
    one, two, three = (waiters.join(on("a"), inf) for _ in range(3))
    waiters.leave(two)
    assert waiters.is_first(one)
    assert leave_in_order(waiters, one, three) == [one, three]


async def test_the_last_to_leave_leaves_nothing(waiters: Waiters) -> None:
    one, two = waiters.join(on("a"), inf), waiters.join(on("a"), inf)
    waiters.leave(two)
    waiters.leave(one)
    assert len(waiters) == 0
    assert waiters.by_rule() == {}
    assert waiters._queues == {}
    assert waiters.ahead_of([on("a")]) is None


async def test_a_ticket_is_kept_on_the_way_to_another_key(waiters: Waiters) -> None:
    early = waiters.join(on("a"), inf)
    late = waiters.join(on("b"), inf)
    waiters.move(early, on("b"), inf)
    assert early.demand == on("b")
    assert waiters.ahead_of([on("a")]) is None
    assert leave_in_order(waiters, early, late) == [early, late]


async def test_going_on_to_another_key_wakes_those_behind(waiters: Waiters) -> None:
    one, two = waiters.join(on("a"), inf), waiters.join(on("a"), inf)
    waiters.move(one, on("b"), inf)
    assert woken(one, two) == [False, True]
    assert waiters.is_first(two)


async def test_waiting_on_for_the_same_key_keeps_the_turn_and_wakes_no_other(waiters: Waiters) -> None:
    one, two = waiters.join(on("a"), inf), waiters.join(on("a"), inf)
    changed = on("a")._replace(amount=3)
    waiters.move(one, changed, inf)
    assert one.demand is changed
    assert woken(one, two) == [False, False]
    assert waiters.is_first(one)


async def test_there_and_back_again_is_one_ticket(waiters: Waiters) -> None:
    one, two = waiters.join(on("a"), inf), waiters.join(on("a"), inf)
    waiters.move(one, on("b"), inf)
    waiters.move(one, on("a"), inf)
    assert len(waiters) == 2
    assert leave_in_order(waiters, one, two) == [one, two]
    assert waiters._queues == {}


async def test_wake_wakes_the_first_waiter_of_each_key(waiters: Waiters) -> None:
    one, two, other, third = (waiters.join(on(key), inf) for key in "aabc")
    waiters.wake([on("x"), on("a"), on("b")])
    assert woken(one, two, other, third) == [True, False, True, False]


async def test_waiters_are_counted_by_rule(waiters: Waiters) -> None:
    for demand in (on("a"), on("a"), on("b"), on("a", rule="balance")):
        waiters.join(demand, inf)
    assert waiters.by_rule() == {"status": 3, "balance": 1}
    assert len(waiters) == 4


async def test_waiters_that_gave_up_behind_a_patient_first_leave_nothing_behind(waiters: Waiters) -> None:
    patient = waiters.join(on("a"), inf)
    for _ in range(1000):
        waiters.leave(waiters.join(on("a"), inf))
    assert len(waiters._queues["status", b"a"]._tickets) < 50
    last = waiters.join(on("a"), inf)
    assert leave_in_order(waiters, patient, last) == [patient, last]


async def test_tickets_stay_in_order_when_the_gone_ones_are_thrown_out(waiters: Waiters) -> None:
    waiting = [waiters.join(on("a"), inf) for _ in range(60)]
    for waiter in [each for number, each in enumerate(waiting) if number % 3]:
        waiters.leave(waiter)
    remaining = waiting[::3]
    assert leave_in_order(waiters, *remaining) == remaining


async def test_an_empty_queue_has_no_first(waiters: Waiters) -> None:
    waiters.join(on("a"), inf)
    queue = waiters._queues["status", b"a"]
    queue.waiters.clear()
    assert queue.first() is None
    assert waiters.delay(on("a"), 0) == inf
    waiters.wake([on("a")])


async def test_the_number_of_waiters_is_known_without_counting_their_queues(waiters: Waiters) -> None:
    class Uncounted(dict[object, object]):
        def values(self) -> NoReturn:
            raise AssertionError("8,000 waiters for 8,000 keys would take 32 million steps")

    waiters._queues = Uncounted()  # type: ignore[assignment]
    first, second = (waiters.join(on(key), inf) for key in "ab")
    assert len(waiters) == 2
    waiters.move(first, on("b"), inf)
    assert len(waiters) == 2
    waiters.move(first, on("b"), 5.0)
    waiters.leave(second)
    assert len(waiters) == 1
    waiters.leave(first)
    assert len(waiters) == 0
