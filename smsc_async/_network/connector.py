"""The connections of the aiohttp transport: each passes on one answer per request, and no bytes after it."""

import asyncio
import select
import warnings
from functools import partial
from inspect import signature
from typing import Any, Final, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from .framing import Framing
from .transport import KEEPALIVE_EXPIRY

__all__ = ["Connector", "NothingSent"]

_POLL: Final = getattr(select, "poll", None)  # None on Windows, where asyncio reads ahead
# aiohttp's default limits are 8 kB per line and, since 3.13.3, 128 headers; httpx's limit is 100 kB in total.
_LONG_HEADERS: Final[dict[str, Any]] = {
    name: most
    for name, most in (("max_line_size", 100_000), ("max_field_size", 100_000), ("max_headers", 10_000))
    if name in signature(ResponseHandler.set_response_params).parameters
}


class NothingSent(aiohttp.ClientError):
    """A failure while connecting, directly or through a proxy.

    Args:
        error: The failure.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _LongHeaders(ResponseHandler):
    """Reads long headers, those of a proxy's answer to CONNECT too, which no argument of a session is for."""

    def set_response_params(self, **options: Any) -> None:
        """Set how to read the next answer."""
        super().set_response_params(**{**options, **_LONG_HEADERS})


class _OneAnswer(asyncio.Protocol):
    """Passes one answer per request to aiohttp's protocol, and no bytes after it.

    Args:
        inner: The protocol of aiohttp.
        transport: Its connection.
        generation: How often all connections had been distrusted when it was made.
    """

    def __init__(self, inner: ResponseHandler, transport: asyncio.Transport, generation: int) -> None:
        self._inner = inner
        self._transport = transport
        self._generation = generation
        self._framing = Framing()

    def begin(self, generation: int) -> bool:
        """Expect another answer; return False if other bytes may precede it."""
        if generation != self._generation or not self._framing.is_complete or _is_readable(self._transport):
            return False
        self._framing = Framing()
        return True

    def data_received(self, data: bytes) -> None:
        """Pass on the bytes that belong to the answer."""
        used = self._framing.feed(data)
        if self._framing.is_broken:
            self._transport.abort()  # aiohttp would not notify the reader of the answer
            return
        if used < len(data) or not self._framing.is_known:
            self._inner.force_close()  # before aiohttp sees the end of the answer and keeps the connection
        if used:
            self._inner.data_received(data[:used])
        else:
            self._transport.abort()

    def eof_received(self) -> None:
        """Pass on the event."""
        self._inner.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """Pass on the event."""
        self._inner.connection_lost(error)

    def pause_writing(self) -> None:
        """Pass on the event."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on the event."""
        self._inner.resume_writing()


def _is_readable(transport: asyncio.Transport) -> bool:
    """Return whether the socket has data or an EOF that the event loop has not read yet."""
    if _POLL is None:
        return False
    poll = _POLL()
    poll.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(poll.poll(0))


class Connector(aiohttp.TCPConnector):
    """Connections that are reused only if no bytes follow their answers."""

    def __init__(self) -> None:
        # The transport limits the connections: with aiohttp's own limit a timeout of the pool and one of the network
        # look the same.
        super().__init__(limit=0, keepalive_timeout=KEEPALIVE_EXPIRY)
        self._factory = cast("partial[ResponseHandler]", partial(_LongHeaders, loop=self._loop))
        self._connecting: set[asyncio.Timeout] = set()
        self._is_stopped = False
        self._generation = 0

    def __del__(self, _warnings: Any = warnings) -> None:
        # aiohttp also reports this to the event loop, which logs it: in a notebook each client that was not closed
        # would print lines in red.
        if not self._closed and self._conns:
            self._close()
            _warnings.warn(
                "connections of a client with transport='aiohttp' were not closed; use the client as an async context "
                "manager, or call its aclose",
                ResourceWarning,
                source=self,
            )

    def stop(self) -> None:
        """Prevent requests that have not been sent from being sent."""
        if self._is_stopped:
            return
        self._is_stopped = True
        for scope in self._connecting:
            scope.reschedule(asyncio.get_running_loop().time())

    def distrust(self) -> None:
        """Do not reuse any existing connection."""
        self._generation += 1

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """Return a connection; whatever fails here, nothing was sent."""
        try:
            return await self._clean(req, traces, timeout)
        except (aiohttp.ClientError, OSError) as error:
            raise NothingSent(error) from error

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        async with asyncio.timeout(timeout.connect) as scope:
            self._connecting.add(scope)
            try:
                return await super()._create_connection(req, traces, timeout)
            finally:
                self._connecting.discard(scope)

    async def _clean(self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            transport = cast("asyncio.Transport", connection.transport)
            answers = transport.get_protocol()
            if self._is_stopped:
                connection.close()
                raise TimeoutError
            if not isinstance(answers, _OneAnswer):
                transport.set_protocol(
                    _OneAnswer(cast("ResponseHandler", connection.protocol), transport, self._generation)
                )
                return connection
            if answers.begin(self._generation):
                return connection
            connection.close()
