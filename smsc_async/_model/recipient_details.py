"""The details of each recipient of a send, which `op=True` asks for."""

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from pydantic import JsonValue

from .codes import MessageStatus
from .details import read_code, read_price
from .frozen import FrozenModel
from .types import Money

__all__ = ["RecipientDetails", "read_details"]

T = TypeVar("T")

_DIGITS: Final = re.compile("[0-9]{1,6}")


class RecipientDetails(FrozenModel):
    """What the answer to a send says about one recipient.

    soap-api lists the values and not their elements; these are the names of the HTTP API. Over SOAP they are not
    verified, and the recorded WSDL has none of them. What the service does not return, or in an odd form, is None.

    Attributes:
        phone: The recipient, as the service spells it.
        status: Its status.
        cost: Its cost.
        mccmnc: The country and the network of the operator, MCC and MNC, such as "25001".
        error: The service's error number, as in `ApiError.code`, for a recipient that it refused.
        extra: The other fields, and those of an odd form, as received.
    """

    phone: str
    status: MessageStatus | None = None
    cost: Money | None = None
    mccmnc: str | None = None
    error: int | None = None
    extra: dict[str, JsonValue] = {}


def read_details(value: JsonValue) -> tuple[tuple[RecipientDetails, ...], list[JsonValue]]:
    """Read `phones` of an answer, one element or several; return those that name no phone apart."""
    found: list[RecipientDetails] = []
    rest: list[JsonValue] = []
    for entry in value if isinstance(value, list) else [value] if value else []:
        phone = entry.get("phone") if isinstance(entry, Mapping) else None
        if isinstance(entry, Mapping) and isinstance(phone, str) and phone.strip():
            found.append(_details(phone.strip(), {name: each for name, each in entry.items() if name != "phone"}))
        else:
            rest.append(entry)
    return tuple(found), rest


def _details(phone: str, rest: dict[str, JsonValue]) -> RecipientDetails:
    mcc, mnc = _take(rest, "mcc", _read_digits), _take(rest, "mnc", _read_digits)
    status = _take(rest, "status", read_code)
    return RecipientDetails(
        phone=phone,
        status=None if status is None else MessageStatus(status),
        cost=_take(rest, "cost", read_price),
        mccmnc=_take(rest, "mccmnc", _read_digits) or (f"{mcc}{mnc}" if mcc and mnc else None),
        error=_take(rest, "error", read_code) or None,
        extra=rest,
    )


def _read_digits(text: str) -> str | None:
    return text if _DIGITS.fullmatch(text) else None


def _take(fields: dict[str, JsonValue], name: str, read: Callable[[str], T | None]) -> T | None:
    """Remove a value from the fields and return it; an odd one stays there, and an empty one is none."""
    value = fields.get(name)
    text = value.strip() if isinstance(value, str) else None
    found = read(text) if text else None
    if found is not None or text == "":
        del fields[name]
    return found
