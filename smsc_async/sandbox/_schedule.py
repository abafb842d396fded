"""How the server reads `time`: when a message is due."""

import re
from datetime import datetime, timedelta, timezone

from ._fields import refuse

__all__ = ["read_time", "spread"]

_LOCAL = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})")
_LOCAL_DOTTED = re.compile(r"([0-9]{2})\.([0-9]{2})\.([0-9]{2}) ([0-9]{2}): ?([0-9]{2})")
_HOURS = re.compile(r"([0-9]{1,2})-([0-9]{1,2})")
_TIMESTAMP = re.compile(r"0([0-9]{1,10})")
_MINUTES = re.compile(r"\+([0-9]{1,6})")
_LAST_HOUR = 24
_CENTURY = 2000


def read_time(text: str, *, now: float, zone: timezone) -> float:
    """Return the Unix time at which a message is due, never before `now`.

    Ten digits are DDMMYYhhmm even when they begin with 0: a timestamp of nine digits is long past.
    A range h1-h2 is read literally, so a message never is inside one over midnight: it waits for the next h1.

    Args:
        text: The field `time`: empty, 0, or one of the four documented formats.
        now: Unix time of the arrival.
        zone: The zone of local times.

    Raises:
        ServiceError: Error 5 for anything else.
    """
    if text in {"", "0"}:
        return now
    local = _LOCAL.fullmatch(text) or _LOCAL_DOTTED.fullmatch(text)
    if local:
        return max(now, _local_moment(local, zone))
    if hours := _HOURS.fullmatch(text):
        return _next_within(int(hours[1]), int(hours[2]), now, zone)
    if stamp := _TIMESTAMP.fullmatch(text):
        return max(now, float(stamp[1]))
    minutes = _MINUTES.fullmatch(text) or refuse(5)
    return now + 60.0 * int(minutes[1])


def _local_moment(found: re.Match[str], zone: timezone) -> float:
    day, month, year, hour, minute = map(int, found.groups())
    try:
        return datetime(_CENTURY + year, month, day, hour, minute, tzinfo=zone).timestamp()
    except ValueError:
        refuse(5)


def _next_within(first: int, last: int, now: float, zone: timezone) -> float:
    # "If the current time is less than h1 ... when the time h1 occurs, if [it] falls in the interval from h1 to h2
    # ... immediately, otherwise ... the next day when the h1 time is reached."
    if first >= _LAST_HOUR or last > _LAST_HOUR:
        refuse(5)
    local = datetime.fromtimestamp(now, zone)
    if first <= local.hour < last:
        return now
    opening = local.replace(hour=first, minute=0, second=0, microsecond=0)
    return (opening if local.hour < first else opening + timedelta(days=1)).timestamp()


def spread(start: float, index: int, total: int, *, step: float, groups: int) -> float:
    """Return when the message to the recipient with this index is due, in a mailing spread over time.

    "The number of numbers in the group is calculated automatically based on the period and freq parameters."
    """
    return start + step * (index // -(-total // groups))
