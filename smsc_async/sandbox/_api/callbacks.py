"""The routes of the callbacks, and their JSON."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self, TypeVar

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from smsc_async._protocol import CallbackCharset
from smsc_async.sandbox._callbacks.callback import (
    Callback,
    CallbackAttempt,
    CallbackHash,
    CallbackKind,
    CallbackMethod,
    CallbackSettings,
    CallbackState,
)

from .models import ShortText, instant

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["callback_routes"]

Number = Annotated[int, Path(ge=1)]
T = TypeVar("T")


class _CallbackModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CallbackTarget(_CallbackModel):
    """Where callbacks are sent, without the secret."""

    url: str
    hash: CallbackHash
    charset: CallbackCharset
    method: CallbackMethod

    @classmethod
    def of(cls, settings: CallbackSettings) -> Self:
        """Return the JSON of the settings."""
        return cls(url=settings.url, hash=settings.hash, charset=settings.charset, method=settings.method)


class CallbackChange(_CallbackModel):
    """Where to send callbacks, and how to sign them."""

    url: Annotated[str, Field(max_length=2000)] = Field(description="The URL of your application, http or https.")
    secret: Annotated[SecretStr, Field(min_length=1, max_length=200)]
    hash: CallbackHash = "md5"
    charset: CallbackCharset | None = Field(
        default=None, description="By default that of the URL (`?charset=utf-8`), or windows-1251."
    )
    method: CallbackMethod = Field(default="POST", description="POST for a form, GET for a query.")


class AttemptState(_CallbackModel):
    """A callback as it was sent once, and what the application has answered."""

    at: datetime
    status: int | None = Field(description="The HTTP status; null if there was no answer.")
    answer: str = Field(description="The first 1,000 characters of the body.")
    error: str | None = Field(description="Why there was no answer, such as `ConnectError`.")
    forged: bool = Field(description="Whether a fault has signed it with another secret.")
    milliseconds: float

    @classmethod
    def of(cls, attempt: CallbackAttempt) -> Self:
        """Return the JSON of an attempt."""
        return cls(
            at=instant(attempt.at),
            status=attempt.status,
            answer=attempt.answer,
            error=attempt.error or None,
            forged=attempt.is_forged,
            milliseconds=round(attempt.seconds * 1000, 3),
        )


class CallbackReport(_CallbackModel):
    """A callback with the answers of the application."""

    id: int
    kind: CallbackKind
    at: datetime = Field(description="When it was due.")
    state: CallbackState
    next_at: datetime | None = Field(description="When it is sent next; null if it isn't.")
    fields: dict[str, str] = Field(description="Without the signature.")
    message: int | None = Field(description="The key of the message, if it is about one.")
    fault: str | None = Field(description="The kind of the injected fault.")
    attempts: list[AttemptState] = Field(description="The last 20, in order.")

    @classmethod
    def of(cls, callback: Callback) -> Self:
        """Return the JSON of a callback."""
        return cls(
            id=callback.id,
            kind=callback.kind,
            at=instant(callback.at),
            state=callback.state,
            next_at=None if callback.next_at is None else instant(callback.next_at),
            fields=dict(callback.fields),
            message=callback.message,
            fault=callback.fault,
            attempts=[AttemptState.of(attempt) for attempt in callback.attempts],
        )


class CallbackReports(_CallbackModel):
    """The last callbacks that match."""

    callbacks: list[CallbackReport] = Field(description="The newest first, at most `limit`.")
    total: int


class CallbackQuery(_CallbackModel):
    """Which callbacks to return; what is left out matches any."""

    message: int | None = Field(default=None, ge=1, description="The key of the message.")
    kind: CallbackKind | None = None
    state: CallbackState | None = None
    after: int = Field(default=0, description="Only callbacks with a larger id.")
    limit: Annotated[int, Field(ge=1, le=1000, description="How many to return, at most.")] = 100


class IncomingText(_CallbackModel):
    """A message of a subscriber to the account."""

    phone: ShortText
    text: Annotated[str, Field(min_length=1, max_length=1000)]
    to: ShortText | None = Field(default=None, description="The number of the account to which it was sent.")


class Call(_CallbackModel):
    """A call by which a subscriber confirms a number."""

    phone: ShortText


def callback_routes(sandbox: "Sandbox") -> APIRouter:
    """Return the routes.

    Args:
        sandbox: The sandbox.
    """
    router = APIRouter(tags=["callbacks"])
    callbacks = sandbox.callbacks

    @router.get("/callback")
    async def get_callback() -> CallbackTarget:
        """Return where callbacks are sent."""
        settings = callbacks.settings
        if settings is None:
            raise HTTPException(404, "no callback URL is set")
        return CallbackTarget.of(settings)

    @router.put("/callback")
    def put_callback(change: CallbackChange) -> CallbackTarget:
        """Send callbacks to this URL from now on."""
        given = {name: getattr(change, name) for name in CallbackChange.model_fields if name != "url"}
        return CallbackTarget.of(_attempt(lambda: callbacks.set(change.url, **given)))

    @router.delete("/callback", status_code=204)
    def delete_callback() -> None:
        """Send callbacks no more; those that wait are given up."""
        callbacks.remove()

    @router.get("/callbacks")
    def list_callbacks(query: Annotated[CallbackQuery, Query()]) -> CallbackReports:
        """Return the last callbacks and the answers of the application, the newest first."""
        found = [
            each
            for each in reversed(callbacks.all)
            if each.id > query.after
            and query.message in {None, each.message}
            and query.kind in {None, each.kind}
            and query.state in {None, each.state}
        ]
        return CallbackReports(callbacks=[CallbackReport.of(each) for each in found[: query.limit]], total=len(found))

    @router.get("/callbacks/{id}")
    def get_one_callback(id: Number) -> CallbackReport:  # noqa: A002 - the word of the API
        """Return a callback and the answers of the application."""
        return CallbackReport.of(_attempt(lambda: callbacks.get(id)))

    @router.post("/callbacks/{id}/again")
    def send_again(id: Number) -> CallbackReport:  # noqa: A002 - the word of the API
        """Send a callback again now, whatever became of it."""
        return CallbackReport.of(_attempt(lambda: callbacks.again(id)))

    @router.post("/incoming", status_code=201)
    def add_incoming(incoming: IncomingText) -> CallbackReport:
        """Report a message that a subscriber has sent to the account."""
        to = {} if incoming.to is None else {"to": incoming.to}
        return CallbackReport.of(_attempt(lambda: callbacks.incoming(incoming.phone, incoming.text, **to)))

    @router.post("/calls", status_code=201)
    def add_call(call: Call) -> CallbackReport:
        """Report a call by which a subscriber confirms a number."""
        return CallbackReport.of(_attempt(lambda: callbacks.call(call.phone)))

    return router


def _attempt(work: Callable[[], T]) -> T:
    try:
        return work()
    except LookupError as error:
        raise HTTPException(404, str(error)) from None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
