"""How long a flood of data holds up the event loop, and how much memory hostile documents leave behind.

    python -m benchmarks.floods [--rounds 5] [--hostile 300]

A task sleeps for a millisecond again and again while the client or the sandbox works on a flood; the longest time
between two of its turns, less that millisecond, is the stretch in which nothing else could run. Each flood is a process
of its own; the figure is the median of the rounds. The last rows are the growth of the resident memory over `--hostile`
documents with 4,000 names each that no other document has.

What was imported is frozen first, as `gc.freeze` does for a service: a full collection of it alone takes 50 ms.
"""

import argparse
import dataclasses
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Final

import anyio
import httpx

from benchmarks.watch_memory import resident
from smsc_async import Client, Message, Reply, SmscError, Timeout
from smsc_async._cli.doctor import examine
from smsc_async.guards import Guards
from smsc_async.sandbox import Account, Limits, Sandbox

URL: Final = "https://sms.test/sys/soap.php"
XML: Final = "text/xml; charset=utf-8"
SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
STEP: Final = 0.001


def envelope(inner: str) -> bytes:
    """Return an envelope with this content."""
    return f'<e:Envelope xmlns:e="{SOAP}" xmlns:n="{URL}"><e:Body>{inner}</e:Body></e:Envelope>'.encode()


def wsdl(inner: str, attributes: str = "") -> bytes:
    """Return a WSDL with this content."""
    spaces = 'xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://www.w3.org/2001/XMLSchema"'
    return f'<definitions {spaces} targetNamespace="urn:x" {attributes}>{inner}</definitions>'.encode()


class Service:
    """A transport that answers everything with one document, and shows one at `?wsdl`.

    Args:
        body: The answer, given the number of the request.
        document: The WSDL.
        status: The HTTP status of the answer.
    """

    def __init__(self, body: Callable[[int], bytes], document: bytes = b"", status: int = 200) -> None:
        self._body, self._document, self._status = body, document, status
        self._count = 0

    async def post(self, _url: str, _headers: Mapping[str, str], _body: bytes, _timeout: Timeout) -> Reply:
        """Answer a request."""
        self._count += 1
        await anyio.sleep(0.005)
        return Reply(self._status, XML, self._body(self._count))

    async def get(self, _url: str, _timeout: Timeout) -> Reply:
        """Show the WSDL."""
        await anyio.sleep(0.005)
        return Reply(200, XML, self._document)

    async def aclose(self) -> None:
        """Do nothing."""


def client_of(service: Service, *, guards: Guards | None = None) -> Client:
    """Return a client of a service, whose errors are the answer."""
    return Client(
        apikey="key", url=URL, transport=service, guards=guards, on_unknown="raise", max_response_bytes=1 << 24
    )


async def _longest(work: Callable[[], Awaitable[object]]) -> float:
    """Return the longest stretch in seconds in which another task had no turn."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        while True:
            await anyio.sleep(STEP)
            now = time.perf_counter()
            longest, last = max(longest, now - last - STEP), now

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await anyio.sleep(0.02)
        with suppress(SmscError):
            await work()
        await anyio.sleep(0.02)
        group.cancel_scope.cancel()
    return longest


def _sent(errors: str) -> bytes:
    return envelope(f"<n:Send2Response><sendresult><cnt>1</cnt>{errors}</sendresult></n:Send2Response>")


def _refused(count: int) -> bytes:
    errors = "".join(f"<errors><phone>7916{number:07}</phone><status>7</status></errors>" for number in range(count))
    return _sent(errors)


_FAULT: Final = envelope(
    "<e:Fault><faultcode>Server</faultcode><faultstring>Procedure 'send' not present</faultstring></e:Fault>"
)
_ATTRIBUTES: Final = " ".join(f'a{number}=""' for number in range(85_000))
_SHARED: Final = (
    '<types><s:schema><s:element name="e"><s:complexType>'
    + '<s:element name="f" type="string"/>' * 8_000
    + '</s:complexType></s:element></s:schema></types><message name="m"><part element="e"/></message><portType>'
    + "".join(
        f'<operation name="o{number}"><input message="m"/><output message="m"/></operation>' for number in range(6_000)
    )
    + "</portType>"
)


async def single(body: bytes) -> float:
    """Send one message to a service that gives this answer."""
    return await _longest(lambda: client_of(Service(lambda _: body)).send("+79161234567", "Hi"))


async def batch(body: bytes, count: int) -> float:
    """Send a batch to a service that gives this answer to each request."""
    messages = (Message(f"+7999{number:07}", "Hi") for number in range(count))
    return await _longest(lambda: _exhaust(client_of(Service(lambda _: body)).send_batch(messages)))


async def heal(document: bytes) -> float:
    """Send one message to a service that expects another namespace, and shows this WSDL."""
    service = Service(lambda _: _FAULT, document, status=500)
    return await _longest(lambda: client_of(service).send("+79161234567", "Hi"))


async def doctor(document: bytes) -> float:
    """Examine a service with this WSDL."""
    service = Service(lambda _: _FAULT, document, status=500)
    return await _longest(lambda: examine(URL, transport=service, environment={}))


async def sandbox(phones: str, text: str = "Hi", query: str = "err=1", prefix: str = "7") -> float:
    """Let the sandbox price these recipients."""
    account = dataclasses.replace(Account.demo(), prices={prefix: Decimal(1)}, balance=Decimal(10**9))
    transport = Sandbox(accounts=[account], limits=Limits.off()).transport()
    fields = f"<apikey>demo</apikey><phones>{phones}</phones><mes>{text}</mes><query>{query}</query>"
    body = envelope(f"<n:send2>{fields}</n:send2>")
    async with httpx.AsyncClient(transport=transport) as client:
        return await _longest(lambda: client.post(URL, content=body))


def _names(number: int) -> str:
    return "".join(f"<n{number}_{each}_aaaaaaaaaaaaaaaaaaaa/>" for each in range(4_000))


async def hostile_answers(count: int) -> float:
    """Return the memory in MB that this many answers with names of their own leave."""
    client = client_of(Service(lambda number: envelope(_names(number))))
    return await _growth(count, client.balance)


async def hostile_requests(count: int) -> float:
    """Return the memory in MB that this many requests with names of their own leave in the sandbox."""
    numbers: Iterator[int] = iter(range(count + 1))
    async with httpx.AsyncClient(transport=Sandbox().transport()) as client:
        return await _growth(count, lambda: client.post(URL, content=envelope(_names(next(numbers)))))


async def _growth(count: int, work: Callable[[], Awaitable[object]]) -> float:
    before = 0
    for number in range(count + 1):
        with suppress(SmscError):
            await work()
        if not number:
            gc.collect()
            before = resident()
    gc.collect()
    return (resident() - before) / (1 << 20)


async def _exhaust(items: AsyncIterator[object]) -> None:
    async for _ in items:
        pass


_MANY: Final = ",".join(f"7916{number:07}" for number in range(100_000))
STRETCHES: Final[dict[str, Callable[[], Awaitable[float]]]] = {
    "an answer with 1,000 refused recipients (62 KB)": lambda: single(_refused(1_000)),
    "an answer with 17,000 refused recipients (1 MB)": lambda: single(_refused(17_000)),
    "an answer with 100,000 empty `errors` (0.9 MB)": lambda: single(_sent("<errors/>" * 100_000)),
    "an answer with 100,000 refused recipients (6 MB, limit raised)": lambda: single(_refused(100_000)),
    "17,000 refused recipients in the answer to a batch of 100": lambda: batch(_refused(17_000), 100),
    "a batch of 20,000 messages": lambda: batch(_refused(0), 20_000),
    "`?wsdl` with 85,000 attributes, client": lambda: heal(wsdl("", _ATTRIBUTES)),
    "`?wsdl` with 85,000 attributes, doctor": lambda: doctor(wsdl("", _ATTRIBUTES)),
    "`?wsdl` with 6,000 operations of one element, client": lambda: heal(wsdl(_SHARED)),
    "`?wsdl` with 6,000 operations of one element, doctor": lambda: doctor(wsdl(_SHARED)),
    "sandbox: one recipient of 1 MB": lambda: sandbox("7" * 1_000_000),
    "sandbox: an address of 100 KB with a route": lambda: sandbox(
        "a" * 100_000 + "@b.c", "Hi", "mail=1&amp;sender=a@b.c", ""
    ),
    "sandbox: 100,000 recipients": lambda: sandbox(_MANY),
    "sandbox: a `list` of 100,000 lines": lambda: sandbox("", "", "nl=1&amp;list=7:" + "%0A" * 100_000),
}
GROWTHS: Final = {"hostile answers": hostile_answers, "hostile requests to the sandbox": hostile_requests}


def _in_process(name: str, hostile: int) -> float:
    command = [sys.executable, "-m", "benchmarks.floods", "--only", name, "--hostile", str(hostile)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this file
    return float(done.stdout)


def main() -> None:
    """Measure each flood in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hostile", type=int, default=300)
    parser.add_argument("--only", help="measure one flood in this process, and print its figure")
    args = parser.parse_args()
    if args.only in STRETCHES:
        gc.collect()
        gc.freeze()
        print(anyio.run(STRETCHES[args.only]) * 1000)
    elif args.only:
        print(anyio.run(GROWTHS[args.only], args.hostile))
    else:
        print("| flood | longest stretch, ms |\n|---|---|")
        for name in STRETCHES:
            stretches = [_in_process(name, args.hostile) for _ in range(args.rounds)]
            print(f"| {name} | {statistics.median(stretches):.1f} |", flush=True)
        print(f"\n| {args.hostile} documents | growth, MB |\n|---|---|")
        for name in GROWTHS:
            print(f"| {name} | {_in_process(name, args.hostile):.0f} |", flush=True)


if __name__ == "__main__":
    main()
