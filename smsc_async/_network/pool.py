"""A pool of httpx transports with one connection each, so that the cost of a call does not grow with their number.

httpx's own pool searches all its connections and waiting requests whenever a request starts or ends: with 50 in flight
that takes most of the time of a call. Here each connection has its own httpx transport, and the one that became idle
last is used first.
"""

import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from typing import Final

import anyio
import httpx

from smsc_async._frames import PrivateBytes
from smsc_async._model import ConnectError, PoolTimeout

from .proxy import LAST_PORT, ProxyURL, read_proxy
from .tls import no_tls
from .transport import KEEPALIVE_EXPIRY, failure

__all__ = ["PROXY_SCHEMES", "ConnectionPool", "given_proxy", "is_last", "make_connection"]

PROXY_SCHEMES: Final = frozenset({"http", "https", "socks5", "socks5h"})
_ONE: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE_EXPIRY)

# The state of a connection: h11 knows what was received after an answer, but has no public API for it.
_STATE: Final = attrgetter("_httpcore_stream._stream._connection._h11_state")
_LARGE: Final = 32_768  # anyio may hold back what it received together with more than 64 kB


class _Waiter:
    __slots__ = ("connection", "woken")

    def __init__(self) -> None:
        self.connection: httpx.AsyncBaseTransport | None = None
        self.woken = anyio.Event()


class ConnectionPool:
    """The connections of one route, direct or through a proxy, on one event loop.

    Args:
        make: Makes a connection.
        most: The largest number of connections at once.
        expiry: Seconds after which an idle connection is closed, the next time one is taken.
    """

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport], *, most: int, expiry: float) -> None:
        self._make = make
        self._most = most
        self._expiry = expiry
        self._connections: dict[httpx.AsyncBaseTransport, int] = {}  # each with its generation
        self._idle: deque[tuple[float, httpx.AsyncBaseTransport]] = deque()
        self._waiters: deque[_Waiter] = deque()
        self._is_closed = False
        self._generation = 0

    def __len__(self) -> int:
        return len(self._connections)

    async def take(self, within: float) -> httpx.AsyncBaseTransport:
        """Return a connection for exclusive use until it is given back or dropped.

        Raises:
            PoolTimeout: None became free in `within` seconds, or before the pool was closed.
        """
        if self._idle and self._idle[0][0] < anyio.current_time() - self._expiry:
            # Close one per call, before anything is sent, so that no call has to close all those left idle by a peak.
            stale = self._idle.popleft()[1]
            del self._connections[stale]
            await stale.aclose()
        while self._idle:
            connection = self._idle.pop()[1]
            if self._is_trusted(connection):
                return connection
            del self._connections[connection]
            await connection.aclose()
        if len(self._connections) < self._most:
            return self._new()
        return await self._wait(within)

    def give(self, connection: httpx.AsyncBaseTransport) -> bool:
        """Take back a connection whose answer was read completely; return False if the caller must drop it instead."""
        if not self._is_trusted(connection):
            return False
        if self._waiters:
            self._hand_over(connection)
            return True
        if connection not in self._connections:  # since `aclose`
            return False
        self._idle.append((anyio.current_time(), connection))
        return True

    async def drop(self, connection: httpx.AsyncBaseTransport) -> None:
        """Close a connection that failed: it may still contain part of an answer, so it is not reused."""
        self._connections.pop(connection, None)
        if self._waiters:
            self._hand_over(self._new())
        with anyio.CancelScope(shield=True):
            await connection.aclose()

    def distrust(self) -> None:
        """Close every existing connection instead of reusing it."""
        self._generation += 1

    def stop(self) -> None:
        """Fail the callers that wait for a connection."""
        self._is_closed = True
        while self._waiters:
            self._waiters.popleft().woken.set()

    async def aclose(self) -> None:
        """Close the idle connections and fail the callers that wait for one.

        One in use is closed by its caller in `drop`: an httpx transport closed while it connects leaks the connection.
        """
        self.stop()
        self._connections.clear()
        while self._idle:
            await self._idle.pop()[1].aclose()

    def _new(self) -> httpx.AsyncBaseTransport:
        connection = self._make()
        if not self._is_closed:
            self._connections[connection] = self._generation
        return connection

    def _is_trusted(self, connection: httpx.AsyncBaseTransport) -> bool:
        return self._connections.get(connection, self._generation) == self._generation

    def _hand_over(self, connection: httpx.AsyncBaseTransport) -> None:
        waiter = self._waiters.popleft()
        waiter.connection = connection
        waiter.woken.set()

    async def _wait(self, within: float) -> httpx.AsyncBaseTransport:
        waiter = _Waiter()
        self._waiters.append(waiter)
        try:
            with anyio.move_on_after(within):
                await waiter.woken.wait()
        except BaseException:
            # A connection may have been handed over just before the cancellation.
            if waiter.connection is not None and not self.give(waiter.connection):
                await self.drop(waiter.connection)
            raise
        finally:
            if waiter.connection is None:
                with suppress(ValueError):  # `aclose` has emptied the queue
                    self._waiters.remove(waiter)
        if waiter.connection is None:
            raise failure(PoolTimeout)
        if self._is_trusted(waiter.connection):
            return waiter.connection
        # Distrusted after it was handed over: its last answer may have belonged to another request.
        del self._connections[waiter.connection]
        connection = self._new()
        with anyio.CancelScope(shield=True):
            await waiter.connection.aclose()
        return connection


def is_last(response: httpx.Response, body: bytes, *, is_tls: bool) -> bool:
    """Have the connection closed if bytes follow the answer; return False if that can't be determined."""
    try:
        state = _STATE(response.stream)
        follows = state.trailing_data[0] or len(body) > _LARGE
    except AttributeError:
        return False
    if follows or (is_tls and _holds_more(response.extensions["network_stream"].get_extra_info("ssl_object"))):
        state.send_failed()  # so httpcore closes it, before another request can get it
    return True


def _holds_more(tls: ssl.SSLObject | None) -> bool:
    """Return whether the TLS layer has received unread data or EOF; the data is dropped."""
    try:
        return tls is not None and tls.read(1) is not None
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        return True


def given_proxy(proxy: object) -> httpx.Proxy | None:
    """Return a proxy that the caller passed; no exception contains its password."""
    if proxy is None:
        return None
    found = proxy if isinstance(proxy, httpx.Proxy) else read_proxy(proxy, PROXY_SCHEMES)
    if isinstance(found, ProxyURL):
        found = httpx.Proxy(found.url, auth=found.auth)
    problem = found if isinstance(found, str) else _problem(found)
    if isinstance(found, str) or problem is not None:
        raise ValueError(f"proxy {problem}")
    return found


class _Proxy(httpx.Proxy):
    """A proxy whose password does not appear in httpcore's log."""

    def __init__(self, given: httpx.Proxy) -> None:
        super().__init__(given.url, ssl_context=given.ssl_context, auth=given.auth, headers=given.headers)

    @property
    def raw_auth(self) -> tuple[bytes, bytes] | None:
        """The user and the password."""
        auth = super().raw_auth
        return None if auth is None else (PrivateBytes(auth[0]), PrivateBytes(auth[1]))


def _problem(proxy: httpx.Proxy) -> str | None:
    """Return why httpx can't use a proxy, None if it can."""
    if not proxy.url.host or not (proxy.url.port is None or 0 < proxy.url.port <= LAST_PORT):
        return "must have a valid host, and a port from 1 to 65535 or none"
    try:
        make_connection(no_tls(), proxy)
    except ConnectError as error:
        return f"can't be used: {error}"
    return None


def make_connection(verify: ssl.SSLContext, proxy: httpx.Proxy | None) -> httpx.AsyncHTTPTransport:
    """Return a transport with one connection.

    Raises:
        ConnectError: The proxy can't be used.
    """
    try:
        return httpx.AsyncHTTPTransport(verify=verify, limits=_ONE, proxy=None if proxy is None else _Proxy(proxy))
    except (ImportError, ValueError) as error:
        # The error's message may quote the proxy's password, so only its class is named.
        kind = type(error).__name__
    raise ConnectError(f"the proxy can't be used ({kind}; SOCKS needs httpx[socks]), nothing was sent")
