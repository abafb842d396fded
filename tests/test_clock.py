"""The clock of the guards is that of the event loop, and continues when the loop changes."""

import time

import anyio
import pytest
import trio
from trio.testing import MockClock

from smsc_async._clock import LoopBinding, LoopClock, PerLoop, RealClock
from tests.virtual import virtual_time


async def read(clock: LoopClock, *, rebase: bool = True, after: float = 0.0) -> float:
    if rebase:
        clock.rebase()
    if after:
        await trio.sleep(after)
    return clock()


@virtual_time
async def test_on_its_first_loop_the_clock_shows_the_time_of_the_loop() -> None:
    clock = LoopClock()
    clock.rebase()
    start = anyio.current_time()
    await trio.sleep(3600)
    assert clock() == start + 3600


async def test_on_asyncio_the_clock_shows_the_time_of_the_loop_as_well() -> None:
    before = anyio.current_time()
    assert before <= LoopClock()() <= anyio.current_time()


def test_on_a_second_loop_time_goes_on_by_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monotonic = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: monotonic)
    clock = LoopClock()
    first = trio.run(read, clock, clock=MockClock())
    monotonic += 30
    second = trio.run(read, clock, clock=MockClock())
    assert second == pytest.approx(first + 30)


def test_the_random_start_of_a_trio_run_is_no_jump() -> None:
    clock = LoopClock()
    first = trio.run(read, clock)
    loops = []
    for _ in range(3):
        loops.append(trio.run(trio_time))
        assert first <= trio.run(read, clock) < first + 60
    assert max(loops) - min(loops) > 60, "each run of trio begins somewhere else"


async def trio_time() -> float:
    return trio.current_time()


def test_time_that_passes_on_the_second_loop_is_that_of_its_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    clock = LoopClock()
    first = trio.run(read, clock, clock=MockClock())

    async def twice() -> tuple[float, float]:
        return await read(clock), await read(clock, rebase=False, after=500)

    start, end = virtual_time(twice)()
    assert start == pytest.approx(first)
    assert end == pytest.approx(start + 500)


def test_many_loops_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monotonic = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: monotonic)
    clock = LoopClock()
    first = anyio.run(read, clock)
    for backend in ("trio", "asyncio", "trio"):
        monotonic += 10
        last = anyio.run(read, clock, backend=backend)
    assert last == pytest.approx(first + 30, abs=1)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_object_is_bound_to_one_event_loop_until_it_is_bound_to_another(backend: str) -> None:
    binding = LoopBinding()

    async def bind() -> tuple[bool, bool, bool]:
        before = binding.is_bound, binding.is_here()
        binding.bind()
        return *before, binding.is_here()

    assert anyio.run(bind, backend=backend) == (False, False, True)
    assert anyio.run(bind, backend=backend) == (True, False, True)
    assert anyio.run(bind, backend="asyncio" if backend == "trio" else "trio") == (True, False, True)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_value_is_made_once_for_each_event_loop(backend: str) -> None:
    value = PerLoop(list[int])

    async def add(number: int) -> list[int]:
        value().append(number)
        value().append(number)
        return value()

    assert anyio.run(add, 1, backend=backend) == [1, 1]
    assert anyio.run(add, 2, backend=backend) == [2, 2]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_real_clock_is_that_of_the_event_loop(backend: str) -> None:
    async def read() -> None:
        clock, start = RealClock(), anyio.current_time()
        assert start <= clock.now() <= anyio.current_time()
        await clock.sleep_until(start)
        with clock.deadline(start) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught

    anyio.run(read, backend=backend)
