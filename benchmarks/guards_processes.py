"""Processes that share one Redis, are killed at random, and never break a limit.

    pip install '.[redis]'
    python -m benchmarks.guards_processes --windows 100 --processes 4

A small service counts what arrives, in strict windows; its network is slow and loses answers. The processes ask it for
the status of a few messages as often as their guards allow. Now and then one is killed with what it has in flight, and
another process replaces it. Windows are scaled from 60 s to 2 s. Exits with 1 if a limit was broken.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import random
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Final

from smsc_async import ApiKey, GetStatus, GuardError, Guards, MessageRef, Rule, Rules
from smsc_async.guards import Identity, RedisStore
from smsc_async.guards._demands import Completion, RequestArrival

MESSAGES: Final = 6
PER_WINDOW: Final = 5
IN_FLIGHT: Final = 4
DEADLINE: Final = 1.5
# Seconds after its sender gave up within which a request may reach the service; the network alone may hold it for UP.
LATE: Final = 1.0
UP: Final = 0.8 * LATE
MARGIN: Final = 0.04
TASKS: Final = 12
AddWorker = Callable[[int], BaseProcess]


@dataclass
class Service:
    """Counts arrivals as the real service does, independently of the processes.

    Attributes:
        window: The length of a window in seconds.
        chance: The source of latencies and losses.
        arrivals: The number of requests that arrived.
        refused: The number of them that found a full window or too many in flight: error 9.
        lost: The number of answers that never left.
        fullest: The maximum number of arrivals for one message in any window.
        crowd: The maximum number of requests in flight at once.
        by_process: Arrivals by the number of the process.
    """

    window: float
    chance: random.Random
    arrivals: int = 0
    refused: int = 0
    lost: int = 0
    fullest: int = 0
    crowd: int = 0
    by_process: Counter[int] = field(default_factory=Counter)
    _here: int = 0
    _recent: dict[int, deque[float]] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which carries one request at a time."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                process, message = map(int, (await reader.readuntil(b"\n")).split())
                await asyncio.sleep(self.chance.uniform(0, UP) * self.chance.random())
                self._arrive(process, message)
                try:
                    await asyncio.sleep(self.chance.uniform(0, 0.3))
                finally:
                    self._here -= 1
                await asyncio.sleep(self.chance.uniform(0, 0.1))
                if self.chance.random() < 0.05:  # the answer is lost
                    self.lost += 1
                    await asyncio.sleep(2 * DEADLINE)
                writer.write(b"answer\n")
                await writer.drain()
        writer.close()

    def _arrive(self, process: int, message: int) -> None:
        now = time.monotonic()
        recent = self._recent.setdefault(message, deque())
        while recent and recent[0] <= now - self.window:
            recent.popleft()
        recent.append(now)
        self._here += 1
        self.arrivals += 1
        self.by_process[process] += 1
        self.fullest = max(self.fullest, len(recent))
        self.crowd = max(self.crowd, self._here)
        self.refused += len(recent) > PER_WINDOW or self._here > IN_FLIGHT


def guards_of(url: str, window: float) -> Guards:
    """Return guards with windows as short as the service's."""
    rules = Rules(status=Rule(PER_WINDOW, window)).with_policies(login_failures="off", address_failures="off")
    return Guards(RedisStore.from_url(url, late_arrival=LATE), rules=rules, margin=MARGIN, late_arrival=LATE)


async def ask(number: int, port: int, guards: Guards, who: Identity, chance: random.Random) -> None:
    """Ask for the status of some message, within the deadline."""
    message = chance.randrange(MESSAGES)
    end = time.monotonic() + DEADLINE
    operation = GetStatus(ref=MessageRef(f"+7999000000{message}", "benchmark"))
    try:
        reservation = await guards.reserve(who, operation, within=DEADLINE)
    except GuardError as error:
        await asyncio.sleep(min(error.retry_after or 0.05, 0.2))
        return
    arrival = RequestArrival.LOST
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(max(end - time.monotonic(), 0)):
                writer.write(f"{number} {message}\n".encode())
                if await reader.readline():
                    arrival = RequestArrival.ANSWERED
        finally:
            writer.close()
    except (TimeoutError, ConnectionError):
        pass
    finally:
        guards.release(reservation, Completion(arrival))


def process(number: int, port: int, url: str, window: float) -> None:
    """Ask until killed."""

    async def main() -> None:
        guards = guards_of(url, window)
        guards.bind()
        who = Identity(ApiKey.model_validate({"key": "benchmark"}))
        chance = random.Random(os.getpid())

        async def work() -> None:
            while True:
                await ask(number, port, guards, who, chance)

        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(work())

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


@contextlib.asynccontextmanager
async def workers(count: int, add_worker: AddWorker) -> AsyncIterator[list[BaseProcess]]:
    """Run `count` processes, and end them all."""
    running: list[BaseProcess] = []
    try:
        running.extend(add_worker(number) for number in range(count))
        yield running
    finally:
        for each in running:
            each.kill()
        for each in running:
            each.join()


async def watch_over(
    running: list[BaseProcess], seconds: float, pause: float, chance: random.Random, add_worker: AddWorker
) -> int:
    """Kill processes at random moments and replace each; return the number of kills."""
    kills = 0
    end = time.monotonic() + seconds
    while True:
        await asyncio.sleep(min(chance.uniform(0.5, 1.5) * pause, max(end - time.monotonic(), 0)))
        if time.monotonic() >= end:
            return kills
        slot = chance.randrange(len(running))
        running[slot].kill()  # SIGKILL: it releases nothing
        running[slot].join()
        kills += 1
        running[slot] = add_worker(slot)


async def prove(
    url: str, *, windows: float, window: float, processes: int, pause: float, seed: int
) -> tuple[Service, int]:
    """Run the service and the processes; return the service with its counts, and the number of kills."""
    chance = random.Random(seed)
    service = Service(window, random.Random(seed))
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def add_worker(number: int) -> BaseProcess:
        added = multiprocessing.get_context("spawn").Process(
            target=process, args=(number, port, url, window), daemon=True
        )
        added.start()
        return added

    async with server, workers(processes, add_worker) as running:
        async with asyncio.timeout(60):
            while len(service.by_process) < processes:  # a process takes its time to start
                await asyncio.sleep(0.1)
        kills = await watch_over(running, windows * window, pause, chance, add_worker)
    return service, kills


def main() -> int:
    """Print the counts of the service."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", default="redis://127.0.0.1:6379/0", help="URL of the Redis to use")
    options.add_argument("--windows", type=float, default=100)
    options.add_argument("--window", type=float, default=2.0, help="seconds")
    options.add_argument("--processes", type=int, default=4)
    options.add_argument("--pause", type=float, default=3.0, help="mean seconds between two kills")
    options.add_argument("--seed", type=int, default=1)
    given = vars(options.parse_args())
    service, kills = asyncio.run(prove(given.pop("url"), **given))
    print(f"windows {given['windows']:.0f} of {given['window']} s, processes {given['processes']}, kills {kills}")
    print(f"arrivals {service.arrivals}, lost answers {service.lost}, error 9: {service.refused}")
    print(f"fullest window {service.fullest} of {PER_WINDOW}, most in flight {service.crowd} of {IN_FLIGHT}")
    print(f"arrivals by process {dict(sorted(service.by_process.items()))}")
    return int(service.refused > 0)


if __name__ == "__main__":
    sys.exit(main())
