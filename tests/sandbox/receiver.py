"""An application that receives the callbacks of a sandbox, in this process."""

from typing import Any, Final

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from smsc_async.callbacks import Callbacks, InvalidCallbackSignature
from smsc_async.sandbox import Callback, DeliveryPlan, HttpxPoster, Sandbox

__all__ = ["NOW", "PHONE", "SECRET", "URL", "Receiver", "still_sandbox"]

NOW: Final = 1_700_000_000.0
PHONE: Final = "+79991234567"
SECRET: Final = "canary-secret"
URL: Final = "http://app.example/sms"


def still_sandbox(**options: Any) -> Sandbox:
    """Return a sandbox whose clock moves only when it is advanced; messages are delivered at once."""
    return Sandbox(**{"clock": lambda: NOW, "delivery": DeliveryPlan.delivered(), **options})


class Receiver:
    """The application.

    Attributes:
        taken: What has arrived with a right signature.
        times: When each of them arrived, by the sandbox's clock.
        requests: All requests.
        answers: The HTTP statuses of the next answers; 200 afterwards.
    """

    def __init__(self, sandbox: Sandbox, **options: Any) -> None:
        self.taken: list[Any] = []
        self.times: list[float] = []
        self.requests: list[Request] = []
        self.answers: list[int] = []
        self.error: Exception | None = None
        self._sandbox = sandbox
        self._callbacks = Callbacks(secrets=[SECRET], **options)
        self.app = Starlette(routes=[Route("/sms", self._receive, methods=["GET", "POST"])])
        self.poster = HttpxPoster(httpx.ASGITransport(app=self.app))

    def set(self, url: str = URL, **options: Any) -> None:
        """Let the sandbox send its callbacks here."""
        self._sandbox.callbacks.set(url, secret=SECRET, poster=self.poster, **options)

    def sent(self, kind: str) -> list[Callback]:
        """Return the callbacks of a kind."""
        return [each for each in self._sandbox.callbacks.all if each.kind == kind]

    async def _receive(self, request: Request) -> Response:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        try:
            push = self._callbacks.unwrap(
                request.scope["query_string"], await request.body(), request.headers.get("Content-Type", "")
            )
        except InvalidCallbackSignature:
            return PlainTextResponse("who are you?", 403)
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.taken.append(push)
            self.times.append(self._sandbox.now() - NOW)
        return PlainTextResponse("OK" if status == 200 else "busy", status)
