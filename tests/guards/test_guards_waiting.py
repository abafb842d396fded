"""How requests wait for a slot: order, cancellation, how long, and how many."""

import asyncio
import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from smsc_async import (
    StatusTooOften,
    TooManyInFlight,
)
from smsc_async.guards import MemoryStore, Rules
from tests.guards.desk import BALANCE, FINE, TRUSTING_ONE, UNSENT, Desk, status
from tests.virtual import virtual_time


# --- waiting
@virtual_time
async def test_the_first_requests_of_a_window_go_at_once_and_the_next_when_the_first_has_left_it() -> None:
    desk = Desk()
    starts = [await desk.call(status(), latency=1) for _ in range(7)]
    assert starts == pytest.approx([0, 1, 2, 3, 4, 1 + 61.2, 2 + 61.2])


@virtual_time
async def test_no_waiter_waits_past_the_moment_its_slot_is_free() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        for _ in range(23):
            nursery.start_soon(desk.call, status())
    starts = [start for start, _ in desk.started]
    assert starts == pytest.approx([at for at in (0, 61.2, 122.4, 183.6, 244.8) for _ in range(5)][:23], abs=0.01)
    assert starts == sorted(starts)


@virtual_time
async def test_the_log_says_for_what_a_request_waits_and_how_long(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    await desk.fill(status(), 5)
    with caplog.at_level(logging.DEBUG, "smsc_async"):
        await desk.call(status())
    assert caplog.messages == ["a request waits for 61.2 s: the rule status is full"]


@virtual_time
async def test_the_log_says_that_nobody_knows_how_long_a_request_waits_for_those_in_flight(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    with caplog.at_level(logging.DEBUG, "smsc_async"):
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(lambda each: desk.call(status(each), latency=1), number)
    assert caplog.messages == ["a request waits for an unknown time: the rule status_in_flight is full"]


@virtual_time
async def test_waiters_of_one_key_are_served_in_order() -> None:
    desk = Desk(TRUSTING_ONE)
    operations = [status(number) for number in range(40)]
    async with trio.open_nursery() as nursery:
        for operation in operations:
            nursery.start_soon(lambda each: desk.call(each, latency=1), operation)
            await wait_all_tasks_blocked()
    assert [operation for _, operation in desk.started] == operations


@virtual_time
async def test_a_slow_key_never_delays_another() -> None:
    desk = Desk()
    await desk.fill(status(1), 5)
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(desk.call, status(1))
        await wait_all_tasks_blocked()
        assert (await desk.guards.snapshot()).rules["status"].waiting == 50
        for number in range(2, 30):
            assert await desk.call(status(number)) == 0
        assert await desk.call() == 0
        nursery.cancel_scope.cancel()


@virtual_time
async def test_a_waiter_keeps_its_ticket_when_it_goes_on_to_another_key() -> None:
    desk = Desk()
    await desk.fill(status(1), 5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.call, status(1))  # the first ticket, for its window
        await trio.sleep(30)
        for number in range(2, 6):
            nursery.start_soon(lambda each: desk.call(status(each), latency=60), number)
        await trio.sleep(1)
        for number in range(6, 9):
            nursery.start_soon(desk.call, status(number))  # later tickets, for the gate
            await wait_all_tasks_blocked()
        await trio.sleep(40)  # the window has room at 61.2, the gate none before 90
        assert (await desk.guards.snapshot()).rules["status_in_flight"].waiting == 4
    assert [operation for _, operation in desk.started[9:]] == [status(number) for number in (1, 6, 7, 8)]
    assert {start for start, _ in desk.started[9:]} == {90}


@virtual_time
async def test_a_slot_that_becomes_free_early_is_reserved_early() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            await desk.call(status())
        nursery.start_soon(lambda: desk.call(status(), UNSENT, latency=20))
        await wait_all_tasks_blocked()
        assert await desk.call(status()) == 20


@virtual_time
async def test_two_slots_that_become_free_at_once_are_both_reserved() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(lambda each: desk.call(status(each), latency=10), number)
        await wait_all_tasks_blocked()
        for number in range(10, 14):
            nursery.start_soon(desk.call, status(number))
    assert {start for start, _ in desk.started[4:]} == {10}


@virtual_time
async def test_guards_that_share_a_store_notice_slots_that_the_others_release() -> None:
    store = MemoryStore()
    one, other = Desk(store=store), Desk(store=store)
    held = [await one.reserve(status(number)) for number in range(4)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other.call, status(9))
        await trio.sleep(10.5)
        one.guards.release(held[0], FINE)
    assert other.started[0][0] <= 11.5


# --- liveness
@virtual_time
async def test_a_hammered_status_key_gets_nearly_all_that_the_service_allows() -> None:
    desk = Desk(Rules())
    done = 0
    span = 100 * 61.2

    async def hammer() -> None:
        nonlocal done
        while True:
            await desk.call(status(), latency=0.1)
            done += 1

    with trio.move_on_after(span):
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(hammer)
    assert 0.97 * 500 <= done <= 500
    assert await desk.state() == (0, 0)


# --- cancellation
@pytest.mark.parametrize("cancelled", [0, 3, 9])
@virtual_time
async def test_a_cancelled_waiter_delays_no_other_and_leaves_nothing(cancelled: int) -> None:
    desk = Desk()
    await desk.fill(status(), 5)
    scopes = [trio.CancelScope() for _ in range(10)]

    async def wait(scope: trio.CancelScope) -> None:
        with scope:
            await desk.call(status())

    async with trio.open_nursery() as nursery:
        for scope in scopes:
            nursery.start_soon(wait, scope)
            await wait_all_tasks_blocked()
        await trio.sleep(30)
        scopes[cancelled].cancel()
    starts = [start for start, _ in desk.started[5:]]
    assert starts == pytest.approx([61.2] * 5 + [122.4] * 4, abs=0.01)
    assert await desk.state() == (0, 0)


async def test_a_waiter_that_is_cancelled_when_its_turn_has_come_passes_it_on() -> None:
    desk = Desk(TRUSTING_ONE)
    held = await desk.reserve()
    waiting = [asyncio.create_task(desk.call(status(number))) for number in (1, 2)]
    await asyncio.sleep(0)
    desk.guards.release(held, FINE)
    waiting[0].cancel()
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 0.9)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [operation for _, operation in desk.started] == [BALANCE, status(2)]
    assert await desk.state() == (0, 0)


@virtual_time
async def test_cancelling_all_requests_at_once_leaves_nothing() -> None:
    store = MemoryStore()
    desk = Desk(store=store)
    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(lambda each: desk.call(status(each % 7), latency=30), number)
        await trio.sleep(10)
        assert (await desk.state()) == (96, 12)  # four, each in its window and in both gates
        nursery.cancel_scope.cancel()
    assert await desk.state() == (0, 0)
    await trio.sleep(130)
    assert len(store) == 0


# --- how long a request waits, and how many
@virtual_time
async def test_a_request_is_refused_at_once_when_its_wait_can_not_fit() -> None:
    desk = Desk()
    await desk.fill(status(), 5)
    await trio.sleep(20)
    error = await desk.refused(status(), within=41)
    assert isinstance(error, StatusTooOften)
    assert error.retry_after == pytest.approx(41.2)
    assert await desk.call(status(), within=42) == pytest.approx(61.2)


@virtual_time
async def test_a_request_behind_others_is_refused_at_once_when_even_the_first_of_them_waits_too_long() -> None:
    desk = Desk()
    await desk.fill(status(), 5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.call, status())
        await trio.sleep(10)
        error = await desk.refused(status(), within=30)
        assert isinstance(error, StatusTooOften)
        assert error.retry_after == pytest.approx(51.2)


@virtual_time
async def test_a_request_whose_turn_does_not_come_in_time_is_refused_then() -> None:
    desk = Desk()
    await desk.fill(status(), 5)
    errors: list[object] = []

    async def impatient() -> None:
        with pytest.raises(StatusTooOften) as caught:
            await desk.reserve(status(), within=70)
        errors.append((trio.current_time(), caught.value.retry_after))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(desk.call, status())
        await wait_all_tasks_blocked()
        nursery.start_soon(impatient)
        nursery.start_soon(impatient)
    # By 61.2 the five before them have gone; then it is clear that there is no slot before 122.4.
    assert errors == [(pytest.approx(61.2), pytest.approx(61.2))] * 2
    assert await desk.state() == (0, 0)


@virtual_time
async def test_a_wait_for_what_is_in_flight_ends_with_the_deadline() -> None:
    desk = Desk(max_wait=None)
    held = [await desk.reserve(status(number)) for number in range(4)]
    errors = []

    async def impatient(within: float) -> None:
        with pytest.raises(TooManyInFlight, match="in flight") as caught:
            await desk.reserve(status(9), within=within)
        errors.append((trio.current_time(), caught.value.retry_after))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(impatient, 5)  # the first
        await wait_all_tasks_blocked()
        nursery.start_soon(impatient, 3)  # one behind it
    assert errors == [(3, None), (5, None)]
    for reservation in held:
        desk.guards.release(reservation, FINE)
    assert await desk.state() == (0, 0)


@virtual_time
async def test_no_request_waits_longer_than_max_wait_whatever_the_deadline() -> None:
    desk = Desk(max_wait=10)
    await desk.fill(status(), 5)
    assert (await desk.refused(status())).retry_after == pytest.approx(61.2)
    await trio.sleep(52)
    assert await desk.call(status()) == pytest.approx(61.2)


@virtual_time
async def test_max_wait_of_nothing_means_never_wait() -> None:
    desk = Desk(max_wait=0)
    held = [await desk.reserve(status(number)) for number in range(4)]
    assert isinstance(await desk.refused(status(9)), TooManyInFlight)
    desk.guards.release(held[0], FINE)
    await desk.reserve(status(9))


@virtual_time
async def test_a_request_past_its_deadline_does_not_wait() -> None:
    desk = Desk()
    await desk.fill(status(), 5)
    assert isinstance(await desk.refused(status(), within=0), StatusTooOften)
    await desk.call(status(2), within=0)


@virtual_time
async def test_no_more_wait_than_max_waiters() -> None:
    desk = Desk(max_waiters=3)
    await desk.fill(status(1), 5)
    await desk.fill(status(2), 5)
    async with trio.open_nursery() as nursery:
        for number in (1, 1, 2):
            nursery.start_soon(desk.call, status(number))
        await wait_all_tasks_blocked()
        for number in (1, 2):
            error = await desk.refused(status(number))
            assert "3 requests are already waiting (max_waiters)" in str(error)
            assert error.retry_after == pytest.approx(61.2)
        assert await desk.call(status(3)) == 0
        nursery.cancel_scope.cancel()
    assert await desk.state() == (0, 0)
