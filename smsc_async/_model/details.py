"""Reading the details of an answer: one of an odd form is not guessed, so it has no value."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final, NamedTuple

from pydantic import JsonValue

__all__ = ["Detail", "moment", "number", "read_amount", "read_code", "read_count", "read_moment", "read_price"]


class Detail(NamedTuple):
    """Marks a field of an answer that is not a text.

    Attributes:
        read: Returns the value of a text, None if it has an odd form.
    """

    read: Callable[[str], object]


_LARGEST: Final = Decimal(10**12)  # the largest amount that all sums and shares of this package hold exactly
# PHP writes a float that is very small in scientific notation: 5.5511151231258E-17.
_AMOUNT: Final = re.compile(r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2})?")


def read_amount(text: str) -> Decimal | None:
    """Return an amount of money; a comma may separate decimals or thousands, so "3,50" has no value."""
    found = Decimal(text) if _AMOUNT.fullmatch(text) else None
    return found if found is not None and abs(found) < _LARGEST else None


def read_price(text: str) -> Decimal | None:
    """Return an amount of money that is not negative."""
    found = read_amount(text)
    return found if found is not None and not found.is_signed() else None


def read_count(text: str) -> int | None:
    """Return a whole number of up to 9 digits that is not negative."""
    found = read_code(text)
    return found if found is not None and found >= 0 else None


def read_code(text: str) -> int | None:
    """Return a whole number of up to 9 digits."""
    found = number(text)
    return found if isinstance(found, int) else None


def number(value: object) -> object:
    """Return the whole number that a text stands for, any other value as it is."""
    if isinstance(value, str) and value in _DIGITS:
        return _DIGITS[value]
    return int(value) if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,9}", value) else value


_DIGITS: Final = {str(each): each for each in range(-9, 300)}


def moment(extra: dict[str, JsonValue], stamp_name: str, text_name: str, zone: tzinfo) -> datetime | None:
    """Remove a moment from `extra` and return it; a value that can't be read stays there."""
    stamp, text = _removed(extra, stamp_name), _removed(extra, text_name)
    at = read_moment(stamp) if isinstance(stamp, str) else None
    local = _from_local_text(text, zone)
    if stamp not in _NO_TIME and at is None:
        extra[stamp_name] = stamp
    if text != "" and local is None:
        extra[text_name] = text
    return at or local


_NO_TIME: Final = ("", "0")  # 0 is PHP's "no time yet"
_STAMP: Final = re.compile("[1-9][0-9]{0,10}")  # 11 digits reach the year 5138
_LAST_STAMP: Final = 10**11
# soap-api: "Format DD.MM.YYYY hh: mm: ss", and "DD.MM.YY hh: mm" for `time`. Its other form, DDMMYYhhmm, is not read:
# ten digits may also be Unix time.
_LOCAL: Final = re.compile(
    r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4}|[0-9]{2})\s+([0-9]{1,2}):\s*([0-9]{1,2})(?::\s*([0-9]{1,2}))?"
)


def _removed(extra: dict[str, JsonValue], name: str) -> JsonValue:
    value = extra.pop(name, "")
    return value.strip() if isinstance(value, str) else value


def read_moment(text: str) -> datetime | None:
    """Return the moment of a timestamp in Unix seconds."""
    return datetime.fromtimestamp(int(text), UTC) if _STAMP.fullmatch(text) else None


def _from_local_text(value: JsonValue, zone: tzinfo) -> datetime | None:
    found = _LOCAL.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    day, month, year, hour, minute, second = map(int, found.groups("0"))
    try:
        local = datetime(year if len(found[3]) > 2 else 2000 + year, month, day, hour, minute, second, tzinfo=zone)  # noqa: PLR2004 - YY
    except ValueError:
        return None
    # The same range as that of a timestamp: a "zero date" is no time yet, and UTC may have no such year.
    return local if 1 <= local.timestamp() < _LAST_STAMP else None
