"""Reading the details of an answer."""

import re
from datetime import UTC, datetime, tzinfo
from typing import Final

from pydantic import JsonValue

__all__ = ["moment", "number"]


def number(value: object) -> object:
    """Return the whole number that a text stands for, any other value as it is."""
    if isinstance(value, str) and value in _DIGITS:
        return _DIGITS[value]
    return int(value) if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,9}", value) else value


_DIGITS: Final = {str(each): each for each in range(-9, 300)}


def moment(extra: dict[str, JsonValue], stamp_name: str, text_name: str, zone: tzinfo) -> datetime | None:
    """Remove a moment from `extra` and return it; a value that can't be read stays there."""
    if stamp_name not in extra and text_name not in extra:
        return None
    moment = _from_timestamp(extra.get(stamp_name)) or _from_local_text(extra.get(text_name), zone)
    for name in (stamp_name, text_name):
        if moment is not None or extra.get(name) == "":
            extra.pop(name, None)
    return moment


def _from_timestamp(value: JsonValue) -> datetime | None:
    # 0 is PHP's "no time yet". 11 digits reach the year 5138.
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,10}", value.strip()):
        return datetime.fromtimestamp(int(value), UTC)
    return None


def _from_local_text(value: JsonValue, zone: tzinfo) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        # soap-api: "Format DD.MM.YYYY hh: mm: ss"; the space after the colons is an error of the page.
        return datetime.strptime(value.strip(), "%d.%m.%Y %H:%M:%S").replace(tzinfo=zone)
    except ValueError:
        return None
