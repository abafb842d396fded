"""The clock of a sandbox: Unix time that tests can move forward, also for the clients that wait by it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from smsc_async._clock import disk_time, steady_clock
from smsc_async._movable_clock import MovableClock

from ._event_log import EventLog

__all__ = ["SandboxClock", "Traffic", "clock_after"]

_CALM: Final = 0.02  # real seconds, in which a request gets from a client to a server on the same machine


class Traffic:
    """The requests that a sandbox is executing.

    Attributes:
        is_served: Whether they come over a network, so that some may be on their way.
    """

    def __init__(self) -> None:
        self.is_served = False
        self._active = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while it is executed."""
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Do not count a request while it waits by the clock."""
        self._active -= 1
        try:
            yield
        finally:
            self._active += 1

    def is_busy(self) -> bool:
        """Return whether a request is being executed."""
        return self._active > 0

    def calm(self) -> float:
        """Return the real seconds without activity after which no request is on its way."""
        return _CALM if self.is_served else 0.0


class SandboxClock(MovableClock):
    """The clock of a sandbox, which is Unix time plus the time that was skipped.

    Args:
        base: Unix time without the skipped time.
        skipped: The seconds skipped so far.
        traffic: The requests that the sandbox is executing.
    """

    def __init__(self, base: Callable[[], float], skipped: float, traffic: Traffic) -> None:
        super().__init__(base, is_busy=traffic.is_busy, calm=traffic.calm)
        self._move(skipped)

    def unix_time(self) -> float:
        """Return the Unix time of the sandbox, for clients that compare it with the times in its answers."""
        return self.now()


def clock_after(event_log: EventLog | None, last: float) -> Callable[[], float]:
    """Return a clock that continues that of the last run if it is known how long ago that was."""
    start = disk_time()
    if event_log is not None:
        before = event_log.start
        elapsed = None if before is None else start.since(before)
        wall = start.wall if before is None or elapsed is None else before.wall + elapsed
        start = start._replace(wall=max(wall, last))
        event_log.begin(start)
    return steady_clock(start)
