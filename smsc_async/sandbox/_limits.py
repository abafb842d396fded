"""The service's limits, with the same numbers as the guards.

The service does not publish whether its windows are sliding or fixed. These are sliding and count every arrival,
including refused ones. No interpretation is stricter: a client that is never refused here is never refused there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Final

from smsc_async._model import (
    BAD_SENDS,
    BALANCE,
    IDENTICAL_COST,
    IDENTICAL_SEND,
    IN_FLIGHT,
    LOGIN_FAILURES,
    STATUS,
    STATUS_IN_FLIGHT,
    SUBSCRIBER,
    is_seconds,
    wrong,
)

__all__ = ["Block", "LimitUse", "Limits", "Streak", "Window"]


def _check(**numbers: object) -> None:
    for name, number in numbers.items():
        if not (is_seconds(number) and number):
            raise wrong(name, "a number, more than 0; pass None in place of the limit to switch it off", number)


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` arrivals of one key in any period of `seconds`.

    Attributes:
        count: How many are admitted.
        seconds: The length of the window.
    """

    count: int
    seconds: float

    def __post_init__(self) -> None:
        _check(count=self.count, seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Streak:
    """At most `count` arrivals in a row with gaps shorter than `gap`; a gap of that length starts a new count.

    Attributes:
        count: How many are admitted.
        gap: Seconds without an arrival that reset the count.
    """

    count: int
    gap: float

    def __post_init__(self) -> None:
        _check(count=self.count, gap=self.gap)


@dataclass(frozen=True, slots=True)
class Block:
    """After `failures` from one IP address within `seconds`, it is answered with error 4 for the next `lasts` seconds.

    Attributes:
        failures: How many failures start the block.
        seconds: The period in which failures are counted.
        lasts: How many seconds the block lasts.
    """

    failures: int
    seconds: float
    lasts: float

    def __post_init__(self) -> None:
        _check(failures=self.failures, seconds=self.seconds, lasts=self.lasts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All limits; `None` switches one off.

    Attributes:
        identical_send: Requests to send that differ in nothing but id and credentials (error 9).
        identical_cost: The same for cost requests.
        status: Requests for the status of one message (phone and id).
        balance: Requests for an account's balance.
        subscriber: Messages of an account to one subscriber.
        in_flight: Requests of an account in flight, this one included: "fewer than 15".
        status_in_flight: Status requests among them: "fewer than 5".
        login_failures: Errors 2 from one IP address, in a row or not.
        bad_sends: Errors 6, 7 and 8 of sends from one IP address in a row; each line of `list` is one.
    """

    identical_send: Window | None = Window(*IDENTICAL_SEND)
    identical_cost: Window | None = Window(*IDENTICAL_COST)
    status: Window | None = Window(*STATUS)
    balance: Window | None = Window(*BALANCE)
    subscriber: Streak | None = Streak(*SUBSCRIBER)
    in_flight: int | None = IN_FLIGHT
    status_in_flight: int | None = STATUS_IN_FLIGHT
    login_failures: Block | None = Block(*LOGIN_FAILURES)
    bad_sends: Block | None = Block(*BAD_SENDS)

    def __post_init__(self) -> None:
        for limit in fields(self):
            value: object = getattr(self, limit.name)
            kind = type(limit.default)
            if value is not None and not (isinstance(value, kind) and not isinstance(value, bool)):
                example = "a whole number" if kind is int else f"a {kind.__name__}"
                raise wrong(limit.name, f"{example}, or None to switch it off", value)

    @classmethod
    def off(cls) -> "Limits":
        """Return limits that refuse nothing."""
        return cls(
            identical_send=None,
            identical_cost=None,
            status=None,
            balance=None,
            subscriber=None,
            in_flight=None,
            status_in_flight=None,
            login_failures=None,
            bad_sends=None,
        )


_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "identical_send": "identical sends {used} in {seconds:g} s",
        "identical_cost": "identical cost requests {used} in {seconds:g} s",
        "status": "status of this message {used} in {seconds:g} s",
        "balance": "balance requests {used} in {seconds:g} s",
        "subscriber": "messages to this phone {used} without a pause of {seconds:g} s",
        "in_flight": "requests in flight {used}",
        "status_in_flight": "status requests in flight {used}",
        "login_failures": "wrong logins from this IP address {used} in {seconds:g} s",
        "bad_sends": "bad sends from this IP address {used} in {seconds:g} s",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """How far a limit is used.

    Attributes:
        rule: The name of the limit, an attribute of `Limits`.
        used: How many arrivals count: requests, messages, or failures.
        limit: How many are admitted; of `login_failures` and `bad_sends`, how many start the block.
        seconds: The length of the window, or the gap that ends a streak; None for requests in flight.
        login: The customer; empty for a limit of an IP address.
        phone: The recipient that the limit is about, if any.
        id: The message id that the limit is about, if any.
        source: The IP address that the limit is about, if any.
        free_at: Unix time from which one more is admitted; None if it is now, or if that depends on other requests.
        requests: The numbers of the requests that count, as far as they are known.
    """

    rule: str
    used: int
    limit: int
    seconds: float | None
    login: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    id: str = ""
    source: str = ""
    free_at: float | None = None
    requests: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """In words: "status of this message 6 in 60 s"."""
        return _WORDS[self.rule].format(used=self.used, seconds=self.seconds)
