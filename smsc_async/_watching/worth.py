"""How much delay of an update a status request is worth; no I/O."""

from dataclasses import dataclass
from typing import Final, Self

__all__ = ["Worth"]

_ROUNDS: Final = 5.5  # with a backlog a request is worth this part of the time that one for each message takes,
_CHEAPEST: Final = 2.7  # but at least this many seconds of delay,
_DEAREST: Final = 18.0  # and at most as many
_SIMILAR: Final = 0.8
_YOUNG: Final = 10.0  # a request is not worth more than this part of the age of the message,
_PATIENCE: Final = 10_000.0  # nor less than this part
_FIRST_REQUEST: Final = 0.06  # of the interval of the limit, not before the first request for a message is made,
_LATEST_FIRST: Final = 3.2  # though this does not delay it by more than 3.2 s;
_LAST_REQUEST: Final = 0.64  # of the interval, nor the last one that the limit allows;


@dataclass(frozen=True, slots=True)
class Worth:
    """How much delay a request is worth.

    Attributes:
        seconds: The seconds of delay.
        by_age: Whether it is worth less for a young message, and more for an old one.
        spread: The limit of a message, (requests, seconds), over which its first requests are spread; None: not at all.
    """

    seconds: float
    by_age: bool = False
    spread: tuple[int, float] | None = None

    def at(self, age: float) -> float:
        """Return the seconds of delay that a request at this age is worth."""
        return max(min(age / _YOUNG, self.seconds), age / _PATIENCE) if self.by_age else self.seconds

    def shortest(self, age: float) -> float:
        """Return the wait after a pending answer at this age that leaves requests for the rest of the interval."""
        if self.spread is None:
            return 0.0
        most, interval = self.spread
        first = min(_FIRST_REQUEST * interval, _LATEST_FIRST)
        growth = (_LAST_REQUEST * interval / first) ** (1 / max(most - 1, 1))  # of the age, from request to request
        wait = age * (growth - 1) if age else first
        return wait if age + wait < interval else 0.0

    @classmethod
    def auto(cls, limit: tuple[int, float] | None) -> Self:
        """Return what a request is worth without a backlog, if that depends on the age of the message."""
        return cls(_CHEAPEST, by_age=True, spread=limit)

    def for_backlog(self, round_lasts: float, limit: tuple[int, float] | None) -> Self:
        """Return what a request is worth if one for each message takes so long; this value if it is about the same."""
        spread = limit if limit is not None and round_lasts * limit[0] < limit[1] else None
        seconds = min(max(round_lasts / _ROUNDS, _CHEAPEST), _DEAREST)
        if spread is self.spread and _SIMILAR < seconds / self.seconds < 1 / _SIMILAR:
            return self
        return type(self)(seconds, by_age=True, spread=spread)
