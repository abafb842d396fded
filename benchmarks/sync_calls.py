"""What a call costs without an event loop: eight threads of a synchronous client beside eight tasks of an async one.

The transport answers at once, so the rest is the time of the client and, for threads, of the way to the event loop and
back. The kinds alternate in rounds; the table has the medians.

    python -m benchmarks.sync_calls
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import NamedTuple

from benchmarks.observers import URL, Answering
from smsc_async import Client, sync


class Figures(NamedTuple):
    """What one round took.

    Attributes:
        seconds: The time of the clock.
        cpu: The time of the processor, of all threads.
    """

    seconds: float
    cpu: float


def timed(work: Callable[[], object]) -> Figures:
    """Return what a function took."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return Figures(time.perf_counter() - start, time.process_time() - cpu)


async def tasks(client: Client, workers: int, calls: int) -> None:
    """Make calls from tasks."""

    async def work() -> None:
        for _ in range(calls):
            await client.balance()

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())


def threads(client: sync.Client, pool: ThreadPoolExecutor, workers: int, calls: int) -> None:
    """Make calls from threads."""

    def work(_: int) -> None:
        for _ in range(calls):
            client.balance()

    list(pool.map(work, range(workers)))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=200, help="of each thread or task in a round")
    parser.add_argument("--workers", type=int, default=8)
    options = parser.parse_args()
    workers, calls = options.workers, options.calls
    with (
        asyncio.Runner() as runner,
        ThreadPoolExecutor(workers) as pool,
        sync.Client(apikey="key", url=URL, transport=Answering(), guards=None) as blocking,
    ):
        awaited = Client(apikey="key", url=URL, transport=Answering(), guards=None)
        kinds: dict[str, Callable[[], object]] = {
            f"async, {workers} tasks": lambda: runner.run(tasks(awaited, workers, calls)),
            f"sync, {workers} threads": lambda: threads(blocking, pool, workers, calls),
            "sync, 1 thread": lambda: threads(blocking, pool, 1, workers * calls),
        }
        figures: dict[str, list[Figures]] = {kind: [] for kind in kinds}
        for number in range(options.rounds + 1):  # the first one is no measurement
            for kind, work in kinds.items():
                figures[kind] += [timed(work)][: number and 1]
        runner.run(awaited.aclose())
    for kind, rounds in figures.items():
        rate = workers * calls / median(each.seconds for each in rounds)
        cpu = median(each.cpu for each in rounds) / (workers * calls)
        print(f"{kind:18}{rate:8.0f} calls/s{cpu * 1e6:8.0f} us of CPU a call")


if __name__ == "__main__":
    main()
