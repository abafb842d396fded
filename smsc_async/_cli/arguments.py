"""The arguments that several commands have in common, and the credentials from the environment."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Final, Literal, TypeAlias

import typer

from smsc_async._call import credentials_from
from smsc_async._model import After, At, LocalTime, Schedule

__all__ = ["AsJson", "AtOption", "DelayOption", "UrlOption", "check_credentials", "is_past", "not_past", "schedule"]

UrlOption: TypeAlias = Annotated[str | None, typer.Option(help="URL of the service; also SMSC_URL.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AtOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="ISO date and time, without an offset in the account's time zone (or the row's tz); or +MINUTES."
    ),
]
_SMALLEST_DELAY: Final = 0.001


def _delay(text: str) -> float | Literal["auto"]:
    """Return the value of `--delay-per-request`."""
    if text == "auto":
        return "auto"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _SMALLEST_DELAY <= seconds < math.inf:
        raise typer.BadParameter(f'must be "auto" or a number of seconds, at least {_SMALLEST_DELAY}')
    return seconds


DelayOption: TypeAlias = Annotated[
    Any,  # the command line knows no unions
    typer.Option(
        parser=_delay,
        metavar="SECONDS",
        help='Seconds of delay that one status request is worth; "auto" goes by the age of a message and the backlog.',
    ),
]


def schedule(text: str | None) -> Schedule | None:
    """Return the schedule that `--at` describes.

    Raises:
        ValueError: It describes none.
    """
    if text is None:
        return None
    if text.startswith("+") and text[1:].isdecimal():
        return After(int(text[1:]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "--at must be a date and time such as 2030-12-31T09:30 or 2030-12-31T09:30+03:00, or +MINUTES"
        ) from None
    return LocalTime(moment) if moment.utcoffset() is None else At(moment)


_MOSCOW: Final = 3.0  # hours from UTC


def is_past(at: Schedule | None, tz: float = 0.0) -> bool:
    """Return whether a schedule is a moment in the past, which the service takes for "at once".

    Args:
        at: The schedule, None for at once.
        tz: The time zone of a `LocalTime`, in hours relative to Moscow, whose zone that of the account is taken for.
    """
    if not isinstance(at, At | LocalTime):
        return False
    zone = timezone(timedelta(hours=_MOSCOW + tz))
    moment = at.moment if isinstance(at, At) else at.moment.replace(tzinfo=zone)
    return moment < datetime.now(UTC)


def not_past(at: Schedule | None) -> Schedule | None:
    """Return a schedule.

    Raises:
        ValueError: It is in the past, so that the message would go at once.
    """
    if is_past(at):
        zone = " (without an offset, it is taken for Moscow time)" if isinstance(at, LocalTime) else ""
        raise ValueError(f"--at is in the past{zone}, so the service would send at once; for that, leave --at out")
    return at


def check_credentials() -> None:
    """Raise a `ValueError` if there are no credentials in the environment.

    The client's own error also names its arguments, which the command line does not have.
    """
    try:
        credentials_from(None, None, None)
    except ValueError:
        raise ValueError(
            "credentials are missing; set SMSC_APIKEY, or SMSC_LOGIN and SMSC_PASSWORD, in the environment"
        ) from None
