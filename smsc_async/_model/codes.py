"""The codes of the service as open enums: an undocumented number is kept, not an error."""

from enum import IntEnum, StrEnum
from typing import Any, Self

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

__all__ = ["DeliveryError", "MessageStatus", "MessageType", "Resend"]


class _OpenCode(IntEnum):
    """An `IntEnum` with a phrase, which makes a generic member for an unknown number."""

    phrase: str

    def __new__(cls, value: int, phrase: str = "") -> Self:
        """Make a member from a number and its phrase."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.phrase = phrase
        return member

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # No `enum`, as numbers may be added.
        known = ", ".join(f"{member.value}: {member.phrase}" for member in cls)
        return {"type": "integer", "title": cls.__name__, "description": known}

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        # Not cached: otherwise a server that keeps sending new numbers would fill the memory of this process.
        return cls._unknown(value)

    @classmethod
    def _unknown(cls, value: int) -> Self:
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}" if value >= 0 else f"UNKNOWN_MINUS_{-value}"
        member._value_ = value
        member.phrase = f"undocumented code {value}"
        return member


class MessageStatus(_OpenCode):
    """The status of a message.

    Attributes:
        phrase: What the code means, in English.
    """

    NOT_FOUND = -3, "no such message for this phone and id"
    PAUSED = -2, "held back, the mailing is paused"
    WAITING = -1, "waiting to be sent"
    SENT = 0, "handed to the operator"
    DELIVERED = 1, "delivered"
    READ = 2, "read"
    EXPIRED = 3, "expired before it could be delivered"
    LINK_CLICKED = 4, "the short link in it was clicked"
    UNDELIVERABLE = 20, "impossible to deliver"
    WRONG_NUMBER = 22, "wrong number"
    FORBIDDEN = 23, "forbidden"
    NO_MONEY = 24, "not enough money"
    UNAVAILABLE = 25, "number unavailable"

    @property
    def is_final(self) -> bool:
        """Whether the status is final; READ and LINK_CLICKED may still follow. Unknown codes count as pending."""
        return self in _FINAL

    @property
    def is_delivered(self) -> bool:
        """Whether the message reached its recipient."""
        return self in _DELIVERED


_DELIVERED = frozenset({1, 2, 4})
_FINAL = _DELIVERED | {3, 20, 22, 23, 24, 25}


class MessageType(_OpenCode):
    """The kind of a message, in a callback.

    Attributes:
        phrase: What the number means, in English.
    """

    SMS = 0, "SMS"
    FLASH = 1, "flash SMS"
    BINARY = 2, "binary SMS"
    WAP_PUSH = 3, "WAP push"
    HLR = 4, "HLR request"
    PING = 5, "ping"
    MMS = 6, "MMS"
    CALL = 7, "voice call"
    EMAIL = 8, "e-mail"
    VIBER = 10, "Viber"
    SOCIAL = 12, "social network"


class Resend(StrEnum):
    """Whether sending the message again makes sense; an estimate of this package, as the service gives none."""

    NO = "no"
    MAYBE = "maybe"
    ONCE = "once"
    LATER = "later"
    NEXT_DAY = "next day"
    UNKNOWN = "unknown"


class DeliveryError(_OpenCode):
    """Why a message was not delivered.

    Attributes:
        phrase: What the code means, in English.
        resend: Whether sending again makes sense.
    """

    resend: Resend

    def __new__(cls, value: int, phrase: str = "", resend: Resend = Resend.UNKNOWN) -> Self:
        """Make a member from a number, its phrase and the advice."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.phrase = phrase
        member.resend = resend
        return member

    @classmethod
    def _unknown(cls, value: int) -> Self:
        member = super()._unknown(value)
        member.resend = Resend.UNKNOWN
        return member

    NONE = 0, "no error", Resend.NO
    NO_SUCH_SUBSCRIBER = 1, "the subscriber does not exist", Resend.NO
    OFFLINE = 6, "the subscriber is offline", Resend.LATER
    NO_SMS_SERVICE = 11, "the subscriber has no SMS service", Resend.NO
    HANDSET_FAULT = 12, "a fault of the handset or the SIM card", Resend.LATER
    SUBSCRIBER_BLOCKED = 13, "the subscriber is blocked", Resend.LATER
    NOT_SUPPORTED = 21, "the handset does not support the service", Resend.NO
    VIRTUAL = 200, "virtual sending: the account is in test mode", Resend.NO
    SIM_REPLACED = 219, "the SIM card was replaced", Resend.NEXT_DAY
    QUEUE_FULL = 220, "the operator's queue is full", Resend.LATER
    NO_ANSWER = 237, "nobody answered the call", Resend.LATER
    NO_TEMPLATE = 238, "no approved template fits", Resend.NO
    ADDRESS_NOT_ALLOWED = 239, "the IP address is not allowed", Resend.NO
    BUSY = 240, "the line was busy", Resend.LATER
    CONVERSION_FAILED = 241, "conversion failed, or parts are missing", Resend.MAYBE
    ANSWERING_MACHINE = 242, "an answering machine took the call", Resend.LATER
    NO_CONTRACT = 243, "there is no contract", Resend.NO
    MAILING_FORBIDDEN = 244, "mailings are forbidden", Resend.NO
    NO_STATUS = 245, "no status was received", Resend.UNKNOWN
    OUTSIDE_HOURS = 246, "outside the allowed hours", Resend.LATER
    ACCOUNT_LIMIT = 247, "the account's limit of messages is reached", Resend.NEXT_DAY
    NO_ROUTE = 248, "there is no route", Resend.NO
    WRONG_FORMAT = 249, "the number has a wrong format", Resend.NO
    BARRED_BY_SETTINGS = 250, "the number is barred by the account's own settings", Resend.NO
    DAILY_LIMIT = 251, "the daily limit for one number is reached", Resend.NEXT_DAY
    BARRED = 252, "the number is barred", Resend.NO
    SPAM = 253, "stopped by the spam filter", Resend.NO
    SENDER_NOT_REGISTERED = 254, "the sender's name is not registered", Resend.NO
    REFUSED = 255, "refused by the operator", Resend.ONCE
