"""What the browser looks at: a sandbox in which much has happened, an empty one, and one with a token."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import httpx

from smsc_async.sandbox import Account, CallbackAnswer, DeliveryPlan, Sandbox

__all__ = ["FOREIGN_HOST", "SCENES", "Scene", "Stage", "send", "staged"]

FOREIGN_HOST: Final = "foreign.test"
"""A name that the browser resolves to this machine."""
_ELEMENTS: Final = {"send_sms": "send", "get_status": "status", "get_balance": "balance"}
_TEXTS: Final = (
    ("79991204567", "4821 is your code. Do not tell it to anyone."),
    ("79997712009", "It\N{RIGHT SINGLE QUOTATION MARK}s ready: " + "your order can be collected today. " * 8),
    ("971500000142", "\N{ARABIC LETTER MEEM}\N{ARABIC LETTER REH}\N{ARABIC LETTER HAH}" * 20),
    ("79991204568", "<script>document.title = 'hostile'</script><img src=x>"),
    ("79991204569", "https://example.test/" + "a-long-word-without-a-space" * 8),
    ("someone@example.test", "A mail"),
)


class Scene(NamedTuple):
    """A page in a state.

    Attributes:
        name: What it is called.
        sandbox: Which sandbox: "full", "called", "empty", or "token".
        path: Its path.
        status: The HTTP status.
        host: The name by which it is opened, empty for that of the sandbox.
    """

    name: str
    sandbox: str
    path: str
    status: int = 200
    host: str = ""


SCENES: Final = (
    Scene("inbox", "full", "/"),
    Scene("message", "full", "/_sandbox/messages/2"),
    Scene("message-arabic", "full", "/_sandbox/messages/3"),
    Scene("message-hostile", "full", "/_sandbox/messages/4"),
    Scene("message-long", "full", "/_sandbox/messages/5"),
    Scene("no-match", "full", "/?q=%3Cscript%3Enothing"),
    Scene("message-callbacks", "called", "/_sandbox/messages/1"),
    Scene("accounts-callbacks", "called", "/_sandbox/accounts"),
    Scene("limits", "full", "/_sandbox/limits"),
    Scene("faults", "full", "/_sandbox/faults"),
    Scene("accounts", "full", "/_sandbox/accounts"),
    Scene("requests", "full", "/_sandbox/requests"),
    Scene("request", "full", "/_sandbox/requests/4"),
    Scene("empty", "empty", "/"),
    Scene("limits-empty", "empty", "/_sandbox/limits"),
    Scene("faults-empty", "empty", "/_sandbox/faults"),
    Scene("requests-empty", "empty", "/_sandbox/requests"),
    Scene("error", "empty", "/_sandbox/messages/77", status=404),
    Scene("token", "token", "/", status=401),
    Scene("refused", "empty", "/", status=403, host=FOREIGN_HOST),
)
"""All pages, each in its states."""


class Stage:
    """The sandboxes, served on ports of this machine.

    Args:
        sandboxes: The sandboxes by name.
        urls: Where they are served.
    """

    def __init__(self, sandboxes: dict[str, Sandbox], urls: dict[str, str]) -> None:
        self.sandboxes = sandboxes
        self._urls = urls

    def origin(self, scene: Scene) -> str:
        """Return the origin of a page."""
        parts = urlsplit(self._urls[scene.sandbox])
        return f"http://{scene.host or parts.hostname}:{parts.port}"

    def url(self, scene: Scene) -> str:
        """Return the address of a page."""
        return self.origin(scene) + scene.path


@contextmanager
def staged() -> Iterator[Stage]:
    """Serve the sandboxes."""
    full = Sandbox(accounts=_accounts(), delivery=DeliveryPlan.delivered())
    called = Sandbox(delivery=DeliveryPlan.delivered())
    sandboxes = {"full": full, "called": called, "empty": Sandbox(), "token": Sandbox(token="t")}
    with ExitStack() as served:
        urls = {name: served.enter_context(sandbox.serve()) for name, sandbox in sandboxes.items()}
        _fill(full, urls["full"])
        _let_call(called, urls["called"])
        full.clock.speed = called.clock.speed = 0  # what a window counts stays while the browser looks
        yield Stage(sandboxes, urls)


def send(url: str, text: str) -> None:
    """Send a message."""
    with httpx.Client(base_url=url) as http:
        _call(http, "send_sms", phones="79991204567", mes=text)


def _accounts() -> list[Account]:
    return [
        Account.demo(),
        Account(login="shop-staging", password="s", balance=Decimal(2500), virtual=True),
        Account(login="a-login-of-many-letters-" * 3, password="s", groups={1: ("79991234567",)}),
    ]


def _fill(sandbox: Sandbox, url: str) -> None:
    sandbox.faults.add("lose_answer operation=send after=9 times=1")
    sandbox.faults.add("delay seconds=4 operation=balance probability=0.1 phone=79997712009")
    with httpx.Client(base_url=url) as http:
        for number, (phone, text) in enumerate(_TEXTS, 1):
            _call(http, "send_sms", phones=phone, mes=text, id=f"m{number}", sender="SHOP")
        sandbox.advance(90_000)
        for number in range(9):
            _call(http, "send_sms", phones="79991204567", mes=f"{1000 + number} is your code", id=f"n{number}")
        for number in range(6):
            _call(http, "get_status", phone="79991204567", id="n1", all=0)
            sandbox.advance(number)
        _call(http, "send_sms", phones="79991204567", mes="x", psw="wrong")


class _Application:
    """Answers callbacks with markup, the first one with an error."""

    def __init__(self) -> None:
        self._calls = 0

    async def post(self, method: str, url: str, data: bytes) -> CallbackAnswer:  # noqa: ARG002
        self._calls += 1
        return CallbackAnswer(500 if self._calls == 1 else 200, b"<script>document.title = 'hostile'</script>" * 9)


def _let_call(sandbox: Sandbox, url: str) -> None:
    where = "http://127.0.0.1:8000/" + "a-long-word-without-a-space-" * 8
    sandbox.callbacks.set(where, secret="s", poster=_Application())
    with httpx.Client(base_url=url) as http:
        _call(http, "send_sms", phones="79991204567", mes="4821 is your code", id="m1", sender="SHOP")
        sandbox.callbacks.incoming("79991204567", "<b>STOP</b> " + "\N{ARABIC LETTER MEEM}" * 70)
        end = time.monotonic() + 30
        while sum(bool(each.attempts) for each in sandbox.callbacks.all) < 3:
            assert time.monotonic() < end, "the callbacks were not sent"
            http.get("/livez")


def _call(http: httpx.Client, method: str, **fields: object) -> None:
    given = {"login": "demo", "psw": "demo", **fields}
    body = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in given.items())
    envelope = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        f'<s:{_ELEMENTS[method]} xmlns:s="https://smscentre.com/sys/soap.php">{body}</s:{_ELEMENTS[method]}>'
        "</e:Body></e:Envelope>"
    )
    try:
        http.post("", content=envelope, headers={"Content-Type": "text/xml"})
    except httpx.TransportError:
        assert method == "send_sms"  # the fault has lost its answer
