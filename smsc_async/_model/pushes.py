"""What the service reports to the URL of an account: a status, an incoming message, a call; frozen values.

Only some fields of a callback are signed. The others are hints: anyone who has recorded a callback can repeat it and
change them.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Final, Self, TypeAlias

from pydantic import BeforeValidator, Field, JsonValue, computed_field

from .codes import MessageType
from .details import Detail, number, read_code, read_moment, read_price
from .frozen import FrozenModel
from .reports import DeliveryErrorCode, Status, phrase_of
from .result_base import Result, Wire
from .shown import TableRow, about, capitalized, code_columns, counted, in_utc, shown_phone, shown_time
from .types import MessageRef, Money

__all__ = ["CallConfirmed", "HlrDetails", "IncomingMessage", "InvalidCallbackSignature", "StatusPush"]

_HLR: Final = {
    "imsi": "imsi",
    "msc": "msc",
    "mcc": "mcc",
    "mnc": "mnc",
    "cn": "country",
    "net": "operator",
    "rcn": "roaming_country",
    "rnet": "roaming_operator",
}
"""The service's names of the details of an HLR request, and ours."""
_REQUESTS: Final = frozenset({MessageType.HLR, MessageType.PING})

MessageTypeCode: TypeAlias = Annotated[MessageType, BeforeValidator(number)]
Moment: TypeAlias = Annotated[datetime | None, Field(validation_alias="ts"), Detail(read_moment)]


class InvalidCallbackSignature(ValueError):
    """A request is no callback that was signed with one of the secrets; nothing in it can be trusted."""


class HlrDetails(FrozenModel):
    """What an HLR request found out about a number, as text; None for what the service doesn't report.

    Attributes:
        imsi: The identity of the SIM card.
        msc: The number of the exchange that serves the subscriber.
        mcc: The country code of the network, such as "250".
        mnc: The code of the network, such as "01".
        country: The country in which the number is registered.
        operator: The operator with which it is registered.
        roaming_country: The country in which the subscriber is.
        roaming_operator: The operator that serves the subscriber there.
    """

    imsi: str | None = None
    msc: str | None = None
    mcc: str | None = None
    mnc: str | None = None
    country: str | None = None
    operator: str | None = None
    roaming_country: str | None = None
    roaming_operator: str | None = None


class StatusPush(Result):
    """The status of a message has changed; dumps and JSON have `is_final`, `is_delivered` and `phrase` too.

    `ref` and `status` are signed. Everything else is a hint: request the status where it matters. The same push may
    arrive several times, and an older one after a newer one; nothing proves to which of two messages with one phone and
    one id it belongs.

    Attributes:
        ref: The message; the phone as the service spells it, which may be without +.
        status: Its status; an undocumented number is kept.
        at: When the status changed, aware (a hint).
        error: Why it wasn't delivered, None if the service doesn't say; 0 is `DeliveryError.NONE` (a hint).
        type: What kind of message it is (a hint).
        cost: Its cost (a hint).
        sender: The sender's name (a hint).
        hlr: What an HLR request found out, None if there is nothing (a hint).
    """

    required: ClassVar[tuple[str, ...]] = ("status",)

    ref: MessageRef
    status: Annotated[Status, Field(validation_alias="status"), Detail(read_code)]
    at: Moment = None
    error: Annotated[DeliveryErrorCode | None, Field(validation_alias="err"), Detail(read_code)] = None
    type: Annotated[MessageTypeCode | None, Field(validation_alias="type"), Detail(read_code)] = None
    cost: Annotated[Money | None, Field(validation_alias="cost"), Detail(read_price)] = None
    sender: Annotated[str | None, Field(validation_alias="sender_id")] = None
    hlr: HlrDetails | None = None

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def is_final(self) -> bool:
        """Whether the status is final: the message was delivered, or it never will be.

        An HLR request or a ping that has the status 1 or 2 and no error number yet is still pending.
        """
        return self.status.is_final and not (self._is_request and self.status.is_delivered and self.error is None)

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def is_delivered(self) -> bool:
        """Whether the message reached its recipient; after an HLR request or a ping, whether it is reachable."""
        return self.is_final and self.status.is_delivered and not (self._is_request and self.error)

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def phrase(self) -> str:
        """What the status means, in English, and the error if there is one (a hint)."""
        return phrase_of(self.status, self.error)

    @property
    def is_reachable(self) -> bool | None:
        """Whether the subscriber is reachable, after an HLR request or a ping; None if that is unknown (a hint)."""
        return self.is_delivered if self._is_request and self.is_final else None

    def to_rows(self) -> list[TableRow]:
        """Return one row."""
        return [
            {
                "phone": self.ref.phone,
                "id": self.ref.id,
                **code_columns("status", self.status),
                "is_final": self.is_final,
                "is_delivered": self.is_delivered,
                **code_columns("error", self.error),
                "at": in_utc(self.at),
                **code_columns("type", self.type),
                "cost": self.cost,
                "sender": self.sender,
            }
        ]

    def _sentence(self) -> str:
        at = "" if self.at is None else f", at {shown_time(self.at)}"
        return f"{capitalized(about(self.ref.phone, self.ref.id))} has the status: {self.phrase}{at}."

    @property
    def _is_request(self) -> bool:
        return self.type in _REQUESTS

    @classmethod
    def from_wire(cls, wire: Wire) -> Self:
        """Read the fields of a callback.

        Raises:
            ValueError: The phone or the id is not valid.
        """
        known, extra = cls._split(wire)
        ref = MessageRef(phone=str(extra.pop("phone", "")), id=str(extra.pop("id", "")))
        found = {ours: extra.pop(name) for name, ours in _HLR.items() if extra.get(name)}
        return cls._of(known, extra, ref=ref, hlr=HlrDetails.model_validate(found) if found else None)


class IncomingMessage(Result):
    """A message that somebody sent to a number of the account.

    `phone`, `text` and `to` are signed, `id` and `at` are not: a callback that somebody recorded and repeats may have
    another id.

    Attributes:
        phone: Who sent it.
        text: The text; it may be empty.
        to: The number to which it was sent.
        id: The service's id of it (a hint).
        at: When it was sent, aware (a hint).
    """

    phone: str
    text: str
    to: str
    id: Annotated[str | None, Field(validation_alias="id")] = None
    at: Moment = None

    def to_rows(self) -> list[TableRow]:
        """Return one row."""
        return [{"phone": self.phone, "text": self.text, "to": self.to, "id": self.id, "at": in_utc(self.at)}]

    def _sentence(self) -> str:
        at = "" if self.at is None else f", at {shown_time(self.at)}"
        return f"A {about(self.to)} with {counted(len(self.text), 'character')}{at}."

    @classmethod
    def from_wire(cls, wire: Wire) -> Self:
        """Read the fields of a callback."""
        rest: dict[str, JsonValue] = dict(wire)
        phone, text, to = rest.pop("phone", None), rest.pop("mes", None), rest.pop("to", None)
        return cls._of(*cls._split(rest), phone=phone, text=text, to=to)


class CallConfirmed(Result):
    """A subscriber has called to confirm a phone number.

    Both attributes are signed, so an old callback can be recognised by its time.

    Attributes:
        phone: The number of the subscriber.
        at: When, aware.
    """

    phone: Annotated[str, Field(validation_alias="phone")]
    at: Annotated[datetime, Field(validation_alias="ts"), Detail(read_moment)]

    def to_rows(self) -> list[TableRow]:
        """Return one row with the number and the time."""
        return [{"phone": self.phone, "at": in_utc(self.at)}]

    def _sentence(self) -> str:
        return f"A subscriber confirmed the phone {shown_phone(self.phone)}, at {shown_time(self.at)}."
