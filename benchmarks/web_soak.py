"""Clients that go away, two workers, lost answers: does anything get lost, doubled, or grow?

    python -m benchmarks.web_soak --seconds 300

uvicorn runs `web_soak_app` in two workers, which share their guards in Redis. Each of 50 clients sends message after
message; a third of its requests it abandons at a random moment and repeats as the next attempt, as it does what was not
answered with 200. The service is `smsc-async sandbox` in a process of its own, which loses the answers of 10 % of the
sends. The load pauses after each round, until all messages are answered, and what the idle workers hold is measured.
Expected: doubled 0, lost 0, error 9: 0, and no growth after the first round.
"""

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

import anyio
import httpx

from benchmarks.web_soak_app import Gauges
from examples.fastapi_shop.kills import TOO_OFTEN, free_port, reopened, sandbox, until_answering
from tests.redis_server import RedisServer

CLIENTS = 50
WORKERS = 2
ROUNDS = 5
LEAVE = 1 / 3
PATIENCE = 240.0  # seconds for what is left at the end of a round
IDLE_AFTER = 8.0  # seconds after which a worker that has nothing to do is idle: connections, releases
LATE_ARRIVAL = 6.0  # seconds after which a request that was cut off arrives no more
MORE_MEMORY = 8 * 1024
"""By how many KiB the memory of a worker may differ."""
MOST_SOCKETS = 60
"""How many sockets a worker may hold: what a peak of load has opened is kept for the next one."""


@dataclass
class Soak:
    """What has happened.

    Attributes:
        sent: The numbers of the messages that the application has confirmed.
        left: How many requests were abandoned.
        answers: How many requests were answered with each status.
        gauges: What each worker held after each round.
        accepted: How many messages of each id the service has accepted.
        error_9: How many requests the service has refused because they came too soon.
    """

    sent: list[int] = field(default_factory=list[int])
    left: int = 0
    answers: Counter[int] = field(default_factory=Counter[int])
    gauges: list[dict[int, Gauges]] = field(default_factory=list[dict[int, Gauges]])
    accepted: Counter[str] = field(default_factory=Counter[str])
    error_9: int = 0

    @property
    def doubled(self) -> int:
        """The number of messages that were sent again."""
        return self.accepted.total() - len(self.accepted)

    @property
    def lost(self) -> int:
        """The number of messages that the application has confirmed and the service does not have."""
        return sum(f"soak-{number}" not in self.accepted for number in self.sent)

    @property
    def growth(self) -> list[str]:
        """What an idle worker holds too much of after the last round, compared with the first one."""
        found: list[str] = []
        for process, last in self.gauges[-1].items():
            first = self.gauges[0][process]
            most = Gauges(process=process, tasks=first.tasks, sockets=MOST_SOCKETS, memory=first.memory + MORE_MEMORY)
            found += [
                f"{name} of worker {process}: {getattr(first, name)} to {getattr(last, name)}"
                for name in ("tasks", "sockets", "memory")
                if getattr(last, name) > getattr(most, name)
            ]
        return found


class Load:
    """The clients.

    Args:
        url: The application.
        soak: The counts to update.
        seed: The seed of the random numbers.
        patient_after: After how many attempts a client abandons no more, and waits longer if the outcome is unknown.
    """

    def __init__(self, url: str, soak: Soak, seed: int, patient_after: float) -> None:
        self._url = url
        self._soak = soak
        self._chance = random.Random(seed)
        self._patient_after = patient_after
        self._number = 0

    async def run(self, seconds: float) -> None:
        """Send messages for some seconds, and then until each is confirmed."""
        end = monotonic() + seconds
        with anyio.fail_after(seconds + PATIENCE):
            async with anyio.create_task_group() as group:
                for _ in range(CLIENTS):
                    group.start_soon(self._client, end)

    async def _client(self, end: float) -> None:
        while monotonic() < end:
            self._number += 1
            number, attempt = self._number, 1
            async with httpx.AsyncClient(base_url=self._url, timeout=120.0) as http:
                while (pause := await self._pause_after(http, number, attempt)) is not None:
                    await anyio.sleep(pause)
                    attempt += 1
            self._soak.sent.append(number)

    async def _pause_after(self, http: httpx.AsyncClient, number: int, attempt: int) -> float | None:
        """Make a request, or abandon it; return the seconds until the next attempt, None if the message is sent."""
        query = {"attempt": attempt, "ends": self._chance.random() < 0.5}
        is_patient = attempt > self._patient_after
        leaves = self._chance.random() < LEAVE and not is_patient
        patience = self._chance.uniform(0.0, 0.6) if leaves else None
        with anyio.move_on_after(patience) as scope:
            answer = await http.put(f"/messages/{number}", params=query)
        if scope.cancelled_caught:
            self._soak.left += 1
            return 0.5
        self._soak.answers[answer.status_code] += 1
        if answer.status_code == 200:
            return None
        return float(answer.headers.get("Retry-After", LATE_ARRIVAL if is_patient else 1.0))


async def measure(seconds: float, *, rounds: int = ROUNDS, seed: int = 0, patient_after: float = math.inf) -> Soak:
    """Load the application for some seconds, and return the counts.

    Each further attempt requests the status, which the service allows five times a minute for one message. So impatient
    clients wait for a minute at the end of a round.
    """
    soak = Soak()
    with tempfile.TemporaryDirectory() as folder, RedisServer() as redis:
        async with sandbox(Path(folder, "state")) as service, application(service, redis.url) as url:
            load = Load(url, soak, seed, patient_after)
            for _ in range(rounds):
                await load.run(seconds / rounds)
                await anyio.sleep(IDLE_AFTER)
                soak.gauges.append(await gauges_of(url))
                show(soak)
        with reopened(Path(folder, "state")) as known:
            soak.accepted.update(message.id for message in known.messages)
            soak.error_9 = sum(number for (_, code), number in known.counts.items() if code == TOO_OFTEN)
    return soak


@asynccontextmanager
async def application(service: str, redis: str) -> AsyncGenerator[str, None]:
    """Run the application in its workers, and yield its URL."""
    port = free_port()
    options = ["--port", str(port), "--workers", str(WORKERS), "--log-level", "error"]
    variables = {"SMSC_URL": f"{service}/sys/soap.php", "SMSC_APIKEY": "demo", "REDIS_URL": redis}
    command = [sys.executable, "-m", "uvicorn", "benchmarks.web_soak_app:app", *options]
    process = await anyio.open_process(command, env={**os.environ, **variables}, stdout=None, stderr=subprocess.DEVNULL)
    try:
        await until_answering(f"http://127.0.0.1:{port}/openapi.json", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        with anyio.CancelScope(shield=True):
            await process.wait()


async def gauges_of(url: str) -> dict[int, Gauges]:
    """Ask, over new connections, until each worker has answered."""
    found: dict[int, Gauges] = {}
    with anyio.fail_after(60.0):
        while len(found) < WORKERS:
            async with httpx.AsyncClient(base_url=url) as http:
                gauges = Gauges.model_validate((await http.get("/gauges")).json())
            found.setdefault(gauges.process, gauges)
    return dict(sorted(found.items()))


def show(soak: Soak) -> None:
    """Print the last gauges."""
    held = (
        f"{each.tasks} tasks, {each.sockets} sockets, {each.memory / 1024:.1f} MiB" for each in soak.gauges[-1].values()
    )
    print(f"round {len(soak.gauges)}: {len(soak.sent)} messages; {'; '.join(held)}", flush=True)


def main() -> int:
    """Measure, print the counts, and return the exit code."""
    options = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    options.add_argument("--seconds", type=float, default=300.0)
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    start = monotonic()
    soak = anyio.run(partial(measure, arguments.seconds, seed=arguments.seed))
    print(
        f"{WORKERS} workers, {CLIENTS} clients, {monotonic() - start:.0f} s: messages {len(soak.sent)}, abandoned "
        f"requests {soak.left}, answers {dict(sorted(soak.answers.items()))}"
    )
    growth = soak.growth
    print(
        f"accepted {soak.accepted.total()}, doubled {soak.doubled}, lost {soak.lost}, error 9: {soak.error_9}, "
        f"growth: {', '.join(growth) or 'none'}"
    )
    return 1 if soak.doubled or soak.lost or soak.error_9 or growth else 0


if __name__ == "__main__":
    sys.exit(main())
