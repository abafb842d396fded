"""How the pages say and write what the service says in codes: statuses, channels, numbers, times."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._fields import plain

__all__ = ["CHANNELS", "STATUSES", "Label", "day", "instant", "money", "phone_words", "span", "status_label"]


class Label(NamedTuple):
    """A word and its picture.

    Attributes:
        word: The word.
        icon: The name of a symbol in `templates/icons.svg`, without `i-`.
    """

    word: str
    icon: str


STATUSES: Final[Mapping[int, Label]] = MappingProxyType(
    {
        -3: Label("Not found", "question"),
        -2: Label("Paused", "pause"),
        -1: Label("Waiting", "wait"),
        0: Label("With operator", "sent"),
        1: Label("Delivered", "check"),
        2: Label("Read", "check2"),
        3: Label("Expired", "hourglass"),
        4: Label("Link clicked", "click"),
        20: Label("Undeliverable", "xcircle"),
        22: Label("Wrong number", "hash"),
        23: Label("Forbidden", "ban"),
        24: Label("No money", "wallet"),
        25: Label("Unavailable", "nosignal"),
    }
)

CHANNELS: Final[Mapping[ServiceChannel, Label]] = MappingProxyType(
    {
        ServiceChannel.SMS: Label("SMS", "sms"),
        ServiceChannel.FLASH: Label("Flash", "flash"),
        ServiceChannel.BINARY: Label("Binary", "bin"),
        ServiceChannel.PUSH: Label("WAP push", "push"),
        ServiceChannel.HLR: Label("HLR", "hlr"),
        ServiceChannel.PING: Label("Ping", "ping"),
        ServiceChannel.MMS: Label("MMS", "mms"),
        ServiceChannel.MAIL: Label("E-mail", "mail"),
        ServiceChannel.SOCIAL: Label("Social", "soc"),
        ServiceChannel.VIBER: Label("Viber", "viber"),
        ServiceChannel.WHATSAPP: Label("WhatsApp", "whatsapp"),
        ServiceChannel.TELEGRAM: Label("Telegram", "tg"),
        ServiceChannel.TELEGRAM_BOT: Label("Telegram bot", "tg"),
        ServiceChannel.VOICE: Label("Voice", "call"),
    }
)

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_LATEST: Final = 253_402_300_799.0  # the last second of the year 9999
_RUSSIAN: Final = 11


def status_label(status: int) -> Label:
    """Return the words for a status, also for one that the pages do not know."""
    return STATUSES.get(status) or Label(f"Status {status}", "question")


def phone_words(phone: str) -> str:
    """Return a recipient for people: a number with a plus, one of Russia or Kazakhstan also in groups."""
    if not phone.isdecimal():
        return phone
    if len(phone) == _RUSSIAN and phone.startswith("7"):
        return f"+7 {phone[1:4]} {phone[4:7]}-{phone[7:9]}-{phone[9:]}"
    return f"+{phone}"


def instant(time: float) -> datetime:
    """Return a Unix time as a datetime in UTC."""
    return datetime.fromtimestamp(min(max(time, 0.0), _LATEST), UTC)


def money(amount: Decimal) -> str:
    """Return an amount with at least two decimals."""
    whole, _, cents = plain(amount).partition(".")
    return f"{whole}.{cents:0<2}"


def day(time: float) -> str:
    """Return the day of a Unix time, such as "Thu 26 November 2026"."""
    return f"{instant(time):%a} {instant(time).day} {instant(time):%B %Y}"


def span(seconds: float) -> str:
    """Return a duration in its two largest units, such as "1 day 3 h"."""
    left = round(seconds)
    days, left = divmod(left, _DAY)
    hours, left = divmod(left, _HOUR)
    minutes, left = divmod(left, _MINUTE)
    units = [(days, "day" if days == 1 else "days"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next((index for index, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count) or "0 s"
