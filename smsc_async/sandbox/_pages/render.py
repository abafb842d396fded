"""Makes HTML of views, by the templates."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from smsc_async.sandbox._limits import Limits
from smsc_async.sandbox._messages import AcceptedMessage

from .inbox import row_of, status_view
from .strip import SPEEDS, clock_of, gauges_of

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["NAVIGATION", "TEMPLATES", "Renderings", "theme_of"]

NAVIGATION: Final = (
    ("inbox", "/", "Inbox", "inbox"),
    ("limits", "/_sandbox/limits", "Limits", "gauge"),
    ("faults", "/_sandbox/faults", "Faults", "fault"),
    ("accounts", "/_sandbox/accounts", "Accounts", "accounts"),
    ("requests", "/_sandbox/requests", "Requests", "requests"),
)
"""The menu: the name of each page, its address, its word and its icon."""

TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
TEMPLATES.globals["navigation"] = NAVIGATION
TEMPLATES.globals["speeds"] = SPEEDS


class Renderings:
    """What is made of the state of a sandbox: pages, and their parts that change.

    Args:
        sandbox: The sandbox.
        limits: Its limits.
    """

    def __init__(self, sandbox: "Sandbox", limits: Limits) -> None:
        self._sandbox = sandbox
        self._limits = limits
        self._parts: Any = TEMPLATES.get_template("parts.html").module

    def page(self, request: Request, template: str, **context: Any) -> Response:
        """Return a page.

        Args:
            request: The request for it.
            template: The name of its template.
            **context: What the template shows: `page`, its name in the menu, `position`, from which it listens, and
                what it needs itself.
        """
        text = TEMPLATES.get_template(template).render(
            address=f"{request.url.scheme}://{request.url.netloc}",
            theme=theme_of(request),
            clock=clock_of(self._sandbox),
            gauges=gauges_of(self._sandbox.limits(), self._limits),
            faults=self._sandbox.faults.in_effect(self._sandbox.now()),
            count=len(self._sandbox.messages),
            **context,
        )
        return HTMLResponse(text)

    def row(self, message: AcceptedMessage, now: float) -> str:
        """Return a message as the list shows it."""
        return str(self._parts.row(row_of(message, now), f"/_sandbox/messages/{message.key}", is_new=True))

    def status(self, message: AcceptedMessage, now: float) -> str:
        """Return the status of a message as the list shows it."""
        return str(self._parts.pill(status_view(message.status_at(now))))

    def strip(self) -> Mapping[str, tuple[object, str]]:
        """Return the parts of all pages that change, and the names of the pages that have changed."""
        sandbox, parts = self._sandbox, self._parts
        clock, jumps = clock_of(sandbox), sandbox.clock.jumps
        gauges, faults = gauges_of(sandbox.limits(), self._limits), sandbox.faults.in_effect(sandbox.now())
        count, requests = len(sandbox.messages), sandbox.requests
        last = (requests[-1].number, requests[-1].seconds) if requests else None
        return {
            "clock": ((clock.speed, jumps[-1:]), str(parts.clock_face(clock))),
            "limits": (gauges, str(parts.minis(gauges))),
            "worst": ((gauges[:1], len(faults)), str(parts.worst(gauges, faults))),
            "faults": (
                ([(each.id, each.seen, each.used) for each in sandbox.faults], faults),
                str(parts.hazard(faults)),
            ),
            "total": (count, f"{count:,}"),
            "requests": (last, str(last and last[0])),
            "callback": (sandbox.callbacks.settings, "1"),
            "callbacks": ((sandbox.callbacks.revision, sandbox.callbacks.settings), "1"),
            "accounts": ((dict(sandbox.balances), sandbox.accounts), "1"),
        }


def theme_of(request: Request) -> str:
    """Return the theme that was chosen, empty for that of the system."""
    theme = request.cookies.get("smsc_sandbox_theme", "")
    return theme if theme in {"light", "dark"} else ""
