"""The messages of a batch, and several recipients in one string."""

import re
from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, Strict

from .frozen import FrozenModel
from .types import Sender, Text, TimeZoneOffset, checked_recipient, is_group, recipient_key, spelled

__all__ = ["Message", "check_once", "each_recipient", "has_one_phone", "one_by_one"]

# soap-api, `phones`: "comma-separated or semicolon-separated list".
_SEPARATOR: Final = re.compile("[,;]")


def each_recipient(text: str) -> tuple[str, ...]:
    """Return the recipients in a string, separated by commas or semicolons, which may also be at its end."""
    if "," not in text and ";" not in text:
        return (text,)
    return tuple(each for part in _SEPARATOR.split(text) if (each := part.strip()))


def check_once(recipients: Iterable[str]) -> None:
    """Raise a `ValueError` if one recipient is there twice, in any spelling."""
    seen: dict[str, int] = {}
    for number, recipient in enumerate(recipients, 1):
        first = seen.setdefault(recipient_key(recipient), number)
        if first != number:
            raise ValueError(
                f"recipients {first} and {number} are the same and would be charged twice; pass one of them (+7..., "
                "7... and 8... are spellings of one phone)"
            )


def _line(value: str) -> str:
    recipients = each_recipient(value)
    for each in recipients:
        checked_recipient(each)
    if len(recipients) != 1:
        check_once(recipients)
    return ",".join(recipients) or checked_recipient("")


Line: TypeAlias = Annotated[str, Strict(), BeforeValidator(spelled), AfterValidator(_line)]


class Message(FrozenModel):
    """One text of a batch.

    Attributes:
        phone: A recipient, or several separated by commas or semicolons: each gets a message of its own with this text.
        text: 1 to 1000 characters.
        sender: The sender's name, None for the batch's or the account's.
        tz: The time zone of the batch's `LocalTime` for this message, in hours relative to Moscow.
    """

    phone: Line
    text: Text
    sender: Sender | None = None
    tz: TimeZoneOffset | None = None

    def __init__(self, phone: str, text: str, sender: str | None = None, tz: float | None = None) -> None:
        BaseModel.__init__(self, phone=phone, text=text, sender=sender, tz=tz)


def one_by_one(message: Message) -> tuple[Message, ...]:
    """Return a message for each recipient."""
    if "," not in message.phone:
        return (message,)
    return tuple(Message(each, message.text, message.sender, message.tz) for each in each_recipient(message.phone))


def has_one_phone(message: Message) -> bool:
    """Return whether a message has one recipient that has a reference: no group, and not several."""
    return "," not in message.phone and not is_group(message.phone)
