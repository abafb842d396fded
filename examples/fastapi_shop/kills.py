"""Kill the shop at random moments while customers order, and count the messages that the service has accepted.

    python -m examples.fastapi_shop.kills --kills 100

The service is `smsc-async sandbox` in a process of its own; of one message in ten it executes the request and loses the
answer. Customers repeat each order until it is answered. Expected: doubled 0, lost 0.
"""

import argparse
import math
import os
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from time import monotonic

import anyio
import anyio.abc
import httpx

from smsc_async.sandbox import Account, Sandbox

BALANCE = "1000000"
TOO_OFTEN = 9
CUSTOMERS = 4
BETWEEN_ORDERS = 1.0  # seconds, on average
BETWEEN_KILLS = 0.0, 5.0  # seconds after the shop answers
PATIENCE = 180.0  # seconds for what is left after the last kill


@dataclass
class Run:
    """What has happened.

    Attributes:
        orders: The numbers of the orders that the shop has confirmed.
        kills: How often the shop was killed.
        accepted: How many messages of each id the service has accepted.
        repeated: How many messages needed another attempt, most of them because a kill came in between.
        error_9: How often the service has refused a request that came too soon.
        seconds: How long it took.
    """

    orders: list[int] = field(default_factory=list[int])
    kills: int = 0
    accepted: Counter[str] = field(default_factory=Counter[str])
    repeated: int = 0
    error_9: int = 0
    seconds: float = 0.0

    @property
    def doubled(self) -> int:
        """The number of messages that were sent again."""
        return self.accepted.total() - len(self.accepted)

    @property
    def lost(self) -> int:
        """The number of confirmed orders about which there is no message."""
        return sum(f"order-{number}-placed" not in self.accepted for number in self.orders)


class Shop:
    """The shop in a process that may be killed.

    Args:
        service: The URL of the service.
        database: The file of the shop.
    """

    def __init__(self, service: str, database: Path) -> None:
        self._port = free_port()
        self._environment = {**os.environ, "SMSC_URL": service, "SMSC_APIKEY": "demo", "SHOP_DATABASE": str(database)}
        self._process: anyio.abc.Process | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "uvicorn", "examples.fastapi_shop.app:app", "--port", str(self._port)]
        self._process = await anyio.open_process(
            [*command, "--log-level", "error"], env=self._environment, stdout=None, stderr=subprocess.DEVNULL
        )
        await until_answering(f"{self.url}/openapi.json", self._process)

    async def kill(self) -> None:
        """Kill it: it can't finish what it does."""
        if self._process is not None:
            self._process.kill()
            with anyio.CancelScope(shield=True):
                await self._process.wait()


async def measure(kills: int, *, seed: int = 0) -> Run:
    """Run the shop, kill it this often, let it send what is left, and return the counts."""
    run, chance, start = Run(), random.Random(seed), monotonic()  # noqa: S311 - repeatable on purpose
    with tempfile.TemporaryDirectory() as folder:
        async with sandbox(Path(folder, "sandbox")) as service:
            shop = Shop(f"{service}/sys/soap.php", Path(folder, "shop.db"))
            async with httpx.AsyncClient(base_url=shop.url, timeout=5.0) as http:
                try:
                    await shop.start()
                    async with anyio.create_task_group() as customers:
                        for number in range(CUSTOMERS):
                            customers.start_soon(customer, http, run, number, random.Random(chance.random()))  # noqa: S311 - as above
                        while run.kills < kills:
                            await anyio.sleep(chance.uniform(*BETWEEN_KILLS))
                            await shop.kill()
                            run.kills += 1
                            await shop.start()
                        customers.cancel_scope.cancel()
                    await until_sent(http)
                finally:
                    await shop.kill()
        count(Path(folder, "sandbox"), Path(folder, "shop.db"), run)
    run.seconds = monotonic() - start
    return run


async def customer(http: httpx.AsyncClient, run: Run, first: int, chance: random.Random) -> None:
    """Order now and then, and repeat each order until it is answered."""
    number = first
    while True:
        number += CUSTOMERS
        order = {"phone": f"+7999{number:07}", "item": "a kettle"}
        while not await placed(http, number, order):  # noqa: ASYNC110 - the shop is another process
            await anyio.sleep(0.1)
        run.orders.append(number)
        await anyio.sleep(chance.expovariate(1 / BETWEEN_ORDERS))


async def placed(http: httpx.AsyncClient, number: int, order: dict[str, str]) -> bool:
    """Place an order; return whether the shop has confirmed it."""
    try:
        answer = await http.put(f"/orders/{number}", json=order)
    except httpx.TransportError:
        return False
    return answer.is_success


async def until_sent(http: httpx.AsyncClient) -> None:
    """Wait until the shop has nothing more to send."""
    with anyio.fail_after(PATIENCE):
        while (await http.get("/outbox")).json()["unsent"]:  # noqa: ASYNC110 - as above
            await anyio.sleep(0.5)


@asynccontextmanager
async def sandbox(state: Path) -> AsyncGenerator[str, None]:
    """Serve a sandbox that loses answers, and yield its URL."""
    port = free_port()
    options = ["--port", str(port), "--state", str(state), "--latency", "0.2", "--balance", BALANCE, "--quiet"]
    fault = "lose_answer operation=send probability=0.1"
    command = [sys.executable, "-m", "smsc_async", "sandbox", *options, "--fault", fault]
    process = await anyio.open_process(command, stdout=subprocess.DEVNULL, stderr=None)
    try:
        await until_answering(f"http://127.0.0.1:{port}/readyz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        with anyio.CancelScope(shield=True):
            await process.wait()


async def until_answering(url: str, process: anyio.abc.Process) -> None:
    """Wait until a server that was just started answers."""
    async with httpx.AsyncClient() as http:
        with anyio.fail_after(60.0):
            while True:
                try:
                    await http.get(url)
                except httpx.TransportError:
                    if process.returncode is not None:
                        raise RuntimeError(f"the server has ended with {process.returncode}") from None
                    await anyio.sleep(0.05)
                else:
                    return


def count(state: Path, database: Path, run: Run) -> None:
    """Read what the service has accepted and refused, and how often the shop tried, after both have ended."""
    with reopened(state) as service:
        run.accepted.update(message.id for message in service.messages)
        run.error_9 = sum(number for (_, code), number in service.counts.items() if code == TOO_OFTEN)
    with closing(sqlite3.connect(database)) as shop:
        (run.repeated,) = shop.execute("SELECT count(*) FROM outbox WHERE attempts > 1").fetchone()


def reopened(state: Path) -> AbstractContextManager[Sandbox]:
    """Return what a sandbox has written to its file."""
    return closing(Sandbox(accounts=[replace(Account.demo(), balance=Decimal(BALANCE))], state=state))


def free_port() -> int:
    """Return a port that no program uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> int:
    """Measure, print the counts, and return the exit code."""
    options = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=random.randrange(math.factorial(9)))  # noqa: S311 - printed below
    arguments = options.parse_args()
    run = anyio.run(lambda: measure(arguments.kills, seed=arguments.seed))
    print(
        f"kills {run.kills}, orders {len(run.orders)}, accepted {run.accepted.total()}, attempts repeated "
        f"{run.repeated}, doubled {run.doubled}, lost {run.lost}, error 9: {run.error_9}, "
        f"{run.seconds:.0f} s, seed {arguments.seed}"
    )
    return 1 if run.doubled or run.lost else 0


if __name__ == "__main__":
    sys.exit(main())
