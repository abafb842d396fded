"""Stand-ins for the service: one behind the `Transport` protocol, one that exchanges raw bytes on loopback."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl

import anyio
from pydantic import JsonValue

from smsc_async import Client, Reply, Timeout
from smsc_async._protocol.binding import Incoming, RequestFault, encode_answer, encode_fault, receive
from smsc_async._protocol.contract import CONTRACT
from smsc_async._protocol.envelope import SoapVersion
from smsc_async._protocol.wsdl import write_wsdl

__all__ = [
    "NAMESPACE",
    "URL",
    "XML",
    "FakeService",
    "RawHandler",
    "RawRequest",
    "answer",
    "fault",
    "http_bytes",
    "make_client",
    "query_of",
    "raw_server",
    "wsdl",
]

URL = "https://sms.test/sys/soap.php"
NAMESPACE = URL
XML = "text/xml; charset=utf-8"

_HAPPY: Mapping[str, Mapping[str, str]] = {
    "get_balance": {"balance": "100.50"},
    "send_sms": {"cnt": "1"},
    "send_sms2": {"cnt": "1"},
    "get_sms_cost": {"cost": "1.44", "cnt": "1"},
    "get_sms_cost2": {"cost": "2.88", "cnt": "2"},
    "get_status": {"status": "1", "last_timestamp": "1700000000", "err": "0"},
    "get_status2": {"status": "1", "last_timestamp": "1700000000", "err": "0"},
}

Step: TypeAlias = Reply | Exception | Callable[[Incoming], Reply]


def answer(
    method: str, /, *, namespace: str = NAMESPACE, errors: list[dict[str, str]] | None = None, **fields: str
) -> Reply:
    """Make an answer of the service to one of its methods."""
    body = encode_answer(Incoming(method, {}, SoapVersion.V11), {**fields, **_listed(errors)}, namespace)
    return Reply(200, XML, body)


def _listed(errors: list[dict[str, str]] | None) -> dict[str, JsonValue]:
    return {"errors": [dict[str, JsonValue](each) for each in errors]} if errors else {}


def fault(code: str, words: str) -> Reply:
    """Make an answer that is a Fault."""
    return Reply(500, XML, encode_fault(RequestFault(code, words)))


def wsdl(namespace: str) -> Reply:
    """Make the document at `?wsdl` of a service with this namespace."""
    return Reply(200, XML, write_wsdl(CONTRACT, namespace))


def query_of(request: Incoming) -> dict[str, str]:
    """Return the parameters of `query` of a request."""
    return dict(parse_qsl(str(request.fields.get("query", "")), keep_blank_values=True, strict_parsing=True))


@dataclass
class FakeService:
    """A transport with a service behind it: it follows a script, and then answers every request with success.

    Attributes:
        script: The answers to return or exceptions to raise, in turn.
        namespace: The namespace of the service; it answers any other with the Fault of ext-soap.
        wsdl: The reply at `?wsdl`; None for the document of `namespace`.
        latency: Seconds that each request takes.
    """

    script: list[Step] = field(default_factory=list)
    namespace: str = NAMESPACE
    wsdl: Reply | Exception | None = None
    latency: float = 0.0
    requests: list[Incoming] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    timeouts: list[Timeout] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    in_flight: dict[str, int] = field(default_factory=dict)
    peak: int = 0
    status_peak: int = 0
    closed: int = 0

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        """Answer a request."""
        self.urls.append(url)
        self.timeouts.append(timeout)
        self.namespaces.append(headers["SOAPAction"].strip('"'))
        try:
            request = receive(body, namespaces=(self.namespace,))
        except RequestFault as refusal:
            await anyio.sleep(self.latency)
            return Reply(500, XML, encode_fault(refusal))
        self.requests.append(request)
        with _counted(self, request.method):
            await anyio.sleep(self.latency)
        step = self.script.pop(0) if self.script else self._happy
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Reply) else step(request)

    async def get(self, url: str, timeout: Timeout) -> Reply:
        """Answer with the WSDL."""
        self.gets.append(url)
        self.timeouts.append(timeout)
        await anyio.sleep(self.latency)
        if isinstance(self.wsdl, Exception):
            raise self.wsdl
        return self.wsdl or wsdl(self.namespace)

    async def aclose(self) -> None:
        """Count the closings."""
        self.closed += 1

    def _happy(self, request: Incoming) -> Reply:
        fields = dict(_HAPPY[request.method])
        if request.method.startswith("send"):
            fields["id"] = str(request.fields["id"])
        body = encode_answer(request, fields, self.namespace)
        return Reply(200, XML, body)


class _counted:  # noqa: N801 - reads as a word of the `with` statement
    def __init__(self, service: FakeService, method: str) -> None:
        self._service, self._method = service, method

    def __enter__(self) -> None:
        flying = self._service.in_flight
        flying[self._method] = flying.get(self._method, 0) + 1
        statuses = sum(count for method, count in flying.items() if method.startswith("get_status"))
        self._service.peak = max(self._service.peak, sum(flying.values()))
        self._service.status_peak = max(self._service.status_peak, statuses)

    def __exit__(self, *_: object) -> None:
        self._service.in_flight[self._method] -= 1


def make_client(service: object, **options: object) -> Client:
    """Make a client of a fake service, by default without guards and without reconciling."""
    given: dict[str, object] = {
        "apikey": "key",
        "url": URL,
        "transport": service,
        "guards": None,
        "on_unknown": "raise",
    }
    return Client(**given | options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class RawRequest:
    """A request as received."""

    line: str
    headers: Mapping[str, str]
    body: bytes


RawHandler: TypeAlias = Callable[[RawRequest, asyncio.StreamWriter], Awaitable[bool]]


def http_bytes(body: bytes, *, status: str = "200 OK", content_type: str = XML, **headers: str) -> bytes:
    """Make an HTTP answer; a keyword `x_y` is the header X-Y."""
    lines = {"Content-Type": content_type, "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-").title(): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


async def _read_request(reader: asyncio.StreamReader) -> RawRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    length = re.fullmatch("[0-9]+", headers.get("content-length", "0"))
    return RawRequest(line, headers, await reader.readexactly(int(length[0]) if length else 0))


@asynccontextmanager
async def raw_server(handler: RawHandler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run a server on loopback; the handler writes bytes and returns whether the connection stays open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await handler(await _read_request(reader), writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/sys/soap.php"
    finally:
        server.close()
        server.close_clients() if hasattr(server, "close_clients") else None
