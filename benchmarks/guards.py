"""The cost of the guards, and the errors of limiters that count starts.

    pip install '.[redis]' limits aiolimiter pyrate-limiter throttled-py
    python -m benchmarks.guards

Three tables:
  cost    CPU microseconds to reserve and release a status call, with 1 to 1,000,000 keys, beside limiters of other
          libraries that only count (medians of interleaved rounds, with their spread), and bytes a key
  breach  one status asked for by several tasks, each request 0 to 20 s on its way up and 0 to 8 s down: how many of
          them arrive in a window of the service that is full. One second here stands for a minute.
  redis   requests a second with 4 processes and one redis-server, if there is one
"""

import argparse
import asyncio
import gc
import multiprocessing
import random
import shutil
import socket
import statistics
import subprocess
import time
import tracemalloc
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from aiolimiter import AsyncLimiter
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from pyrate_limiter import InMemoryBucket, Limiter, Rate
from throttled.asyncio import Throttled, rate_limiter

from smsc_async import ApiKey, GetStatus, Guards, MessageRef, Rule, Rules
from smsc_async.guards import Identity, RedisStore
from smsc_async.guards._demands import Completion, RequestArrival

WHO: Final = Identity(ApiKey.model_validate({"key": "benchmark"}))
ANSWERED: Final = Completion(RequestArrival.ANSWERED)
SCALE: Final = 60.0
Once = Callable[[int], Awaitable[object]]


def status(number: int) -> GetStatus:
    """Return the operation that asks for the status of some message."""
    return GetStatus(ref=MessageRef(f"+7{9_000_000_000 + number}", "benchmark"))


# --- cost ---


async def our_work() -> Once:
    """Return the work of the guards for one call."""
    guards = Guards()
    guards.bind()
    operations = [status(number) for number in range(20_000)]

    async def once(number: int) -> None:
        reservation = await guards.reserve(WHO, operations[number % len(operations)], within=90)
        guards.release(reservation, ANSWERED)

    await once(0)  # the credentials are proven
    return once


async def their_work() -> dict[str, Once]:
    """Return the same for other limiters: one key, with a rate at which no call is refused."""
    moving, item = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerSecond(5, 60)
    throttled = Throttled(using="sliding_window", quota=rate_limiter.per_min(5))
    bucket = Limiter(InMemoryBucket([Rate(1_000_000, 60_000)]))  # a bucket for each key would be a thread for each
    leaky: dict[int, AsyncLimiter] = {}

    async def with_leaky(number: int) -> None:
        async with leaky.setdefault(number, AsyncLimiter(5, 60)):
            pass

    return {
        "limits, moving window": lambda number: moving.hit(item, str(number)),
        "throttled-py, sliding window": lambda number: throttled.limit(str(number)),
        "aiolimiter, one limiter a key": with_leaky,
        "pyrate-limiter, one bucket": lambda _: bucket.try_acquire_async("status", blocking=False),
    }


async def cost(rounds: int, calls: int) -> None:
    """Print the cost of a call."""
    works = {"smsc_async, all six rules": await our_work(), **await their_work()}
    figures: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds):
        for name, work in works.items():
            gc.collect()
            start = time.process_time()
            for number in range(turn * calls, (turn + 1) * calls):
                await work(number)
            figures[name].append((time.process_time() - start) / calls * 1e6)
    print(f"\nCPU microseconds a call, median (min to max) of {rounds} rounds of {calls} calls, a new key each")
    for name, values in figures.items():
        print(f"  {name:34} {statistics.median(values):7.1f}  ({min(values):.1f} to {max(values):.1f})")


async def many_keys(counts: list[int], rounds: int) -> None:
    """Print the cost of a call and the bytes of a key, by the number of keys."""
    print("\nguards with many active keys: CPU microseconds a call (median, min to max), bytes a key")
    for count in counts:
        guards = Guards()
        guards.bind()
        for number in range(count):
            guards.release(await guards.reserve(WHO, status(number), within=90), ANSWERED)
        asked = [status(number) for number in random.Random(1).sample(range(count), min(count, 2000))]
        values = []
        for turn in range(rounds):
            if turn % 4 == 3 or count == 1:  # a message has five slots
                asked = [status(count + turn * 2000 + number) for number in range(2000)]
            gc.collect()
            start = time.process_time()
            for operation in asked:
                guards.release(await guards.reserve(WHO, operation, within=90), ANSWERED)
            values.append((time.process_time() - start) / len(asked) * 1e6)
        size = f"{await bytes_a_key(count):6.0f}" if count >= 1000 else "     -"
        print(f"  {count:9,} keys  {statistics.median(values):6.1f}  ({min(values):.1f} to {max(values):.1f})  {size}")


async def bytes_a_key(count: int) -> float:
    """Return the bytes that each of `count` keys takes."""
    gc.collect()
    tracemalloc.start()
    guards = Guards()
    guards.bind()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        guards.release(await guards.reserve(WHO, status(number), within=90), ANSWERED)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / count


# --- breaches ---


class Arrivals:
    """Counts the arrivals under one key as the service does: at most 5 in any window."""

    def __init__(self) -> None:
        self.total = self.refused = 0
        self._recent: deque[float] = deque()

    def arrive(self) -> None:
        """Count an arrival."""
        now = asyncio.get_running_loop().time()
        while self._recent and self._recent[0] <= now - 60 / SCALE:
            self._recent.popleft()
        self.total += 1
        self.refused += len(self._recent) >= 5
        self._recent.append(now)


async def travel(service: Arrivals, chance: random.Random) -> None:
    """Wait for the request to arrive, count it, and wait for its answer."""
    await asyncio.sleep(chance.uniform(0, 20) / SCALE)
    service.arrive()
    await asyncio.sleep(chance.uniform(0, 8) / SCALE)


def our_route(service: Arrivals, chance: random.Random) -> Callable[[], Awaitable[None]]:
    """Return one call under the guards."""
    rules = Rules(status=Rule(5, 60 / SCALE), status_in_flight=Rule(50), in_flight=Rule(50))
    guards = Guards(rules=rules.with_policies(login_failures="off", address_failures="off"), margin=1.2 / SCALE)
    guards.bind()
    operation = status(0)

    async def call() -> None:
        reservation = await guards.reserve(WHO, operation, within=3600)
        await travel(service, chance)
        guards.release(reservation, ANSWERED)

    return call


def their_routes(service: Arrivals, chance: random.Random) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return one call under each of the other limiters, with the same limit and the same margin."""
    span = 61.2 / SCALE
    moving, item = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerSecond(5, 1)
    throttled = Throttled(using="sliding_window", quota=rate_limiter.per_sec(5))
    bucket = Limiter(InMemoryBucket([Rate(5, round(span * 1000))]))
    leaky = AsyncLimiter(5, span)

    async def with_limits() -> None:
        while not await moving.hit(item, "status"):
            await asyncio.sleep(0.005)
        await travel(service, chance)

    async def with_throttled() -> None:
        while (await throttled.limit("status")).limited:
            await asyncio.sleep(0.005)
        await travel(service, chance)

    async def with_bucket() -> None:
        while not await bucket.try_acquire_async("status", blocking=False):
            await asyncio.sleep(0.005)
        await travel(service, chance)

    async def with_leaky() -> None:
        async with leaky:
            pass
        await travel(service, chance)

    return {
        "limits, moving window": with_limits,
        "throttled-py, sliding window": with_throttled,
        "pyrate-limiter": with_bucket,
        "aiolimiter": with_leaky,
    }


async def hammer(call: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Let ten tasks call repeatedly for `seconds`."""
    end = asyncio.get_running_loop().time() + seconds

    async def work() -> None:
        while asyncio.get_running_loop().time() < end:
            await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(work())


async def breach(seconds: float, seed: int) -> None:
    """Print how often each limiter breaks the limit."""
    print(f"\nrequests that reach a full window of the service, in {seconds:.0f} windows, seed {seed}")
    services: dict[str, Arrivals] = {}
    calls: dict[str, Callable[[], Awaitable[None]]] = {}
    for name in ["smsc_async", *their_routes(Arrivals(), random.Random())]:
        services[name], chance = Arrivals(), random.Random(seed)
        routes = {"smsc_async": our_route(services[name], chance), **their_routes(services[name], chance)}
        calls[name] = routes[name]
    async with asyncio.TaskGroup() as group:
        for call in calls.values():
            group.create_task(hammer(call, seconds))
    for name, service in services.items():
        share = service.refused / service.total
        print(f"  {name:34} {service.refused:5} of {service.total:5}  {share:6.1%}")


# --- Redis ---


def one_process(url: str, number: int, seconds: float) -> int:
    """Reserve and release as fast as one process can, and return how often."""

    async def main() -> int:
        rules = Rules(in_flight=Rule(1000), status_in_flight=Rule(1000))
        guards = Guards(RedisStore.from_url(url), rules=rules)
        guards.bind()
        done = 0
        guards.release(await guards.reserve(WHO, status(0), within=90), ANSWERED)
        end = time.monotonic() + seconds

        async def work(first: int) -> None:
            nonlocal done
            turn = 0
            while time.monotonic() < end:
                operation = status(number * 100_000_000 + first * 1_000_000 + turn)
                guards.release(await guards.reserve(WHO, operation, within=90), ANSWERED)
                done, turn = done + 1, turn + 1

        async with asyncio.TaskGroup() as group:
            for first in range(8):
                group.create_task(work(first))
        await guards.aclose()
        return done

    return asyncio.run(main())


def redis(seconds: float) -> None:
    """Print the rate of four processes."""
    if shutil.which("redis-server") is None:
        print("\nno redis-server here")
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]
    server = subprocess.Popen(command)  # noqa: S603 - a fixed command
    try:
        time.sleep(0.5)
        for processes in (1, 4):
            with multiprocessing.get_context("spawn").Pool(processes) as pool:
                given = [(f"redis://127.0.0.1:{port}/0", number, seconds) for number in range(processes)]
                rate = sum(pool.starmap(one_process, given)) / seconds
            print(f"\n{processes} process(es), one redis-server: {rate:,.0f} calls a second (reserve and release)")
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=11)
    options.add_argument("--keys", type=int, nargs="*", default=[1, 1_000, 100_000, 1_000_000])
    options.add_argument("--windows", type=float, default=60, help="length of the breach table")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--skip-redis", action="store_true")
    given = options.parse_args()
    asyncio.run(cost(given.rounds, 5_000))
    asyncio.run(many_keys(given.keys, given.rounds))
    asyncio.run(breach(given.windows, given.seed))
    if not given.skip_redis:
        redis(3.0)


if __name__ == "__main__":
    main()
