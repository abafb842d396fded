"""An in-process network between a client and the sandbox, with a fault at a chosen byte.

It replaces httpcore's network backend, so that the client's default transport runs unchanged down to the bytes.
The sandbox executes a request if and only if all of its bytes have arrived.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self
from unittest import mock

import anyio
import httpcore
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from smsc_async._protocol.binding import RequestFault, encode_answer, encode_fault, receive
from smsc_async.sandbox import DeliveryPlan, Sandbox

__all__ = ["PAGE", "URL", "Fault", "Kind", "Network", "Side", "damaged", "is_whole", "shortened"]

URL: Final = "http://127.0.0.1/sys/soap.php"

_PAGE_BODY: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
PAGE: Final = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
    % (len(_PAGE_BODY), _PAGE_BODY)
)
_END_OF_HEAD: Final = b"\r\n\r\n"
_RESULT: Final = re.compile(rb"(<\w*result>).*(</\w*result>)", re.DOTALL)
_LENGTH: Final = re.compile(rb"(content-length: *)([0-9]+)", re.IGNORECASE)


class Kind(StrEnum):
    """What happens at the offset."""

    CUT = "cut"
    """The connection is closed; an answer with a Content-Length ends too early."""
    STALL = "stall"
    """Nothing more is received, and what is written is lost."""
    CHOKE = "choke"
    """Nothing more is read by the other side, so that writing times out."""
    RESET = "reset"
    """The connection is reset."""
    PAGE = "page"
    """A gateway answers with a page and HTTP 502, before or within the answer."""
    SHORTENED = "shortened"
    """The body ends here and its Content-Length agrees."""
    LEFTOVER = "leftover"
    """The beginning of a refusal without an id follows the answer, and the connection stays open."""
    FOREIGN = "foreign"
    """The answer to another message comes instead, and the connection stays open."""
    BROKEN_CHUNK = "broken chunk"
    """The answer comes in chunks, of which one can't be read here, and nothing follows."""


class Side(StrEnum):
    """The part of an exchange in which the offset is counted."""

    CONNECT = "connect"
    REQUEST = "request"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the network.

    Attributes:
        kind: What happens.
        side: The part of the exchange.
        offset: The number of bytes before the fault.
        late: Seconds between the client's giving up and the late arrival of the whole request; None for never.
        lasts: Seconds during which every exchange has this fault; 0 for the first one alone.
    """

    kind: Kind
    side: Side
    offset: int = 0
    late: float | None = None
    lasts: float = 0.0

    def __str__(self) -> str:
        late = "" if self.late is None else f", arrives {self.late} s late"
        return f"{self.kind} at byte {self.offset} of the {self.side}{late}, lasts {self.lasts} s"


class Network(httpcore.AsyncNetworkBackend):
    """A network with a sandbox behind it.

    Attributes:
        sandbox: The service.
        last_request: The last request that arrived.
        last_answer: The last answer without a fault.
        arrivals: How many requests have been executed.
    """

    def __init__(self, group: TaskGroup) -> None:
        started = time.time() - anyio.current_time()
        self.sandbox = Sandbox(clock=lambda: started + anyio.current_time(), delivery=DeliveryPlan.instant())
        self.last_request = self.last_answer = b""
        self.arrivals = 0
        self._group = group
        self._fault: Fault | None = None
        self._healed_at = 0.0
        self._streams: set[_Stream] = set()

    @contextmanager
    def installed(self) -> Iterator[Self]:
        """Let each default transport made within the context use this network."""
        with mock.patch("httpcore._async.connection_pool.AutoBackend", return_value=self):
            yield self

    def break_down(self, fault: Fault, *, reconnect: bool = False) -> None:
        """Let the next exchange have this fault.

        Args:
            fault: The fault.
            reconnect: Whether idle connections are closed first.
        """
        self._fault, self._healed_at = fault, anyio.current_time() + fault.lasts
        for stream in self._streams if reconnect else ():
            stream.is_closed_by_server = True

    def heal(self) -> None:
        """End the fault."""
        self._fault = None

    def next_fault(self, *sides: Side) -> Fault | None:
        """Return the fault of the exchange that begins, if it is on one of these sides."""
        fault = self._fault
        if fault is None or fault.side not in sides:
            return None
        if fault.lasts:
            return fault if anyio.current_time() < self._healed_at else None
        self._fault = None
        return fault

    def execute(self, request: bytes) -> bytes:
        """Let the sandbox execute a request and return the answer."""
        self.arrivals += 1
        try:
            incoming = receive(request.partition(_END_OF_HEAD)[2], namespaces=(URL,))
        except RequestFault as refusal:
            return _http(500, encode_fault(refusal))
        service = self.sandbox._service
        answer = service.arrive(incoming.method, incoming.fields, now=self.sandbox.now())
        service.leave(answer)
        return _http(200, encode_answer(incoming, answer.fields, URL))

    def execute_later(self, request: bytes, seconds: float) -> None:
        """Execute a request after `seconds`."""

        async def arrive() -> None:
            await anyio.sleep(seconds)
            self.execute(request)

        self._group.start_soon(arrive)

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any) -> "_Stream":  # noqa: ARG002 - httpcore's signature
        """Make a connection."""
        await checkpoint()
        fault = self.next_fault(Side.CONNECT)
        if fault is not None and fault.kind is Kind.STALL:
            await anyio.sleep(_seconds(timeout))
            raise httpcore.ConnectTimeout
        if fault is not None:
            raise httpcore.ConnectError(fault.kind)
        stream = _Stream(self)
        self._streams.add(stream)
        return stream

    def forget(self, stream: "_Stream") -> None:
        """Forget a connection that the client has closed."""
        self._streams.discard(stream)

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await anyio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """One connection between the client and the sandbox, with its fault."""

    def __init__(self, network: Network) -> None:
        self.is_closed_by_server = False
        self._network = network
        self._written = bytearray()
        self._answer = b""
        self._fault: Fault | None = None
        self._is_lost = False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:  # the end of a message, which has no bytes of its own
            return
        if not self._written:
            self._fault, self._is_lost = self._network.next_fault(Side.REQUEST, Side.RESPONSE), False
        await checkpoint()
        self._written += buffer
        fault = self._fault
        if fault is not None and fault.side is Side.REQUEST and len(self._written) > fault.offset:
            self._is_lost = True
        if is_whole(self._written) and not (self._is_lost and fault is not None and fault.kind is not Kind.SHORTENED):
            self._arrive(bytes(self._written))
        elif self._is_lost and fault is not None and fault.kind is Kind.RESET:
            raise httpcore.WriteError("reset")
        elif self._is_lost and fault is not None and fault.kind is Kind.CHOKE:
            await anyio.sleep(_seconds(timeout))
            raise httpcore.WriteTimeout
        await checkpoint()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        await checkpoint()
        if self._is_lost and not self._answer and self._fault and self._fault.kind is Kind.PAGE:
            self._answer, self.is_closed_by_server = PAGE, True
        if self._answer:
            piece, self._answer = self._answer[:max_bytes], self._answer[max_bytes:]
            self._written.clear()
            return piece
        kind = self._fault.kind if self._fault else Kind.STALL
        if kind in {Kind.STALL, Kind.CHOKE, Kind.BROKEN_CHUNK} and not self.is_closed_by_server:
            await anyio.sleep(_seconds(timeout))
            raise httpcore.ReadTimeout
        if kind is Kind.RESET:
            raise httpcore.ReadError("reset")
        return b""

    async def aclose(self) -> None:
        fault, self._fault = self._fault, None
        if self._is_lost and fault is not None and fault.late is not None and is_whole(self._written):
            self._network.execute_later(bytes(self._written), fault.late)
        self._written.clear()
        self._network.forget(self)

    def get_extra_info(self, info: str) -> Any:
        return self.is_closed_by_server if info == "is_readable" else None

    def _arrive(self, request: bytes) -> None:
        """Execute a request; keep as much of the answer as the fault lets through."""
        fault, network = self._fault, self._network
        network.last_request = request
        if fault is None:
            self._answer = network.last_answer = network.execute(request)
        elif fault.side is Side.REQUEST and fault.kind is Kind.SHORTENED:
            self._answer = network.execute(shortened(request, fault.offset))
        else:
            answer = network.execute(request)
            reach = 0 if fault.side is Side.REQUEST else fault.offset
            self._answer = damaged(answer, fault.kind, reach)
            self.is_closed_by_server = fault.kind in {Kind.CUT, Kind.RESET, Kind.PAGE}


def is_whole(message: bytes | bytearray) -> bool:
    """Return whether a request or an answer is complete."""
    head, end, body = bytes(message).partition(_END_OF_HEAD)
    length = _LENGTH.search(head)
    return bool(end) and length is not None and len(body) == int(length[2])


def damaged(answer: bytes, kind: Kind, offset: int) -> bytes:
    """Return the bytes that are received of an answer with a fault at this offset."""
    if kind is Kind.SHORTENED:
        return shortened(answer, offset)
    if kind is Kind.LEFTOVER:
        return answer + (b"\r\n" * (offset % 3) + _of_another(answer, b"<error>3</error>"))[:offset]
    if kind is Kind.FOREIGN:
        said = (*(b"<error>%d</error>" % code for code in (3, 6, 7, 8)), b"<cnt>1</cnt>")[offset % 5]
        return _of_another(answer, b"<id>another</id>" + said)
    if kind is Kind.BROKEN_CHUNK:
        head, end, body = answer.partition(_END_OF_HEAD)
        chunk = b"%x\r\n%b\r\n" % (offset, body[:offset]) if offset else b""
        return _LENGTH.sub(b"Transfer-Encoding: chunked", head) + end + chunk + b"zz\r\n"
    return answer[:offset] + (PAGE if kind is Kind.PAGE else b"")


def shortened(message: bytes, offset: int) -> bytes:
    """Return a message whose body ends at this offset, with a Content-Length that agrees."""
    head, end, body = message.partition(_END_OF_HEAD)
    body = body[: max(0, offset - len(head) - len(end))]
    return _LENGTH.sub(rb"\g<1>%d" % len(body), head) + end + body


def _of_another(answer: bytes, fields: bytes) -> bytes:
    """Return an answer with other fields."""
    body = _RESULT.sub(rb"\g<1>%b\g<2>" % fields, answer.partition(_END_OF_HEAD)[2])
    return _http(200, body)


def _http(status: int, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Internal Server Error'}\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT"
    )
    return f"{head}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _seconds(timeout: float | None) -> float:
    return 3600.0 if timeout is None else timeout
