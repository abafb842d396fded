"""The clients of campaign.py, one a process: `campaign_clients.py <name> <url> <warm-up> <seconds>`."""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from .peers_clients import HEADERS, PHONE, PHP_CLIENT, blocking

TEXT: Final = "Здравствуйте! Ваш заказ {} готов, приходите до 21:00"
GATHERED: Final = {"zeep AsyncClient, gather of 14": 14, "zeep AsyncClient, gather of 50": 50}
BLOCKING: Final = {"zeep, in sequence": "zeep", "suds, in sequence": "suds"}
READY: Final = 2_000
"""Requests whose bytes are made before the time is taken."""
Run: TypeAlias = Callable[[Iterator[int]], Awaitable[int]]
"""Sends a message for each of the numbers; returns how many were accepted."""


class Ours(NamedTuple):
    """How our client sends.

    Attributes:
        transport: Its transport, None for httpx.
        limited: Whether the rule `bad_sends` is on.
        workers: The argument of `send_batch`.
        size: The `batch_size`.
    """

    transport: Literal["aiohttp"] | None = "aiohttp"
    limited: bool = True
    workers: int | Literal["auto"] = "auto"
    size: int = 49


OURS: Final = {
    "smsc_async": Ours(),
    "smsc_async, httpx": Ours(None),
    "smsc_async, workers=1": Ours(workers=1),
    "smsc_async, 2 x 44": Ours(workers=2, size=44),
    "smsc_async, 4 x 22": Ours(workers=4, size=22),
    "smsc_async, 8 x 11": Ours(workers=8, size=11),
    "smsc_async, 10 x 49": Ours(limited=False),
    "smsc_async, 10 x 49, httpx": Ours(None, limited=False),
}
RAW: Final = {
    "raw httpx, 2 x 44": ("httpx", 2, 44),
    "raw aiohttp, 2 x 44": ("aiohttp", 2, 44),
    "raw aiohttp, 10 x 49": ("aiohttp", 10, 49),
}


@asynccontextmanager
async def ours(url: str, how: Ours) -> AsyncIterator[Run]:
    """Send with `Client.send_batch`."""
    from smsc_async import Client, Guards, Message, Rules  # noqa: PLC0415 - not a cost of the peers

    rules = Rules() if how.limited else Rules().with_policies(bad_sends="off")
    guards = Guards(rules=rules)
    async with Client(
        apikey="key", url=url, guards=guards, transport=how.transport, batch_size=how.size, deadline=None
    ) as client:

        async def run(numbers: Iterator[int]) -> int:
            messages = (Message(f"+{PHONE + number}", TEXT.format(number)) for number in numbers)
            accepted = 0
            async for outcome in client.send_batch(messages, workers=how.workers):
                accepted += outcome.ref is not None
            return accepted

        yield run


@asynccontextmanager
async def gathered(url: str, flight: int) -> AsyncIterator[Run]:
    """Send with zeep, a request a message, some at a time."""
    import httpx  # noqa: PLC0415 - not a cost of the others
    import zeep.transports  # noqa: PLC0415 - as above

    library: Any = zeep
    with httpx.Client() as wsdl_client:
        async with httpx.AsyncClient() as http:
            transport = library.transports.AsyncTransport(client=http, wsdl_client=wsdl_client)
            send = library.AsyncClient(f"{url}?wsdl", transport=transport).service.send_sms

            async def run(numbers: Iterator[int]) -> int:
                accepted = 0
                while some := [number for number, _ in zip(numbers, range(flight), strict=False)]:
                    sends = (
                        send(apikey="key", phones=f"+{PHONE + number}", mes=TEXT.format(number), id=f"a{number}")
                        for number in some
                    )
                    accepted += sum(bool(answer.cnt) for answer in await asyncio.gather(*sends))
                return accepted

            yield run


@asynccontextmanager
async def with_soap_client(url: str, library: str) -> AsyncIterator[Run]:
    """Send with a SOAP library, a request a message, in sequence."""
    send = blocking(library, url).send_sms

    async def run(numbers: Iterator[int]) -> int:
        return sum(
            bool(send(apikey="key", phones=f"+{PHONE + number}", mes=TEXT.format(number), id=f"a{number}").cnt)
            for number in numbers
        )

    yield run


@asynccontextmanager
async def in_sequence(url: str) -> AsyncIterator[Run]:
    """Send as the provider's library for Python does: a connection and a request for each message."""
    from smsc_async import ApiKey, Send  # noqa: PLC0415 - not a cost of the others
    from smsc_async._protocol.binding import encode  # noqa: PLC0415 - as above

    key = ApiKey.model_validate({"key": "key"})

    async def run(numbers: Iterator[int]) -> int:
        accepted = 0
        for number in numbers:
            body = encode(Send(to=(f"+{PHONE + number}",), text=TEXT.format(number)), key, url).body
            request = urllib.request.Request(url, bytes(body), HEADERS)  # noqa: S310 - our own server
            with urllib.request.urlopen(request) as answer:  # noqa: S310, ASYNC210 - it is a library for scripts
                accepted += b"<cnt>" in answer.read()
        return accepted

    yield run


@asynccontextmanager
async def _poster(url: str, library: str) -> AsyncIterator[Callable[[bytes], Awaitable[bytes]]]:
    if library == "aiohttp":
        import aiohttp  # noqa: PLC0415 - not a cost of the others

        async with aiohttp.ClientSession() as session:

            async def post(body: bytes) -> bytes:
                async with session.post(url, data=body, headers=HEADERS) as answer:
                    return await answer.read()

            yield post
    else:
        import httpx  # noqa: PLC0415 - as above

        async with httpx.AsyncClient() as client:

            async def post(body: bytes) -> bytes:
                return (await client.post(url, content=body, headers=HEADERS)).content

            yield post


@asynccontextmanager
async def raw(url: str, library: str, flight: int, size: int) -> AsyncIterator[Run]:
    """Post bytes that are ready, with as many requests in flight and messages in each."""
    from smsc_async import ApiKey, Message, SendList  # noqa: PLC0415 - as above
    from smsc_async._protocol.binding import encode  # noqa: PLC0415 - as above

    key, first = ApiKey.model_validate({"key": "key"}), PHONE + 500_000_000
    ready = [
        bytes(
            encode(SendList(messages=tuple(Message(f"+{first + at}", TEXT.format(at)) for at in each)), key, url).body
        )
        for each in (range(start, start + size) for start in range(0, READY * size, size))
    ]
    bodies = iter(ready)
    async with _poster(url, library) as post:

        async def run(numbers: Iterator[int]) -> int:
            accepted = 0

            async def worker() -> None:
                nonlocal accepted
                while next(numbers, None) is not None:
                    answer = await post(next(bodies))
                    accepted += size * (b"<cnt>" in answer)

            await asyncio.gather(*(worker() for _ in range(flight)))
            return accepted

        yield run


def opened(name: str, url: str) -> Any:
    """Return the context of a client."""
    if name in OURS:
        return ours(url, OURS[name])
    if name in RAW:
        return raw(url, *RAW[name])
    if name in GATHERED:
        return gathered(url, GATHERED[name])
    return with_soap_client(url, BLOCKING[name]) if name in BLOCKING else in_sequence(url)


def until(end: float, numbers: "count[int]") -> Iterator[int]:
    """Yield numbers until the time is over."""
    while time.perf_counter() < end:
        yield next(numbers)


async def measured(name: str, url: str, warm: float, seconds: float) -> dict[str, float]:
    """Return the messages a second of a client, and the CPU time of each in microseconds."""
    numbers = count()
    async with opened(name, url) as run:
        await run(until(time.perf_counter() + warm, numbers))
        cpu, start = time.process_time(), time.perf_counter()
        accepted = await run(until(start + seconds, numbers))
        cpu, took = time.process_time() - cpu, time.perf_counter() - start
    return {"rate": accepted / took, "cpu": cpu / accepted * 1e6}


def main() -> None:
    """Measure one client and print its figures as JSON."""
    name, url, warm, seconds = sys.argv[1:]
    if name == "PHP SoapClient, in sequence":
        subprocess.run(["php", str(PHP_CLIENT), url, warm, seconds, "send"], check=True)  # noqa: S603, S607 - our own command
    else:
        print(json.dumps(asyncio.run(measured(name, url, float(warm), float(seconds)))))


if __name__ == "__main__":
    main()
