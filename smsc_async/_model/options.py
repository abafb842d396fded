"""The keywords that `send`, `send_batch`, `cost` and `cost_batch` have in common."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import TypedDict

__all__ = ["QueryOptions"]


class QueryOptions(TypedDict, total=False):
    """The remaining parameters of `query`, under the service's own names; each is checked before anything is sent."""

    tz: float | None
    """Hours relative to Moscow in which `LocalTime` and `Between` count; None for the account's zone."""
    period: float | None
    """Spread the messages over so many hours, 0.1 to 720."""
    freq: int | None
    """Minutes between two groups of them, 1 to 1440; needs `period`."""
    smsreq: int | None
    """Hide the text if the subscriber's number was last confirmed more than so many days ago, 10 to 999."""
    valid: int | str | timedelta | None
    """How long the operator tries: 1 to 24 hours, "hh:mm" from 00:01 to 24:00, or a timedelta."""
    tinyurl: bool
    """Shorten the links in the text and count the clicks."""
    maxsms: int | None
    """The most SMS that a long text may take; the rest is cut off by the service."""
    imgcode: str | None
    """The code that a person typed from a captcha; needs `userip`."""
    userip: str | IPv4Address | IPv6Address | None
    """The address of the person on whose behalf this is sent, for the account's limit per address."""
    err: bool | None
    """List the refused recipients in `errors`; None for "if there are many"."""
    op: bool
    """Ask for details of each recipient; they come in `extra`, if the service sends them over SOAP."""
    pp: str | int | None
    """The partner's id that this request is counted for."""
    extra: Mapping[str, str | int | float | Decimal | bool] | None
    """Parameters that have no keyword, by their wire names; naming one that has is a ValueError."""
