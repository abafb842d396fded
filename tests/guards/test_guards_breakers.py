"""What keeps the service from blocking the address: credentials, bad sends, error 4."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from smsc_async import (
    BreakerOpen,
    GuardError,
    Message,
    SendList,
    TooManyInFlight,
)
from smsc_async.guards import MemoryStore, Rules
from tests.guards.desk import (
    BALANCE,
    FINE,
    GOOD,
    LOST,
    ME,
    TRUSTING,
    UNSENT,
    Desk,
    code,
    identity,
    send,
    status,
)
from tests.virtual import virtual_time


def sends(number: int, text: str = "Hi") -> SendList:
    return SendList(messages=tuple(Message(f"+7999{line:07d}", text) for line in range(number)))


# --- credentials
@virtual_time
async def test_one_request_goes_at_a_time_until_its_credentials_are_accepted() -> None:
    desk = Desk(Rules())
    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(lambda each: desk.call(send(f"text {each}"), GOOD, latency=10), number)
        await trio.sleep(5)
        assert (await desk.guards.snapshot()).rules["login_failures"].waiting == 11
    assert [start for start, _ in desk.started] == [0] + [10] * 11
    assert await desk.state() == (0, 0)


@virtual_time
async def test_three_errors_2_stop_their_credentials_but_not_corrected_ones() -> None:
    desk = Desk(Rules())
    wrong, corrected = identity("wrong"), identity("right")
    for _ in range(3):
        await desk.call(who=wrong, completion=code(2))
    error = await desk.refused(who=wrong)
    assert isinstance(error, BreakerOpen)
    assert error.retry_after == pytest.approx(1801.2)
    await desk.call(who=corrected)
    for _ in range(20):
        await desk.call(send(), UNSENT, who=corrected)
    assert isinstance(await desk.refused(who=wrong), BreakerOpen)
    await trio.sleep(1801.2)
    await desk.call(who=wrong)


@virtual_time
async def test_one_address_never_sees_more_than_four_errors_2() -> None:
    desk = Desk(Rules())
    errors = 0

    async def guess(password: int) -> None:
        nonlocal errors
        try:
            await desk.call(who=identity(f"guess {password}"), completion=code(2), latency=1)
        except BreakerOpen:
            return
        errors += 1

    async with trio.open_nursery() as nursery:
        for password in range(40):
            nursery.start_soon(guess, password)
    assert errors == 4
    assert isinstance(await desk.refused(who=identity("right")), BreakerOpen)
    await desk.call(who=identity("right", egress="another address"))


@virtual_time
async def test_many_tasks_with_a_wrong_password_cause_three_errors_2() -> None:
    desk = Desk(Rules())
    outcomes = []

    async def attempt(number: int) -> None:
        try:
            await desk.call(send(f"text {number}"), code(2), latency=number)
            outcomes.append("error 2")
        except GuardError as error:
            outcomes.append(type(error).__name__)

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(attempt, number)
    assert sorted(outcomes) == ["BreakerOpen"] * 27 + ["error 2"] * 3
    assert await desk.state() == (0, 0)


@virtual_time
async def test_an_error_2_lets_no_second_request_go_at_once() -> None:
    desk = Desk(Rules())
    async with trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(lambda each: desk.call(send(f"text {each}"), code(2), latency=10), number)
    assert [start for start, _ in desk.started] == [0, 10]


@virtual_time
async def test_lost_answers_accuse_no_credentials() -> None:
    desk = Desk(Rules())
    for number in range(100):
        await desk.call(status(number), LOST)
    assert (await desk.guards.snapshot()).rules["address_failures"].full == {}


@virtual_time
async def test_a_proof_ends_half_an_hour_after_the_last_good_answer() -> None:
    desk = Desk(Rules())
    await desk.call()
    await trio.sleep(1799)
    await desk.call()
    await trio.sleep(1799)
    for number in range(2):
        await desk.reserve(status(number))
    await trio.sleep(1)
    await desk.reserve(status(2))
    with pytest.raises(TooManyInFlight):
        await desk.reserve(status(3), within=1)


@virtual_time
async def test_proven_credentials_are_exempt_whatever_others_do() -> None:
    desk = Desk(Rules())
    await desk.call()
    for number in range(4):
        await desk.call(who=identity(f"guess {number}"), completion=code(2))
    await desk.call()
    assert len([await desk.reserve(send(f"text {number}")) for number in range(13)]) == 13


@virtual_time
async def test_proven_credentials_do_not_wait_behind_those_that_are_not() -> None:
    desk = Desk(Rules())
    await desk.call()
    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(lambda each: desk.call(who=identity(f"new {each}"), latency=30), number)
        await trio.sleep(1)
        assert (await desk.guards.snapshot()).rules["address_failures"].waiting == 2
        assert await desk.call() == 1


@virtual_time
async def test_a_password_that_is_changed_at_the_service_is_stopped_after_three_errors_2() -> None:
    desk = Desk(Rules())
    await desk.call()
    for _ in range(3):
        await desk.call(completion=code(2))
    assert isinstance(await desk.refused(), BreakerOpen)


@virtual_time
async def test_a_request_that_waited_in_vain_for_unproven_credentials_says_so() -> None:
    desk = Desk(Rules())
    await desk.reserve(send("first"))
    with pytest.raises(TooManyInFlight, match="might block this address") as caught:
        await desk.reserve(send(), within=5)
    assert caught.value.retry_after is None
    assert trio.current_time() == 5


# --- bad sends
@virtual_time
async def test_no_more_than_ninety_nine_bad_sends_in_a_row() -> None:
    desk = Desk()
    for number in range(99):
        await desk.call(send(f"text {number}", to=f"+7999{number:07d}"), code(6 + number % 3))
    error = await desk.refused(send())
    assert isinstance(error, BreakerOpen)
    assert error.retry_after == pytest.approx(601.2)
    await desk.call(status())
    await trio.sleep(601.2)
    await desk.call(send(), GOOD)


@virtual_time
async def test_a_good_send_ends_the_row_of_those_that_ended_before_it_started() -> None:
    desk = Desk()
    slow = await desk.reserve(send("slow"))
    await trio.sleep(1)
    await desk.call(sends(98), code(7))
    assert isinstance(await desk.refused(sends(1), within=0), GuardError)
    desk.guards.release(slow, GOOD)  # it may have arrived before them all
    assert isinstance(await desk.refused(sends(2)), BreakerOpen)
    await trio.sleep(1)
    await desk.call(sends(1, "good"), GOOD)
    await desk.call(sends(99), GOOD)


@virtual_time
async def test_sends_of_unknown_outcome_count_as_bad_ones() -> None:
    desk = Desk()
    await desk.call(sends(99), LOST)
    assert isinstance(await desk.refused(send()), BreakerOpen)


@virtual_time
async def test_what_is_in_flight_may_turn_out_bad_and_is_waited_for() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: desk.call(sends(90), GOOD, latency=30))
        await wait_all_tasks_blocked()
        assert await desk.call(sends(10, "Ho"), GOOD) == 30


@virtual_time
async def test_a_list_longer_than_a_limit_can_ever_give_is_a_wrong_argument() -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="120 messages in one request exceed the rule 'bad_sends', which allows 99"):
        await desk.reserve(sends(120))
    assert await desk.state() == (0, 0)
    generous = Desk(TRUSTING.with_policies(bad_sends="off"))
    await generous.reserve(sends(120))
    await Desk().reserve(sends(99))


# --- error 4
@virtual_time
async def test_error_4_stops_every_client_of_these_guards_at_that_address() -> None:
    desk = Desk()
    await desk.call(completion=code(4))
    for who in (ME, identity("other"), identity(name="petr")):
        for operation in (BALANCE, status(), send()):
            error = await desk.refused(operation, who=who)
            assert isinstance(error, BreakerOpen)
            assert error.retry_after == pytest.approx(600)
    await desk.call(who=identity(egress="another address"))
    await trio.sleep(600)
    await desk.call(completion=code(4))
    assert (await desk.refused()).retry_after == pytest.approx(1800)


@virtual_time
async def test_error_4_refuses_all_waiting_requests() -> None:
    desk = Desk()
    refusals = []

    async def wait(number: int) -> None:
        with pytest.raises(BreakerOpen):
            await desk.reserve(status(number))
        refusals.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(lambda each: desk.call(status(each), code(4), latency=5 + each), number)
        await wait_all_tasks_blocked()
        for number in range(4, 14):
            nursery.start_soon(wait, number)
    assert refusals == [5] * 10


@virtual_time
async def test_a_block_refuses_at_once_also_requests_that_would_wait_behind_others() -> None:
    desk = Desk(store=(store := MemoryStore()))
    waiting = Desk(store=store)
    held = [await waiting.reserve(status(number)) for number in range(4)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting.call, status(9))
        await wait_all_tasks_blocked()
        await desk.call(completion=code(4))
        assert isinstance(await waiting.refused(status(10)), BreakerOpen)
        nursery.cancel_scope.cancel()
    for reservation in held:
        waiting.guards.release(reservation, FINE)
