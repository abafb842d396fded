"""The shapes of limits, as pure arithmetic over the history of one key.

The service counts when a request arrives; the client knows only when it started one and when the answer came. An
answered request arrived no later than its answer, a new one arrives no earlier than it starts. So a history holds, for
each request, the latest instant at which it can have arrived: the instant of its settling, and infinity while it is in
flight. What is let through on such a history is never too much for the service, whatever the latency.
"""

from bisect import bisect_right, insort
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, TypeAlias

__all__ = ["BlockLimit", "History", "Limit", "Release", "StreakLimit", "WindowLimit"]

History: TypeAlias = tuple[float, ...]
"""Instants in seconds, in ascending order; those in flight, infinite, come last."""


class Release(NamedTuple):
    """What becomes of one key when a request that held it is settled.

    Attributes:
        keep: How many entries the request leaves in the history.
        late: How many seconds after the settling they are dated.
        clear: Whether what is dated before the start of this request is forgotten: the service counts in a row, and
            this request has ended the row.
        fill: Whether the history becomes as long as the limit: the service says that it is full.
        proof: Whether the credentials are proven (True) or refuted (False) by the answer, None for neither.
    """

    keep: int = 0
    late: float = 0.0
    clear: bool = False
    fill: bool = False
    proof: bool | None = None


@dataclass(frozen=True, slots=True)
class WindowLimit:
    """At most so many in any so many seconds; with 0 seconds, so many in flight.

    Attributes:
        count: How many.
        span: The length of the window in seconds, the margin for the service's own rounding included.
    """

    count: int
    span: float

    def fresh(self, history: History, now: float) -> History:
        """Return what of a history still counts."""
        if not history or history[0] > now - self.span:
            return history
        return history[bisect_right(history, now - self.span) :]

    def delay(self, history: History, now: float, amount: int) -> float:
        """Return in how many seconds so many more fit: 0 at once, infinity if that hangs on those in flight."""
        excess = len(history) + amount - self.count
        return max(history[excess - 1] + self.span - now, 0.0) if excess > 0 else 0.0

    def released(self, history: History, now: float, started: float, amount: int, release: Release) -> History:
        """Return the history after a request that held so many entries in flight since `started` is settled."""
        # What has expired meanwhile fills nothing.
        kept = self.fresh(history, now) if release.fill else history
        return _released(self.count, kept, now, started, amount, release)


@dataclass(frozen=True, slots=True)
class StreakLimit:
    """At most so many in a row; a quiet time as long as the span ends the row.

    Attributes:
        count: How many.
        span: Seconds, the margin included.
    """

    count: int
    span: float

    def fresh(self, history: History, now: float) -> History:
        """Return what of a history still counts: all of the row, or nothing."""
        return history if history and history[-1] > now - self.span else ()

    def delay(self, history: History, now: float, amount: int) -> float:
        """Return in how many seconds so many more fit: 0 at once, infinity if that hangs on those in flight."""
        return max(history[-1] + self.span - now, 0.0) if len(history) + amount > self.count else 0.0

    def released(self, history: History, now: float, started: float, amount: int, release: Release) -> History:
        """Return the history after a request that held so many entries in flight since `started` is settled."""
        return _released(self.count, history, now, started, amount, release)


@dataclass(frozen=True, slots=True)
class BlockLimit:
    """Nothing at all until the block of the service is over; the history is the instants at which blocks end.

    Attributes:
        first: Seconds that a block lasts.
        again: Seconds that it lasts when the first request after a block is refused as well.
        span: For so many seconds after its end a block is remembered.
        count: Always 1.
    """

    first: float
    again: float
    span: float
    count: int = 1

    def fresh(self, history: History, now: float) -> History:
        """Return what of a history still matters."""
        return history if history and history[-1] > now - self.span else ()

    def delay(self, history: History, now: float, amount: int) -> float:  # noqa: ARG002 - one shape of method for all
        """Return in how many seconds the block is over."""
        return max(history[-1] - now, 0.0) if history else 0.0

    def released(self, history: History, now: float, started: float, amount: int, release: Release) -> History:  # noqa: ARG002
        """Return the history after a request that started at `started` met a block, or met none (`release.clear`)."""
        history = self.fresh(history, now)
        if release.keep:
            over = history[-1] if history else -inf
            # A request that was already on its way when the block was noticed tells nothing new.
            return history if over > started else (now + (self.again if history else self.first),)
        return () if release.clear and history and history[-1] <= started else history


Limit: TypeAlias = WindowLimit | StreakLimit | BlockLimit


def _released(  # noqa: PLR0917 - those of `released`, and the count
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
