"""The service behind HTTP, as PHP's SoapServer answers it: an ASGI application."""

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from threading import Lock
from typing import Final, Protocol, TypeVar

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from smsc_async._protocol import (
    CONTRACT,
    RequestFault,
    SoapVersion,
    encode_answer,
    encode_fault,
    reads_at_once,
    receive,
    write_wsdl,
)
from smsc_async._thread import in_own_thread

from ._connection import Traffic, wait_of
from ._damage import damaged, delay_of, instead, refusal_of
from ._faults import Faults, ScriptEntry
from ._fields import Answer
from ._sandbox_clock import SandboxClock
from ._service import Service

__all__ = ["make_app"]

T = TypeVar("T")
_MAX_REQUEST: Final = 8 * 1_048_576  # PHP's post_max_size by default
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_COMPRESSIONS: Final = {"gzip", "x-gzip", "deflate"}  # PHP compares them exactly


class _Counted:
    """The application, with its requests counted.

    Args:
        app: The application.
        traffic: Counts the requests.
    """

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._traffic.request():
            await self._app(scope, receive, send)


def make_app(
    service: Service,
    clock: SandboxClock,
    traffic: Traffic,
    faults: Faults,
    *,
    latency: float,
    namespace: str | None,
) -> Starlette:
    """Return the application.

    Args:
        service: The emulator.
        clock: The clock.
        traffic: Counts the requests while they are executed.
        faults: The faults to inject.
        latency: Seconds between the arrival of a request and its answer.
        namespace: The namespace of requests and answers; None for that of the service and the URL of the request.
    """
    desk, choosing = _Desk(service), Lock()

    async def endpoint(request: Request) -> Response:
        url, local = _urls(request)
        if request.method == "GET" and request.scope["query_string"].lower() == b"wsdl":
            return _xml(write_wsdl(CONTRACT, faults.namespace or namespace or url, location=url))
        if request.method != "POST":
            return _nothing()
        encoding = request.headers.get("Content-Encoding")
        if encoding is not None and encoding not in _COMPRESSIONS:
            return _nothing()
        body = await _body(request) or b""
        names = (CONTRACT.namespace, url, local) if namespace is None else (namespace,)
        run = _at_once if encoding is None and reads_at_once(body) else in_own_thread
        try:
            incoming = await run(lambda: receive(_unpacked(body, encoding), namespaces=(*names, *faults.namespaces)))
        except RequestFault as refusal:
            return _xml(encode_fault(refusal), refusal.version, status_code=500)
        source = request.client.host if request.client else "127.0.0.1"
        method, now = incoming.method, clock.now()
        with choosing:
            injected = faults.strike(method, incoming.fields, incoming.namespace, now=now, source=source)
        wait = wait_of(request.scope, request.receive, clock, traffic)
        if injected is not None and not injected.fault.is_executed:
            error = refusal_of(injected.fault)
            if error:
                service.counts[method, error] += 1
            faults.record(ScriptEntry(now, method, injected.fault.kind, executed=False, error=error))
            await wait(latency)
            return instead(injected, incoming)

        def arrive() -> Answer:
            return service.arrive(method, incoming.fields, now=clock.now(), source=source)

        async with desk.request(run, arrive) as answer:
            faults.record(
                ScriptEntry(now, method, None if injected is None else injected.fault.kind, error=answer.error)
            )
            await wait(latency + delay_of(injected))
            whole = _xml(
                await run(lambda: encode_answer(incoming, answer.fields, incoming.namespace)), incoming.version
            )
            return whole if injected is None else damaged(whole, injected, incoming, answer.fields, wait)

    counted = [Middleware(_Counted, traffic=traffic)]
    return Starlette(routes=[Route("/{path:path}", endpoint, methods=_METHODS, middleware=counted)])


def _urls(request: Request) -> tuple[str, str]:
    """Return the URL of a request by its Host header, and by the address that the server listens on."""
    scheme, path = request.scope["scheme"], request.scope["path"]
    host, port = request.scope.get("server") or ("127.0.0.1", None)
    netloc = f"[{host}]" if ":" in host else host
    if port not in {None, 443 if scheme == "https" else 80}:
        netloc += f":{port}"
    return f"{scheme}://{request.headers.get('Host') or netloc}{path}", f"{scheme}://{netloc}{path}"


async def _at_once(work: Callable[[], T]) -> T:
    return work()


class _Run(Protocol):
    """`_at_once` or `in_own_thread`."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class _Desk:
    """Lets one thread at a time use the service; the event loop's own thread never waits for another.

    Args:
        service: The emulator.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = Lock()

    @asynccontextmanager
    async def request(self, run: _Run, arrive: Callable[[], Answer]) -> AsyncIterator[Answer]:
        """Execute a request, and let it leave at the end."""
        arrived: Future[Answer] = Future()
        try:
            await self._use(run, lambda: arrived.set_result(arrive()))
            yield arrived.result()
        finally:
            if arrived.done():
                with anyio.CancelScope(shield=True):
                    await self._use(_at_once, lambda: self._service.leave(arrived.result()))
            else:  # the client disconnected while a thread was executing its request
                arrived.add_done_callback(lambda done: self._service.leave(done.result()))

    async def _use(self, run: _Run, work: Callable[[], None]) -> None:
        def alone() -> None:
            with self._lock:
                work()

        await (in_own_thread if self._lock.locked() else run)(alone)


async def _body(request: Request) -> bytes | None:
    """Return the request's body, None if it exceeds PHP's limit or the client disconnects."""
    parts: list[bytes] = []
    room = _MAX_REQUEST
    try:
        async for part in request.stream():
            room -= len(part)
            if room < 0:
                return None
            parts.append(part)
    except ClientDisconnect:
        return None
    return b"".join(parts)


def _unpacked(body: bytes, encoding: str | None) -> bytes:
    """Decompress as ext-soap does; a corrupt body becomes an empty document, which is a bad request."""
    if encoding is None:
        return body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, _MAX_REQUEST)
    except zlib.error:
        return b""


def _xml(body: bytes, version: SoapVersion = SoapVersion.V11, status_code: int = 200) -> Response:
    return Response(body, status_code, headers={"Content-Type": version.content_type})


def _nothing() -> Response:
    """Return the empty page with which PHP answers anything that is not a call."""
    return Response(b"", headers={"Content-Type": "text/html; charset=UTF-8"})
