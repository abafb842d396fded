"""How much later the tasks of a program run while the client works: 500 calls a second, and answers of 1 MB.

    python -m benchmarks.loop_lag [--seconds 5] [--rounds 5]

A task sleeps for a millisecond again and again; how much later it wakes up is the lag. It is measured without calls,
with calls of the client over both transports, and with aiohttp that posts ready bytes, in turn, so that what else the
machine does is in all of them. The CPU that the event loop used between two turns of that task is an upper bound of the
lag that is free of other programs. The figures are medians of the rounds.

The second table is the longest lag around one call whose answer has 1 MB, over loopback; the answers come from a
process of its own.
"""

import argparse
import asyncio
import gc
import gzip
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

import aiohttp

from benchmarks.floods import XML, envelope
from benchmarks.peers_server import FIELDS, Answering, http
from smsc_async import Client, GetStatus, MessageRef, SmscError
from smsc_async._protocol.contract import CONTRACT

RATE: Final = 500
STEP: Final = 0.001
SIZE: Final = 1_040_000  # with the envelope below `max_response_bytes`
REF: Final = MessageRef("+79991234567", "1")
Call = Callable[[], Awaitable[object]]


def report(inner: str) -> bytes:
    """Return the answer to `get_status` with further fields."""
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in FIELDS.items())
    contract = CONTRACT.operations["get_status"]
    result = f"<{contract.result}>{fields}{inner}</{contract.result}>"
    return envelope(f"<n:{contract.response}>{result}</n:{contract.response}>")


def many(element: str) -> str:
    """Return as many elements as an answer may have."""
    return element * (SIZE // len(element))


ANSWERS: Final = {
    "none": report(""),
    "one long text": report(f"<comment>{'a' * SIZE}</comment>"),
    "one long Cyrillic text": report(f"<comment>{'я' * (SIZE // 2)}</comment>"),
    "one long text of escapes": report(f"<comment>{many('&amp;')}</comment>"),
    "many empty elements": report(many("<a/>")),
    "many elements": report(many("<errors><phone>79161234567</phone><status>7</status></errors>")),
    "many line ends": report(many("\n")),
    "one long attribute": report(f'<comment a="{"a" * SIZE}"/>'),
    "one long comment": report(f"<!--{'a' * SIZE}-->"),
    "a page without XML": b"<html>" + b"a" * SIZE,
}


class Serving(Answering):
    """One connection to the server of this benchmark, which gives the answer that the path names."""

    def respond(self, head: bytes, body: bytes) -> None:  # noqa: ARG002 - as there
        """Answer a request."""
        kind, _, number = head.split(b" ")[1].decode().strip("/").partition("/")
        answer = list(ANSWERS.values())[int(number)]
        if kind == "gzip":
            packed = gzip.compress(answer)
            answer = http(packed).replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1)
        else:
            answer = http(answer)
        self._transport.write(answer)


async def serve() -> None:
    """Answer until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Serving, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def lags_during(work: Call) -> list[tuple[float, float]]:
    """Return by how much a task wakes up too late during the work, and the CPU used meanwhile; in milliseconds."""
    lags: list[tuple[float, float]] = []

    async def sample() -> None:
        before, used = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(STEP)
            now, cpu = time.perf_counter(), time.thread_time()
            lags.append(((now - before - STEP) * 1e3, (cpu - used) * 1e3))
            before, used = now, cpu

    async with asyncio.TaskGroup() as group:
        sampler = group.create_task(sample())
        await asyncio.sleep(0.02)
        lags.clear()
        await work()
        await asyncio.sleep(0.02)
        sampler.cancel()
    return lags


async def paced(call: Call, seconds: float) -> None:
    """Start calls at an even pace, however long each takes."""
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(RATE * seconds)):
            await asyncio.sleep(max(start + number / RATE - time.perf_counter(), 0))
            group.create_task(_called(call))


async def _called(call: Call) -> None:
    await call()


async def print_lags(url: str, rounds: int, seconds: float) -> None:
    """Print the lag without calls and with those of each client."""
    url += "/plain/0"
    async with (
        Client(apikey="key", url=url, guards=None) as default,
        Client(apikey="key", url=url, guards=None, transport="aiohttp") as other,
        aiohttp.ClientSession() as session,
    ):

        async def raw() -> None:
            async with session.post(url, data=b"<a/>" * 100, headers={"Content-Type": XML}) as response:
                await response.read()

        async def nothing() -> None:
            pass

        calls: dict[str, Call] = {
            "no calls": nothing,
            "raw aiohttp": raw,
            "smsc_async": lambda: default.call(GetStatus(ref=REF)),
            "smsc_async, aiohttp": lambda: other.call(GetStatus(ref=REF)),
        }
        found: dict[str, list[list[float]]] = {name: [] for name in calls}
        for call in calls.values():
            await paced(call, 2)
        gc.collect()
        gc.freeze()
        for _ in range(rounds):
            for name, call in calls.items():
                lags = await lags_during(partial(paced, call, seconds))
                late, used = (sorted(each) for each in zip(*lags, strict=True))
                at = int(len(lags) * 0.99)
                found[name].append([late[len(lags) // 2], late[at], used[at]])
    print(f"| {RATE} calls a second | p50, ms | p99, ms | added p99, ms | CPU p99, ms |\n|---|---|---|---|---|")
    for name, samples in found.items():
        p50, p99, cpu = map(statistics.median, zip(*samples, strict=True))
        added = statistics.median(one[1] - none[1] for one, none in zip(samples, found["no calls"], strict=True))
        print(f"| {name} | {p50:.2f} | {p99:.2f} | {added:.2f} | {cpu:.2f} |")


async def _asked(client: Client) -> None:
    with suppress(SmscError):
        await client.call(GetStatus(ref=REF))


async def print_stretches(url: str, rounds: int) -> None:
    """Print the longest lag around a call with each of the answers of 1 MB."""
    print("\n| answer of 1 MB | " + " | ".join(f"{name}, ms" for name in ("httpx", "gzip", "aiohttp", "gzip")) + " |")
    print("|---|---|---|---|---|")
    for number, name in enumerate(ANSWERS):
        columns = []
        for transport in (None, "aiohttp"):
            for kind in ("plain", "gzip"):
                longest = []
                for _ in range(rounds):
                    options = {"url": f"{url}/{kind}/{number}", "guards": None, "retries": 0, "transport": transport}
                    async with Client(apikey="key", **options) as client:  # type: ignore[arg-type]  # one dict for all
                        longest.append(max(await lags_during(partial(_asked, client)))[0])
                columns.append(f"{statistics.median(longest):.1f} ({min(longest):.1f})")
        print(f"| {name} | {' | '.join(columns)} |", flush=True)
    print("\nmedians, and the least in brackets")


async def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--serve", action="store_true", help="be the server")
    options = parser.parse_args()
    if options.serve:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        await serve()
    command = [sys.executable, "-m", "benchmarks.loop_lag", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: ASYNC220, S603 - our own command
        assert server.stdout is not None  # noqa: S101
        try:
            url = server.stdout.readline().strip()
            await print_lags(url, options.rounds, options.seconds)
            await print_stretches(url, options.rounds)
        finally:
            server.terminate()


if __name__ == "__main__":
    asyncio.run(main())
