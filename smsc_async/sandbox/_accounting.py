"""The service's own accounting of arrivals, one small class for each kind of limit.

It shares only the numbers with the client's guards: an emulator that counted with the client's code would repeat its
mistakes. Keys are kept in the order of their last arrival, so that idle ones are dropped from the front and the
counters hold only what arrived in the last window. Each class can `dump` its state as JSON, and `load` it.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from ._limits import Block, Limits, Streak, Window

__all__ = ["Blocks", "InFlight", "Key", "Streaks", "Turnstile"]

Key: TypeAlias = tuple[str, ...]

_SHOWN: Final = 100  # refused arrivals of a key that are kept to be counted, beyond those that decide


class _Arrival(NamedTuple):
    at: float
    request: int


class Turnstile:
    """Sliding windows, one for each key.

    An arrival is admitted when fewer than `Window.count` others arrived in the window that it ends. Iterate over it for
    the keys, some of which may be idle.
    """

    def __init__(self, window: Window | None) -> None:
        self.window = window
        self._arrivals: OrderedDict[Key, list[_Arrival]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._arrivals)

    def admit(self, key: Key, now: float, request: int = 0) -> bool:
        """Count an arrival and return whether it is admitted."""
        if self.window is None:
            return True
        opened = now - self.window.seconds
        while self._arrivals and next(iter(self._arrivals.values()))[-1].at <= opened:
            self._arrivals.popitem(last=False)
        arrivals = self._arrivals.setdefault(key, [])
        is_full = len(arrivals) >= self.window.count and arrivals[-self.window.count].at > opened
        arrivals.append(_Arrival(now, request))
        if len(arrivals) > self.window.count + _SHOWN:
            del arrivals[0]
        self._arrivals.move_to_end(key)
        return not is_full

    def counted(self, key: Key, now: float) -> list[_Arrival]:
        """Return the arrivals of a key in the window that ends now."""
        opened = now - (self.window.seconds if self.window is not None else 0.0)
        return [arrival for arrival in self._arrivals.get(key, ()) if arrival.at > opened]

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._arrivals))

    def dump(self) -> Any:
        """Return the state as JSON."""
        return [[key, arrivals] for key, arrivals in self._arrivals.items()]

    def load(self, state: Any) -> None:
        """Continue from a state."""
        for key, arrivals in state:
            self._arrivals[tuple(key)] = [_Arrival(*arrival) for arrival in arrivals]


class Streaks:
    """Runs of arrivals without a quiet gap, one for each key; a refused arrival also interrupts the gap."""

    def __init__(self, streak: Streak | None) -> None:
        self.streak = streak
        self._runs: OrderedDict[Key, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._runs)

    def admit(self, key: Key, now: float) -> bool:
        """Count an arrival and return whether it is admitted."""
        if self.streak is None:
            return True
        quiet_since = now - self.streak.gap
        while self._runs and next(iter(self._runs.values()))[1] <= quiet_since:
            self._runs.popitem(last=False)
        count = self._runs.get(key, (0, now))[0] + 1
        self._runs[key] = count, now
        self._runs.move_to_end(key)
        return count <= self.streak.count

    def runs(self, now: float) -> Iterator[tuple[Key, int, float]]:
        """Yield the keys of the runs that have not ended, their counts and when they end."""
        yield from ((key, *run) for key in self._runs if (run := self.run(key))[1] > now)

    def run(self, key: Key) -> tuple[int, float]:
        """Return the count of the run of a key that has arrived, and when the run ends."""
        count, last = self._runs[key]
        return count, last + (self.streak.gap if self.streak is not None else 0.0)

    def dump(self) -> Any:
        """Return the state as JSON."""
        return [[key, *run] for key, run in self._runs.items()]

    def load(self, state: Any) -> None:
        """Continue from a state."""
        for key, count, last in state:
            self._runs[tuple(key)] = count, last


class InFlight:
    """Requests in flight: each one, refused or not, holds a slot from its arrival until it leaves."""

    def __init__(self, limits: Limits, tickets: int = 0) -> None:
        self._most_of_all = limits.in_flight
        self._most_of_status = limits.status_in_flight
        self._held: dict[int, tuple[str, bool, int]] = {}
        self._taken: Counter[tuple[str, bool]] = Counter()
        self.tickets = tickets

    def __len__(self) -> int:
        return len(self._held)

    def take(self, login: str, *, is_status: bool, request: int = 0) -> tuple[int, bool]:
        """Give a request a slot.

        Returns:
            The ticket, and whether the account is still within its limits.
        """
        self.tickets += 1
        self._hold(self.tickets, login, is_status, request)
        status, other = self._taken[login, True], self._taken[login, False]
        fits_all = self._most_of_all is None or status + other <= self._most_of_all
        fits_status = not is_status or self._most_of_status is None or status <= self._most_of_status
        return self.tickets, fits_all and fits_status

    def requests(self, login: str, *, only_status: bool) -> tuple[int, ...]:
        """Return the numbers of the requests of an account, or of its status requests."""
        return tuple(
            request
            for held, is_status, request in self._held.values()
            if held == login and (is_status or not only_status)
        )

    def logins(self) -> tuple[str, ...]:
        """Return the accounts that have requests in flight."""
        return tuple(dict.fromkeys(login for login, _, _ in self._held.values()))

    def clear(self) -> None:
        """Release all slots."""
        self._held.clear()
        self._taken.clear()

    def free(self, ticket: int) -> None:
        """Release a slot; a second call does nothing."""
        held = self._held.pop(ticket, None)
        if held:
            self._taken[held[:2]] -= 1

    def dump(self) -> Any:
        """Return the state as JSON."""
        return [self.tickets, [[ticket, *held] for ticket, held in self._held.items()]]

    def load(self, state: Any) -> None:
        """Continue from a state."""
        self.tickets, held = state
        for each in held:
            self._hold(*each)

    def _hold(self, ticket: int, login: str, is_status: bool, request: int) -> None:
        self._held[ticket] = login, is_status, request
        self._taken[login, is_status] += 1


class Blocks:
    """IP addresses that failed too often, for one kind of failure."""

    def __init__(self, block: Block | None) -> None:
        self.block = block
        self._failures: OrderedDict[str, list[_Arrival]] = OrderedDict()
        self._blocked: OrderedDict[str, tuple[float, list[_Arrival]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures) + len(self._blocked)

    def holds(self, source: str, now: float) -> bool:
        """Return whether this address is blocked."""
        while self._blocked and next(iter(self._blocked.values()))[0] <= now:
            self._blocked.popitem(last=False)
        return source in self._blocked

    def fail(self, source: str, now: float, request: int = 0) -> None:
        """Count a failure; the one that reaches the limit starts the block."""
        if self.block is None:
            return
        opened = now - self.block.seconds
        while self._failures and next(iter(self._failures.values()))[-1].at <= opened:
            self._failures.popitem(last=False)
        failures = self._failures.setdefault(source, [])
        failures.append(_Arrival(now, request))
        del failures[: -self.block.failures]
        self._failures.move_to_end(source)
        if len(failures) == self.block.failures and failures[0].at > opened:
            del self._failures[source]
            self._blocked[source] = now + self.block.lasts, failures

    def succeed(self, source: str) -> None:
        """Reset the count of failures."""
        self._failures.pop(source, None)

    def counted(self, source: str, now: float) -> tuple[list[_Arrival], float | None]:
        """Return the failures of an address that count, and when its block ends, None for no block."""
        until, failures = self._blocked.get(source, (0.0, []))
        if until > now:
            return failures, until
        opened = now - (self.block.seconds if self.block is not None else 0.0)
        return [failure for failure in self._failures.get(source, ()) if failure.at > opened], None

    def sources(self) -> tuple[str, ...]:
        """Return the addresses that have failed, some of which may be idle."""
        return tuple(dict.fromkeys((*self._blocked, *self._failures)))

    def dump(self) -> Any:
        """Return the state as JSON."""
        return [list(self._failures.items()), [[source, *blocked] for source, blocked in self._blocked.items()]]

    def load(self, state: Any) -> None:
        """Continue from a state."""
        failures, blocked = state
        for source, arrivals in failures:
            self._failures[source] = [_Arrival(*arrival) for arrival in arrivals]
        for source, until, arrivals in blocked:
            self._blocked[source] = until, [_Arrival(*arrival) for arrival in arrivals]
