"""The default transport, over httpx: every foreign exception turned into one of ours.

Imported when a client is made and not before: httpx is most of what `import smsc_async` would cost, and it imports rich
for a command of its own.
"""

import functools
import ssl
import zlib
from collections.abc import Mapping
from typing import Any, Final, Protocol

import httpx
from anyio.lowlevel import current_token

from ._exceptions import ConnectError, ConnectionLost, MalformedEnvelope, PoolTimeout, ReadTimeout, SmscError
from ._transport import Reply, Timeout
from ._version import __version__

__all__ = ["HttpxTransport"]

# Foreign to ours; the nearest class in the method resolution order counts. What is raised before a byte of the request
# leaves is NOT_SENT, and a proxy error is: it comes from CONNECT. All else may have reached the service.
_OURS: Final[Mapping[type[Exception], type[SmscError]]] = {
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
    OSError: ConnectionLost,  # a TLS alert after the handshake reaches us as the bare ssl.SSLError
}

_WORDS: Final[Mapping[type[SmscError], str]] = {
    ConnectError: "no connection could be made, nothing was sent",
    PoolTimeout: "no connection became free in time, nothing was sent",
    ReadTimeout: "the request was sent and no complete answer came in time",
    ConnectionLost: "the connection was cut after the request had begun to leave",
}


def _ours(error: Exception) -> SmscError:
    kind = next(_OURS[base] for base in type(error).__mro__ if base in _OURS)
    return kind(f"{_WORDS[kind]} ({type(error).__name__})")


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    # Reading the certificates takes tens of milliseconds, so all clients of the process share them.
    return httpx.create_ssl_context()


# Apache closes an idle connection after 5 seconds by default. One that is dropped here first can't be cut by the server
# in the moment in which a send leaves, which would leave a doubt for no reason.
_KEEPALIVE_EXPIRY: Final = 4.0
_LOOPBACK: Final[Mapping[str, None]] = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}


class HttpxTransport:
    """The default transport, over httpx.

    TLS is verified, redirects are not followed (a redirected POST would lose its body or send it twice), answers are
    read up to a limit that counts after decompression.

    Args:
        transport: The httpx transport to use; None for the network.
        proxy: The URL of a proxy; None for what the environment says (never for loopback).
        verify: An SSL context, or False to trust anybody, which is only for tests.
        max_connections: Connections at once.
        max_response_bytes: The largest answer that is read.
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
        self._proxy = proxy
        self._verify = verify
        self._max_connections = max_connections
        self._max_bytes = max_response_bytes
        self._client: httpx.AsyncClient | None = None
        self._token: object = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        """Post a request and return the whole answer, whatever its status.

        Raises:
            TransportError: The network failed; `outcome` tells whether the request may have arrived.
            MalformedEnvelope: The answer is too large, or its compression is broken.
        """
        return await self._exchange("POST", url, timeout, headers=dict(headers), content=body)

    async def get(self, url: str, timeout: Timeout) -> Reply:
        """Fetch a document and return the whole answer; raises as `post` does."""
        return await self._exchange("GET", url, timeout)

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None and self._token == current_token():
            await client.aclose()

    async def _exchange(self, method: str, url: str, timeout: Timeout, **request: Any) -> Reply:
        steps = httpx.Timeout(connect=timeout.connect, read=timeout.read, write=timeout.write, pool=timeout.pool)
        try:
            async with self._bound_client().stream(method, url, timeout=steps, **request) as response:
                body = await self._read(response)
                return Reply(response.status_code, response.headers.get("Content-Type", ""), body)
        except httpx.ProtocolError as error:
            # Its words quote what the server sent, which may quote the request.
            raise _ours(error) from None
        except (httpx.RequestError, OSError) as error:
            raise _ours(error) from error

    def _bound_client(self) -> httpx.AsyncClient:
        token = current_token()
        # anyio makes a new token on each call, so tokens are compared by value.
        if self._client is None or self._token != token:
            if self._client is not None and isinstance(self._given, httpx.AsyncHTTPTransport):
                raise RuntimeError(
                    "the httpx transport given to this client has connections of another event loop; "
                    "make a client for each event loop, or let the client make its own transport"
                )
            # Connections of a loop that has ended can't even be closed; they are forgotten.
            self._client, self._token = self._new_client(), token
        return self._client

    def _new_client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(
            max_connections=self._max_connections,
            max_keepalive_connections=self._max_connections,
            keepalive_expiry=_KEEPALIVE_EXPIRY,
        )
        verify = _ssl_context() if self._verify is True else self._verify
        return httpx.AsyncClient(
            transport=self._given,
            mounts=None if self._given or self._proxy else _LOOPBACK,
            proxy=self._proxy,
            verify=verify,
            limits=limits,
            follow_redirects=False,
            # Answers are a few hundred bytes: compressing them costs more than it saves.
            headers={"Accept": "text/xml", "Accept-Encoding": "identity", "User-Agent": f"smsc-async/{__version__}"},
        )

    async def _read(self, response: httpx.Response) -> bytes:
        """Read the body up to the limit, which counts what comes out of the decompressor, not what goes in."""
        if response.is_stream_consumed:  # it never came over a network: httpx.MockTransport makes it with its content
            self._check_size(response.content)
            return response.content
        unpack = _decompressor(response.headers.get("Content-Encoding", "identity"))
        body = bytearray()
        async for raw in response.aiter_raw():
            body += unpack(raw, self._max_bytes + 1 - len(body))
            self._check_size(body)
        return bytes(body)

    def _check_size(self, body: bytes | bytearray) -> None:
        if len(body) > self._max_bytes:
            raise MalformedEnvelope(f"the answer is larger than {self._max_bytes} bytes")


class _Unpack(Protocol):
    def __call__(self, data: bytes, limit: int, /) -> bytes: ...


def _decompressor(encoding: str) -> _Unpack:
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return lambda data, _: data
    if name not in {"gzip", "x-gzip", "deflate"}:
        raise MalformedEnvelope("the answer is compressed in a way that was not asked for")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # reads the headers of gzip and of zlib

    def unpack(data: bytes, limit: int) -> bytes:
        try:
            return inflater.decompress(data, limit)
        except zlib.error:
            pass
        raise MalformedEnvelope("the answer's compression is broken")

    return unpack
