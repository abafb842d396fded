"""The fields of callbacks, as the service fills them."""

from collections.abc import Mapping
from datetime import timezone
from typing import Final

from smsc_async._model import wrong
from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._delivery import Change
from smsc_async.sandbox._fields import plain
from smsc_async.sandbox._messages import AcceptedMessage, date, found_by_hlr

__all__ = ["call_fields", "incoming_fields", "status_fields"]

_TYPES: Final[Mapping[ServiceChannel, int]] = {
    ServiceChannel.SMS: 0,
    ServiceChannel.FLASH: 1,
    ServiceChannel.BINARY: 2,
    ServiceChannel.PUSH: 3,
    ServiceChannel.HLR: 4,
    ServiceChannel.PING: 5,
    ServiceChannel.MMS: 6,
    ServiceChannel.VOICE: 7,
    ServiceChannel.MAIL: 8,
    ServiceChannel.VIBER: 10,
    ServiceChannel.SOCIAL: 12,
}
"""The documented numbers; a callback about another channel has no type."""
_LONGEST_TEXT: Final = 1_000
_LONGEST_ADDRESS: Final = 100


def status_fields(message: AcceptedMessage, change: Change, zone: timezone) -> dict[str, str]:
    """Return the fields about a change of status.

    Args:
        message: The message.
        change: Its new status.
        zone: The zone of the local time.
    """
    fields = {
        "id": message.id,
        "phone": message.phone,
        "status": str(change.status),
        "time": date(change.at, zone),
        "ts": str(int(change.at)),
        "err": str(change.err),
        "flag": "0",
        "sender_id": message.sender,
        "cost": plain(message.cost),
    }
    if message.channel in _TYPES:
        fields["type"] = str(_TYPES[message.channel])
    if message.channel is ServiceChannel.HLR and change.status > 0:
        fields |= found_by_hlr(message.phone)
    return fields


def incoming_fields(phone: object, text: object, to: object, number: int, at: float) -> dict[str, str]:
    """Return the fields about a message of a subscriber.

    Raises:
        ValueError: The message could not have been sent by a subscriber.
    """
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_TEXT:
        raise ValueError(f"text must be a string of 1 to {_LONGEST_TEXT} characters")
    fields = {"phone": _address("phone", phone), "mes": text, "to": _address("to", to)}
    return {**fields, "id": str(number), "ts": str(int(at))}


def call_fields(phone: object, at: float) -> dict[str, str]:
    """Return the fields about a call by which a subscriber confirms a number.

    Raises:
        ValueError: It is no phone.
    """
    return {"phone": _address("phone", phone), "ts": str(int(at)), "waitcall": "1"}


def _address(name: str, value: object) -> str:
    """Return a phone as the service writes it, or the name that an operator uses as a sender."""
    if not isinstance(value, str):
        raise wrong(name, "a phone such as '+79991234567'", value)
    text = value.strip().removeprefix("+")
    # A colon joins the signed values, and a status has up to three digits.
    if not 0 < len(text) <= _LONGEST_ADDRESS or ":" in text or not text.isprintable():
        raise ValueError(f"{name} must be a phone such as '+79991234567', without a colon")
    if text.lstrip("-").isdecimal() and len(text) <= 4:  # noqa: PLR2004 - a sign and three digits
        raise ValueError(f"{name} must have more than 4 digits")
    return text
