"""The clients of peers.py, one a process: `peers_clients.py <name> <in flight> <url> <warm-up> <seconds>`."""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

PHP_CLIENT: Final = Path(__file__).with_name("peers_client.php")
PHONE: Final = 79_990_000_000
HEADERS: Final = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '"benchmark"'}
Once: TypeAlias = Callable[[int], Awaitable[object]]


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _ready(url: str) -> bytes:
    """Return the bytes of a request, for clients that don't build one."""
    from smsc_async import ApiKey, GetStatus, MessageRef  # noqa: PLC0415 - our memory must not count for a peer
    from smsc_async._protocol.binding import encode  # noqa: PLC0415 - as above

    key = ApiKey.model_validate({"key": "benchmark"})
    return encode(GetStatus(ref=MessageRef(f"+{PHONE}", "a1")), key, url).body


def _guards() -> Any:
    """Return guards whose rules have their usual cost but never delay a request."""
    from smsc_async import Guards, Rule, Rules  # noqa: PLC0415 - as above

    return Guards(rules=Rules(in_flight=Rule(54), status_in_flight=Rule(54)))


@asynccontextmanager
async def _ours(url: str, transport: Literal["aiohttp"] | None) -> AsyncIterator[Once]:
    from smsc_async import Client, MessageRef  # noqa: PLC0415 - as above

    async with Client(apikey="benchmark", url=url, guards=_guards(), transport=transport) as client:
        yield lambda number: client.status(MessageRef(f"+{PHONE + number}", "a1"))


@asynccontextmanager
async def _zeep(url: str) -> AsyncIterator[Once]:
    import httpx  # noqa: PLC0415 - as above
    import zeep.transports  # noqa: PLC0415 - as above

    library: Any = zeep
    with httpx.Client() as wsdl_client:
        async with httpx.AsyncClient() as http:
            transport = library.transports.AsyncTransport(client=http, wsdl_client=wsdl_client)
            ask = library.AsyncClient(f"{url}?wsdl", transport=transport).service.get_status
            yield lambda number: ask(apikey="benchmark", phone=f"+{PHONE + number}", id="a1", all=0)


@asynccontextmanager
async def _raw_httpx(url: str) -> AsyncIterator[Once]:
    import httpx  # noqa: PLC0415 - as above

    body = _ready(url)
    async with httpx.AsyncClient() as client:
        yield lambda _: client.post(url, content=body, headers=HEADERS)


@asynccontextmanager
async def _raw_aiohttp(url: str) -> AsyncIterator[Once]:
    import aiohttp  # noqa: PLC0415 - as above

    body = _ready(url)
    async with aiohttp.ClientSession() as session:

        async def once(_: int) -> bytes:
            async with session.post(url, data=body, headers=HEADERS) as response:
                return await response.read()

        yield once


class _Bare(asyncio.Protocol):
    """One connection with one request at a time."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass on the answer, which is small enough to arrive in one piece."""
        if self.answered is not None:
            self.answered.set_result(data)


@asynccontextmanager
async def _bare(url: str) -> AsyncIterator[Once]:
    body, loop = _ready(url), asyncio.get_running_loop()
    port = int(url.split(":")[2].split("/", maxsplit=1)[0])
    head = f"POST /sys/soap.php HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    idle: list[_Bare] = []

    async def once(_: int) -> bytes:
        protocol = idle.pop() if idle else (await loop.create_connection(_Bare, "127.0.0.1", port))[1]
        protocol.answered = loop.create_future()
        protocol.transport.write(request)
        answer = await protocol.answered
        idle.append(protocol)
        return answer

    yield once
    for protocol in idle:
        protocol.transport.close()


ASYNC: Final[Mapping[str, Callable[[str], Any]]] = {
    "smsc_async": lambda url: _ours(url, None),
    "smsc_async, aiohttp": lambda url: _ours(url, "aiohttp"),
    "smsc_async, uvloop": lambda url: _ours(url, None),
    "smsc_async, aiohttp, uvloop": lambda url: _ours(url, "aiohttp"),
    "zeep AsyncClient": _zeep,
    "raw httpx": _raw_httpx,
    "raw aiohttp": _raw_aiohttp,
    "bare Protocol": _bare,
}


async def many(once: Once, flight: int, numbers: "count[int]", seconds: float) -> int:
    """Make calls for `seconds`, `flight` at a time; return their number."""
    end, made = time.perf_counter() + seconds, 0

    async def worker() -> None:
        nonlocal made
        while time.perf_counter() < end:
            await once(next(numbers))
            made += 1

    await asyncio.gather(*(worker() for _ in range(flight)))
    return made


async def measured(name: str, flight: int, url: str, warm: float, seconds: float) -> dict[str, float]:
    """Return the cost of a call of an async client."""
    async with ASYNC[name](url) as once:
        numbers = count()
        await many(once, flight, numbers, warm)
        cpu, start = time.process_time(), time.perf_counter()
        made = await many(once, flight, numbers, seconds)
        cpu, took = time.process_time() - cpu, time.perf_counter() - start
    return {"cpu": cpu / made * 1e6, "rate": made / took, "memory": _memory()}


def blocking(name: str, url: str) -> Any:
    """Return the methods of a blocking client."""
    if name == "zeep":
        import zeep  # noqa: PLC0415 - as above

        library: Any = zeep
        return library.Client(f"{url}?wsdl").service
    import suds.client  # noqa: PLC0415 - as above

    return suds.client.Client(f"{url}?wsdl", cache=None).service


def measured_blocking(name: str, url: str, warm: float, seconds: float) -> dict[str, float]:
    """Return the cost of a call of a blocking client."""
    ask, numbers = blocking(name, url).get_status, count()
    for length in (warm, seconds):
        cpu, start, made = time.process_time(), time.perf_counter(), 0
        while time.perf_counter() < start + length:
            ask(apikey="benchmark", phone=f"+{PHONE + next(numbers)}", id="a1", all=0)
            made += 1
        cpu, took = time.process_time() - cpu, time.perf_counter() - start
    return {"cpu": cpu / made * 1e6, "rate": made / took, "memory": _memory()}


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


class _AtOnce:
    """A transport that always returns the same answer."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def post(self, *_: object) -> Any:
        """Return the answer."""
        return self._answer

    async def aclose(self) -> None:
        """Do nothing."""


def own() -> dict[str, float]:
    """Return our own work, and the costs that a program has once."""
    start = time.process_time()
    import smsc_async  # noqa: PLC0415 - the import is measured

    rooted = (time.process_time() - start) * 1e3
    _ = smsc_async.Client  # imports what sends
    imported = (time.process_time() - start) * 1e3
    from benchmarks.peers_server import envelope  # noqa: PLC0415 - as above

    url = "https://sms.test/sys/soap.php"
    answer = smsc_async.Reply(200, "text/xml; charset=utf-8", envelope(url))
    touched: list[str] = []
    smsc_async.Client(apikey="benchmark", url=url)  # imports httpx
    sys.addaudithook(lambda event, _: touched.append(event) if event.partition(".")[0] in {"open", "socket"} else None)
    made = _timed(lambda: smsc_async.Client(apikey="benchmark", url=url))
    blocking = float(len(touched))

    async def calls() -> tuple[float, list[float]]:
        async with smsc_async.Client(apikey="key", url=url, guards=_guards(), transport=_AtOnce(answer)) as client:
            numbers, times = count(), []

            async def some(number: int) -> float:
                refs = [smsc_async.MessageRef(f"+{PHONE + next(numbers)}", "a1") for _ in range(number)]
                before = time.process_time()
                for ref in refs:
                    await client.status(ref)
                return (time.process_time() - before) / number * 1e6

            first = await some(1)
            await some(2000)
            times += [await some(2000) for _ in range(5)]
            return first, times

    first, times = asyncio.run(calls())
    return {
        "work a call without a network, us": min(times),
        "import smsc_async, ms": rooted,
        "from smsc_async import Client, ms": imported,
        "making a client (the second one), ms": made,
        "files and sockets that its constructor opens": blocking,
        "first call without a network, us": first,
    }


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if not name.endswith("uvloop"):
        return asyncio.new_event_loop
    import uvloop  # noqa: PLC0415 - not a cost of the others

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def main() -> None:
    """Measure one client and print its costs as JSON."""
    name, *rest = sys.argv[1:]
    if name == "own":
        print(json.dumps(own()))
        return
    flight, url, warm, seconds = int(rest[0]), rest[1], float(rest[2]), float(rest[3])
    if name == "PHP SoapClient":
        subprocess.run(["php", str(PHP_CLIENT), url, str(warm), str(seconds), "status"], check=True)  # noqa: S603, S607 - our own command
    elif name in ASYNC:
        with asyncio.Runner(loop_factory=_loop_factory(name)) as runner:
            print(json.dumps(runner.run(measured(name, flight, url, warm, seconds))))
    else:
        print(json.dumps(measured_blocking(name, url, warm, seconds)))


if __name__ == "__main__":
    main()
