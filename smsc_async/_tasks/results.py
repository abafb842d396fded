"""The results of tasks: plain data without references to the worker or the client; pure."""

from typing import Annotated, Self

from pydantic import Field, FiniteFloat

from smsc_async._model import (
    ApiError,
    DeliveryReport,
    FrozenModel,
    MessageId,
    MessageNotFound,
    MessageRef,
    Outcome,
    RecipientError,
    Scope,
    SentMessage,
    SmscError,
    UnresolvedSend,
)

__all__ = ["Failure", "FollowResult", "FollowTask", "Followed", "SendResult", "end_of"]


class Failure(FrozenModel):
    """A failed task, as plain data.

    Attributes:
        error: The name of the exception's class.
        text: Its message, which contains no phone and no text of a message.
        outcome: The outcome of the request.
        code: The service's error number, None if there is none.
        errors: The refused recipients, each with its own number, if the service returned them.
        unresolved: The argument for `Client.resolve` if the message may have been sent; None otherwise.
    """

    error: str
    text: str
    outcome: Outcome
    code: int | None = None
    errors: tuple[RecipientError, ...] = ()
    unresolved: UnresolvedSend | None = None

    @classmethod
    def of(cls, error: SmscError, unresolved: UnresolvedSend | None = None) -> Self:
        """Describe an error; pass `unresolved` if an earlier attempt makes the outcome unknown."""
        unresolved = error.unresolved or unresolved
        return cls(
            error=type(error).__name__,
            text=str(error),
            outcome=error.outcome if unresolved is None else Outcome.UNKNOWN,
            code=error.code if isinstance(error, ApiError) else None,
            errors=error.errors if isinstance(error, ApiError) else (),
            unresolved=unresolved,
        )


class SendResult(FrozenModel):
    """The result of one request: of one `send`, or of some messages of a `send_batch`.

    Attributes:
        id: The message id.
        sent: The answer, None if the service has not accepted the request or the outcome is unknown.
        failure: Why there is no answer, None otherwise.
        tries: The number of attempts by workers.
    """

    id: MessageId
    sent: SentMessage | None = None
    failure: Failure | None = None
    tries: int = Field(ge=1)

    @property
    def accepted(self) -> bool:
        """Whether the service has accepted it, at least in part; see `sent.errors` and `sent.missing`."""
        return self.sent is not None


class Followed(FrozenModel):
    """How following one message ended.

    Attributes:
        ref: The message.
        report: The last delivery report; it is not final if the timeout was over first.
        failure: Why there is no report, None otherwise.
    """

    ref: MessageRef
    report: DeliveryReport | None = None
    failure: Failure | None = None


class FollowTask(FrozenModel):
    """The queued arguments of the task `follow`.

    Attributes:
        refs: The messages whose status is still requested.
        ended: The messages that have ended, and how.
        since: When the task was queued first, in seconds since 1970 by the clock of Redis.
        timeout: Seconds after which the task ends, None for never.
    """

    refs: Annotated[tuple[str, ...], Field(repr=False)]
    ended: tuple[Followed, ...]
    since: FiniteFloat
    timeout: float | None


class FollowResult(FrozenModel):
    """How following some messages ended.

    Attributes:
        messages: One entry for each message, in the order in which they ended.
    """

    messages: tuple[Followed, ...] = ()


def end_of(ref: MessageRef, answer: DeliveryReport | SmscError, *, is_young: bool, is_over: bool) -> Followed | None:
    """Return how following a message ended, None if it has not."""
    if isinstance(answer, DeliveryReport):
        return Followed(ref=ref, report=answer) if answer.is_final or is_over else None
    is_known = not (is_young and isinstance(answer, MessageNotFound))
    if is_over or (is_known and answer.scope is Scope.MESSAGE):
        return Followed(ref=ref, failure=Failure.of(answer))
    return None
