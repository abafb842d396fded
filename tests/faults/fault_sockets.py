"""The same faults over real sockets: a small proxy on loopback between the client and a sandbox behind uvicorn."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from itertools import count
from typing import Any, Final

import uvicorn

from smsc_async import Client, Guards, Timeout, UnresolvedSend
from smsc_async.guards import Rule, Rules
from smsc_async.sandbox import DeliveryPlan, Limits, Sandbox
from tests.faults.fault_cases import FOLLOWED, Case, Scene, Summary, try_case
from tests.faults.fault_network import PAGE, Fault, Kind, Side, damaged, is_whole, shortened

__all__ = ["TRANSPORTS", "try_over_sockets"]

_HAS_AIOHTTP: Final = all(map(find_spec, ("aiohttp", "smsc_async._network.aiohttp")))
TRANSPORTS: Final[Sequence[Any]] = (None, "aiohttp") if _HAS_AIOHTTP else (None,)
"""The values for `Client(transport=)`; aiohttp only where it is installed."""

_LATE: Final = 0.3
_TIMEOUT: Final = Timeout(connect=0.5, read=0.15, write=0.15)
"""So short that a busy machine adds timeouts of its own, so the limits that these would reach are off or raised."""
_LIMITS: Final = replace(
    Limits(), in_flight=None, status_in_flight=None, status=None, balance=None, identical_cost=None
)
_MANY: Final = Rule(1000, 60.0)
_RULES: Final = Rules(status=_MANY, balance=_MANY, identical_cost=_MANY)
_AT_ONCE: Final = 32
_RESET: Final = struct.pack("ii", 1, 0)


class _Proxy:
    """Forwards bytes, and causes a fault.

    Args:
        sandbox: The service behind it.
        port: The port of the service.
    """

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self.sandbox = sandbox
        self._port = port
        self._fault: Fault | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The URL of the service through the proxy."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/sys/soap.php"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen within the context."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield
        finally:
            self._server.close()
            await self.hang_up()

    def break_down(self, fault: Fault, *, reconnect: bool = False) -> None:  # noqa: ARG002 - see `hang_up`
        """Let the next exchange have this fault."""
        self._fault = fault

    async def hang_up(self) -> None:
        """Close all connections, and give the client the time to notice."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for _ in range(10):  # turns of the event loop
            await asyncio.sleep(0.002)

    def heal(self) -> None:
        """End the fault."""
        self._fault = None

    def _next_fault(self) -> Fault | None:
        fault = self._fault
        if fault is not None and not fault.lasts:
            self._fault = None
        return fault

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._port)
            while await self._exchange(reader, writer, answers, upstream):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a connection that breaks is what this is for
        finally:
            self._connections.discard(task)
            writer.close()
            if upstream is not None:
                upstream.close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> bool:
        """Forward a request and its answer; return whether the connection stays open."""
        request = bytearray(await _some(reader))
        fault = self._next_fault() or Fault(Kind.CUT, Side.RESPONSE, offset=2**32)
        forwarded = 0
        while True:
            is_struck = fault.side is Side.REQUEST and len(request) > fault.offset
            if not is_struck or fault.kind is not Kind.SHORTENED:
                reach = fault.offset if is_struck else len(request)
                upstream.write(request[forwarded:reach])
                forwarded = reach
            if is_whole(request) or (is_struck and fault.kind is not Kind.SHORTENED):
                break
            request += await _some(reader)
        if is_struck and fault.kind is Kind.SHORTENED:
            upstream.write(shortened(bytes(request), fault.offset))
        elif is_struck:
            await _fail(fault, reader, writer, request)
            if fault.late is not None and is_whole(request):
                await asyncio.sleep(fault.late)
                upstream.write(request[forwarded:])
                await _message(answers)
            return False
        answer = await _message(answers)
        is_meant_for_request = fault.side is Side.REQUEST and fault.kind is Kind.SHORTENED
        if is_meant_for_request or (fault.side is Side.RESPONSE and fault.offset > len(answer)):
            writer.write(answer)
            return True
        writer.write(damaged(answer, fault.kind, fault.offset if fault.side is Side.RESPONSE else 0))
        if fault.kind in FOLLOWED:
            return True
        await _fail(replace(fault, side=Side.RESPONSE), reader, writer, bytearray())
        return False


async def _fail(fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytearray) -> None:
    """Apply the fault to a connection; read what the client still writes, if the fault allows it."""
    if fault.kind is Kind.RESET:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
    elif fault.kind in {Kind.STALL, Kind.CHOKE, Kind.SHORTENED, Kind.BROKEN_CHUNK}:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request += await _some(reader)
    else:
        if fault.kind is Kind.PAGE and fault.side is Side.REQUEST:
            writer.write(PAGE)
        writer.close()


async def _some(reader: asyncio.StreamReader) -> bytes:
    piece = await reader.read(65_536)
    if not piece:
        raise asyncio.IncompleteReadError(b"", None)
    return piece


async def _message(reader: asyncio.StreamReader) -> bytes:
    message = bytearray()
    while not is_whole(message):
        message += await _some(reader)
    return bytes(message)


@asynccontextmanager
async def _served(sandbox: Sandbox) -> AsyncIterator[int]:
    """Serve a sandbox on loopback; yield the port."""
    config = uvicorn.Config(sandbox.app, log_level="critical", lifespan="off", timeout_keep_alive=60)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


def try_over_sockets(cases: Iterable[Case], transport: Any = None) -> Summary:
    """Try cases over real sockets, each with its own client, many at once."""
    # The sockets' buffers are larger than a request, so writing never waits; and the kernel does the connecting.
    possible = (case for case in cases if case.fault.kind is not Kind.CHOKE and case.fault.side is not Side.CONNECT)
    return asyncio.run(_try_all(possible, transport))


async def _try_all(cases: Iterator[Case], transport: Any) -> Summary:
    sandbox = Sandbox(limits=_LIMITS, delivery=DeliveryPlan.instant())
    summary, numbers = Summary(), count()
    async with _served(sandbox) as port:

        async def work() -> None:
            for case in cases:
                await _try(case, _Proxy(sandbox, port), transport, summary, numbers)

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(work())
    return summary


async def _try(case: Case, proxy: _Proxy, transport: Any, summary: Summary, numbers: Iterator[int]) -> None:
    handed_over: list[UnresolvedSend] = []
    async with (
        proxy.listening(),
        Client(
            apikey="demo",
            url=proxy.url,
            guards=Guards(rules=_RULES, late_arrival=_LATE),
            transport=transport,
            on_unknown=case.on_unknown,
            on_unresolved=handed_over.append,
        ) as client,
    ):
        await client.balance()  # proves the credentials: four lost answers of unproven ones stop the guards
        if case.reconnect:
            await proxy.hang_up()
        await try_case(Scene(client, proxy, summary, _TIMEOUT, _LATE, handed_over, numbers), case)
