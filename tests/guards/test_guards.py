"""Every request takes its places before it leaves, waits for them in order or is refused, and nothing leaks."""

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec

import anyio
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smsc_async import (
    BalanceTooOften,
    BreakerOpen,
    CostTooOften,
    DuplicateSend,
    GetBalance,
    GetCost,
    GetStatus,
    GuardError,
    Login,
    Message,
    MessageRef,
    Outcome,
    Send,
    SendList,
    StatusTooOften,
    SubscriberFlood,
    TooManyInFlight,
)
from smsc_async._model.operations import Operation
from smsc_async._model.results import Result
from smsc_async.guards import Guards, Identity, MemoryStore, Policy, Rule, Rules
from smsc_async.guards._demands import Completion, RequestArrival
from smsc_async.guards._store import Reservation

P = ParamSpec("P")

PHONE = "+79991234567"
FINE = Completion(RequestArrival.ANSWERED)
GOOD = Completion(RequestArrival.ANSWERED, good=True)
LOST = Completion(RequestArrival.LOST)
UNSENT = Completion(RequestArrival.UNSENT)
TRUSTING_ONE = Rules(in_flight=Rule(1)).with_policies(login_failures="off", address_failures="off")
TRUSTING = Rules().with_policies(login_failures="off", address_failures="off")


def virtual(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run a test on trio, on a clock that jumps to the next event."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        trio.run(main, clock=MockClock(autojump_threshold=0))

    return run


def identity(password: str = "secret", *, name: str = "ivan", **options: Any) -> Identity:
    return Identity(Login.model_validate({"login": name, "password": password}), **options)


ME = identity()
BALANCE = GetBalance()


def status(number: int = 1) -> GetStatus:
    return GetStatus(ref=MessageRef(PHONE, f"a{number}"))


def send(text: str = "Hi", to: str | list[str] = PHONE) -> Send:
    return Send.model_validate({"to": to, "text": text})


def sends(number: int, text: str = "Hi") -> SendList:
    return SendList(messages=tuple(Message(f"+7999{line:07d}", text) for line in range(number)))


def code(number: int) -> Completion:
    return Completion(RequestArrival.ANSWERED, number)


class Desk:
    """Guards, and who uses them how."""

    def __init__(self, rules: Rules = TRUSTING, **options: Any) -> None:
        self.guards = Guards(rules=rules, **options)
        self.started: list[tuple[float, object]] = []

    async def reserve(
        self,
        operation: Operation[Result] = BALANCE,
        *,
        who: Identity = ME,
        within: float = math.inf,
        allow_duplicate: bool = False,
    ) -> Reservation:
        reservation = await self.guards.reserve(who, operation, within=within, allow_duplicate=allow_duplicate)
        self.started.append((anyio.current_time(), operation))
        return reservation

    async def call(
        self,
        operation: Operation[Result] = BALANCE,
        completion: Completion = FINE,
        latency: float = 0.0,
        **options: Any,
    ) -> float:
        """Do a request; return when it started."""
        reservation = await self.reserve(operation, **options)
        start = anyio.current_time()
        try:
            if latency:
                await anyio.sleep(latency)
        except BaseException:
            self.guards.release(reservation, LOST)
            raise
        self.guards.release(reservation, completion)
        return start

    async def refused(self, operation: Operation[Result] = BALANCE, **options: Any) -> GuardError:
        """Return the error with which a request is refused at once."""
        before = anyio.current_time()
        with pytest.raises(GuardError) as caught:
            await self.reserve(operation, **options)
        assert anyio.current_time() == before
        assert caught.value.outcome is Outcome.NOT_SENT
        return caught.value

    async def state(self) -> tuple[int, int]:
        """Return how many wait and how many places are held, as the snapshot shows it."""
        snapshot = await self.guards.snapshot()
        assert snapshot.waiting == sum(rule.waiting for rule in snapshot.rules.values())
        return snapshot.waiting, sum(rule.in_flight for rule in snapshot.rules.values())

    async def fill(self, operation: Operation[Result] = BALANCE, number: int = 10) -> None:
        for _ in range(number):
            await self.call(operation)


# --- waiting


@virtual
async def test_the_first_requests_of_a_window_go_at_once_and_the_next_when_the_first_has_left_it() -> None:
    desk = Desk()
    starts = [await desk.call(status(), latency=1) for _ in range(7)]
    assert starts == pytest.approx([0, 1, 2, 3, 4, 1 + 61.2, 2 + 61.2])


@virtual
async def test_no_waiter_waits_past_the_moment_its_place_is_free() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        for _ in range(23):
            nursery.start_soon(desk.call, status())
    starts = [start for start, _ in desk.started]
    assert starts == pytest.approx([at for at in (0, 61.2, 122.4, 183.6, 244.8) for _ in range(5)][:23], abs=0.01)
    assert starts == sorted(starts)


@virtual
async def test_waiters_of_one_key_are_served_in_order() -> None:
    desk = Desk(TRUSTING_ONE)
    operations = [status(number) for number in range(40)]
    async with trio.open_nursery() as nursery:
        for operation in operations:
            nursery.start_soon(lambda each: desk.call(each, latency=1), operation)
            await wait_all_tasks_blocked()
    assert [operation for _, operation in desk.started] == operations


@virtual
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


@virtual
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


@virtual
async def test_a_place_that_becomes_free_early_is_taken_early() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            await desk.call(status())
        nursery.start_soon(lambda: desk.call(status(), UNSENT, latency=20))
        await wait_all_tasks_blocked()
        assert await desk.call(status()) == 20


@virtual
async def test_two_places_that_become_free_at_once_are_both_taken() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(lambda each: desk.call(status(each), latency=10), number)
        await wait_all_tasks_blocked()
        for number in range(10, 14):
            nursery.start_soon(desk.call, status(number))
    assert {start for start, _ in desk.started[4:]} == {10}


@virtual
async def test_guards_that_share_a_store_look_for_each_other_s_places() -> None:
    store = MemoryStore()
    one, other = Desk(store=store), Desk(store=store)
    held = [await one.reserve(status(number)) for number in range(4)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other.call, status(9))
        await trio.sleep(10.5)
        one.guards.release(held[0], FINE)
    assert other.started[0][0] <= 11.5


# --- liveness


@virtual
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
def test_a_cancelled_waiter_slows_nobody_and_leaves_nothing(cancelled: int) -> None:
    async def main() -> None:
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

    trio.run(main, clock=MockClock(autojump_threshold=0))


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


@virtual
async def test_everybody_cancelled_at_once_leaves_nothing() -> None:
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


@virtual
async def test_a_request_is_refused_at_once_when_its_wait_can_not_fit() -> None:
    desk = Desk()
    await desk.fill(status(), 5)
    await trio.sleep(20)
    error = await desk.refused(status(), within=41)
    assert isinstance(error, StatusTooOften)
    assert error.retry_after == pytest.approx(41.2)
    assert await desk.call(status(), within=42) == pytest.approx(61.2)


@virtual
async def test_a_request_behind_others_is_refused_at_once_when_even_the_first_of_them_waits_too_long() -> None:
    desk = Desk()
    await desk.fill(status(), 5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.call, status())
        await trio.sleep(10)
        error = await desk.refused(status(), within=30)
        assert isinstance(error, StatusTooOften)
        assert error.retry_after == pytest.approx(51.2)


@virtual
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
    # By 61.2 the five before them have gone; then it is clear that there is no place before 122.4.
    assert errors == [(pytest.approx(61.2), pytest.approx(61.2))] * 2
    assert await desk.state() == (0, 0)


@virtual
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


@virtual
async def test_nobody_waits_longer_than_max_wait_whatever_the_deadline() -> None:
    desk = Desk(max_wait=10)
    await desk.fill(status(), 5)
    assert (await desk.refused(status())).retry_after == pytest.approx(61.2)
    await trio.sleep(52)
    assert await desk.call(status()) == pytest.approx(61.2)


@virtual
async def test_max_wait_of_nothing_means_never_wait() -> None:
    desk = Desk(max_wait=0)
    held = [await desk.reserve(status(number)) for number in range(4)]
    assert isinstance(await desk.refused(status(9)), TooManyInFlight)
    desk.guards.release(held[0], FINE)
    await desk.reserve(status(9))


@virtual
async def test_a_deadline_that_has_passed_lets_nobody_wait() -> None:
    desk = Desk()
    await desk.fill(status(), 5)
    assert isinstance(await desk.refused(status(), within=0), StatusTooOften)
    await desk.call(status(2), within=0)


@virtual
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
            assert "3 requests wait already" in str(error)
            assert error.retry_after == pytest.approx(61.2)
        assert await desk.call(status(3)) == 0
        nursery.cancel_scope.cancel()
    assert await desk.state() == (0, 0)


# --- identical sends


@virtual
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


@virtual
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


@virtual
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


@virtual
async def test_a_send_that_waited_in_vain_may_be_tried_again() -> None:
    desk = Desk(TRUSTING_ONE)
    held = await desk.reserve()
    for _ in range(2):
        with pytest.raises(TooManyInFlight):
            await desk.reserve(send(), within=5)
    desk.guards.release(held, FINE)
    await desk.call(send(), GOOD)


@virtual
async def test_allow_duplicate_repeats_a_send_at_once() -> None:
    desk = Desk()
    first = await desk.reserve(send())
    assert await desk.call(send(), GOOD, allow_duplicate=True) == 0
    desk.guards.release(first, GOOD)
    assert isinstance(await desk.refused(send()), DuplicateSend)
    await desk.call(send(), GOOD, allow_duplicate=True)


@virtual
async def test_allow_duplicate_is_no_way_round_the_other_rules() -> None:
    desk = Desk()
    for _ in range(50):
        await desk.call(send(), GOOD, allow_duplicate=True)
    assert isinstance(await desk.refused(send(), allow_duplicate=True), SubscriberFlood)


@virtual
async def test_a_send_that_never_left_may_be_repeated_at_once_and_a_lost_one_may_not() -> None:
    desk = Desk()
    await desk.call(send(), UNSENT)
    await desk.call(send(), LOST)
    assert (await desk.refused(send())).retry_after == pytest.approx(66.2)


# --- subscribers


@virtual
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


@virtual
async def test_a_send_to_many_needs_a_place_for_each_of_them() -> None:
    desk = Desk()
    for number in range(50):
        await desk.call(send(f"text {number}"), GOOD)
    assert isinstance(await desk.refused(send("all", to=["+79990000000", PHONE])), SubscriberFlood)
    assert (await desk.guards.snapshot()).rules["subscriber"].keys == 1


# --- gates


@virtual
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


@virtual
async def test_lost_requests_hold_the_gate_until_they_have_surely_arrived_and_been_answered() -> None:
    desk = Desk()
    for number in range(4):
        await desk.call(status(number), LOST)
    assert (await desk.guards.snapshot()).rules["status_in_flight"].full
    assert await desk.call(status(9)) == pytest.approx(5 + 1.2)


@virtual
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
def test_error_9_to_a_read_fills_its_window(operation: Operation[Result], error: type[GuardError]) -> None:
    async def main() -> None:
        desk = Desk()
        await desk.call(operation)
        await trio.sleep(50)
        await desk.call(operation, code(9), latency=20)  # the first has left the window meanwhile
        refusal = await desk.refused(operation, within=30)
        assert isinstance(refusal, error)
        assert refusal.retry_after == pytest.approx(61.2)
        assert desk.guards.awaits(operation)
        assert await desk.call(operation) == pytest.approx(70 + 61.2)

    trio.run(main, clock=MockClock(autojump_threshold=0))


@virtual
async def test_error_9_to_a_send_keeps_it_from_being_sent_again() -> None:
    desk = Desk()
    await desk.call(send(), code(9))
    assert isinstance(await desk.refused(send()), DuplicateSend)
    assert not desk.guards.awaits(send())


# --- credentials


@virtual
async def test_only_three_requests_go_at_once_until_their_credentials_are_accepted() -> None:
    desk = Desk(Rules())
    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(lambda each: desk.call(send(f"text {each}"), GOOD, latency=10), number)
        await trio.sleep(5)
        assert (await desk.guards.snapshot()).rules["login_failures"].waiting == 9
    assert [start for start, _ in desk.started] == [0] * 3 + [10] * 9
    assert await desk.state() == (0, 0)


@virtual
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


@virtual
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


@virtual
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


@virtual
async def test_proven_credentials_are_free_whatever_others_do() -> None:
    desk = Desk(Rules())
    await desk.call()
    for number in range(4):
        await desk.call(who=identity(f"guess {number}"), completion=code(2))
    await desk.call()
    assert len([await desk.reserve(send(f"text {number}")) for number in range(13)]) == 13


@virtual
async def test_proven_credentials_do_not_wait_behind_those_that_are_not() -> None:
    desk = Desk(Rules())
    await desk.call()
    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(lambda each: desk.call(who=identity(f"new {each}"), latency=30), number)
        await trio.sleep(1)
        assert (await desk.guards.snapshot()).rules["address_failures"].waiting == 2
        assert await desk.call() == 1


@virtual
async def test_a_password_that_is_changed_at_the_service_is_stopped_after_three_errors_2() -> None:
    desk = Desk(Rules())
    await desk.call()
    for _ in range(3):
        await desk.call(completion=code(2))
    assert isinstance(await desk.refused(), BreakerOpen)


@virtual
async def test_who_waited_in_vain_for_an_answer_to_unproven_credentials_is_told_so() -> None:
    desk = Desk(Rules())
    for number in range(3):
        await desk.reserve(send(f"text {number}"))
    with pytest.raises(TooManyInFlight, match="might block this address") as caught:
        await desk.reserve(send(), within=5)
    assert caught.value.retry_after is None
    assert trio.current_time() == 5


# --- bad sends


@virtual
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


@virtual
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


@virtual
async def test_sends_of_unknown_outcome_count_as_bad_ones() -> None:
    desk = Desk()
    await desk.call(sends(99), LOST)
    assert isinstance(await desk.refused(send()), BreakerOpen)


@virtual
async def test_what_is_in_flight_may_turn_out_bad_and_is_waited_for() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: desk.call(sends(90), GOOD, latency=30))
        await wait_all_tasks_blocked()
        assert await desk.call(sends(10, "Ho"), GOOD) == 30


@virtual
async def test_a_list_longer_than_a_limit_can_ever_give_is_a_wrong_argument() -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="120 messages in one request, and the rule 'bad_sends' lets 99 through"):
        await desk.reserve(sends(120))
    assert await desk.state() == (0, 0)
    generous = Desk(TRUSTING.with_policies(bad_sends="off"))
    await generous.reserve(sends(120))
    await Desk().reserve(sends(99))


# --- error 4


@virtual
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


@virtual
async def test_error_4_sends_everybody_away_who_waits() -> None:
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


@virtual
async def test_a_block_is_told_at_once_also_to_those_who_would_have_to_wait_behind_others() -> None:
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


# --- policies


WAIT: Policy = "wait"
RAISE: Policy = "raise"
OFF: Policy = "off"
REFUSALS: list[tuple[str, Rules, Operation[Result], type[GuardError]]] = [
    ("status", Rules(status=Rule(1, 60)), status(), StatusTooOften),
    ("balance", Rules(balance=Rule(1, 60)), BALANCE, BalanceTooOften),
    ("identical_cost", Rules(identical_cost=Rule(1, 60)), GetCost(to=(PHONE,), text="Hi"), CostTooOften),
    ("identical_send", Rules(), send(), DuplicateSend),
    ("subscriber", Rules(subscriber=Rule(1, 60), identical_send=Rule(9, 60)), send(), SubscriberFlood),
]


@pytest.mark.parametrize(("rule", "rules", "operation", "error"), REFUSALS, ids=[each[0] for each in REFUSALS])
class TestPolicies:
    def test_wait_lets_a_request_wait(
        self, rule: str, rules: Rules, operation: Operation[Result], error: type[GuardError]
    ) -> None:
        async def main() -> None:
            desk = Desk(rules.with_policies(**{rule: WAIT}))
            await desk.call(operation)
            assert await desk.call(operation) == pytest.approx(61.2)
            assert isinstance(await desk.refused(operation, within=1), error)

        trio.run(main, clock=MockClock(autojump_threshold=0))

    def test_raise_refuses_it_at_once(
        self, rule: str, rules: Rules, operation: Operation[Result], error: type[GuardError]
    ) -> None:
        async def main() -> None:
            desk = Desk(rules.with_policies(**{rule: RAISE}))
            await desk.call(operation)
            refusal = await desk.refused(operation)
            assert isinstance(refusal, error)
            assert refusal.retry_after == pytest.approx(61.2)
            assert not desk.guards.awaits(operation)

        trio.run(main, clock=MockClock(autojump_threshold=0))

    def test_off_looks_away(
        self, rule: str, rules: Rules, operation: Operation[Result], error: type[GuardError]
    ) -> None:
        async def main() -> None:
            desk = Desk(rules.with_policies(**{rule: OFF}))
            for _ in range(4):
                assert await desk.call(operation) == 0, error
            assert rule not in (await desk.guards.snapshot()).rules

        trio.run(main, clock=MockClock(autojump_threshold=0))


@virtual
async def test_the_breakers_can_be_waited_for_and_switched_off() -> None:
    waiting = Desk(Rules().with_policies(blocked="wait", login_failures="wait"))
    await waiting.call(completion=code(4))
    assert await waiting.call(completion=code(4)) == 600
    assert await waiting.call() == 2400
    careless = Desk(Rules().with_policies(blocked="off", login_failures="off", address_failures="off"))
    for _ in range(5):
        await careless.call(completion=code(4))
        await careless.call(completion=code(2))


@virtual
async def test_a_gate_that_raises_can_not_say_when_it_will_be_free() -> None:
    desk = Desk(TRUSTING.with_policies(in_flight="raise", status_in_flight="raise"))
    for number in range(4):
        await desk.reserve(status(number))
    error = await desk.refused(status(9))
    assert isinstance(error, TooManyInFlight)
    assert error.retry_after is None


@virtual
async def test_without_gates_as_many_go_as_want_to() -> None:
    desk = Desk(TRUSTING.with_policies(in_flight="off", status_in_flight="off"))
    for number in range(30):
        await desk.reserve(status(number))


# --- event loops and threads


def test_guards_that_nobody_binds_go_on_by_the_monotonic_clock_on_a_second_loop() -> None:
    desk = Desk()
    anyio.run(desk.fill, status(), 5)

    async def refused() -> float | None:
        return (await desk_refused(desk, status())).retry_after

    for backend in ("trio", "asyncio"):
        after = anyio.run(refused, backend=backend)
        assert after is not None
        assert 50 < after <= 61.2


async def desk_refused(desk: Desk, operation: Operation[Result]) -> GuardError:
    with pytest.raises(GuardError) as caught:
        await desk.reserve(operation, within=1)
    return caught.value


def test_guards_in_use_on_one_loop_are_refused_on_another() -> None:
    desk = Desk()

    async def elsewhere() -> None:
        with pytest.raises(RuntimeError, match="in use on another event loop"):
            desk.guards.bind()
        with pytest.raises(RuntimeError, match="in use on another event loop"):
            await desk.reserve()

    async def main() -> None:
        reservation = await desk.reserve()
        await anyio.to_thread.run_sync(anyio.run, elsewhere)
        desk.guards.release(reservation, FINE)

    anyio.run(main)


def test_a_snapshot_on_a_second_loop_shows_the_time_of_the_first_going_on() -> None:
    desk = Desk()
    anyio.run(desk.fill)

    async def full() -> bool:
        return bool((await desk.guards.snapshot()).rules["balance"].full)

    assert anyio.run(full, backend="trio"), (
        "a run of trio begins at a random time, long after that of asyncio or before"
    )


def test_guards_of_a_waiter_are_in_use_as_well() -> None:
    desk = Desk()

    async def elsewhere() -> None:
        desk.guards.bind()

    async def main() -> None:
        await desk.fill(status(), 5)
        waiting = asyncio.create_task(desk.call(status()))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="in use on another event loop"):
            await asyncio.to_thread(anyio.run, elsewhere)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.to_thread(anyio.run, elsewhere)

    asyncio.run(main())


def test_idle_guards_may_be_used_by_another_thread() -> None:
    desk = Desk()
    anyio.run(desk.fill)
    refusals: list[GuardError] = []

    async def main() -> None:
        refusals.append(await desk_refused(desk, BALANCE))

    thread = threading.Thread(target=anyio.run, args=(main,))
    thread.start()
    thread.join()
    assert isinstance(refusals[0], BalanceTooOften)


# --- asyncio


async def test_on_asyncio_waiters_are_served_in_order_too() -> None:
    desk = Desk(Rules(in_flight=Rule(1)))
    held = await desk.reserve()
    operations = [status(number) for number in range(10)]
    tasks = [asyncio.create_task(desk.call(operation)) for operation in operations]
    await asyncio.sleep(0)
    assert (await desk.state())[0] == 10
    desk.guards.release(held, FINE)
    await asyncio.gather(*tasks)
    assert [operation for _, operation in desk.started[1:]] == operations
    assert await desk.state() == (0, 0)


async def test_on_asyncio_cancelled_waiters_leave_nothing_either() -> None:
    desk = Desk(Rules(in_flight=Rule(1)))
    held = await desk.reserve()
    tasks = [asyncio.create_task(desk.call(status(number))) for number in range(10)]
    await asyncio.sleep(0)
    for number in (0, 4, 9):
        tasks[number].cancel()
    desk.guards.release(held, FINE)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [number for number, each in enumerate(outcomes) if isinstance(each, asyncio.CancelledError)] == [0, 4, 9]
    assert len(desk.started) == 8
    assert await desk.state() == (0, 0)


async def test_credentials_that_are_not_proven_overtake_none_that_wait() -> None:
    desk = Desk(Rules())
    held = [await desk.reserve(send(f"text {number}")) for number in range(3)]
    waiting = asyncio.create_task(desk.call(status(1)))
    await asyncio.sleep(0)
    desk.guards.release(held[0], UNSENT)
    await desk.call(status(2), UNSENT)  # before the other has noticed that there is a place
    await waiting
    assert [operation for _, operation in desk.started[3:]] == [status(1), status(2)]


async def test_on_asyncio_a_wait_ends_in_time_as_well() -> None:
    desk = Desk(Rules(in_flight=Rule(1)))
    await desk.reserve()
    with pytest.raises(TooManyInFlight):
        await desk.reserve(within=0.001)


# --- what the guards show and how they are made


@virtual
async def test_a_snapshot_shows_what_is_in_flight_what_waits_and_what_is_full_until_when() -> None:
    desk = Desk(max_wait=None)
    await desk.fill(status(), 5)
    await desk.reserve(status(2))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.call, status())
        await trio.sleep(11.2)
        before = datetime.now(UTC)
        snapshot = await desk.guards.snapshot()
        assert before <= snapshot.taken_at <= datetime.now(UTC)
        assert snapshot.waiting == 1
        shown = snapshot.rules["status"]
        assert (shown.count, shown.keys, shown.in_flight, shown.waiting) == (5, 2, 1, 1)
        assert list(shown.full.values()) == [snapshot.taken_at + timedelta(seconds=50)]
        assert snapshot.rules["in_flight"].in_flight == 1
        assert snapshot.rules["balance"].full == {}
        nursery.cancel_scope.cancel()
    while (await desk.guards.snapshot()).rules["status_in_flight"].in_flight < 4:
        await desk.reserve(status(3))
    assert list((await desk.guards.snapshot()).rules["status_in_flight"].full.values()) == [None]


@virtual
async def test_nothing_that_is_shown_names_a_phone_a_text_or_a_login() -> None:
    desk = Desk(Rules())
    await desk.call(send("Kontonummer"), GOOD, who=identity("geheim", name="ivanov"))
    error = await desk.refused(send("Kontonummer"), who=identity("geheim", name="ivanov"))
    shown = repr(await desk.guards.snapshot()) + repr(desk.guards) + repr(error)
    assert not [word for word in ("9991234567", "Kontonummer", "ivanov", "geheim") if word in shown]
    assert repr(desk.guards) == "<smsc_async.guards.Guards over MemoryStore>"


@pytest.mark.parametrize(
    "options",
    [{"max_wait": -1}, {"max_waiters": -1}, {"margin": -0.1}, {"late_arrival": -1}, {"late_arrival": 60.1}],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="late_arrival at most 60"):
        Guards(**options)
    Guards(max_wait=0, max_waiters=0, margin=0, late_arrival=0)
    Guards(late_arrival=60)


@virtual
async def test_margin_and_late_arrival_are_options() -> None:
    desk = Desk(margin=0, late_arrival=20)
    await desk.call(send(), GOOD)
    assert (await desk.refused(send())).retry_after == 60
    await desk.call(send("lost"), LOST)
    assert (await desk.refused(send("lost"))).retry_after == 80


class Ledger(MemoryStore):
    """A store that notes when it is flushed and closed, and whose salt is known late."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.known: bytes | None = None

    @property
    def salt(self) -> bytes | None:  # type: ignore[override]
        return self.known

    async def open(self) -> bytes:
        self.events.append("opened")
        self.known = b"salt %d" % len(self.events)
        return self.known

    async def flush(self) -> None:
        self.events.append("flushed")
        await anyio.sleep(1)

    async def aclose(self) -> None:
        self.events.append("closed")
        await anyio.sleep(60)


@virtual
async def test_a_store_is_opened_before_its_first_use_and_a_new_salt_makes_new_keys() -> None:
    store = Ledger()
    desk = Desk(store=store)
    await desk.call(send(), GOOD)
    assert isinstance(await desk.refused(send()), DuplicateSend)
    assert store.events == ["opened"]
    store.known = None
    await desk.call(send(), GOOD)
    assert store.events == ["opened", "opened"]


@virtual
async def test_the_last_client_closes_the_store_and_the_others_only_flush_it() -> None:
    store = Ledger()
    desk = Desk(store=store)
    desk.guards.attach()
    desk.guards.attach()
    await desk.guards.detach()
    assert store.events == ["flushed"]
    assert trio.current_time() == 1
    await desk.guards.detach()
    assert store.events == ["flushed", "closed"]
    assert trio.current_time() == 3, "a store that does not close is left after two seconds"


@virtual
async def test_cancelling_does_not_keep_what_was_settled_from_becoming_known() -> None:
    desk = Desk(store=Ledger())
    with trio.CancelScope() as scope:
        scope.cancel()
        await desk.guards.flush()
    assert trio.current_time() == 1


@virtual
async def test_an_identity_keeps_its_keys_as_long_as_it_lives_and_no_longer() -> None:
    desk = Desk()
    await desk.call(who=ME)
    await desk.call(who=identity())
    assert len(desk.guards._planners) == 1
    known = desk.guards._planners[ME]
    await desk.call(who=ME)
    assert desk.guards._planners[ME] is known


class Recording(MemoryStore):
    """Notes for how long places are wanted and how often they were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: list[float] = []
        self.tries: list[int] = []

    async def acquire(self, demands: Any, hold: float) -> Any:
        self.holds.append(hold)
        return await super().acquire(demands, hold)

    def pause(self, delay: float, tries: int) -> float:
        self.tries.append(tries)
        return super().pause(delay, tries)


@virtual
async def test_store_is_told_for_how_long_a_place_is_wanted_and_how_often_it_was_asked() -> None:
    store = Recording()
    guards = Guards(store, rules=TRUSTING_ONE)
    guards.bind()
    first = await guards.reserve(ME, BALANCE, within=90)
    assert store.holds == [90]

    async def later() -> None:
        await anyio.sleep(4.5)
        guards.release(first, FINE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(later)
        guards.release(await guards.reserve(ME, status(), within=30), FINE)
    assert store.holds == [90, 30, 29, 28, 27, 26, 25.5]
    assert store.tries == [0, 1, 2, 3, 4]


@virtual
async def test_place_that_comes_with_the_deadline_is_wanted_for_no_time() -> None:
    store = Recording()
    guards = Guards(store, rules=TRUSTING_ONE)
    guards.bind()
    await guards.reserve(ME, BALANCE, within=90)
    with pytest.raises(TooManyInFlight):
        await guards.reserve(ME, status(), within=3)
    assert store.holds == [90, 3, 2, 1, 0]


@virtual
async def test_words_of_a_refusal_tell_when_it_is_free_if_anybody_knows() -> None:
    desk = Desk()
    await desk.call(send())
    with pytest.raises(DuplicateSend) as caught:
        await desk.reserve(send())
    assert str(caught.value).endswith("repeats it; free in 61.2 s")
    desk = Desk(TRUSTING_ONE)
    await desk.reserve()
    with pytest.raises(TooManyInFlight) as caught_too:
        await desk.reserve(status(), within=1)
    assert str(caught_too.value).endswith("free in time")


async def test_a_send_may_not_be_repeated_unless_that_is_said() -> None:
    guards = Guards()
    guards.bind()
    guards.release(await guards.reserve(ME, send(), within=1), GOOD)
    with pytest.raises(DuplicateSend):
        await guards.reserve(ME, send(), within=1)


def test_closing_is_shielded_but_not_for_ever() -> None:
    class Slow(MemoryStore):
        closed = flushed = False

        async def aclose(self) -> None:
            await anyio.sleep(1)
            self.closed = True

        async def flush(self) -> None:
            await anyio.sleep(3)
            self.flushed = True

    async def main() -> None:
        store = Slow()
        guards = Guards(store)
        start = anyio.current_time()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await guards.aclose()
        assert store.closed
        await guards.flush()
        assert not store.flushed
        assert anyio.current_time() == start + 3

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Rule(0, 1), "a rule counts 1 or more"),
        (
            lambda: Rule(1, 1, "no"),  # type: ignore[arg-type]
            "the policy of a rule is",
        ),
        (lambda: Guards(margin=-1), "max_wait, max_waiters, margin and late_arrival are 0 or more"),
    ],
)
def test_what_is_wrong_is_said_from_the_beginning(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        make()
