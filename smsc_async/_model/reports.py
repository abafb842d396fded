"""The status of a message as the service reports it, a frozen value."""

from datetime import datetime, tzinfo
from typing import Annotated, ClassVar, Final, Self, TypeAlias

from pydantic import BeforeValidator, Field, computed_field

from .codes import DeliveryError, MessageStatus
from .details import Detail, moment, number, read_code, read_count, read_price
from .result_base import Result, Wire
from .shown import TableRow, about, capitalized, code_columns, in_utc, shown_time
from .types import MessageRef, Money

__all__ = ["DeliveryErrorCode", "DeliveryReport", "Status", "phrase_of"]

Status: TypeAlias = Annotated[MessageStatus, BeforeValidator(number)]
DeliveryErrorCode: TypeAlias = Annotated[DeliveryError, BeforeValidator(number)]


def phrase_of(status: MessageStatus, error: DeliveryError | None) -> str:
    """Return what a status means, in English, and the error if there is one."""
    return f"{status.phrase} ({error.phrase})" if error else status.phrase


_DETAILS: Final = "cost", "sender", "text", "parts", "operator", "region"


class DeliveryReport(Result):
    """The status of one message; dumps and JSON have `is_final`, `is_delivered` and `phrase` too.

    Attributes:
        ref: The message.
        status: Its status; an undocumented number is kept.
        error: Why it wasn't delivered, None if the service doesn't say; 0 is `DeliveryError.NONE`.
        changed_at: When the status last changed, aware.
        sent_at: When it was sent, aware (with `detail=1`).
        phone: The subscriber's number as the service spells it (with `detail=1`).
        cost: Its cost (with `detail=1`).
        sender: The sender's name (with `detail=1`).
        status_name: The service's name of the status (with `detail=1`).
        text: The text (with `detail=1`).
        parts: Its number of SMS, or the seconds of a voice message (with `detail=1`).
        operator: The subscriber's operator (with `detail=2`).
        region: Where the number is registered (with `detail=2`).
    """

    required: ClassVar[tuple[str, ...]] = ("status",)

    ref: MessageRef
    status: Annotated[Status, Field(validation_alias="status"), Detail(read_code)]
    error: Annotated[DeliveryErrorCode | None, Field(validation_alias="err"), Detail(read_code)] = None
    changed_at: datetime | None = None
    sent_at: datetime | None = None
    phone: Annotated[str | None, Field(validation_alias="phone")] = None
    cost: Annotated[Money | None, Field(validation_alias="cost"), Detail(read_price)] = None
    sender: Annotated[str | None, Field(validation_alias="sender_id")] = None
    status_name: Annotated[str | None, Field(validation_alias="status_name")] = None
    text: Annotated[str | None, Field(validation_alias="message")] = None
    parts: Annotated[int | None, Field(validation_alias="sms_cnt"), Detail(read_count)] = None
    operator: Annotated[str | None, Field(validation_alias="operator")] = None
    region: Annotated[str | None, Field(validation_alias="region")] = None

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def is_final(self) -> bool:
        """Whether the status is final: the message was delivered, or it never will be."""
        return self.status.is_final

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def is_delivered(self) -> bool:
        """Whether the message reached its recipient."""
        return self.status.is_delivered

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def phrase(self) -> str:
        """What the status means, in English, and the error if there is one: "impossible to deliver (...)"."""
        return phrase_of(self.status, self.error)

    def to_rows(self) -> list[TableRow]:
        """Return one row, with the recipient as it was passed to the send."""
        return [
            {
                "phone": self.ref.phone,
                "id": self.ref.id,
                **code_columns("status", self.status),
                "is_final": self.is_final,
                "is_delivered": self.is_delivered,
                **code_columns("error", self.error),
                "changed_at": in_utc(self.changed_at),
                "sent_at": in_utc(self.sent_at),
                **{name: getattr(self, name) for name in _DETAILS},
            }
        ]

    def _sentence(self) -> str:
        since = "" if self.changed_at is None else f", since {shown_time(self.changed_at)}"
        return f"{capitalized(about(self.ref.phone, self.ref.id))}: {self.phrase}{since}."

    @classmethod
    def from_wire(cls, wire: Wire, *, ref: MessageRef, timezone: tzinfo) -> Self:
        """Read an answer of `get_status` or `get_status2`; local times without a timestamp are in `timezone`."""
        known, extra = cls._split(wire)
        changed_at = moment(extra, "last_timestamp", "last_date", timezone)
        sent_at = moment(extra, "send_timestamp", "send_date", timezone)
        return cls._of(known, extra, ref=ref, changed_at=changed_at, sent_at=sent_at)
