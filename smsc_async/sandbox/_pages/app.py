"""The routes of the pages: each shows a view of the sandbox, or does what a method of `Sandbox` does."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from smsc_async.sandbox._access import Access, Gate
from smsc_async.sandbox._limits import Limits
from smsc_async.sandbox._lookup import Lookup
from smsc_async.sandbox._messages import AcceptedMessage
from smsc_async.sandbox._outbox import MessageFilter

from .answers import Secured, doing, error_page, form_of, refused_page
from .inbox import Search, inbox_of
from .instruments import Instruments
from .live import Live
from .message import ERRORS_TO_CHOOSE, page_of
from .render import Renderings
from .words import STATUSES

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["make_pages"]

_STATIC: Final = Path(__file__).parent / "static"
_LONGEST_KEY: Final = 15  # digits
N = TypeVar("N", int, float)


class Pages:
    """The pages of a sandbox.

    Args:
        sandbox: The sandbox.
        lookup: Finds its messages.
        limits: Its limits.
    """

    def __init__(self, sandbox: "Sandbox", lookup: Lookup, limits: Limits) -> None:
        self._sandbox = sandbox
        self._lookup = lookup
        self._renderings = Renderings(sandbox, limits)
        self._live = Live(sandbox, lookup, self._renderings)
        self._instruments = Instruments(sandbox, lookup, limits, self._renderings, self._live)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self.inbox),
            Route("/events", self.events),
            Route("/messages/{key}", self.message),
            Route("/messages/{key}/status", doing(self.set_status), methods=["POST"]),
            Route("/messages/{key}/reply", doing(self.reply), methods=["POST"]),
            Route("/callbacks/{id:int}/again", doing(self.send_again), methods=["POST"]),
            Route("/delete-messages", doing(self.delete_messages), methods=["POST"]),
            Route("/clock", doing(self.move_clock), methods=["POST"]),
            *self._instruments.routes(),
        ]

    def inbox(self, request: Request) -> Response:
        """Show the messages that match, and the newest of them beside."""
        return self._messages(request, None)

    def message(self, request: Request) -> Response:
        """Show a message, and the messages that match beside it."""
        return self._messages(request, self._found(request))

    async def events(self, request: Request) -> Response:
        """Send all that happens from a position on, as long as the page is open."""
        position = request.headers.get("Last-Event-ID") or request.query_params.get("after", "")
        return StreamingResponse(
            self._live.stream(position), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    def set_status(self, request: Request, form: Mapping[str, str]) -> str:
        """Give a message a status from now on; `err` only counts for one that can't be delivered."""
        key, status = self._found(request).key, _number(form, "status", int)
        err = _number(form, "err", int) if status == 20 else None  # noqa: PLR2004
        self._sandbox.set_status(key, status, err)
        return f"Set to {STATUSES[status].word.lower()}"

    def reply(self, request: Request, form: Mapping[str, str]) -> str:
        """Let the phone of a message answer."""
        self._sandbox.callbacks.incoming(self._found(request).phone, form.get("text", ""))
        return "The phone has replied"

    def send_again(self, request: Request, _: Mapping[str, str]) -> str:
        """Send a callback again."""
        self._sandbox.callbacks.again(request.path_params["id"])
        return "The callback is sent again"

    def delete_messages(self, _: Request, __: Mapping[str, str]) -> str:
        """Forget all messages."""
        self._sandbox.delete_messages()
        return "All messages are deleted"

    def move_clock(self, _: Request, form: Mapping[str, str]) -> str:
        """Move the clock forward, by seconds or up to a Unix time, or change its speed."""
        if "until" in form:
            ahead = _number(form, "until", float) - self._sandbox.now()
            self._sandbox.advance(max(0.0, ahead))
            return "The clock was moved" if ahead > 0 else "That time has come already"
        if "advance" in form:
            self._sandbox.advance(_number(form, "advance", float))
            return "The clock was moved"
        self._sandbox.clock.speed = _number(form, "speed", float)
        return "The clock is paused" if not self._sandbox.clock.speed else "The clock runs"

    def _messages(self, request: Request, chosen: AcceptedMessage | None) -> Response:
        position, now = self._live.position(), self._sandbox.now()
        search = Search.read(request.query_params)
        inbox = inbox_of(self._sandbox, self._lookup.search, search, now)
        if chosen is None and not inbox.total:
            return self._shown(request, "welcome.html", position, page="inbox")
        message = chosen or next((self._message(row.key) for each in inbox.days for row in each.rows), None)
        return self._shown(
            request,
            "inbox.html",
            position,
            page="inbox",
            inbox=inbox,
            show="list" if chosen is None else "message",
            message=message and page_of(self._sandbox, message, lambda key: self._message(key) is not None, now),
            errors=ERRORS_TO_CHOOSE,
        )

    def _shown(self, request: Request, template: str, position: str, **context: Any) -> Response:
        return self._renderings.page(request, template, position=position, **context)

    def _found(self, request: Request) -> AcceptedMessage:
        key = request.path_params["key"]
        is_key = key.isascii() and key.isdecimal() and len(key) <= _LONGEST_KEY
        message = self._message(int(key)) if is_key else None
        if message is None:
            raise HTTPException(404, f"There is no message {key}" if is_key else "There is no such message")
        return message

    def _message(self, key: int) -> AcceptedMessage | None:
        return next(iter(self._lookup.search(MessageFilter(key=key))), None)


def _number(form: Mapping[str, str], name: str, kind: Callable[[str], N]) -> N:
    try:
        return kind(form.get(name, ""))
    except ValueError:
        raise ValueError(f"{name} must be a number") from None


def make_pages(sandbox: "Sandbox", lookup: Lookup, access: Access, limits: Limits) -> ASGIApp:
    """Return the application.

    Args:
        sandbox: The sandbox.
        lookup: Finds its messages.
        access: Who may use it.
        limits: Its limits.
    """
    pages = Starlette(routes=Pages(sandbox, lookup, limits).routes(), exception_handlers={HTTPException: error_page})

    async def take_token(request: Request) -> Response:
        form = await form_of(request)
        cookie = access.cookie(request.scope, form.get("token", "").strip())
        if cookie is None:
            return refused_page(request.scope, 401, "That is not the token.")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(*cookie, httponly=True, samesite="strict", path="/", secure=request.url.scheme == "https")
        return answer

    token = Starlette(routes=[Route("/token", take_token, methods=["POST"])])
    return Starlette(
        routes=[
            Mount("/static", StaticFiles(directory=_STATIC)),  # for all, because pages that refuse need it too
            Route("/token", Gate(token, access.foreign, refused_page), methods=["POST"]),
            Mount("/", Gate(pages, access.page_refusal, refused_page)),
        ],
        middleware=[Middleware(Secured)],
    )
