"""The service's own accounting of arrivals, one small class for each kind of limit.

It shares only the numbers with the client's guards: an emulator that counted with the client's code would repeat its
mistakes. Keys are kept in the order of their last arrival, so that idle ones are dropped from the front and the
counters hold only what arrived in the last window.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Hashable

from ._limits import Block, Limits, Streak, Window

__all__ = ["Blocks", "InFlight", "Streaks", "Turnstile"]


class Turnstile:
    """Sliding windows, one for each key.

    An arrival is admitted when fewer than `Window.count` others arrived in the window that it ends. Only the last
    `count` of them are kept: the oldest one shows whether the window is full.
    """

    def __init__(self, window: Window | None) -> None:
        self._window = window
        self._arrivals: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._arrivals)

    def admit(self, key: Hashable, now: float) -> bool:
        """Count an arrival and return whether it is admitted."""
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
    """Runs of arrivals without a quiet gap, one for each key; a refused arrival also interrupts the gap."""

    def __init__(self, streak: Streak | None) -> None:
        self._streak = streak
        self._runs: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._runs)

    def admit(self, key: Hashable, now: float) -> bool:
        """Count an arrival and return whether it is admitted."""
        if self._streak is None:
            return True
        quiet_since = now - self._streak.gap
        while self._runs and next(iter(self._runs.values()))[1] <= quiet_since:
            self._runs.popitem(last=False)
        count = self._runs.get(key, (0, now))[0] + 1
        self._runs[key] = count, now
        self._runs.move_to_end(key)
        return count <= self._streak.count


class InFlight:
    """Requests in flight: each one, refused or not, holds a slot from its arrival until it leaves."""

    def __init__(self, limits: Limits) -> None:
        self._most_of_all = limits.in_flight
        self._most_of_status = limits.status_in_flight
        self._held: dict[int, tuple[str, bool]] = {}
        self._taken: Counter[tuple[str, bool]] = Counter()
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._held)

    def take(self, login: str, *, is_status: bool) -> tuple[int, bool]:
        """Give a request a slot.

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
        """Release all slots."""
        self._held.clear()
        self._taken.clear()

    def free(self, ticket: int) -> None:
        """Release a slot; a second call does nothing."""
        held = self._held.pop(ticket, None)
        if held:
            self._taken[held] -= 1


class Blocks:
    """IP addresses that failed too often, for one kind of failure."""

    def __init__(self, block: Block | None) -> None:
        self._block = block
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._blocked: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures) + len(self._blocked)

    def holds(self, source: str, now: float) -> bool:
        """Return whether this address is blocked."""
        while self._blocked and next(iter(self._blocked.values())) <= now:
            self._blocked.popitem(last=False)
        return source in self._blocked

    def fail(self, source: str, now: float) -> None:
        """Count a failure; the one that reaches the limit starts the block."""
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
        """Reset the count of failures."""
        self._failures.pop(source, None)
