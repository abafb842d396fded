"""The ASGI application: the service on every path, but for the API and the paths by which a program waits for it."""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ._access import Access, Gate
from ._connection import Traffic
from ._limits import Limits
from ._lookup import Lookup
from ._soap import SoapEndpoint

if TYPE_CHECKING:
    from ._sandbox import Sandbox

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
        self._lock = Lock()
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if app is None:
            app = await anyio.to_thread.run_sync(self._made)
        await app(scope, receive, send)

    def _made(self) -> ASGIApp:
        with self._lock:  # several first requests may come at once, on several event loops
            if self._app is None:
                self._app = self._make()
            return self._app


class _Inbox(Route):
    """`/` for a browser, unless it asks for the WSDL; the service for all others."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is one of a browser for the inbox."""
        match, child = super().matches(scope)
        is_wanted = match is Match.FULL and "text/html" in Headers(scope=scope).get("Accept", "")
        return (match, child) if is_wanted and scope["query_string"].lower() != b"wsdl" else (Match.NONE, {})


def make_app(
    sandbox: "Sandbox", soap: SoapEndpoint, traffic: Traffic, access: Access, lookup: Lookup, *, limits: Limits
) -> Starlette:
    """Return the application.

    Args:
        sandbox: The sandbox.
        soap: The service.
        traffic: Counts the requests of the service.
        access: Who may use the API and the pages.
        lookup: Finds messages.
        limits: The limits of the service.
    """

    def api() -> ASGIApp:
        from ._api import make_api  # noqa: PLC0415 - FastAPI, which most sandboxes in a process do not need

        return make_api(sandbox, lookup)

    def pages() -> ASGIApp:
        from ._pages import make_pages  # noqa: PLC0415 - Jinja2, likewise

        return make_pages(sandbox, lookup, access, limits)

    ready = [Route(path, _ready) for path in ("/livez", "/readyz", "/_sandbox/livez", "/_sandbox/readyz")]
    api_route = Mount("/_sandbox/api", Gate(_Later(api), access.refusal))
    web = _Later(pages)
    inbox: BaseRoute = _Inbox("/", web, methods=["GET"])
    service = Route("/{path:path}", soap.answer, methods=_METHODS, middleware=[Middleware(_Counted, traffic=traffic)])
    return Starlette(routes=[*ready, api_route, inbox, Mount("/_sandbox", web), service])


async def _ready(_: Request) -> Response:
    """Answer that the sandbox is ready, as it is from its first answer on."""
    return PlainTextResponse("ok")
