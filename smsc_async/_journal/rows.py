"""What a journal holds, as plain values: what is planned, and what has become of it."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from smsc_async._model import DeliveryError, FrozenModel, Message, MessageId, MessageStatus

__all__ = [
    "ChunkPlan",
    "ChunkState",
    "JournalRow",
    "KeyHistory",
    "MessageResult",
    "PlannedMessage",
    "RowPlan",
    "RowState",
    "StoredChunk",
    "Summary",
]


class ChunkState(StrEnum):
    """Where one request of a job is."""

    PLANNED = "planned"
    """Nothing of it has left this machine."""
    ATTEMPTED = "attempted"
    """It may have left; nothing else is known until it is settled."""
    UNRESOLVED = "unresolved"
    """It was attempted, and its status could not tell whether the service has it."""
    DONE = "done"
    """Each of its messages was accepted or refused."""


class RowState(StrEnum):
    """What has become of one message of a job."""

    PLANNED = "planned"
    """It has not been sent."""
    ATTEMPTED = "attempted"
    """It may have been sent; the next start settles that before anything else."""
    UNRESOLVED = "unresolved"
    """Nobody knows whether it was sent. It is never sent again; each start tries to settle it."""
    ACCEPTED = "accepted"
    """The service has it; its delivery is not decided."""
    FAILED = "failed"
    """The service refused it."""
    SKIPPED = "skipped"
    """It is no message that can be sent, and was planned with a `fault`."""
    FINAL = "final"
    """Its delivery has ended, well or badly."""


class PlannedMessage(FrozenModel):
    """One message of a job, with what only a job needs.

    Attributes:
        message: The message, None if it has a `fault`.
        id: Its own id; None for one that the journal makes, which is shared by the messages of a request.
        row: Its number in the source; None for its place in the plan.
        phone: The recipient of one with a `fault`, as it was written.
        fault: Why it can't be sent, None if it can; then it only stands in the report.
    """

    message: Message | None = None
    id: MessageId | None = None
    row: Annotated[int, Field(ge=0)] | None = None
    phone: Annotated[str, Field(repr=False)] = ""
    fault: str | None = None

    @model_validator(mode="after")
    def _check_fault(self) -> Self:
        if (self.message is None) == (self.fault is None):
            raise ValueError("a planned message has a message, or a fault")
        return self


class KeyHistory(NamedTuple):
    """The history of one key of the guards: Unix times, None for a request in flight."""

    rule: str
    key: bytes
    span: float
    instants: tuple[float | None, ...]


class RowPlan(NamedTuple):
    """One row to be planned: its number, its phone, and why it can't be sent, if it can't."""

    row: int
    phone: str
    error: str | None = None


class ChunkPlan(NamedTuple):
    """One request to be planned: what sends it, and the rows in it."""

    content: str
    id: str
    is_list: bool
    is_own_id: bool
    rows: tuple[RowPlan, ...]


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """The messages of one request, as they are in the journal.

    Attributes:
        key: Its number in the journal.
        state: Where it is.
        content: The operation that sends it, as JSON, with its id.
        is_list: Whether the messages are lines of `list`.
        is_own_id: Whether the journal made the id.
        attempted_at: When it was first attempted, aware; None if it wasn't.
        failed_at: When the last attempt ended without an answer, aware; None if nobody was there to see it.
    """

    key: int
    state: ChunkState
    content: str = field(repr=False)
    is_list: bool
    is_own_id: bool
    attempted_at: datetime | None = None
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageResult:
    """What has become of one message of a request.

    Attributes:
        phone: Whose message.
        id: The id under which the service has it.
        code: The error number with which it was refused, None if it was accepted or no number was given.
        error: Why it was refused, None if it was accepted.
        cost: Its share of the price, None where the service told none.
        parts: How many SMS it is.
    """

    phone: str = field(repr=False)
    id: str
    code: int | None = None
    error: str | None = None
    cost: Decimal | None = None
    parts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """One message of a job and what has become of it.

    Attributes:
        row: Its number in the source.
        phone: Its recipient.
        id: The id under which the service has it, or will.
        state: What has become of it.
        status: The status of its delivery, None where none is known.
        delivery_error: Why it was not delivered, None where the service doesn't say.
        code: The service's error number, where it refused the message.
        error: Why it was not sent, or why nothing is known; None otherwise.
        cost: Its share of the price of its request, None where the service told none.
        parts: How many SMS it is.
        attempted_at: When it was first attempted.
        accepted_at: When the acceptance was noted.
        final_at: When its delivery was decided.
    """

    row: int
    phone: str = field(repr=False)
    id: str | None = None
    state: RowState
    status: MessageStatus | None = None
    delivery_error: DeliveryError | None = None
    code: int | None = None
    error: str | None = None
    cost: Decimal | None = None
    parts: int | None = None
    attempted_at: datetime | None = None
    accepted_at: datetime | None = None
    final_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many messages of a job are where.

    Attributes:
        planned: Not sent yet.
        attempted: Perhaps sent, to be settled.
        unresolved: Perhaps sent, and their status could not tell.
        accepted: Accepted, their delivery undecided.
        failed: Refused.
        skipped: No messages that can be sent.
        final: Their delivery has ended.
        cost: What those that were accepted cost, as far as the service told.
    """

    planned: int = 0
    attempted: int = 0
    unresolved: int = 0
    accepted: int = 0
    failed: int = 0
    skipped: int = 0
    final: int = 0
    cost: Decimal = Decimal()

    @property
    def total(self) -> int:
        """How many there are."""
        return self.unsent + self.accepted + self.failed + self.skipped + self.final

    @property
    def unsent(self) -> int:
        """How many have no answer of the service yet."""
        return self.planned + self.attempted + self.unresolved
