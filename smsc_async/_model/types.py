"""The basic types of the domain: recipients, messages, message references and money."""

import re
import sys
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Annotated, Any, Final, Self, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    Strict,
)

from smsc_async._frames import without_arguments

from .frozen import FrozenModel, kind_of, wrong
from .xml_text import why_not_xml

__all__ = [
    "UNSET",
    "Many",
    "MessageId",
    "MessageRef",
    "Money",
    "OnProgress",
    "Recipient",
    "Sender",
    "SingleLine",
    "Subscriber",
    "Text",
    "TimeZoneOffset",
    "Unset",
    "Url",
    "Whole",
    "XmlText",
    "check_xml_text",
    "checked_recipient",
    "is_aware",
    "is_count",
    "is_email",
    "is_group",
    "is_international",
    "is_message_id",
    "is_phone",
    "is_seconds",
    "is_whole",
    "many",
    "no_bool",
    "recipient_key",
    "spelled",
    "spellings",
    "whole",
]


class Unset(Enum):
    """The type of `UNSET`: an argument that was not given, where None means "off"."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""Stands for an argument that was not passed, where None has a meaning of its own."""

Money: TypeAlias = Decimal
"""An amount in the account's currency, which the SOAP service does not name."""

T = TypeVar("T")
M = TypeVar("M")
Many: TypeAlias = Iterable[T] | AsyncIterable[T]
"""Any number of values, from an iterable or an async iterable."""
OnProgress: TypeAlias = Callable[[int, int], object]
"""Called with the number of messages that are done and the number of all messages."""


_PHONE = re.compile(r"\+?[0-9]{4,20}")
# A country code and a number after it. 8, 0 and 10 digits or fewer may be a local number, +7 and +1 have 11 digits.
_COMPLETE = re.compile(r"[17][0-9]{10}|[2-6][0-9]{10,14}|9[0-9]{11,14}")
_GROUP = re.compile(r"[Gg][0-9]{1,20}")
_EMAIL = re.compile(r"[^\s@,;:|<>\"]+@[^\s@,;:|<>\"]+")
_TELEGRAM = re.compile(r"#[0-9]{1,20}|@?[A-Za-z][A-Za-z0-9_]{3,31}")
_ID = re.compile(r"[A-Za-z0-9._-]{1,40}")
_MAX_ID: Final = 2_147_483_647
_RUSSIAN_DIGITS: Final = 11


def is_seconds(value: object) -> bool:
    """Return whether a value is a finite number of at least 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def is_count(value: object) -> bool:
    """Return whether a value is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def many(name: str, what: str, items: M) -> M:
    """Return the items of a caller.

    Raises:
        ValueError: They are not iterable, or one item was passed instead of several.
    """
    given: object = items
    if not isinstance(given, Iterable | AsyncIterable) or isinstance(given, str | bytes | Mapping | FrozenModel):
        raise wrong(name, f"a list or another iterable of {what}", given)
    return items


def is_aware(value: object) -> bool:
    """Return whether a value is a datetime with a time zone."""
    return isinstance(value, datetime) and value.utcoffset() is not None


def check_xml_text(value: str) -> str:
    """Return the string, or raise a `ValueError` that names the first character that XML can't carry."""
    reason = why_not_xml(value)
    if reason:
        raise ValueError(reason)
    return value


def _text(value: str) -> str:
    # XML whitespace (production 3): PHP reads an element that holds nothing else as an empty one.
    if not value.strip(" \t\r\n"):
        raise ValueError("a text of whitespace only would arrive empty; pass a text with other characters")
    return check_xml_text(value)


def checked_recipient(value: str) -> str:
    """Return a recipient, or raise a `ValueError` if it is none."""
    if "," in value or ";" in value:
        raise ValueError("must be one recipient; for more, pass a list to `send`")
    for pattern in (_PHONE, _GROUP, _EMAIL, _TELEGRAM):
        if pattern.fullmatch(value):
            return value
    raise ValueError(
        "must be a phone in international format (digits, with or without +, no spaces), a group code "
        "G<number>, an e-mail address, or #ID or a nickname of Telegram; Phone.parse (--region) reads other spellings"
    )


def _not_a_group(value: str) -> str:
    if is_group(value):
        raise ValueError("a group code stands for many numbers that only the service knows; pass it to `send`")
    return value


def no_bool(value: object) -> object:
    """Return the value unless it is a bool or a text, which pydantic takes for a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"must be a number, not {kind_of(value)}")  # noqa: TRY004 - pydantic expects it
    if isinstance(value, float | Decimal) and not isfinite(value):
        raise ValueError("must be a finite number")
    return value


def whole(value: object) -> object:
    """Return the value if it is an int."""
    if not isinstance(value, bool | int):
        raise ValueError(f"must be a whole number, not {kind_of(value)}")  # noqa: TRY004 - as above
    return no_bool(value)


def spelled(value: object) -> object:
    """Return the value unless it is a number, whose digits may be those of a phone."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError("must be a string, such as '+79991234567', not int")  # noqa: TRY004
    return value


def _sender(value: str) -> str:
    if value.isdecimal() and value.isascii() and len(value) <= 15:  # noqa: PLR2004 - soap-api: "11 characters or 15 digits"
        return value
    if not value.strip() or len(value) > 11 or not (value.isascii() and value.isprintable()):  # noqa: PLR2004 - as above
        raise ValueError("must be up to 11 Latin letters, digits, spaces and punctuation marks, or up to 15 digits")
    return value


def _message_id(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= _MAX_ID:
            raise ValueError(f"must be 1 to {_MAX_ID} if it is a number; pass a longer one as a string")
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"must be a string or a whole number, not {kind_of(value)}")  # noqa: TRY004 - as above
    # PHP takes "0" for empty, so the service would assign an id of its own.
    if not _ID.fullmatch(value) or not value.strip("0"):
        raise ValueError(
            f"must be a number from 1 to {_MAX_ID}, or a string of up to 40 of A-Z a-z 0-9 . _ -, but not 0"
        )
    return value


def is_message_id(value: str) -> bool:
    """Return whether this is a valid message id."""
    try:
        _message_id(value)
    except ValueError:
        return False
    return True


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]\S*", value):
        raise ValueError("must be a full URL, http://... or https://..., without whitespace")
    return value


def _one_line(value: str) -> str:
    if "\n" in value or "\r" in value:
        raise ValueError("must be a single line")
    return check_xml_text(value)


XmlText: TypeAlias = Annotated[str, Strict(), AfterValidator(check_xml_text)]
"""A string that XML can carry."""
Url: TypeAlias = Annotated[XmlText, AfterValidator(_http_url)]
"""A full URL, http://... or https://..."""
SingleLine: TypeAlias = Annotated[str, Strict(), Field(min_length=1), AfterValidator(_one_line)]
"""A text without line breaks."""
Text: TypeAlias = Annotated[str, Strict(), Field(min_length=1, max_length=1000), AfterValidator(_text)]
"""The text of a message: 1 to 1000 characters, not all whitespace (soap-api: "The maximum size is 1000 characters")."""
Recipient: TypeAlias = Annotated[str, Strict(), BeforeValidator(spelled), AfterValidator(checked_recipient)]
"""A phone, a group code, an e-mail address or a Telegram name.

It is sent unchanged: the service accepts phones without +.
"""
Subscriber: TypeAlias = Annotated[Recipient, AfterValidator(_not_a_group)]
"""A single recipient: anything but a group code."""
Sender: TypeAlias = Annotated[str, Strict(), AfterValidator(_sender)]
"""The sender's name: up to 11 characters or 15 digits."""
MessageId: TypeAlias = Annotated[str, Strict(), BeforeValidator(_message_id)]
"""A message id: a number from 1 to 2147483647, or a string of up to 40 of `[A-Za-z0-9._-]`, also of digits only."""
Whole: TypeAlias = Annotated[int, BeforeValidator(whole)]
"""A whole number, and no bool."""
TimeZoneOffset: TypeAlias = Annotated[float, BeforeValidator(no_bool), Field(ge=-15, le=12, multiple_of=0.25)]
"""Hours relative to Moscow (UTC+3), the service's unit of `tz`."""


def recipient_key(recipient: str) -> str:
    """Return a key that is equal for all spellings of one recipient.

    The key of a phone is its digits; an 11-digit number that begins with 8 is the Russian spelling of one with +7.
    """
    if not _PHONE.fullmatch(recipient):
        return recipient.casefold()
    digits = recipient.removeprefix("+")
    if len(digits) == _RUSSIAN_DIGITS and digits.startswith("8") and recipient == digits:
        return "7" + digits[1:]
    return digits


def spellings(recipient: str) -> list[str]:
    """Return the spellings that have the same key as this one: with and without + for a phone."""
    key = recipient_key(recipient)
    if not is_phone(recipient):
        return [recipient] if recipient == key else [recipient, key]
    return [each for each in (key, f"+{key}", f"8{key[1:]}") if recipient_key(each) == key]


def is_phone(recipient: str) -> bool:
    """Return whether this is a phone number."""
    return _PHONE.fullmatch(recipient) is not None


def is_international(recipient: str) -> bool:
    """Return whether this is a phone that the service stores as it is written.

    soap-api: "If the number is passed without the + sign, it can be corrected by automatic formatting". In a complete
    international number without +, such as 79991234567, there is nothing to correct. What could also be a local
    number is not taken for one: write it with +.
    """
    return is_phone(recipient) and (recipient.startswith("+") or _COMPLETE.fullmatch(recipient) is not None)


def is_email(recipient: str) -> bool:
    """Return whether this is an e-mail address."""
    return _EMAIL.fullmatch(recipient) is not None


def is_group(recipient: str) -> bool:
    """Return whether this is a group code; only the service knows its members."""
    return recipient[:1] in {"G", "g"} and _GROUP.fullmatch(recipient) is not None


class MessageRef(FrozenModel):
    """The reference of one message at the service: its recipient and its id.

    `str(ref)` is the text form `phone:id`, which holds the phone, and `MessageRef.parse` reads it. `repr(ref)` hides
    most of the phone.

    Attributes:
        phone: The recipient, as passed to the send.
        id: The id, as a string.
    """

    phone: Subscriber
    id: MessageId

    def __init__(self, phone: str, id: str | int) -> None:  # noqa: A002 - the service's own word
        BaseModel.__init__(self, phone=phone, id=id)

    def __str__(self) -> str:
        return f"{self.phone}:{self.id}"

    @classmethod
    def of_checked(cls, phone: str, id: str) -> "MessageRef":  # noqa: A002 - the service's own word
        """Return the reference of values that were checked before, such as those of an operation."""
        # A third of the time of `model_construct`; a batch has thousands.
        ref, put = cls.__new__(cls), object.__setattr__
        put(ref, "__dict__", {"phone": phone, "id": id})
        put(ref, "__pydantic_fields_set__", {"phone", "id"})
        put(ref, "__pydantic_extra__", None)
        put(ref, "__pydantic_private__", None)
        return ref

    @classmethod
    @without_arguments
    def parse(cls, text: str) -> Self:
        """Read the text form.

        Raises:
            ValueError: The text is not of the form `phone:id`.
        """
        given: object = text
        if not isinstance(given, str):
            raise wrong("the text form of a reference", "a string", given)
        phone, colon, id_ = text.strip().rpartition(":")
        if not colon:
            raise ValueError("the text form of a reference must be phone:id")
        return cls(phone, id_)
