"""The guards on asyncio, and on several event loops and threads."""

import asyncio
import threading

import anyio
import pytest

from smsc_async import (
    BalanceTooOften,
    GuardError,
    TooManyInFlight,
)
from smsc_async._model.operations import Operation
from smsc_async._model.result_base import Result
from smsc_async.guards import Rule, Rules
from tests.guards.desk import (
    BALANCE,
    FINE,
    UNSENT,
    Desk,
    send,
    status,
)


def test_guards_that_are_not_bound_continue_with_the_monotonic_clock_on_a_second_loop() -> None:
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
    held = await desk.reserve(send())
    waiting = asyncio.create_task(desk.call(status(1)))
    await asyncio.sleep(0)
    desk.guards.release(held, UNSENT)
    await desk.call(status(2), UNSENT)  # before the other has noticed the free slot
    await waiting
    assert [operation for _, operation in desk.started[1:]] == [status(1), status(2)]


async def test_on_asyncio_a_wait_ends_in_time_as_well() -> None:
    desk = Desk(Rules(in_flight=Rule(1)))
    await desk.reserve()
    with pytest.raises(TooManyInFlight):
        await desk.reserve(within=0.001)
