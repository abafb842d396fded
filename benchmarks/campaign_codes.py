"""How long a one-time code takes beside a campaign of another process, over one Redis.

    pip install '.[aiohttp,redis,taskiq]'                   # and a redis-server
    python -m benchmarks.campaign_codes                     # half a minute

The server of campaign.py answers each request after some time. One process sends a campaign as fast as it may, with
`Client.send_batch` or as a worker of `SmscTasks`, and another one sends a one-time code now and then; the guards of
both are in one Redis. Times are in request times: 1 is the time that the server takes.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from itertools import count
from typing import Final, NamedTuple
from uuid import uuid4

from redis.asyncio import Redis
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from smsc_async import Client, Guards, Message
from smsc_async.guards import RedisStore
from smsc_async.taskiq import SmscTasks
from tests.redis_server import RedisServer

from .peers import ROOT
from .peers_clients import PHONE

SALT: Final = "benchmark"
KINDS: Final = ("send_batch", "tasks")
WORKER_TASKS: Final = 10


class Codes(NamedTuple):
    """What one-time codes took, in request times, and what the server counted.

    Attributes:
        median: Half of them took less.
        longest: The longest one.
        accepted: The messages of the campaign and the codes.
        doubled: Messages that were accepted twice.
        error_9: Requests over the limit of the service.
    """

    median: float
    longest: float
    accepted: int
    doubled: int
    error_9: int


def _messages() -> "count[int]":
    return count(PHONE + 100_000)


async def campaign(url: str, redis: str) -> None:
    """Send messages until the process is ended."""
    store = RedisStore.from_url(redis, salt=SALT)
    async with Client(apikey="key", url=url, guards=Guards(store), transport="aiohttp") as client:
        async for _ in client.send_batch(Message(f"+{phone}", f"Lot {phone}") for phone in _messages()):
            pass


async def worker(url: str, redis: str) -> None:
    """Queue messages and send them as a worker, until the process is ended."""
    broker = RedisStreamBroker(redis, consumer_id="0", idle_timeout=60_000, queue_name=str(uuid4()))
    tasks = SmscTasks(
        broker,
        lambda guards: Client(apikey="key", url=url, guards=guards, transport="aiohttp"),
        salt=SALT,
    )
    await broker.startup()
    numbers = _messages()
    async for _ in tasks.send_batch(Message(f"+{next(numbers)}", "Lot") for _ in range(20_000)):
        pass
    await run_receiver_task(broker, run_startup=True, max_async_tasks=WORKER_TASKS)


async def codes(url: str, redis: str, number: int, latency: float, first: int) -> list[float]:
    """Send one-time codes; return the request times that each took."""
    store, took = RedisStore.from_url(redis, salt=SALT), []
    async with Client(apikey="key", url=url, guards=Guards(store), transport="aiohttp") as client:
        await client.send(f"+{PHONE + first}", "The first connects")
        for each in range(1, number + 1):
            await asyncio.sleep(latency * 1.3)
            start = time.perf_counter()
            await client.send(f"+{PHONE + first + each}", f"Your code is {each}")
            took.append((time.perf_counter() - start) / latency)
    return took


async def measured(number: int, latency: float) -> dict[str, Codes]:
    """Return what codes take alone and beside each kind of campaign."""
    found = {}
    command = [sys.executable, "-m", "benchmarks.campaign_server", "", str(latency)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603, ASYNC220
        assert server.stdout is not None  # noqa: S101
        url = server.stdout.readline().strip()
        try:
            for at, kind in enumerate(("alone", *KINDS)):
                with RedisServer() as redis:
                    found[kind] = await _beside(kind, url, redis.url, number, latency, at * 1000)
        finally:
            server.terminate()
    return found


async def _beside(kind: str, url: str, redis: str, number: int, latency: float, first: int) -> Codes:  # noqa: PLR0917
    command = [sys.executable, "-m", "benchmarks.campaign_codes", "--run", kind, url, redis]
    other = None if kind == "alone" else subprocess.Popen(command, cwd=ROOT)  # noqa: S603, ASYNC220
    try:
        if other is not None:
            await _until_it_sends(redis)
        took = await codes(url, redis, number, latency, first)
        if other is not None and other.poll() is not None:
            raise RuntimeError("the campaign has ended")
    finally:
        if other is not None:
            other.terminate()
            other.wait()
    with urllib.request.urlopen(url.replace("/sys/soap.php", "/counts")) as answer:  # noqa: S310, ASYNC210 - our own
        counted = json.load(answer)
    return Codes(statistics.median(took), max(took), counted["accepted"], counted["doubled"], counted["error_9"])


async def _until_it_sends(redis: str) -> None:
    async with Redis.from_url(redis) as client:
        while not await client.keys("*:subscriber:*"):
            await asyncio.sleep(0.05)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codes", type=int, default=60)
    parser.add_argument("--latency", type=float, default=0.06)
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        kind, url, redis = options.run
        asyncio.run((campaign if kind == "send_batch" else worker)(url, redis))
        return
    print("| beside | median | longest | messages accepted | doubled | error 9 |\n|---|---|---|---|---|---|")
    for kind, found in asyncio.run(measured(options.codes, options.latency)).items():
        counts = f"{found.accepted} | {found.doubled} | {found.error_9}"
        print(f"| {kind} | {found.median:.2f} | {found.longest:.2f} | {counts} |")


if __name__ == "__main__":
    main()
