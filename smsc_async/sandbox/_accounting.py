"""The service's own accounting of arrivals, one small book for each shape of limit.

It shares nothing with the client's guards but the numbers: an emulator that counted with the client's code would
agree with its mistakes. Keys are kept in the order of their last arrival, so that idle ones leave from the front and
the books never hold more than what the last window saw.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Hashable

from ._limits import Block, Limits, Streak, Window

__all__ = ["Blocks", "InFlight", "Streaks", "Turnstile"]


class Turnstile:
    """Sliding windows, one for each key.

    An arrival is let through when fewer than `Window.count` others arrived in the window that it ends. Only the last
    `count` of them are remembered: the oldest of these tells whether the window is full.
    """

    def __init__(self, window: Window | None) -> None:
        self._window = window
        self._arrivals: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._arrivals)

    def admit(self, key: Hashable, now: float) -> bool:
        """Count an arrival, and say whether it is let through."""
        if self._window is None:
            return True
        opened = now - self._window.seconds
        while self._arrivals and next(iter(self._arrivals.values()))[-1] <= opened:
            self._arrivals.popitem(last=False)
        arrivals = self._arrivals.setdefault(key, deque(maxlen=self._window.count))
        is_full = len(arrivals) == self._window.count and arrivals[0] > opened
        arrivals.append(now)
        self._arrivals.move_to_end(key)
        return not is_full


class Streaks:
    """Rows of arrivals without a quiet gap, one for each key; a refused arrival is no quiet."""

    def __init__(self, streak: Streak | None) -> None:
        self._streak = streak
        self._rows: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def admit(self, key: Hashable, now: float) -> bool:
        """Count an arrival, and say whether it is let through."""
        if self._streak is None:
            return True
        quiet_since = now - self._streak.gap
        while self._rows and next(iter(self._rows.values()))[1] <= quiet_since:
            self._rows.popitem(last=False)
        count = self._rows.get(key, (0, now))[0] + 1
        self._rows[key] = count, now
        self._rows.move_to_end(key)
        return count <= self._streak.count


class InFlight:
    """Who is in flight: each request holds a place from its arrival until it leaves, a refused one too."""

    def __init__(self, limits: Limits) -> None:
        self._most_of_all = limits.in_flight
        self._most_of_status = limits.status_in_flight
        self._held: dict[int, tuple[str, bool]] = {}
        self._taken: Counter[tuple[str, bool]] = Counter()
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._held)

    def take(self, login: str, *, is_status: bool) -> tuple[int, bool]:
        """Give a request its place.

        Returns:
            The ticket, and whether the account is still within its limits.
        """
        self._tickets += 1
        self._held[self._tickets] = login, is_status
        self._taken[login, is_status] += 1
        status, other = self._taken[login, True], self._taken[login, False]
        fits_all = self._most_of_all is None or status + other <= self._most_of_all
        fits_status = not is_status or self._most_of_status is None or status <= self._most_of_status
        return self._tickets, fits_all and fits_status

    def clear(self) -> None:
        """Free all places."""
        self._held.clear()
        self._taken.clear()

    def free(self, ticket: int) -> None:
        """Free a place; twice is as good as once."""
        held = self._held.pop(ticket, None)
        if held:
            self._taken[held] -= 1


class Blocks:
    """Addresses that failed too often, for one kind of failure."""

    def __init__(self, block: Block | None) -> None:
        self._block = block
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._blocked: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures) + len(self._blocked)

    def holds(self, source: str, now: float) -> bool:
        """Whether this address is blocked."""
        while self._blocked and next(iter(self._blocked.values())) <= now:
            self._blocked.popitem(last=False)
        return source in self._blocked

    def fail(self, source: str, now: float) -> None:
        """Count a failure; the last of too many starts the block."""
        if self._block is None:
            return
        opened = now - self._block.seconds
        while self._failures and next(iter(self._failures.values()))[-1] <= opened:
            self._failures.popitem(last=False)
        failures = self._failures.setdefault(source, deque(maxlen=self._block.failures))
        failures.append(now)
        self._failures.move_to_end(source)
        if len(failures) == self._block.failures and failures[0] > opened:
            del self._failures[source]
            self._blocked[source] = now + self._block.lasts

    def succeed(self, source: str) -> None:
        """End a row of failures."""
        self._failures.pop(source, None)
