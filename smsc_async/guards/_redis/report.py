"""The reports for an operator about the guards in Redis; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from smsc_async._model import SendingPaused

__all__ = ["GuardReport", "Pause", "Reset", "RuleReport", "check_reason"]

_MICROSECONDS: Final = 1_000_000
_LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Pause:
    """Sending is paused.

    Attributes:
        since: When it was paused, None if that is unknown.
        reason: Why it was paused, in one line.
    """

    since: datetime | None
    reason: str

    @classmethod
    def parse(cls, value: str) -> Self:
        """Return the pause that Redis holds; a value that another program wrote counts as a pause too."""
        number, _, reason = value.partition(" ")
        try:
            since = datetime.fromtimestamp(int(number) / _MICROSECONDS, UTC)
        except (ValueError, OverflowError, OSError):
            since, reason = None, value
        printable = "".join(each if each.isprintable() else " " for each in reason[:_LONGEST_REASON])
        return cls(since, printable.strip() or "no reason was given")

    def __str__(self) -> str:
        """Return since when sending is paused, and why."""
        since = "" if self.since is None else f" since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        return f"sending is paused{since}: {self.reason}"

    def error(self) -> SendingPaused:
        """Return the exception for a send during this pause."""
        return SendingPaused(f"{self}; nothing was sent, and `smsc-async guards --resume` lets it go on")


@dataclass(frozen=True, slots=True)
class RuleReport:
    """A rule that holds histories, or waits for lost ones.

    Attributes:
        rule: The name of the rule.
        count: Its limit; of `spend` in 1/10,000 of the currency.
        keys: The number of keys with a history: messages, accounts or addresses, depending on the rule.
        full: The number of keys without a free slot.
        in_flight: The number of slots that requests in flight hold.
        until: When the last full key gets a free slot; None if none is full, or if that depends on requests in flight.
        recovering_until: Until when the rule is closed because its histories were lost, None if it is not.
        why: What a full key means.
    """

    rule: str
    count: int
    keys: int
    full: int
    in_flight: int
    until: datetime | None
    recovering_until: datetime | None
    why: str

    @property
    def is_closed(self) -> bool:
        """Whether requests of at least one key wait or are refused."""
        return bool(self.full or self.recovering_until)


@dataclass(frozen=True, slots=True)
class GuardReport:
    """The state of the guards in Redis, by the clock of its server.

    Attributes:
        taken_at: The moment at which it was taken.
        paused: Since when and why sending is paused, None if it is not.
        lost_at: When histories were lost in a flush, restart or failover that some rules still wait for, None if no
            rule does.
        rules: The rules that hold histories, or wait for lost ones; the closed ones first.
    """

    taken_at: datetime
    paused: Pause | None
    lost_at: datetime | None
    rules: Sequence[RuleReport]


@dataclass(frozen=True, slots=True)
class Reset:
    """What the reset of a rule did.

    Attributes:
        rule: The name of the rule.
        keys: The number of keys that had a history.
        removed: The number of entries that were removed.
        in_flight: The number of slots that requests in flight still hold.
    """

    rule: str
    keys: int
    removed: int
    in_flight: int


def check_reason(reason: str) -> str:
    """Return the reason for a pause, without whitespace around it.

    Raises:
        ValueError: It is empty, longer than 200 characters, or not one line of printable text.
    """
    reason = reason.strip()
    if not reason or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise ValueError(
            f"the reason for a pause must be one line of 1 to {_LONGEST_REASON} printable characters; say why sending "
            "is paused, for those who read it in errors and logs"
        )
    return reason
