"""How the pages answer what is no page: refusals, errors, and what was done; and the headers of all answers."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .render import TEMPLATES, theme_of

__all__ = ["Secured", "doing", "done", "error_page", "failed", "form_of", "refused_page", "with_toast"]

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # without it, the Origin of a form would be null
    "X-Content-Type-Options": "nosniff",
}


class Secured:
    """An application whose answers load nothing from elsewhere, run no script of a text, and are not kept.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers["Cache-Control"] = "no-cache" if "ETag" in headers else "no-store"
            await send(message)

        await self._app(scope, receive, with_headers)


def refused_page(scope: Scope, status: int, reason: str) -> Response:
    """Return the answer to a request that is refused: HTML for a browser, JSON for a program."""
    request = Request(scope)
    if not _is_browser(request):
        return JSONResponse({"error": reason}, status)
    is_wrong = request.url.path.endswith("/token")
    template = "token.html" if status == 401 else "refused.html"  # noqa: PLR2004
    own = f"http://127.0.0.1:{(scope.get('server') or ('', 8025))[1]}"
    context = {
        "own": own,
        "status": status,
        "reason": reason,
        "host": request.headers.get("Host", ""),
        "is_wrong": is_wrong,
    }
    return _html(request, template, status, **context)


async def error_page(request: Request, error: Exception) -> Response:
    """Return the answer to a request that has failed."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if request.headers.get("HX-Request"):
        return failed(request, error.detail, error.status_code)
    if not _is_browser(request):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    title = error.detail if error.status_code == 404 and "message" in error.detail else "There is no such page"  # noqa: PLR2004
    return _html(request, "error.html", error.status_code, title=title, place=f"{request.method} {request.url.path}")


def done(request: Request, said: str) -> Response:
    """Return the answer to an action: a line for the page that htmx has sent it from, or that page again."""
    if request.headers.get("HX-Request"):
        return Response(status_code=204, headers=_toast(said))
    return RedirectResponse(_back(request), 303)


def failed(request: Request, said: str, status: int = 422) -> Response:
    """Return the answer to an action that was not done."""
    if request.headers.get("HX-Request"):
        return Response(status_code=status, headers=_toast(said, kind="error"))
    return _html(request, "error.html", status, title="This was not done", place=said)


def with_toast(answer: Response, said: str) -> Response:
    """Add a line for the page to an answer."""
    answer.headers.update(_toast(said))
    return answer


async def form_of(request: Request) -> Mapping[str, str]:
    """Return the fields of a form."""
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


def doing(action: Callable[[Request, Mapping[str, str]], str]) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that does something with the fields of a form, and says what was done.

    Args:
        action: Does it, and returns what was done in words; a `ValueError` or `LookupError` says why it was not.
    """

    async def endpoint(request: Request) -> Response:
        form = await form_of(request)
        try:
            said = await run_in_threadpool(action, request, form)
        except (ValueError, LookupError) as error:
            return failed(request, str(error))
        return done(request, said)

    return endpoint


def _toast(said: str, **more: str) -> dict[str, str]:
    return {"HX-Trigger": json.dumps({"toast": {"text": said, **more}})}


def _back(request: Request) -> str:
    """Return the address of the page that has sent a request."""
    parts = urlsplit(request.headers.get("Referer", ""))
    path = parts.path or "/"
    if parts.netloc != request.url.netloc or path.startswith("//"):
        return "/"
    return f"{path}?{parts.query}" if parts.query else path


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _html(request: Request, template: str, code: int, **context: Any) -> Response:
    return HTMLResponse(TEMPLATES.get_template(template).render(theme=theme_of(request), **context), code)
