"""Each rule of the guards, and what the answers of the service do to it."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from smsc_async import (
    BalanceTooOften,
    CostTooOften,
    DuplicateSend,
    GetCost,
    GuardError,
    StatusTooOften,
    SubscriberFlood,
    TooManyInFlight,
)
from smsc_async._model.operations import Operation
from smsc_async._model.result_base import Result
from smsc_async.guards import Rule, Rules
from tests.guards.desk import (
    BALANCE,
    FINE,
    GOOD,
    LOST,
    PHONE,
    TRUSTING_ONE,
    UNSENT,
    Desk,
    code,
    identity,
    send,
    status,
)
from tests.virtual import virtual_time


# --- identical sends
@virtual_time
async def test_an_identical_send_is_refused_at_once_also_while_the_first_is_in_flight() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: desk.call(send(), GOOD, latency=10))
        await wait_all_tasks_blocked()
        error = await desk.refused(send())
        assert isinstance(error, DuplicateSend)
        assert error.retry_after == pytest.approx(61.2)
    error = await desk.refused(send(to="89991234567"))
    assert isinstance(error, DuplicateSend)
    assert error.retry_after == pytest.approx(61.2)
    await trio.sleep(61)
    assert (await desk.refused(send())).retry_after == pytest.approx(0.2)
    await trio.sleep(0.2)
    await desk.call(send(), GOOD)


@virtual_time
async def test_an_identical_send_is_refused_at_once_also_when_others_wait_at_the_gate() -> None:
    desk = Desk(TRUSTING_ONE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: desk.call(send(), GOOD, latency=100))
        await wait_all_tasks_blocked()
        nursery.start_soon(desk.call)
        await wait_all_tasks_blocked()
        assert isinstance(await desk.refused(send()), DuplicateSend)
    assert len(desk.started) == 2
    assert await desk.state() == (0, 0)


@virtual_time
async def test_an_identical_send_is_refused_at_once_also_while_the_first_waits_at_the_gate() -> None:
    desk = Desk(TRUSTING_ONE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: desk.call(latency=100))
        await wait_all_tasks_blocked()
        nursery.start_soon(lambda: desk.call(send(), GOOD))
        await wait_all_tasks_blocked()
        assert isinstance(await desk.refused(send()), DuplicateSend)
        nursery.start_soon(lambda: desk.call(send("another"), GOOD))
    assert len(desk.started) == 3


@virtual_time
async def test_a_send_that_waited_in_vain_may_be_tried_again() -> None:
    desk = Desk(TRUSTING_ONE)
    held = await desk.reserve()
    for _ in range(2):
        with pytest.raises(TooManyInFlight):
            await desk.reserve(send(), within=5)
    desk.guards.release(held, FINE)
    await desk.call(send(), GOOD)


@virtual_time
async def test_allow_duplicate_repeats_a_send_at_once() -> None:
    desk = Desk()
    first = await desk.reserve(send())
    assert await desk.call(send(), GOOD, allow_duplicate=True) == 0
    desk.guards.release(first, GOOD)
    assert isinstance(await desk.refused(send()), DuplicateSend)
    await desk.call(send(), GOOD, allow_duplicate=True)


@virtual_time
async def test_allow_duplicate_does_not_bypass_the_other_rules() -> None:
    desk = Desk()
    for _ in range(50):
        await desk.call(send(), GOOD, allow_duplicate=True)
    assert isinstance(await desk.refused(send(), allow_duplicate=True), SubscriberFlood)


@virtual_time
async def test_a_send_that_never_left_may_be_repeated_at_once_and_a_lost_one_may_not() -> None:
    desk = Desk()
    await desk.call(send(), UNSENT)
    await desk.call(send(), LOST)
    assert (await desk.refused(send())).retry_after == pytest.approx(66.2)


# --- subscribers
@virtual_time
async def test_the_fifty_first_message_in_a_row_is_refused_until_there_was_a_quiet_time() -> None:
    desk = Desk()
    for number in range(50):
        await desk.call(send(f"text {number}"), GOOD)
        await trio.sleep(100)
    error = await desk.refused(send("51"))
    assert isinstance(error, SubscriberFlood)
    assert error.retry_after == pytest.approx(21.2)
    await desk.call(send("51", to="+79990000000"), GOOD)
    await trio.sleep(21.2)
    await desk.call(send("51"), GOOD)


@virtual_time
async def test_a_send_to_many_needs_a_slot_for_each_of_them() -> None:
    desk = Desk()
    for number in range(50):
        await desk.call(send(f"text {number}"), GOOD)
    assert isinstance(await desk.refused(send("all", to=["+79990000000", PHONE])), SubscriberFlood)
    assert (await desk.guards.snapshot()).rules["subscriber"].keys == 1


# --- gates
@virtual_time
async def test_four_status_requests_and_fourteen_of_all_are_in_flight_at_most() -> None:
    desk = Desk(Rules(balance=Rule(100, 1)).with_policies(login_failures="off", address_failures="off"))
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(lambda each: desk.call(status(each), latency=10), number)
        await wait_all_tasks_blocked()
        for _ in range(20):
            nursery.start_soon(lambda: desk.call(latency=10))
        await trio.sleep(5)
        rules = (await desk.guards.snapshot()).rules
        assert (rules["status_in_flight"].in_flight, rules["in_flight"].in_flight) == (4, 14)
        assert (await desk.guards.snapshot()).waiting == 26
    assert max(start for start, _ in desk.started) <= 40
    assert await desk.state() == (0, 0)


@virtual_time
async def test_lost_requests_hold_the_gate_until_they_have_definitely_arrived_and_been_answered() -> None:
    desk = Desk()
    for number in range(4):
        await desk.call(status(number), LOST)
    assert (await desk.guards.snapshot()).rules["status_in_flight"].full
    assert await desk.call(status(9)) == pytest.approx(5 + 1.2)


@virtual_time
async def test_accounts_have_gates_of_their_own() -> None:
    desk = Desk()
    for number in range(4):
        await desk.reserve(status(number))
    assert isinstance(await desk.refused(status(9), within=0), TooManyInFlight)
    await desk.reserve(status(9), who=identity(name="petr"))
    assert isinstance(await desk.refused(status(9), within=0, who=identity("other")), TooManyInFlight)
    assert isinstance(await desk.refused(status(9), within=0, who=identity(name="x", account="ivan")), TooManyInFlight)


# --- error 9
@pytest.mark.parametrize(
    ("operation", "error"),
    [(status(), StatusTooOften), (BALANCE, BalanceTooOften), (GetCost(to=(PHONE,), text="Hi"), CostTooOften)],
)
@virtual_time
async def test_error_9_to_a_read_fills_its_window(operation: Operation[Result], error: type[GuardError]) -> None:
    desk = Desk()
    await desk.call(operation)
    await trio.sleep(50)
    await desk.call(operation, code(9), latency=20)  # the first has left the window meanwhile
    refusal = await desk.refused(operation, within=30)
    assert isinstance(refusal, error)
    assert refusal.retry_after == pytest.approx(61.2)
    assert desk.guards.awaits(operation)
    assert await desk.call(operation) == pytest.approx(70 + 61.2)


@virtual_time
async def test_error_9_to_a_send_keeps_it_from_being_sent_again() -> None:
    desk = Desk()
    await desk.call(send(), code(9))
    assert isinstance(await desk.refused(send()), DuplicateSend)
    assert not desk.guards.awaits(send())
