"""What a task leaves as its result: plain data that outlives the worker and the client; pure."""

from typing import Self

from pydantic import Field

from smsc_async._model import (
    ApiError,
    DeliveryReport,
    FrozenModel,
    MessageId,
    MessageNotFound,
    MessageRef,
    Outcome,
    SentMessage,
    SmscError,
    UnresolvedSend,
)

from .retry import pause_after

__all__ = ["Failure", "FollowResult", "Followed", "SendResult", "end_of"]


class Failure(FrozenModel):
    """Why something was not done, as plain data.

    Attributes:
        error: The name of the exception's class.
        text: Its words; they hold no phone and no text.
        outcome: What became of the request.
        code: The service's error number, None where it gave none.
        unresolved: What `Client.resolve` needs where the message may have been sent; None otherwise.
    """

    error: str
    text: str
    outcome: Outcome
    code: int | None = None
    unresolved: UnresolvedSend | None = None

    @classmethod
    def of(cls, error: SmscError, unresolved: UnresolvedSend | None = None) -> Self:
        """Describe an error; a doubt that it doesn't know of makes its outcome unknown."""
        unresolved = error.unresolved or unresolved
        return cls(
            error=type(error).__name__,
            text=str(error),
            outcome=error.outcome if unresolved is None else Outcome.UNKNOWN,
            code=error.code if isinstance(error, ApiError) else None,
            unresolved=unresolved,
        )


class SendResult(FrozenModel):
    """What became of one request: of one `send`, or of some messages of a `send_batch` that travelled together.

    Attributes:
        id: The message id.
        sent: The answer, None if the service has not accepted the request, or nobody knows.
        failure: Why not, None otherwise.
        tries: How many times a worker took it up.
    """

    id: MessageId
    sent: SentMessage | None = None
    failure: Failure | None = None
    tries: int = Field(ge=1)

    @property
    def accepted(self) -> bool:
        """Whether the service has accepted it; in part is accepted, see `sent.errors` and `sent.missing`."""
        return self.sent is not None


class Followed(FrozenModel):
    """How the delivery of one message ended; where there is neither report nor failure, its time was over first.

    Attributes:
        ref: Which message.
        report: The last answer of the service about it.
        failure: Why there is none.
    """

    ref: MessageRef
    report: DeliveryReport | None = None
    failure: Failure | None = None


class FollowResult(FrozenModel):
    """How the deliveries of some messages ended.

    Attributes:
        messages: One for each, in the order in which they ended.
    """

    messages: tuple[Followed, ...] = ()


def end_of(ref: MessageRef, answer: DeliveryReport | SmscError, *, is_young: bool, is_over: bool) -> Followed | None:
    """Return how the delivery of a message ended, None if it has not."""
    if isinstance(answer, DeliveryReport):
        return Followed(ref=ref, report=answer) if answer.is_final or is_over else None
    if is_over or not (pause_after(answer, 1) is not None or (is_young and isinstance(answer, MessageNotFound))):
        return Followed(ref=ref, failure=Failure.of(answer))
    return None
