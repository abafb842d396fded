"""What an account spends in a rolling day; pure.

The costs are known only from the answers. Until then, and if an answer is lost or names no cost, each message counts
as the most expensive one of the last day. If no message of that day has a known cost, at most ten of unknown cost are
sent. Costs are whole units of 1/10,000, in slices of five minutes.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from math import inf
from typing import Final, NamedTuple

from ._limits import Release, SpendLimit

__all__ = ["DAY", "MOST_UNITS", "UNITS", "Slice", "SpendHistory", "units_of"]

DAY: Final = 86_400.0
UNITS: Final = 10_000
"""The number of units in 1 of the account's currency."""
MOST_UNITS: Final = 10**13
"""The maximum units of a limit or a cost; Redis counts exactly up to 9 * 10**15."""

_SLICE: Final = 300.0
_UNKNOWN: Final = -1
_MOST_UNPRICED: Final = 10  # a few, so that a lost first answer does not end all sending


def units_of(cost: Decimal) -> int:
    """Return a cost in units, rounded up; one that is out of range counts as the maximum or as 0."""
    return int((max(Decimal(), min(cost, Decimal(MOST_UNITS // UNITS))) * UNITS).to_integral_value(ROUND_CEILING))


class Slice(NamedTuple):
    """What was spent in a part of the window.

    Attributes:
        last: The latest instant at which something was spent.
        units: The known costs.
        unpriced: The number of messages of unknown cost.
        dearest: The cost of the most expensive message, -1 if no cost is known.
    """

    last: float
    units: int = 0
    unpriced: int = 0
    dearest: int = _UNKNOWN

    def joined(self, other: "Slice") -> "Slice":
        """Return both slices combined."""
        return Slice(
            max(self.last, other.last),
            self.units + other.units,
            self.unpriced + other.unpriced,
            max(self.dearest, other.dearest),
        )


@dataclass(slots=True)
class SpendHistory:
    """What one account has spent.

    Attributes:
        slices: What it has spent, by the number of the slice.
        flights: For each send that is not released, its number of messages and until when it may be in flight.
    """

    slices: dict[int, Slice] = field(default_factory=dict)
    flights: dict[Hashable, tuple[int, float]] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """What is known to be spent."""
        return sum(each.units for each in self.slices.values())

    def forget(self, limit: SpendLimit, now: float) -> bool:
        """Remove what no longer counts; return whether nothing is left."""
        over = [number for number, each in self.slices.items() if each.last + limit.span <= now]
        for number in over:
            del self.slices[number]
        return not self.slices and not self.flights

    def delay(self, limit: SpendLimit, now: float, messages: int) -> float:
        """Return the seconds until `messages` more fit: 0 for now, infinity if that depends on sends in flight.

        Sends in flight may cost less than expected. While no cost is known, only one send is in flight at a time.
        """
        self.forget(limit, now)
        rest = Slice(-inf)
        lost = (Slice(until, unpriced=number) for number, until in self.flights.values() if until <= now)
        is_priced = any(each.dearest > 0 for each in self.slices.values())
        for each in sorted([*self.slices.values(), *lost], reverse=True):
            rest = rest.joined(each)
            if not _fits(limit, rest, messages) or (rest.unpriced >= _MOST_UNPRICED and not is_priced):
                return each.last + limit.span - now
        flying = self.flying(now)
        rest = rest.joined(Slice(-inf, unpriced=flying))
        return inf if flying and (rest.dearest == _UNKNOWN or not _fits(limit, rest, messages)) else 0.0

    def flying(self, now: float) -> int:
        """Return the number of messages in flight."""
        return sum(number for number, until in self.flights.values() if until > now)

    def release(self, flight: Hashable, release: Release, now: float) -> None:
        """Replace the expected cost of a send by its actual cost; once it is released, a further call does nothing."""
        if flight not in self.flights:
            return
        messages, _ = self.flights.pop(flight)
        if release.hold:  # it is no longer in flight, and its outcome is unknown
            self.flights[flight] = messages, now
        elif release.keep and release.cost is not None:
            self.add(Slice(now, release.cost, 0, -(-release.cost // release.keep)))
        elif release.keep:
            # The highest cost is remembered for as long as it is the estimate for these messages.
            dearest = max((each.dearest for each in self.slices.values()), default=_UNKNOWN)
            self.add(Slice(now, 0, release.keep, dearest))

    def add(self, spent: Slice) -> None:
        """Count what was spent."""
        number = int(spent.last // _SLICE)
        known = self.slices.get(number)
        self.slices[number] = spent if known is None else known.joined(spent)

    def all(self, now: float) -> Iterable[Slice]:
        """Return all slices; sends that are not released count as spent now."""
        yield from self.slices.values()
        if self.flights:
            yield Slice(now, unpriced=sum(number for number, _ in self.flights.values()))


def _fits(limit: SpendLimit, spent: Slice, messages: int) -> bool:
    each = max(spent.dearest, 0)
    return limit.allows(spent.units + spent.unpriced * each, messages * each)
