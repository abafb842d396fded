"""The sandbox as a server on this machine: uvicorn, which passes the connection of a request on to the application."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Iterator
from threading import Thread
from typing import Any, Final

from starlette.types import Receive, Scope, Send

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ModuleNotFoundError as _error:
    if _error.name != "uvicorn":
        raise
    raise ModuleNotFoundError("serving a sandbox needs an extra package: pip install 'smsc-async[sandbox]'") from None

from ._callbacks import SandboxCallbacks
from ._connection import put_connection, until_gone

__all__ = ["ServedProtocol", "serve"]

_PATH: Final = "/sys/soap.php"
_EVENTS: Final = "/_sandbox/events"
_GRACE: Final = 2  # seconds


class ServedConnection:
    """A connection of the server, which the HTTP protocol uses in place of the transport of asyncio.

    Args:
        transport: The transport of asyncio.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: bytes | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send bytes, or hold them back until more follow."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held += data

    async def cut(self, receive: Receive) -> None:
        """Close it after what was sent so far, and wait until it is closed: the server then expects no answer."""
        self._transport.close()
        await until_gone(receive)

    async def follow(self, answer: Awaitable[None], data: bytes) -> None:
        """Send an answer, and with its last bytes others that are no part of it."""
        self._held = b""
        try:
            await answer
        finally:
            held, self._held = self._held, None
            self._transport.write(held + data)


class ServedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the connection in the scope of each request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Pass the connection on to the application."""
        app, connection = self.app, ServedConnection(transport)

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(put_connection(scope, connection), receive, send)
            except asyncio.CancelledError:  # the server stops while this request waits
                with contextlib.suppress(asyncio.CancelledError):  # again, when the event loop ends
                    await connection.cut(receive)

        self.app = with_connection
        super().connection_made(connection)  # type: ignore[arg-type]

    def shutdown(self) -> None:
        """Finish the present answer, and close the connection; events for a page would never end."""
        super().shutdown()
        cycle: object = self.cycle  # None before the first request, whatever its type says
        if cycle is not None and self.scope["path"].endswith(_EVENTS):
            self.transport.close()


@contextlib.contextmanager
def serve(app: Any, host: str, port: int, callbacks: SandboxCallbacks | None = None) -> Iterator[str]:
    """Serve an application on a thread of its own, and return the URL of the SOAP service."""
    with callbacks.in_thread() if callbacks else contextlib.nullcontext(), _listening(app, host, port) as url:
        yield url


@contextlib.contextmanager
def _listening(app: Any, host: str, port: int) -> Iterator[str]:
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=ServedProtocol,
                interface="asgi3",
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        thread = Thread(target=server.run, args=([listener],), name="smsc_async sandbox", daemon=True)
        thread.start()
        try:
            netloc = f"[{host}]" if ":" in host else host
            yield f"http://{netloc}:{listener.getsockname()[1]}{_PATH}"
        finally:
            server.should_exit = True
            thread.join()
