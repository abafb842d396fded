"""The details of each recipient of a send, which `op=True` asks for."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from pydantic import JsonValue

from .codes import MessageStatus
from .frozen import FrozenModel
from .types import Money

__all__ = ["RecipientDetails", "read_details"]

_AMOUNT: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{0,20})?")
_NUMBER: Final = re.compile("-?[0-9]{1,9}")
_CODE: Final = re.compile("[0-9]{1,6}")


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
    status, cost, error = _take(rest, "status", _NUMBER), _take(rest, "cost", _AMOUNT), _take(rest, "error", _NUMBER)
    mcc, mnc = _take(rest, "mcc", _CODE), _take(rest, "mnc", _CODE)
    return RecipientDetails(
        phone=phone,
        status=None if status is None else MessageStatus(int(status)),
        cost=None if cost is None else Decimal(cost),
        mccmnc=_take(rest, "mccmnc", _CODE) or (f"{mcc}{mnc}" if mcc and mnc else None),
        error=int(error or 0) or None,
        extra=rest,
    )


def _take(fields: dict[str, JsonValue], name: str, form: re.Pattern[str]) -> str | None:
    """Remove a value from the fields and return it; None leaves an odd one there, and an empty one is none."""
    value = fields.get(name)
    text = value.strip() if isinstance(value, str) else None
    if text and not form.fullmatch(text):
        return None
    if text is not None:
        del fields[name]
    return text or None
