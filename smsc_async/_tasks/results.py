"""What a task leaves as its result: plain data that outlives the worker and the client; pure."""

from typing import Self

from pydantic import Field

from smsc_async._model import (
    ApiError,
    DeliveryReport,
    Doubt,
    FrozenModel,
    MessageId,
    MessageRef,
    Outcome,
    SentMessage,
    SmscError,
)

__all__ = ["Failure", "FollowResult", "Followed", "SendResult"]


class Failure(FrozenModel):
    """Why something was not done, as plain data.

    Attributes:
        error: The name of the exception's class.
        text: Its words; they hold no phone and no text.
        outcome: What became of the request.
        code: The service's error number, None where it gave none.
        doubt: What `Client.resolve` needs where the message may have been sent; None otherwise.
    """

    error: str
    text: str
    outcome: Outcome
    code: int | None = None
    doubt: Doubt | None = None

    @classmethod
    def of(cls, error: SmscError, doubt: Doubt | None = None) -> Self:
        """Describe an error; a doubt that it doesn't know of makes its outcome unknown."""
        doubt = error.doubt or doubt
        return cls(
            error=type(error).__name__,
            text=str(error),
            outcome=error.outcome if doubt is None else Outcome.UNKNOWN,
            code=error.code if isinstance(error, ApiError) else None,
            doubt=doubt,
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
