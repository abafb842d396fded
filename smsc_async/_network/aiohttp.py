"""The transport over aiohttp: the same guarantees as the default one, with far less overhead.

It works on asyncio only, as aiohttp does. It is imported when a client first needs it.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

try:
    import aiohttp
except ModuleNotFoundError as error:  # pragma: no cover - tested in a process of its own, without the extra
    if error.name != "aiohttp":
        raise
    raise ModuleNotFoundError("transport='aiohttp' needs an extra package: pip install 'smsc-async[aiohttp]'") from None

from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from smsc_async._model import ConnectError, ConnectionLost, PoolTimeout, ReadTimeout, TransportError

from .body import Body
from .proxy import environment_proxy
from .tls import tls_context
from .transport import DEFAULT_HEADERS, KEEPALIVE_EXPIRY, Reply, Timeout, failure

__all__ = ["AiohttpTransport"]

# aiohttp's exceptions and ours; the nearest class in the method resolution order counts. An error raised before a byte
# of the request leaves is NOT_SENT: a proxy refuses the CONNECT. After any other the request may have reached the
# service.
_OURS: Final[Mapping[type[BaseException], type[TransportError]]] = {
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
# Their messages quote what the server sent, which may quote the request.
_QUOTING: Final = (aiohttp.ClientResponseError, aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)

_ASYNCIO_ONLY: Final = "transport='aiohttp' works on asyncio only; leave transport= out on trio"
_PIECE: Final = 65_536  # the event loop buffers this much without waiting
_PROXY_SCHEMES: Final = frozenset({"http", "https"})


def _ours(error: Exception) -> TransportError:
    kind = next(_OURS[base] for base in type(error).__mro__ if base in _OURS)
    return failure(kind, type(error).__name__)


_parsed: Final = lru_cache(maxsize=64)(URL)


@lru_cache(maxsize=64)
def _steps(timeout: Timeout) -> aiohttp.ClientTimeout:
    # aiohttp has no write timeout; `_Pieces` applies one.
    return aiohttp.ClientTimeout(total=None, connect=timeout.connect, sock_read=timeout.read)


class _Pieces(aiohttp.Payload):
    """A body too large for the buffers, written in pieces, each with a timeout.

    Args:
        value: The body.
        within: Seconds to write each piece.
    """

    _autoclose = True

    def __init__(self, value: bytes, within: float) -> None:
        super().__init__(value)
        self._size = len(value)
        self._within = within

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text."""
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body; a piece that can't be written in time ends the wait for the answer."""
        for start in range(0, len(self._value), _PIECE):
            async with asyncio.timeout(self._within):
                await writer.write(self._value[start : start + _PIECE])


class AiohttpTransport:
    """The transport over aiohttp; on asyncio only.

    TLS is verified, redirects are not followed, no cookies are kept, nothing is repeated, answers are read up to a
    limit that counts after decompression.

    Args:
        proxy: The URL of a proxy, http or https; None for the one that the environment names (never for loopback).
        verify: An SSL context, or False to accept any certificate, which is only for tests.
        max_connections: The largest number of connections at once.
        max_response_bytes: The largest answer that is read, in bytes.

    Raises:
        ValueError: The proxy is neither http nor https.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        verify: ssl.SSLContext | bool = True,
        max_connections: int = 20,
        max_response_bytes: int = 1_048_576,
    ) -> None:
        if proxy is not None and urlsplit(proxy).scheme not in _PROXY_SCHEMES:
            raise ValueError("transport='aiohttp' supports http and https proxies only")
        self._proxy = proxy
        self._verify = verify
        self._max_connections = max_connections
        self._max_bytes = max_response_bytes
        self._proxy_of: dict[str, str | None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(max_connections)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        """Post a request and return the whole answer, whatever its status.

        Raises:
            TransportError: The network failed; `outcome` tells whether the request may have arrived.
            MalformedEnvelope: The answer is too large, or its compression is broken.
        """
        return await self._exchange("POST", url, headers, body, timeout)

    async def get(self, url: str, timeout: Timeout) -> Reply:
        """Fetch a document and return the whole answer; raises as `post` does."""
        return await self._exchange("GET", url, {}, None, timeout)

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await _close_session(session, self._loop)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: Timeout
    ) -> Reply:
        session = await self._bound_session()
        proxy = self._route(url)
        slots = self._slots
        await self._take_slot(slots, timeout.pool)
        try:
            if session.closed:  # closed while this request waited for its slot
                raise failure(PoolTimeout)
            try:
                response = await session.request(
                    method,
                    _parsed(url),
                    headers=headers,
                    data=body if body is None or len(body) <= _PIECE else _Pieces(body, timeout.write),
                    proxy=proxy,
                    timeout=_steps(timeout),
                    allow_redirects=False,
                )
                return await self._read(response)
            except _QUOTING as error:
                raise _ours(error) from None
            except (aiohttp.ClientError, OSError) as error:
                # With a proxy its `repr` shows the proxy's password.
                raise _ours(error) from (error if proxy is None else None)
        finally:
            slots.release()

    async def _read(self, response: aiohttp.ClientResponse) -> Reply:
        try:
            body = Body(self._max_bytes, response.headers.get("Content-Encoding", ""))
            async for piece in response.content.iter_any():
                body.add(piece)
        except BaseException:
            response.close()  # part of an answer is left in this connection, so it is not used again
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

    def _route(self, url: str) -> str | None:
        if url not in self._proxy_of:
            self._proxy_of[url] = self._proxy or environment_proxy(url)
        proxy = self._proxy_of[url]
        if proxy is not None and urlsplit(proxy).scheme not in _PROXY_SCHEMES:
            raise ConnectError("transport='aiohttp' supports http and https proxies only, nothing was sent")
        return proxy

    async def _bound_session(self) -> aiohttp.ClientSession:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(_ASYNCIO_ONLY) from None
        if self._session is not None and self._loop is loop:
            return self._session
        old, old_loop = self._session, self._loop
        session, self._loop = self._new_session(), loop
        self._session, self._slots = session, asyncio.Semaphore(self._max_connections)
        if old is not None:
            await _close_session(old, old_loop)
        return session

    def _new_session(self) -> aiohttp.ClientSession:
        # The semaphore limits the connections: with aiohttp's own limit a timeout of the pool and one of the network
        # look the same.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_EXPIRY, ssl=tls_context(self._verify))
        return aiohttp.ClientSession(
            connector=connector,
            headers=DEFAULT_HEADERS,
            skip_auto_headers=["Content-Type"],
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )


async def _close_session(session: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop | None) -> None:
    """Close the connections of a session; those of another loop that is not closed are only dropped."""
    connector = session.connector
    session.detach()
    if connector is not None and loop is not None and (loop is asyncio.get_running_loop() or loop.is_closed()):
        await connector.close()
