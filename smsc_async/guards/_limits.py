"""The kinds of limits, as pure arithmetic over the history of one key.

The service counts a request when it arrives; the client knows only when it started one and when the answer came. An
answered request arrived no later than its answer, and a new one arrives no earlier than it starts. So a history holds,
for each request, the latest instant at which it can have arrived: the instant of its release, or infinity while it is
in flight. Requests that are let through on such a history never exceed the limit of the service, whatever the latency.
"""

from bisect import bisect_right, insort
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, TypeAlias

__all__ = [
    "BlockLimit",
    "History",
    "HistoryLimit",
    "Limit",
    "LoginLimit",
    "Release",
    "SpendLimit",
    "StreakLimit",
    "WindowLimit",
]

History: TypeAlias = tuple[float, ...]
"""Instants in seconds, in ascending order; requests in flight are infinite and come last."""


class Release(NamedTuple):
    """How the history of one key changes when a request that held slots under it has ended.

    Attributes:
        keep: The number of entries that the request leaves in the history.
        late: Seconds after the release at which these entries are dated.
        clear: Whether entries dated before the start of this request are removed: the service counts consecutive
            requests, and this one has ended the streak.
        fill: Whether the history is filled up to the limit, because the service says that it is full.
        proof: Whether the answer proves (True) or refutes (False) the credentials, None for neither.
        hold: Whether the slots stay reserved until a later release of the same reservation.
        cost: What the kept messages have cost in units of 1/10,000, None if that is unknown; of the rule `spend`.
    """

    keep: int = 0
    late: float = 0.0
    clear: bool = False
    fill: bool = False
    proof: bool | None = None
    hold: bool = False
    cost: int | None = None


@dataclass(frozen=True, slots=True)
class WindowLimit:
    """At most `count` requests in any window of `span` seconds; with a span of 0, at most `count` in flight.

    Attributes:
        count: The maximum number of requests.
        span: The length of the window in seconds, including the margin for the service's own rounding.
    """

    count: int
    span: float

    def fresh(self, history: History, now: float) -> History:
        """Return the entries of a history that still count."""
        if not history or history[0] > now - self.span:
            return history
        return history[bisect_right(history, now - self.span) :]

    def delay(self, history: History, now: float, amount: int) -> float:
        """Return the seconds until `amount` more fit: 0 for now, infinity if that depends on requests in flight."""
        excess = len(history) + amount - self.count
        return max(history[excess - 1] + self.span - now, 0.0) if excess > 0 else 0.0

    def released(self, history: History, now: float, started: float, amount: int, release: Release) -> History:
        """Return the history after the release of a request that held `amount` entries since `started`."""
        # Entries that have expired meanwhile do not count towards the fill.
        kept = self.fresh(history, now) if release.fill else history
        return _released(self.count, kept, now, started, amount, release)


@dataclass(frozen=True, slots=True)
class StreakLimit:
    """At most `count` consecutive requests; a pause of `span` seconds ends the streak.

    Attributes:
        count: The maximum number of requests.
        span: Seconds, including the margin.
    """

    count: int
    span: float

    def fresh(self, history: History, now: float) -> History:
        """Return the entries of a history that still count: the whole streak or none."""
        return history if history and history[-1] > now - self.span else ()

    def delay(self, history: History, now: float, amount: int) -> float:
        """Return the seconds until `amount` more fit: 0 for now, infinity if that depends on requests in flight."""
        return max(history[-1] + self.span - now, 0.0) if len(history) + amount > self.count else 0.0

    def released(self, history: History, now: float, started: float, amount: int, release: Release) -> History:
        """Return the history after the release of a request that held `amount` entries since `started`."""
        return _released(self.count, history, now, started, amount, release)


@dataclass(frozen=True, slots=True)
class LoginLimit:
    """At most one request in flight, and at most `count` kept entries in any window of `span` seconds.

    Attributes:
        count: The maximum number of entries, which refused logins leave.
        span: The length of the window in seconds, including the margin for the service's own rounding.
    """

    count: int
    span: float

    def fresh(self, history: History, now: float) -> History:
        """Return the entries of a history that still count."""
        return history[bisect_right(history, now - self.span) :]

    def delay(self, history: History, now: float, amount: int) -> float:
        """Return the seconds until `amount` more fit: 0 for now, infinity if a request is in flight."""
        if history and history[-1] == inf:
            return inf
        excess = len(history) + amount - self.count
        return max(history[excess - 1] + self.span - now, 0.0) if excess > 0 else 0.0

    def released(self, history: History, now: float, started: float, amount: int, release: Release) -> History:
        """Return the history after the release of a request that held `amount` entries since `started`."""
        return _released(self.count, history, now, started, amount, release)


@dataclass(frozen=True, slots=True)
class BlockLimit:
    """No requests until the block of the service is over; the history holds the instants at which blocks end.

    Attributes:
        first: Seconds that a block lasts.
        again: Seconds that it lasts if the first request after a block is refused as well.
        span: Seconds after its end for which a block is remembered.
        count: Always 1.
    """

    first: float
    again: float
    span: float
    count: int = 1

    def fresh(self, history: History, now: float) -> History:
        """Return the entries of a history that still matter."""
        return history if history and history[-1] > now - self.span else ()

    def delay(self, history: History, now: float, amount: int) -> float:  # noqa: ARG002 - the same signature for all
        """Return the seconds until the block is over."""
        return max(history[-1] - now, 0.0) if history else 0.0

    def released(self, history: History, now: float, started: float, amount: int, release: Release) -> History:  # noqa: ARG002
        """Return the history after a request that started at `started` met a block, or met none (`release.clear`)."""
        history = self.fresh(history, now)
        if release.keep:
            over = history[-1] if history else -inf
            # A request that was already on its way when the block was noticed does not prove another block.
            return history if over > started else (now + (self.again if history else self.first),)
        return () if release.clear and history and history[-1] <= started else history


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """At most `count` units in any `span` seconds.

    Attributes:
        count: The maximum number of units.
        span: The length of the window in seconds.
    """

    count: int
    span: float

    def allows(self, spent: int, more: int) -> bool:
        """Return whether messages that are expected to cost `more` units may be sent."""
        return spent < self.count and spent + more <= self.count


HistoryLimit: TypeAlias = WindowLimit | StreakLimit | LoginLimit | BlockLimit
Limit: TypeAlias = HistoryLimit | SpendLimit
"""What a rule counts, and how much of it is allowed."""


def _released(  # noqa: PLR0917 - the arguments of `released`, and the count
    count: int, history: History, now: float, started: float, amount: int, release: Release
) -> History:
    rest = history[: len(history) - amount] if amount else history
    if release.clear:
        rest = rest[bisect_right(rest, started) :]
    kept = max(release.keep, count - len(rest)) if release.fill else release.keep
    if not kept:
        return rest
    at = now + release.late
    if not rest or rest[-1] <= at:
        return rest + (at,) * kept
    entries = list(rest)
    for _ in range(kept):
        insort(entries, at)
    return tuple(entries)
