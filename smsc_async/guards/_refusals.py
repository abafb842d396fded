"""The exceptions that report a refusal to the caller; pure."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from smsc_async._model import (
    BalanceTooOften,
    BreakerOpen,
    CostTooOften,
    DuplicateSend,
    GuardError,
    SpendLimitReached,
    StatusTooOften,
    SubscriberFlood,
    TooManyInFlight,
)

from ._store import Refusal

__all__ = ["MAY_CLEAR", "refused", "until", "words_of"]

_REFUSALS: Final[Mapping[str, tuple[type[GuardError], str]]] = {
    "identical_send": (
        DuplicateSend,
        "the same message to these recipients is in flight or was sent in the last minute; allow_duplicate repeats it",
    ),
    "identical_cost": (CostTooOften, "the same price was requested as often as the service allows in a minute"),
    "status": (StatusTooOften, "the status of this message was requested as often as the service allows in a minute"),
    "balance": (BalanceTooOften, "the balance was requested as often as the service allows in a minute"),
    "subscriber": (SubscriberFlood, "a recipient received as many messages in a row as the service allows"),
    "in_flight": (TooManyInFlight, "no slot for a request in flight became free in time"),
    "status_in_flight": (TooManyInFlight, "no slot for a status request in flight became free in time"),
    "login_failures": (BreakerOpen, "these credentials were refused too often (error 2); correct them"),
    "address_failures": (
        BreakerOpen,
        "too many logins of this address failed (error 2); after a few more the service blocks it for half an hour",
    ),
    "bad_sends": (
        BreakerOpen,
        "too many bad messages in a row (wrong numbers, forbidden texts); soon the service would block this address",
    ),
    "blocked": (BreakerOpen, "the service blocks this address (error 4)"),
    "spend": (
        SpendLimitReached,
        "with it the messages of 24 hours would cost more than the rule spend allows, or their cost is unknown",
    ),
}
# If requests in flight hold the slots of these rules, one may become free soon, so the request waits under any policy.
MAY_CLEAR: Final = frozenset({"login_failures", "address_failures", "bad_sends", "spend"})
# Rounds up to a whole second.
_ROUNDED_UP: Final = 0.999999
_MAY_FAIL: Final = (
    "the requests in flight may be refused, and with more of them the service might block this address; none was "
    "answered in time"
)
_MAY_COST: Final = "the requests in flight may cost all that the rule spend still allows; none was answered in time"


def refused(refusal: Refusal, delay: float, now: datetime, why: str = "") -> GuardError:
    """Return the exception for a refusal that ends `delay` seconds after `now`, infinity if unknown."""
    kind, words = _REFUSALS[refusal.demand.rule]
    if math.isinf(refusal.delay) and refusal.demand.rule in MAY_CLEAR:
        kind, words = TooManyInFlight, _MAY_COST if refusal.demand.rule == "spend" else _MAY_FAIL
    after = None if math.isinf(delay) else max(delay, 0.0)
    end = "no such request is sent until" if kind in {BreakerOpen, SpendLimitReached} else "free at"
    when = "" if after is None else f"; {end} {until(after, now)}"
    return kind(f"{why}; {words}{when}" if why else f"{words}{when}", retry_after=after)


def words_of(rule: str) -> str:
    """Return the reason for which a request is refused if a key of this rule has no free slot."""
    return _REFUSALS[rule][1]


def until(seconds: float, now: datetime) -> str:
    """Return when a wait ends, in UTC and in seconds from now."""
    try:
        end = (now + timedelta(seconds=seconds + _ROUNDED_UP)).astimezone(UTC)
    except OverflowError:  # the period of a rule may be too long for a datetime
        return f"{seconds:.1f} s from now"
    return f"{end:%Y-%m-%d %H:%M:%S} UTC (in {seconds:.1f} s)"
