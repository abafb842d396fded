"""The content of a journal as plain values: planned requests and the results of their messages."""

import json
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any, Final, NamedTuple, Self

from pydantic import Field, model_validator

from smsc_async._clock import DiskTime
from smsc_async._model import (
    DeliveryError,
    FrozenModel,
    Message,
    MessageId,
    MessageStatus,
    Shown,
    TableRow,
    about,
    capitalized,
    code_columns,
    counted,
    has_one_phone,
    money,
)
from smsc_async._watching import Update

__all__ = [
    "ONE_PHONE",
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
    "disk_time_of",
    "history_of",
    "moment",
    "row_of",
    "status_note",
]


class ChunkState(StrEnum):
    """The state of one request of a job."""

    PLANNED = "planned"
    """It has not left this machine."""
    ATTEMPTED = "attempted"
    """It may have left this machine; nothing else is known until it is reconciled."""
    UNRESOLVED = "unresolved"
    """It was attempted, and the status does not show whether the service has it."""
    DONE = "done"
    """Each of its messages was accepted or refused."""


class RowState(StrEnum):
    """The state of one message of a job."""

    PLANNED = "planned"
    """It has not been sent."""
    ATTEMPTED = "attempted"
    """It may have been sent; the next start reconciles it before anything else."""
    UNRESOLVED = "unresolved"
    """The outcome of the send is unknown. It is never sent again; each start tries to reconcile it."""
    ACCEPTED = "accepted"
    """The service has it; its delivery status is pending."""
    FAILED = "failed"
    """The service refused it."""
    SKIPPED = "skipped"
    """It can't be sent and was planned with a `fault`."""
    FINAL = "final"
    """Its delivery status is final: delivered or not."""


ONE_PHONE: Final = (
    "a row holds one phone, because it has one outcome: write a row for each phone, and send to a group with `send`"
)


class PlannedMessage(FrozenModel):
    """One message of a job, with its id, row number or fault.

    Attributes:
        message: The message, None if it has a `fault`.
        id: Its own id; None for an id that the journal creates, which the messages of one request share.
        row: Its number in the source; None for its position in the plan.
        phone: The recipient of a message with a `fault`, as written in the source.
        fault: Why it can't be sent, None if it can; a message with a fault only appears in the report.
    """

    message: Message | None = None
    id: MessageId | None = None
    row: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None
    phone: Annotated[str, Field(repr=False)] = ""
    fault: str | None = None

    @model_validator(mode="after")
    def _check_fault(self) -> Self:
        if (self.message is None) == (self.fault is None):
            raise ValueError("a planned message needs either a message or a fault")
        if self.message is not None and not has_one_phone(self.message):
            raise ValueError(ONE_PHONE)
        return self


class KeyHistory(NamedTuple):
    """The history of one key of the guards.

    Attributes:
        rule: The name of the rule.
        key: The key.
        span: Seconds for which an entry counts.
        at: When it was stored.
        ages: Seconds from each entry to `at`, negative for an entry in the future; None for a request in flight.
        costs: Of the rule `spend`, for each entry its known costs, its messages of unknown cost, and its dearest cost.
    """

    rule: str
    key: bytes
    span: float
    at: DiskTime
    ages: tuple[float | None, ...]
    costs: tuple[tuple[int, ...], ...] = ()

    def entries(self) -> list[Any]:
        """Return the entries as they are stored."""
        if not self.costs:
            return list(self.ages)
        return [[age, *costs] for age, costs in zip(self.ages, self.costs, strict=True)]


class RowPlan(NamedTuple):
    """One row to be planned: its number, its phone, and an error if it can't be sent."""

    row: int
    phone: str
    error: str | None = None


class ChunkPlan(NamedTuple):
    """One request to be planned: its operation as JSON, and the rows in it."""

    content: str
    id: str
    is_list: bool
    is_own_id: bool
    rows: tuple[RowPlan, ...]


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """One request as stored in the journal.

    Attributes:
        key: Its number in the journal.
        state: Its state.
        content: The operation that sends it, as JSON, with its id.
        is_list: Whether the messages are lines of the `list` parameter.
        is_own_id: Whether the journal created the id.
        attempted_at: When it was first attempted, timezone-aware; None if it was not.
        failed_at: When the last attempt ended without an answer, timezone-aware; None if the process died before.
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
    """The result of one message of a request.

    Attributes:
        phone: Its recipient.
        id: The id under which the service has it.
        code: The error number of the refusal, None if it was accepted or there was no number.
        error: Why it was refused, None if it was accepted.
        cost: Its share of the price, None if the service reported none.
        parts: How many SMS it is.
    """

    phone: str = field(repr=False)
    id: str
    code: int | None = None
    error: str | None = None
    cost: Decimal | None = None
    parts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow(Shown):
    """One message of a job and its state.

    Attributes:
        row: Its number in the source.
        phone: Its recipient.
        id: The id under which the service has it, or will.
        state: Its state.
        status: Its delivery status, None if unknown.
        delivery_error: Why it was not delivered, None if the service gives no reason.
        code: The service's error number, if it refused the message.
        error: Why it was not sent, or why the outcome is unknown; None otherwise.
        cost: Its share of the price of its request, None if the service reported none.
        parts: How many SMS it is.
        attempted_at: When it was first attempted.
        accepted_at: When the acceptance was noted.
        final_at: When its delivery status became final.
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

    def to_rows(self) -> list[TableRow]:
        """Return one row."""
        names = "code", "error", "cost", "parts", "attempted_at", "accepted_at", "final_at"
        codes = {**code_columns("status", self.status), **code_columns("delivery_error", self.delivery_error)}
        key = {"row": self.row, "phone": self.phone, "id": self.id, "state": str(self.state)}
        return [{**key, **codes, **{name: getattr(self, name) for name in names}}]

    def _sentence(self) -> str:
        found = self.status.phrase if self.status is not None else self.error
        what = capitalized(about(self.phone, self.id))
        return f"{what} is {self.state}{'' if found is None else f': {found}'}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Shown):
    """The number of messages of a job in each state, and their cost.

    Attributes:
        planned: Not sent yet.
        attempted: Possibly sent, to be reconciled.
        unresolved: Possibly sent; the status does not show it.
        accepted: Accepted, with a pending delivery status.
        failed: Refused.
        skipped: Planned with a `fault`, never sent.
        final: With a final delivery status.
        cost: The cost of the accepted messages, as far as the service reported it.
        unpriced: The accepted messages, final ones too, whose cost is unknown, so that it is not part of `cost`.
    """

    planned: int = 0
    attempted: int = 0
    unresolved: int = 0
    accepted: int = 0
    failed: int = 0
    skipped: int = 0
    final: int = 0
    cost: Decimal = Decimal()
    unpriced: int = 0

    @property
    def total(self) -> int:
        """The number of all messages."""
        return self.unsent + self.accepted + self.failed + self.skipped + self.final

    @property
    def unsent(self) -> int:
        """The number of messages without an answer of the service."""
        return self.planned + self.attempted + self.unresolved

    def to_rows(self) -> list[TableRow]:
        """Return one row with all numbers."""
        return [{each.name: getattr(self, each.name) for each in fields(self)}]

    def _sentence(self) -> str:
        numbers = {name: value for name, value in self.to_rows()[0].items() if name not in {"cost", "unpriced"}}
        each = ", ".join(f"{number:,} {name}" for name, number in numbers.items() if number)
        return f"{counted(self.total, 'message')}{': ' if each else ''}{each}; cost {money(self.cost)}."


def moment(text: str | None) -> datetime | None:
    """Return a stored time in UTC."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def disk_time_of(text: str) -> DiskTime:
    """Return a stored instant."""
    boot, uptime, wall = json.loads(text)
    return DiskTime(str(boot), _seconds(uptime), _seconds(wall))


def history_of(values: tuple[Any, ...]) -> KeyHistory:
    """Return a history from its columns."""
    rule, key, span, clock, stored = values
    entries = [each if isinstance(each, list) else [each] for each in json.loads(stored)]
    ages = tuple(None if age is None else _seconds(age) for age, *_ in entries)
    costs = tuple(tuple(map(int, numbers)) for _, *numbers in entries if numbers)
    return KeyHistory(rule, key, _seconds(span), disk_time_of(clock), ages, costs)


def _seconds(value: Any) -> float:
    if not isfinite(value):
        raise ValueError("a stored number of seconds is not finite")
    return float(value)


def row_of(values: tuple[Any, ...]) -> JournalRow:
    """Return a message from its columns."""
    row, phone, id_, state, status, failure, code, error, cost, parts, *moments = values
    attempted_at, accepted_at, final_at = map(moment, moments)
    return JournalRow(
        row=row,
        phone=phone,
        id=id_,
        state=RowState(state),
        status=None if status is None else MessageStatus(status),
        delivery_error=None if failure is None else DeliveryError(failure),
        code=code,
        error=error,
        cost=None if cost is None else Decimal(cost),
        parts=parts,
        attempted_at=attempted_at,
        accepted_at=accepted_at,
        final_at=final_at,
    )


def status_note(update: Update, now: datetime) -> tuple[str, str, int | None, int | None, str | None, datetime | None]:
    """Return phone, id, status, delivery error, words about an error, and since when the status is final."""
    report, unknown, ref = update.report, update.error, update.ref
    words = None if unknown is None else f"its status is unknown: {type(unknown).__name__}: {unknown}"
    if report is None:
        return ref.phone, ref.id, None, None, words, None
    error = None if report.error is None else int(report.error)
    final_at = (report.changed_at or now) if update.is_last else None
    return ref.phone, ref.id, int(report.status), error, words, final_at
