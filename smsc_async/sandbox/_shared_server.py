"""A server on this machine for several sandboxes that do not see each other's requests."""

import contextlib
from collections.abc import Iterator
from itertools import count
from types import TracebackType
from typing import Self

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ._sandbox import Sandbox

__all__ = ["SandboxServer"]


class SandboxServer:
    """Serves several sandboxes over HTTP on one port, each under a URL of its own, on a thread of its own.

        with SandboxServer() as server:  # for all tests
            with server.serve(Sandbox()) as url: ...  # for one test

    A request to the URL of a sandbox that is no longer served gets HTTP status 404.

    Args:
        host: The host name or IP address to listen on.
        port: The port, 0 for any free port.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        from ._server import serve  # noqa: PLC0415 - uvicorn, which a sandbox in this process does not need

        self._host = host
        self._server = serve(self._answer, host, port)
        self._url = ""
        self._numbers = count(1)
        self._sandboxes: dict[str, Sandbox] = {}

    def __enter__(self) -> Self:
        """Start the server.

        Raises:
            OSError: The port is in use, or the host is not an address of this machine.
        """
        self._url = self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._url = ""
        self._server.__exit__(kind, error, traceback)

    @contextlib.contextmanager
    def serve(self, sandbox: Sandbox) -> Iterator[str]:
        """Return a context in which this sandbox is served; it is entered as the URL of the service.

        Raises:
            ValueError: The server is not running, or other machines can connect to it and the sandbox has no token.
        """
        if not self._url:
            raise ValueError("the server must be running: with SandboxServer() as server")
        name = str(next(self._numbers))
        sandbox.bind(self._host)
        self._sandboxes[name] = sandbox
        try:
            with sandbox.callbacks.in_thread():
                yield self._url.replace("/sys/", f"/{name}/sys/")
        finally:
            del self._sandboxes[name]

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].split("/")[1]
        sandbox = self._sandboxes.get(name)
        if sandbox is None:
            await Response("this sandbox is no longer served", 404)(scope, receive, send)
        else:
            await sandbox.app({**scope, "root_path": f"/{name}"}, receive, send)
