"""The connection of a request: waiting, cutting it, and bytes that are no part of the answer; in process and over HTTP.

In process, what happens to a connection is raised as the exception that httpx raises for it. Over HTTP it happens to
the connection itself, if the server passes it on (`_server.ServedConnection`); another server can only close it after
the headers of an answer.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final, NoReturn, Protocol, TypeAlias

import httpx
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ._sandbox_clock import SandboxClock

__all__ = [
    "CutResponse",
    "InProcessTransport",
    "LeftoverResponse",
    "SlowResponse",
    "Traffic",
    "Wait",
    "put_connection",
    "until_gone",
    "wait_of",
]

Wait: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits by the clock of the sandbox before the next byte of an answer is sent."""

_KEY: Final = "smsc_async.connection"
_PIECES: Final = 20
_CALM: Final = 0.02  # real seconds, in which a request gets from a client to a server on the same machine


class Traffic:
    """The requests that a sandbox is executing.

    Attributes:
        is_served: Whether they come over a network, so that some may be on their way.
    """

    def __init__(self) -> None:
        self.is_served = False
        self._active = 0
        self._lock = Lock()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while it is executed."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Do not count a request while it waits by the clock."""
        self._count(-1)
        try:
            yield
        finally:
            self._count(1)

    def _count(self, change: int) -> None:
        with self._lock:  # the server has a thread of its own
            self._active += change

    def is_busy(self) -> bool:
        """Return whether a request is being executed."""
        return self._active > 0

    def calm(self) -> float:
        """Return the real seconds without activity after which no request is on its way."""
        return _CALM if self.is_served else 0.0


class RequestConnection(Protocol):
    """The connection that a request came by."""

    async def cut(self, receive: Receive) -> None:
        """Close it after what was sent so far."""

    async def follow(self, answer: Awaitable[None], data: bytes) -> None:
        """Send an answer, and with its last bytes others that are no part of it."""


def put_connection(scope: Scope, connection: RequestConnection) -> Scope:
    """Return the scope of a request with its connection."""
    return {**scope, "extensions": {**(scope.get("extensions") or {}), _KEY: connection}}


def connection_of(scope: Scope) -> RequestConnection | None:
    """Return the connection of a request, None if the server has not passed it on."""
    connection: RequestConnection | None = (scope.get("extensions") or {}).get(_KEY)
    return connection


def wait_of(scope: Scope, receive: Receive, clock: SandboxClock, traffic: Traffic) -> Wait:
    """Return the function that waits before the next byte of the answer to this request, or until its client has gone.

    In process it raises the exception of a client that waits no longer.
    """
    connection = connection_of(scope)
    patience = connection.patience if isinstance(connection, _InProcess) else math.inf

    async def wait(seconds: float) -> None:
        if seconds:
            with traffic.waiting():
                end = clock.now() + min(seconds, patience)
                if isinstance(connection, _InProcess):
                    await clock.sleep_until(end)
                else:
                    with clock.deadline(end):
                        await until_gone(receive)
        if seconds > patience:
            raise httpx.ReadTimeout("")

    return wait


async def until_gone(receive: Receive) -> None:
    """Wait until the client, which has sent its whole request, has closed the connection."""
    await receive()  # after a whole request, this event alone can come


class _InProcess:
    """A connection within this process.

    Attributes:
        patience: Seconds that its client waits for the next bytes of an answer.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience

    async def cut(self, _: Receive) -> NoReturn:
        raise httpx.RemoteProtocolError("the connection was closed before the answer was complete")

    async def follow(self, answer: Awaitable[None], _: bytes) -> None:
        await answer  # there is no next answer on this connection


class InProcessTransport(httpx.AsyncBaseTransport):
    """A transport for `Client(transport=)`: complete HTTP messages without a network.

    Args:
        app: The application.
    """

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the sandbox."""
        patience = request.extensions.get("timeout", {}).get("read")
        connection = _InProcess(math.inf if patience is None else patience)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._app(put_connection(scope, connection), receive, send)

        return await httpx.ASGITransport(app=app).handle_async_request(request)


class CutResponse(Response):
    """An answer whose connection is cut.

    Args:
        answer: The answer, None to send nothing at all.
        at: How many bytes of its body are sent; at least one is missing.
    """

    def __init__(self, answer: Response | None = None, at: int = 0) -> None:
        super().__init__()
        self._answer = answer
        self._at = at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a part of the answer."""
        answer, connection = self._answer, connection_of(scope)
        if answer is None and connection is None:
            answer = Response(b"?")  # another server closes no connection before it has sent headers
        if answer is not None:
            await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
            part = bytes(answer.body)[: min(self._at, len(answer.body) - 1)]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        if connection is not None:
            await connection.cut(receive)


class SlowResponse(Response):
    """An answer whose body comes in 20 pieces.

    Args:
        answer: The answer.
        seconds: Until its body is complete.
        wait: Waits before each piece.
    """

    def __init__(self, answer: Response, seconds: float, wait: Wait) -> None:
        super().__init__()
        self._answer = answer
        self._pause = seconds / _PIECES
        self._wait = wait

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the form of ASGI
        """Send the answer."""
        answer = self._answer
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
        body = bytes(answer.body)
        for number in range(_PIECES):
            piece = body[len(body) * number // _PIECES : len(body) * (number + 1) // _PIECES]
            await self._wait(self._pause)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class LeftoverResponse(Response):
    """An answer, after which the beginning of another one comes on the same connection.

    Args:
        answer: The answer.
        other: The body of the other answer.
    """

    def __init__(self, answer: Response, other: bytes) -> None:
        super().__init__()
        self._answer = answer
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {len(other)}\r\n\r\n"
        self._other = head.encode() + other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send both."""
        connection, answer = connection_of(scope), self._answer(scope, receive, send)
        await (answer if connection is None else connection.follow(answer, self._other))
