"""The transport over aiohttp: it gives the same guarantees as the default one, with far less overhead.

It works on asyncio only, as aiohttp does. It is imported when a client first needs it.
"""

import asyncio
import ssl
import weakref
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypedDict, cast

try:
    import aiohttp
except ModuleNotFoundError as error:  # pragma: no cover - tested in a process of its own, without the extra
    if error.name != "aiohttp":
        raise
    raise ModuleNotFoundError("transport='aiohttp' needs an extra package: pip install 'smsc-async[aiohttp]'") from None

from aiohttp.abc import AbstractStreamWriter
from yarl import URL

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
from .connector import Connector, NothingSent
from .proxy import ProxyURL, environment_proxy, read_proxy
from .tls import tls_context
from .transport import DEFAULT_HEADERS, Reply, Timeout, broken_answer, cause_of, failure, not_connected, ours

__all__ = ["AiohttpTransport"]

# aiohttp's exceptions and ours; the nearest class in the method resolution order applies. An error raised before a byte
# of the request leaves is NOT_SENT: a proxy refuses the CONNECT. After any other the request may have reached the
# service.
_OURS: Final[Mapping[type[Exception], type[TransportError]]] = {
    aiohttp.ClientConnectorError: ConnectError,
    aiohttp.ClientHttpProxyError: ConnectError,
    aiohttp.ConnectionTimeoutError: ConnectError,
    aiohttp.ServerFingerprintMismatch: ConnectError,
    aiohttp.InvalidURL: ConnectError,
    aiohttp.NonHttpUrlClientError: ConnectError,
    aiohttp.InvalidUrlRedirectClientError: ConnectionLost,  # a redirect comes after a request was sent
    aiohttp.NonHttpUrlRedirectClientError: ConnectionLost,
    aiohttp.ServerTimeoutError: ReadTimeout,
    aiohttp.ClientError: ConnectionLost,
    TimeoutError: ReadTimeout,
    OSError: ConnectionLost,
}

_ASYNCIO_ONLY: Final = "transport='aiohttp' works on asyncio only; leave transport= out on trio"
_PIECE: Final = 65_536  # the event loop buffers this much without waiting
_PROXY_SCHEMES: Final = frozenset({"http", "https"})


def _may_quote(error: Exception) -> bool:
    """Return whether the text of an exception may quote the request, or a response, which may quote the request."""
    quoting = aiohttp.ClientResponseError, aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError
    return isinstance(error, quoting) or not isinstance(error, aiohttp.ClientError | OSError)


_parsed: Final = lru_cache(maxsize=64)(URL)


@lru_cache(maxsize=64)
def _steps(timeout: Timeout) -> aiohttp.ClientTimeout:
    # aiohttp has no write timeout; `_Pieces` applies one.
    return aiohttp.ClientTimeout(total=None, connect=timeout.connect, sock_read=timeout.read)


class _Routing(TypedDict, total=False):
    headers: Mapping[str, str]
    proxy: str
    proxy_headers: Mapping[str, str]
    ssl: ssl.SSLContext


class _Pieces(aiohttp.Payload):
    """A body; one too large for the buffers is written in pieces, each with a timeout.

    Args:
        value: The body.
        within: Seconds to write each piece.

    Attributes:
        left: Whether sending it has begun, None if it is empty; a server executes nothing before that.
        step: 0 before the network is used, 1 until the first byte of the answer, 2 afterwards.
    """

    _autoclose = True

    def __init__(self, value: bytes, within: float) -> None:
        super().__init__(value)
        self._size = len(value)
        self._within = within
        self.left: bool | None = False if value else None
        self.step = 0

    def had_left(self, error: Exception) -> bool | None:
        """Return whether sending had begun before an exception, None if only the exception's class can show it."""
        if self.step != 1:
            return self.step > 1
        return None if isinstance(error, aiohttp.ClientError) and not self.left else self.left

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text."""
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body; if a piece times out, stop waiting for the answer."""
        self.left = True
        if len(self._value) <= _PIECE:
            await writer.write(self._value)
            return
        for start in range(0, len(self._value), _PIECE):
            async with asyncio.timeout(self._within):
                await writer.write(self._value[start : start + _PIECE])


class AiohttpTransport:
    """The transport over aiohttp; on asyncio only.

    TLS is verified, redirects are not followed, no cookies are kept, nothing is retried, answers are read up to a
    limit that applies after decompression.

    Args:
        proxy: The URL of a proxy, http or https; None for the one in the environment (never for loopback).
        verify: An SSL context, or False to accept any certificate, which is only for tests.
        max_connections: The largest number of connections at once.
        max_response_bytes: The largest answer that is read, in bytes.

    Raises:
        ValueError: The proxy can't be used.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        verify: ssl.SSLContext | bool = True,
        max_connections: int = 20,
        max_response_bytes: int = 1_048_576,
    ) -> None:
        self._proxy = _given_proxy(proxy)
        self._verify = verify
        self._max_connections = max_connections
        self._max_bytes = max_response_bytes
        self._proxy_of: dict[str, ProxyURL | None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._connector: Connector | None = None  # when the program ends, the session has none any more
        self._slots = asyncio.Semaphore(max_connections)
        self._is_stopped = False
        self._forgotten: weakref.finalize[..., object] | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        """Post a request and return the whole answer, whatever its status.

        Raises:
            TransportError: The network failed; `outcome` shows whether the request may have arrived.
            MalformedEnvelope: The answer is too large, or its compression is broken.
            ProtocolError: Its HTTP headers are broken.
        """
        return await self._exchange("POST", url, headers, body, timeout)

    async def get(self, url: str, timeout: Timeout) -> Reply:
        """Fetch a document and return the whole answer; raises as `post` does."""
        return await self._exchange("GET", url, {}, None, timeout)

    def stop(self) -> None:
        """Prevent requests that have not been sent from being sent; waiting ones fail with an error that says so."""
        self._is_stopped = True
        if self._connector is not None:
            self._connector.stop()
        self._slots.release()  # a request waiting for a slot passes it on to the next

    def distrust(self) -> None:
        """Do not reuse any existing connection."""
        if self._connector is not None:
            self._connector.distrust()

    async def aclose(self) -> None:
        """Close all connections."""
        session, connector = self._session, self._connector
        if session is not None and connector is not None:
            if self._loop is asyncio.get_running_loop():
                self.stop()
            self._session = self._connector = None
            cast("weakref.finalize[..., object]", self._forgotten).detach()
            await _close_session(session, connector, self._loop)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: Timeout
    ) -> Reply:
        content = _Pieces(body or b"", timeout.write)
        left: bool | None = False
        try:
            return await self._try(method, url, headers, content, timeout)
        except SmscError:
            raise
        except NothingSent as error:
            foreign = error.error
        except Exception as error:  # noqa: BLE001 - exceptions of other libraries must not leave a call
            foreign, left = error, content.had_left(error)
        failed = self._failure(foreign, url, left, content.step)
        cause = None if _may_quote(foreign) else cause_of(foreign)
        del foreign
        raise failed from cause  # outside the handler, so an exception that may quote the request is not its context

    def _failure(self, error: Exception, url: str, left: bool | None, step: int) -> SmscError:
        proxy = self._proxy or self._proxy_of.pop(url, None)  # the next try looks again
        route = Route(url, None if proxy is None else proxy.url)
        if type(error) is aiohttp.ClientResponseError and step == 1 and left is not None:
            return broken_answer() if left else not_connected(route.unreadable())
        if left or self._is_stopped:
            return ours(error, _OURS, left=left)
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return not_connected(route.unresolved())
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return not_connected(route.refused(str(getattr(error, "status", ""))))
        return ours(error, _OURS, left=left, route=route)

    async def _try(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: _Pieces,
        timeout: Timeout,
    ) -> Reply:
        session = await self._bound_session()
        proxy = self._route(url)
        slots = self._slots
        await self._take_slot(slots, timeout.pool)
        try:
            if self._is_stopped:
                raise failure(PoolTimeout)
            target, steps, routing = _parsed(url), _steps(timeout), self._routing(proxy, url, headers)
            content.step = 1
            response = await session.request(
                method, target, data=content if content.size else None, timeout=steps, allow_redirects=False, **routing
            )
            content.step = 2
            return await self._read(response, timeout.read)
        finally:
            slots.release()

    async def _read(self, response: aiohttp.ClientResponse, within: float) -> Reply:
        content = response.content
        try:
            encodings = response.headers.getall("Content-Encoding", ())
            body = Body(self._max_bytes, ", ".join(encodings), response.status)
            while not content.at_eof():
                if content.is_eof():  # all of it has been received
                    body.add(content.read_nowait())
                    continue
                # A parser error stops aiohttp's own timer, but may not be reported to this reader.
                async with asyncio.timeout(within):
                    body.add(await content.readany())
        except BaseException:
            response.close()  # this connection still contains part of an answer, so it is not reused
            raise
        response.release()
        return Reply(response.status, response.headers.get("Content-Type", ""), bytes(body))

    async def _take_slot(self, slots: asyncio.Semaphore, within: float) -> None:
        if not slots.locked():
            await slots.acquire()
            return
        try:
            async with asyncio.timeout(within):
                await slots.acquire()
        except TimeoutError:
            raise failure(PoolTimeout) from None

    def _route(self, url: str) -> ProxyURL | None:
        if self._proxy is not None:
            return self._proxy
        if url not in self._proxy_of:
            self._proxy_of[url] = environment_proxy(url, _PROXY_SCHEMES)
        return self._proxy_of[url]

    def _routing(self, proxy: ProxyURL | None, url: str, headers: Mapping[str, str]) -> _Routing:
        routing: _Routing = {"headers": headers}
        is_tls = url.startswith("https:")
        if is_tls or (proxy is not None and proxy.url.startswith("https:")):
            self._verify = routing["ssl"] = tls_context(self._verify)  # the first time it reads the certificates
        if proxy is not None:
            routing["proxy"] = proxy.url
            authorization = proxy.authorization()  # aiohttp itself can't send a password that isn't Latin-1
            known = {} if authorization is None else {"Proxy-Authorization": authorization}
            routing |= {"proxy_headers": known} if is_tls else {"headers": {**headers, **known}}
        return routing

    async def _bound_session(self) -> aiohttp.ClientSession:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WrongEventLoop(_ASYNCIO_ONLY) from None
        if self._session is not None and self._loop is loop:
            return self._session
        if self._is_stopped:
            raise failure(PoolTimeout)
        old, old_connector, old_loop = self._session, self._connector, self._loop
        self._connector, self._loop = Connector(), loop
        session = self._session = _new_session(self._connector)
        self._slots = asyncio.Semaphore(self._max_connections)
        # Otherwise a session that was not closed is logged as an error; its connector closes the connections.
        if self._forgotten is not None:
            self._forgotten.detach()
        self._forgotten = weakref.finalize(self, session.detach)
        if old is not None and old_connector is not None:
            await _close_session(old, old_connector, old_loop)
        return session


def _new_session(connector: Connector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        headers=DEFAULT_HEADERS,
        skip_auto_headers=["Content-Type"],
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


def _given_proxy(proxy: object) -> ProxyURL | None:
    found = None if proxy is None else read_proxy(proxy, _PROXY_SCHEMES)
    if isinstance(found, str):
        raise ValueError(f"proxy {found}")  # noqa: TRY004 - `found` says what is wrong
    return found


async def _close_session(
    session: aiohttp.ClientSession, connector: Connector, loop: asyncio.AbstractEventLoop | None
) -> None:
    """Close the connections of a session; those of another loop that is still open are only dropped."""
    session.detach()
    if loop is not None and (loop is asyncio.get_running_loop() or loop.is_closed()):
        await connector.close()
