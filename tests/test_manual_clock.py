"""A client with a clock of its own waits by that clock alone: advancing it wakes a call that already waits."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from anyio.lowlevel import checkpoint

from smsc_async import (
    BalanceTooOften,
    Client,
    Guards,
    Journal,
    MessageRef,
    ReadTimeout,
    Reply,
    StatusTooOften,
    TooManyInFlight,
    Update,
)
from smsc_async._protocol.binding import Incoming
from smsc_async.guards import MemoryStore
from smsc_async.testing import ManualClock
from tests.doubles import FakeService, answer, make_client

T = TypeVar("T")
PHONE = "+79991234567"
REF = MessageRef(PHONE, "a1")


def on_each_loop(test: Callable[[], Awaitable[None]]) -> Callable[[str], None]:
    """Run a test on asyncio and on trio."""

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def run(backend: str) -> None:
        anyio.run(test, backend=backend)

    run.__name__ = test.__name__
    return run


class Running(list[object]):
    """The result of a call that runs in the background, once it has one."""


@asynccontextmanager
async def in_background(call: Callable[[], Awaitable[object]]) -> AsyncIterator[Running]:
    """Run a call meanwhile; it has to end before the block does."""
    results = Running()

    async def run() -> None:
        try:
            results.append(await call())
        except Exception as error:  # noqa: BLE001 - shown to the test
            results.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await idle()
        yield results
        await idle()
        group.cancel_scope.cancel()
    assert results, "the call did not end"


async def idle() -> None:
    """Let all tasks run until they wait."""
    for _ in range(100):
        await checkpoint()


@on_each_loop
async def test_a_sixth_status_that_waits_leaves_as_soon_as_the_clock_is_advanced() -> None:
    clock, service = ManualClock(), FakeService()
    client = make_client(service, guards=Guards(clock=clock), deadline=None)
    for _ in range(5):
        await client.status(REF)
    async with in_background(lambda: client.status(REF)) as results:
        clock.advance(61)
        await idle()
        assert (results, len(service.requests)) == ([], 5)
        clock.advance(0.3)
    assert len(service.requests) == 6


@on_each_loop
async def test_limits_count_by_the_clock_and_not_by_real_time() -> None:
    clock = ManualClock(start=1e6)
    client = make_client(FakeService(), guards=Guards(clock=clock), deadline=10)
    for _ in range(5):
        await client.status(REF)
    with pytest.raises(StatusTooOften) as caught:
        await client.status(REF)
    assert caught.value.retry_after == pytest.approx(61.2)
    clock.advance(61.2)
    await client.status(REF)


@on_each_loop
async def test_a_reconciliation_that_waits_goes_on_when_the_clock_is_advanced() -> None:
    clock = ManualClock()
    service = FakeService([ReadTimeout("lost"), *[answer("get_status", error="3")] * 2])
    client = make_client(service, clock=clock, on_unknown="reconcile")
    async with in_background(lambda: client.send(PHONE, "Hi")) as results:
        assert len(service.requests) == 2
        clock.advance(4.9)
        await idle()
        assert (results, len(service.requests)) == ([], 2)
        clock.advance(0.1)
    assert isinstance(results[0], ReadTimeout)
    assert "so it was not sent" in str(results[0])


@on_each_loop
async def test_a_request_is_cut_at_its_deadline_by_the_clock() -> None:
    clock = ManualClock()
    client = make_client(FakeService(latency=1e6), clock=clock, deadline=90)
    async with in_background(client.balance) as results:
        clock.advance(89.9)
        await idle()
        assert results == []
        clock.advance(0.1)
    assert isinstance(results[0], ReadTimeout)


@on_each_loop
async def test_a_wait_for_a_slot_ends_at_the_deadline_by_the_clock() -> None:
    clock = ManualClock()
    client = make_client(FakeService(latency=1e6), guards=Guards(clock=clock), deadline=20)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: client.balance(deadline=None))  # credentials are tried by one request at a time
        await idle()
        async with in_background(lambda: client.send(PHONE, "Hi")) as results:
            clock.advance(20)
        assert isinstance(results[0], TooManyInFlight)
        group.cancel_scope.cancel()


@on_each_loop
async def test_a_pause_before_a_repetition_ends_when_the_clock_is_advanced() -> None:
    clock = ManualClock()
    service = FakeService([ReadTimeout("lost")])
    client = make_client(service, clock=clock)
    async with in_background(client.balance) as results:
        assert (results, len(service.requests)) == ([], 1)
        clock.advance(0.25)
    assert len(service.requests) == 2


@on_each_loop
async def test_a_watch_asks_again_and_expires_by_the_clock() -> None:
    clock = ManualClock()
    taken: list[Update] = []

    def pending(request: Incoming) -> Reply:
        return answer(request.method, status="0")

    service = FakeService([pending] * 1000)
    client = make_client(service, guards=Guards(clock=clock))

    async def watch() -> None:
        async with client.watch([REF], timeout=3600) as updates:
            taken.extend([update async for update in updates])

    async with in_background(watch):
        assert (taken, len(service.requests)) == ([], 0)
        clock.advance(10)
        await idle()
        assert len(service.requests) == 1
        for _ in range(59):
            clock.advance(60)
            await idle()
        assert (taken, len(service.requests) > 5) == ([], True)
        clock.advance(60)
    assert [update.expired for update in taken] == [False, True]


@on_each_loop
async def test_timers_of_the_application_use_real_time() -> None:
    clock, start = ManualClock(), anyio.current_time()
    async with make_client(FakeService(), clock=clock) as client:
        with anyio.move_on_after(1800) as scope:
            clock.advance(3600)
            await client.balance()
        assert not scope.cancelled_caught
    assert anyio.current_time() - start < 1800


@on_each_loop
async def test_a_scope_that_has_been_left_is_forgotten() -> None:
    clock = ManualClock()
    with clock.deadline(10):
        pass
    clock.advance(10)
    with clock.deadline(20):
        await checkpoint()
    await clock.sleep_until(5)
    assert not clock._waits


@on_each_loop
async def test_sleepers_wake_in_the_order_of_time() -> None:
    clock = ManualClock()
    woken: list[int] = []

    async def sleep(number: int) -> None:
        await clock.sleep_until(number)
        woken.append(number)

    async with anyio.create_task_group() as group:
        for number in (3, 1, 2):
            group.start_soon(sleep, number)
        await idle()
        clock.advance(2)
        await idle()
        assert sorted(woken) == [1, 2]
        clock.advance(1)
    assert woken[-1] == 3


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_clock_only_goes_forward(seconds: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and finite"):
        ManualClock().advance(seconds)


def test_a_client_has_the_clock_of_its_guards() -> None:
    clock = ManualClock()
    guards = Guards(clock=clock)
    assert make_client(FakeService(), guards=guards)._caller.clock is clock
    assert make_client(FakeService(), guards=guards, clock=clock)._caller.clock is clock
    own = Client(apikey="key", transport=FakeService(), clock=clock)
    assert own.guards is not None
    assert own.guards.clock is clock


@pytest.mark.parametrize(
    "options",
    [
        {"clock": ManualClock},
        {"clock": time.monotonic},
        {"clock": ManualClock(), "guards": Guards()},
        {"clock": ManualClock(), "guards": Guards(clock=ManualClock())},
    ],
)
def test_a_wrong_clock_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="clock"):
        make_client(FakeService(), **options)


@pytest.mark.parametrize("clock", [ManualClock, time.monotonic, 5])
def test_guards_refuse_a_wrong_clock(clock: object) -> None:
    with pytest.raises(ValueError, match="clock must be an object with the methods of Clock"):
        Guards(clock=clock)  # type: ignore[arg-type]


@on_each_loop
async def test_a_store_of_the_callers_own_may_use_the_same_clock() -> None:
    clock = ManualClock()
    client = make_client(FakeService(), guards=Guards(MemoryStore(clock.now), clock=clock), deadline=1)
    for _ in range(10):
        await client.balance()
    with pytest.raises(BalanceTooOften):
        await client.balance()
    clock.advance(62)
    await client.balance()


async def test_a_store_that_counts_in_real_time_is_refused_with_a_clock(tmp_path: Path) -> None:
    async with Journal(tmp_path / "job.db") as journal:
        guards = journal.guards()
        with pytest.raises(ValueError, match=r"pass no store, or MemoryStore\(clock.now\)"):
            Guards(guards._store, clock=ManualClock())
        with pytest.raises(ValueError, match="those of a journal or Redis use real time"):
            make_client(FakeService(), guards=guards, clock=ManualClock())
