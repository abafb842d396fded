"""A clock that is moved forward: step by step if it is awaited, on any event loop, and from any thread."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.lowlevel import checkpoint

from smsc_async import ReadTimeout
from smsc_async._movable_clock import MovableClock
from smsc_async._thread import in_own_thread
from smsc_async.testing import ManualClock
from tests.doubles import FakeService, make_client


def on_each_loop(test: Callable[[], Awaitable[None]]) -> Callable[[str], None]:
    """Run a test on asyncio and on trio."""

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def run(backend: str) -> None:
        anyio.run(test, backend=backend)

    run.__name__ = test.__name__
    return run


class Pauses:
    """A task that waits one second after another, and notes the times at which it wakes."""

    def __init__(self, clock: MovableClock) -> None:
        self.clock = clock
        self.woken: list[float] = []

    async def run(self) -> None:
        while True:
            await self.clock.sleep_until(self.clock.now() + 1)
            self.woken.append(self.clock.now())


@on_each_loop
async def test_an_awaited_advance_ends_the_waits_that_follow_within_it_each_at_its_time() -> None:
    clock = ManualClock()
    pauses = Pauses(clock)
    async with anyio.create_task_group() as group:
        group.start_soon(pauses.run)
        await clock.advance(3.5)
        assert (pauses.woken, clock.now()) == ([1, 2, 3], 3.5)
        await clock.advance(0.5)
        assert pauses.woken == [1, 2, 3, 4]
        group.cancel_scope.cancel()


@on_each_loop
async def test_an_advance_that_is_not_awaited_jumps() -> None:
    clock = ManualClock()
    pauses = Pauses(clock)
    async with anyio.create_task_group() as group:
        group.start_soon(pauses.run)
        await clock.advance(0)
        clock.advance(3.5)
        assert clock.now() == 3.5
        await clock.advance(0)
        assert pauses.woken == [3.5]
        group.cancel_scope.cancel()


@on_each_loop
async def test_an_advance_that_is_awaited_later_has_been_a_jump() -> None:
    clock = ManualClock()
    pauses = Pauses(clock)
    async with anyio.create_task_group() as group:
        group.start_soon(pauses.run)
        await clock.advance(0)
        move = clock.advance(3.5)
        for _ in range(5):
            await checkpoint()
        assert pauses.woken == [3.5]
        await move
        assert (pauses.woken, clock.now()) == ([3.5], 3.5)
        group.cancel_scope.cancel()


def test_an_advance_without_an_event_loop_is_a_jump() -> None:
    clock = ManualClock()
    move = clock.advance(5)

    async def await_it() -> None:
        await move

    anyio.run(await_it)
    assert clock.now() == 5


@on_each_loop
async def test_a_call_with_several_pauses_ends_within_the_time_that_is_advanced() -> None:
    clock, results = ManualClock(), list[object]()
    service = FakeService([ReadTimeout("lost")] * 3)

    async def call() -> None:
        results.append((await make_client(service, clock=clock).balance()).amount)

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await clock.advance(10)
        assert (len(results), len(service.requests)) == (1, 4)


@on_each_loop
async def test_a_wait_whose_time_is_lost_to_rounding_ends_too() -> None:
    times = [0.0]
    clock, woken = MovableClock(lambda: times[-1]), list[float]()
    times.append(0.51)  # 2.77 - 0.51 + 0.51 is less than 2.77

    async def sleep() -> None:
        await clock.sleep_until(2.77)
        woken.append(clock.now())

    async with anyio.create_task_group() as group:
        group.start_soon(sleep)
        await clock.advance(5)
        assert woken == [pytest.approx(2.77)]


@on_each_loop
async def test_an_awaited_advance_waits_for_a_thread_that_reads_an_answer() -> None:
    clock, results = ManualClock(), list[int]()

    async def read() -> None:
        with clock.deadline(90):
            results.append(await in_own_thread(lambda: sum(range(2_000_000))))  # as long as a page of a gateway takes

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await clock.advance(100)
        assert len(results) == 1


@on_each_loop
async def test_a_busy_task_does_not_hold_an_advance_for_ever() -> None:
    clock = MovableClock(lambda: 0.0, speed=0.0, is_busy=lambda: True)
    start = anyio.current_time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("smsc_async._movable_clock._PATIENCE", 0.01)
        await clock.advance(100)
    assert (clock.now(), anyio.current_time() - start < 2) == (100, True)


@on_each_loop
async def test_a_wait_of_a_running_clock_ends_by_itself_and_earlier_at_a_higher_speed() -> None:
    clock = MovableClock(anyio.current_time)
    await clock.sleep_until(clock.now() + 0.01)
    async with anyio.create_task_group() as group:
        start = anyio.current_time()
        group.start_soon(clock.sleep_until, clock.now() + 3600)
        await checkpoint()
        clock.speed = 3600 * 100
    assert (clock.speed, anyio.current_time() - start < 5) == (360_000, True)


@pytest.mark.parametrize("speed", [-1, float("nan"), float("inf"), True, None, "2"])
def test_a_speed_is_a_number_that_is_not_negative(speed: object) -> None:
    with pytest.raises(ValueError, match="speed must be a number, at least 0 and finite"):
        ManualClock().speed = speed  # type: ignore[assignment]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_advance_in_another_thread_wakes_what_waits_here(backend: str) -> None:
    clock, is_waiting = ManualClock(), threading.Event()

    async def wait() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(clock.sleep_until, 60)
            await checkpoint()
            is_waiting.set()

    thread = threading.Thread(target=anyio.run, args=(wait,), kwargs={"backend": backend})
    thread.start()
    assert is_waiting.wait(5)
    clock.advance(60)
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_advance_that_is_awaited_in_another_thread_goes_step_by_step_here(backend: str) -> None:
    for _ in range(5):
        clock, is_waiting = ManualClock(), threading.Event()
        pauses = Pauses(clock)

        async def wait(pauses: Pauses = pauses, is_waiting: threading.Event = is_waiting) -> None:
            with pauses.clock.deadline(5.5):
                async with anyio.create_task_group() as group:
                    group.start_soon(pauses.run)
                    await checkpoint()
                    is_waiting.set()

        async def advance(clock: ManualClock = clock) -> None:
            await clock.advance(100)

        thread = threading.Thread(target=anyio.run, args=(wait,), kwargs={"backend": backend})
        thread.start()
        assert is_waiting.wait(5)
        anyio.run(advance)
        thread.join(5)
        assert pauses.woken == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_waited_on_an_event_loop_that_has_ended_is_ignored(backend: str) -> None:
    clock, kept = ManualClock(), list[anyio.CancelScope]()

    async def begin() -> None:
        kept.append(clock.deadline(10))

    anyio.run(begin, backend=backend)
    clock.advance(20)
    assert clock.now() == 20


def test_a_manual_clock_needs_no_extra_package() -> None:
    code = "import sys; sys.modules['starlette'] = None; from smsc_async.testing import ManualClock; ManualClock()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603 - our own command


def test_a_clock_of_plain_asyncio_moves_the_waits_that_are_not_over(caplog: pytest.LogCaptureFixture) -> None:
    clock = MovableClock(time.monotonic)

    async def main() -> None:
        task = asyncio.create_task(clock.sleep_until(clock.now() + 7200))
        await asyncio.sleep(0)
        clock.advance(3600)
        await asyncio.sleep(0)
        assert not task.done()
        clock.advance(3600)
        await task

    asyncio.run(main())
    assert caplog.messages == []
