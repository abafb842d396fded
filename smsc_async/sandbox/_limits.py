"""The service's limits, with the same numbers as the guards.

The service does not publish whether its windows are sliding or fixed. These are sliding and count every arrival,
including refused ones. No interpretation is stricter: a client that is never refused here is never refused there.
"""

from dataclasses import dataclass, fields

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

__all__ = ["Block", "Limits", "Streak", "Window"]


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
        for field in fields(self):
            value: object = getattr(self, field.name)
            kind = type(field.default)
            if value is not None and not (isinstance(value, kind) and not isinstance(value, bool)):
                example = "a whole number" if kind is int else f"a {kind.__name__}"
                raise wrong(field.name, f"{example}, or None to switch it off", value)

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
