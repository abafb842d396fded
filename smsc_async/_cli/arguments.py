"""The arguments that several commands have in common, and the credentials from the environment."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias

import typer

from smsc_async._call import credentials_from
from smsc_async._model import After, At, LocalTime, Phone, Schedule, is_group, is_phone

from .terminal import read_text

__all__ = [
    "AllowHttp",
    "AsJson",
    "AtOption",
    "DelayOption",
    "DelimiterOption",
    "EncodingOption",
    "RegionOption",
    "UrlOption",
    "amount",
    "check_credentials",
    "check_region",
    "delimiter_of",
    "international",
    "is_past",
    "not_past",
    "recipients_and_text",
    "schedule",
]

AllowHttp: TypeAlias = Annotated[
    bool, typer.Option("--allow-http", help="Allow an http URL, over which anybody on the way reads the credentials.")
]
RegionOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="COUNTRY", help="Read phones as people of this country write them, such as RU."),
]
EncodingOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Encoding of the file, such as cp1251; UTF-8 and UTF-16 are recognised.")
]
DelimiterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="CHARACTER", help='Character between two cells, or "tab"; by default it is recognised.'),
]
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


def recipients_and_text(to: Sequence[str], text: str | None, *, needs_text: bool) -> tuple[list[str], str | None]:
    """Return the recipients and the text of a send; without `--text`, the second of two arguments is the text.

    Raises:
        ValueError: It is not clear which argument is the text, or stdin holds none.
    """
    recipients = list(to)
    if text is None and needs_text and len(recipients) > 1:
        is_recipient = all(is_phone(each) or is_group(each) for each in _separate(recipients[1]))
        if len(recipients) > 2 or is_recipient:  # noqa: PLR2004 - one and a text
            raise ValueError("the text is missing, or not in quotation marks; pass it with --text")
        text = recipients.pop()
    return recipients, None if text is None else read_text(text)


def check_region(region: str | None) -> None:
    """Check the value of `--region`.

    Raises:
        ValueError: It is no country, or the package for phones is missing.
    """
    try:
        if region is not None:
            Phone.parse("+79991234567", region)
    except ModuleNotFoundError as error:
        raise ValueError(str(error)) from None


def international(to: Sequence[str], region: str | None) -> list[str]:
    """Return recipients with their phones in international form; several may be in one string, with commas between.

    Raises:
        ValueError: One is neither a phone nor a group code.
    """
    check_region(region)
    if region is None:
        return list(to)
    return [one if is_group(one) else Phone.parse(one, region) for several in to for one in _separate(several)]


def _separate(recipients: str) -> list[str]:
    return [each.strip() for each in re.split("[,;]", recipients) if each.strip()]


def delimiter_of(text: str | None) -> str | None:
    """Return the value of `--delimiter`.

    Raises:
        ValueError: It can't separate cells.
    """
    if text in {"tab", "\\t"}:
        return "\t"
    if text is not None and (len(text) != 1 or text.isalnum() or text in '"\r\n'):
        raise ValueError('--delimiter must be one character, such as ";", or "tab"')
    return text


def amount(name: str, text: str | None) -> Decimal | None:
    """Return the amount of money that is the value of an option.

    Raises:
        ValueError: It is none.
    """
    if text is None:
        return None
    try:
        found = Decimal(text)
    except ArithmeticError:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0:
        raise ValueError(f"{name} must be an amount of money, such as 150 or 99.90")
    return found
