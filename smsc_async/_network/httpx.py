"""The default transport, over httpx: every exception of httpx becomes one of ours.

It is imported with the first client: httpx would take most of the time of `import smsc_async`, as it imports rich for
its own command line.
"""

import functools
import ssl
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, Final, cast

import anyio
import httpx

from smsc_async._clock import LoopBinding
from smsc_async._model import (
    ConnectError,
    ConnectionLost,
    PoolTimeout,
    ReadTimeout,
    SmscError,
    TransportError,
    WrongEventLoop,
)

from .body import Body
from .causes import Route
from .departure import RequestDeparture
from .pool import PROXY_SCHEMES, ConnectionPool, given_proxy, is_last, make_connection
from .proxy import ProxyURL, environment_proxy
from .tls import no_tls, tls_context
from .transport import (
    DEFAULT_HEADERS,
    KEEPALIVE_EXPIRY,
    Reply,
    Timeout,
    broken_answer,
    cause_of,
    failure,
    not_connected,
    ours,
)

__all__ = ["HttpxTransport"]

# httpx's exceptions and ours; the nearest class in the method resolution order wins. An error raised before a byte of
# the request leaves is NOT_SENT, a proxy error too: it comes from CONNECT. After any other the request may have reached
# the service.
_OURS: Final[Mapping[type[Exception], type[TransportError]]] = {
    httpx.ConnectTimeout: ConnectError,
    httpx.ConnectError: ConnectError,
    httpx.ProxyError: ConnectError,
    httpx.UnsupportedProtocol: ConnectError,
    httpx.PoolTimeout: PoolTimeout,
    httpx.TimeoutException: ReadTimeout,
    httpx.NetworkError: ConnectionLost,
    httpx.ProtocolError: ConnectionLost,
    httpx.TransportError: ConnectionLost,
    httpx.RequestError: ConnectionLost,
    OSError: ConnectionLost,  # a TLS alert after the handshake is raised as a bare ssl.SSLError
}


class _Content(httpx.AsyncByteStream):
    """The body of a request; a server executes nothing before sending it has begun.

    Args:
        data: The body, None for none.

    Attributes:
        data: The body.
        left: Whether sending it has begun, None if that is unknown.
        step: 0 before the network is used, 1 until the first byte of the answer, 2 afterwards.
    """

    def __init__(self, data: bytes | None) -> None:
        self.data = data
        self.left: bool | None = False if data else None
        self.step = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.left is not False or self.data is None:
            raise StopAsyncIteration
        self.left = True
        return self.data

    def had_left(self, error: Exception) -> bool | None:
        """Return whether sending had begun before an exception, None if only the exception's class can show it."""
        if self.step != 1:
            return self.step > 1
        # httpx raises its own from those of httpcore; a mock raises them directly.
        is_mock = isinstance(error, httpx.RequestError) and not type(error.__cause__).__module__.startswith("httpcore")
        return None if is_mock else self.left


def _may_quote(error: Exception) -> bool:
    """Return whether the text of an exception may quote the request, or a response, which may quote the request."""
    return isinstance(error, httpx.ProtocolError) or not isinstance(error, httpx.RequestError | OSError)


def _is_broken(error: Exception) -> bool:
    """Return whether the parser of httpcore could not read an answer; it reports a cut connection in another way."""
    found = error.__cause__ if isinstance(error, httpx.RemoteProtocolError) else None
    return found is not None and type(found.__context__).__module__.startswith("h11")


_parsed: Final = functools.lru_cache(maxsize=64)(httpx.URL)


class HttpxTransport:
    """The default transport, over httpx.

    TLS is verified, redirects are not followed (a redirected POST would lose its body or send it twice), answers are
    read up to a limit that applies after decompression.

    Args:
        transport: The httpx transport to use; None to connect to the network.
        proxy: The URL of a proxy; None for the one in the environment (never for loopback).
        verify: An SSL context, or False to accept any certificate, which is only for tests.
        max_connections: The largest number of connections at once.
        max_response_bytes: The largest answer that is read, in bytes.

    Raises:
        ValueError: The proxy can't be used.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        proxy: str | httpx.Proxy | None = None,
        verify: ssl.SSLContext | bool = True,
        max_connections: int = 20,
        max_response_bytes: int = 1_048_576,
    ) -> None:
        self._given = transport
        self._proxy = given_proxy(proxy)
        self._verify = verify
        self._max_connections = max_connections
        self._max_bytes = max_response_bytes
        self._routes: dict[tuple[ProxyURL | None, bool], ConnectionPool] = {}  # by proxy, and whether it has TLS
        self._route_of: dict[str, ConnectionPool] = {}
        self._binding = LoopBinding()
        self._departures: set[RequestDeparture] = set()
        self._is_stopped = False
        self._suspects: set[Any] = set()  # connections of httpcore

    def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Coroutine[Any, Any, Reply]:
        """Post a request and return the whole answer, whatever its status.

        Raises:
            TransportError: The network failed; `outcome` shows whether the request may have arrived.
            MalformedEnvelope: The answer is too large, or its compression is broken.
            ProtocolError: Its HTTP headers are broken.
        """
        return self._exchange("POST", url, {**DEFAULT_HEADERS, **headers}, body, timeout)

    def get(self, url: str, timeout: Timeout) -> Coroutine[Any, Any, Reply]:
        """Fetch a document and return the whole answer; raises as `post` does."""
        return self._exchange("GET", url, DEFAULT_HEADERS, None, timeout)

    def stop(self) -> None:
        """Prevent requests that have not been sent from being sent; waiting ones fail with an error that says so."""
        self._is_stopped = True
        for departure in self._departures:
            departure.prevent()
        for pool in self._routes.values():
            pool.stop()

    def distrust(self) -> None:
        """Do not reuse any existing connection."""
        for pool in self._routes.values():
            pool.distrust()
        self._suspects.update(getattr(getattr(self._given, "_pool", None), "connections", ()))

    async def aclose(self) -> None:
        """Close all connections; one in use is closed when its request ends, so that no answer is lost."""
        if self._binding.is_here():
            self.stop()
            self._binding = LoopBinding()
            for pool in self._routes.values():
                await pool.aclose()
            if self._given is not None:
                await self._given.aclose()
        self._routes, self._route_of = {}, {}

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: Timeout
    ) -> Reply:
        self._bind()
        content = _Content(body)
        try:
            request = _request(method, url, headers, content, timeout)
            if self._given is not None:
                content.left = None
                await self._close_suspects()
                return (await self._send(self._given, request, content, timeout.connect))[0]
            if content.data:
                request.stream = content
            pool = self._route_of.get(url) or self._route(url)
            connection = await pool.take(timeout.pool)
            try:
                reply, can_be_kept = await self._send(connection, request, content, timeout.connect)
            except BaseException:
                await pool.drop(connection)
                raise
            if not can_be_kept or not pool.give(connection):
                await pool.drop(connection)
        except SmscError:
            raise
        except Exception as error:  # noqa: BLE001 - exceptions of other libraries must not leave a call
            failed = self._failure(error, url, content)
            cause = None if _may_quote(error) else cause_of(error)
        else:
            return reply
        raise failed from cause  # outside the handler, so an exception that may quote the request is not its context

    def _failure(self, error: Exception, url: str, content: _Content) -> SmscError:
        left, route = content.had_left(error), self._route_to(url)
        if content.step == 1 and _is_broken(error):
            return broken_answer() if left is not False else not_connected(route.unreadable())
        if isinstance(error, httpx.ProxyError) and route.proxy is not None and not left:
            return not_connected(route.refused(str(error)))
        return ours(error, _OURS, left=left, route=route)

    def _route_to(self, url: str) -> Route:
        given = getattr(getattr(self._given, "_pool", None), "_proxy_url", None)
        if given is not None:  # httpcore's URL, which has no credentials
            return Route(url, bytes(given).decode())
        if self._proxy is not None:
            return Route(url, str(self._proxy.url))
        pool = self._route_of.get(url)
        named = next((proxy for (proxy, _), each in self._routes.items() if each is pool), None)
        return Route(url, None if named is None else named.url)

    async def _close_suspects(self) -> None:
        """Close the connections of a given transport that must not be reused, as soon as each is idle."""
        for connection in [each for each in self._suspects if each.is_idle() or each.is_closed()]:
            self._suspects.discard(connection)
            with anyio.CancelScope(shield=True):
                await connection.aclose()

    async def _send(
        self, transport: httpx.AsyncBaseTransport, request: httpx.Request, content: _Content, connect: float
    ) -> tuple[Reply, bool]:
        """Return the answer, and whether the transport can be reused."""
        if self._is_stopped:
            raise failure(PoolTimeout)
        is_noticed = isinstance(transport, httpx.AsyncHTTPTransport)
        departure = RequestDeparture(request.extensions, connect, is_noticed=is_noticed)
        self._departures.add(departure)
        content.step = 1
        try:
            with departure.scope:
                response = await transport.handle_async_request(request)
                content.step = 2
                return await self._received(request, response)
        except Exception:
            content.left = False if departure.sent_nothing else content.left
            raise
        finally:
            self._departures.discard(departure)
            await departure.clean_up()
        if self._is_stopped:
            raise failure(ConnectError)
        content.left = False
        raise TimeoutError

    async def _received(self, request: httpx.Request, response: httpx.Response) -> tuple[Reply, bool]:
        try:
            body = await self._read(response)
            can_be_kept = is_last(response, body, is_tls=request.url.scheme == "https")
        finally:
            await response.aclose()
        return Reply(response.status_code, response.headers.get("Content-Type", ""), body), can_be_kept

    async def _read(self, response: httpx.Response) -> bytes:
        body = Body(self._max_bytes, response.headers.get("Content-Encoding", ""), response.status_code)
        # `aiter_raw` does the same with two more generators; the stream of a transport without a network is async too.
        async for piece in cast(httpx.AsyncByteStream, response.stream):
            body.add(piece)
        return bytes(body)

    def _bind(self) -> None:
        if self._binding.is_here():
            return
        if self._binding.is_bound and isinstance(self._given, httpx.AsyncHTTPTransport):
            raise WrongEventLoop(
                "the httpx transport given to this client has connections of another event loop; "
                "make a client for each event loop, or let the client make its own transport"
            )
        # Connections of a loop that has ended can't be closed, only dropped.
        self._routes, self._route_of = {}, {}
        self._binding.bind()

    def _route(self, url: str) -> ConnectionPool:
        named = None if self._proxy is not None else environment_proxy(url, PROXY_SCHEMES)
        route = named, _parsed(url).scheme == "https"
        if route not in self._routes:
            proxy = self._proxy if named is None else httpx.Proxy(named.url, auth=named.auth)
            make = functools.partial(make_connection, tls_context(self._verify) if route[1] else no_tls(), proxy)
            self._routes[route] = ConnectionPool(make, most=self._max_connections, expiry=KEEPALIVE_EXPIRY)
        self._route_of[url] = self._routes[route]
        return self._routes[route]


def _request(method: str, url: str, headers: Mapping[str, str], content: _Content, timeout: Timeout) -> httpx.Request:
    steps = {"connect": timeout.connect, "read": timeout.read, "write": timeout.write, "pool": timeout.pool}
    return httpx.Request(method, _parsed(url), headers=headers, content=content.data, extensions={"timeout": steps})
