"""The ASGI application: the service on every path, but for the API and the paths by which a program waits for it."""

from collections.abc import Callable
from typing import Final

import anyio.to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ._access import Access, Gate
from ._connection import Traffic
from ._soap import SoapEndpoint

__all__ = ["make_app"]

_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


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


class _Later:
    """An application that is made for its first request, because importing it takes long.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            self._app = await anyio.to_thread.run_sync(self._make)
        await self._app(scope, receive, send)


def make_app(soap: SoapEndpoint, traffic: Traffic, access: Access, make_api: Callable[[], ASGIApp]) -> Starlette:
    """Return the application.

    Args:
        soap: The service.
        traffic: Counts the requests of the service.
        access: Who may use the API.
        make_api: Makes the API.
    """
    ready = [Route(path, _ready) for path in ("/livez", "/readyz", "/_sandbox/livez", "/_sandbox/readyz")]
    api = Mount("/_sandbox/api", Gate(_Later(make_api), access))
    service = Route("/{path:path}", soap.answer, methods=_METHODS, middleware=[Middleware(_Counted, traffic=traffic)])
    return Starlette(routes=[*ready, api, Mount("/_sandbox", Gate(Response(status_code=404), access)), service])


async def _ready(_: Request) -> Response:
    """Answer that the sandbox is ready, as it is from its first answer on."""
    return PlainTextResponse("ok")
