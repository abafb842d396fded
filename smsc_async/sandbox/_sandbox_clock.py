"""The clock of a sandbox: Unix time that tests can move forward, also for the clients that wait by it."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from smsc_async._clock import disk_time, steady_clock
from smsc_async._model import is_seconds, wrong
from smsc_async._movable_clock import MovableClock
from smsc_async._thread import is_thread_at_work

from ._event_log import EventLog

__all__ = ["Jump", "SandboxClock", "clock_after"]

_JUMPS: Final = 1_000
_LATEST: Final = 253_402_000_000.0  # days before the end of the year 9999


class Jump(NamedTuple):
    """Time that was skipped.

    Attributes:
        start: Unix time from which it was skipped.
        end: Unix time up to which it was skipped.
    """

    start: float
    end: float


class SandboxClock(MovableClock):
    """The clock of a sandbox, which is Unix time plus the time that was skipped.

    Args:
        base: Unix time without the skipped time.
        skipped: The seconds skipped so far.
        is_busy: Whether the sandbox is executing a request.
        calm: Real seconds without activity after which no request is on its way to the sandbox.
        moved: Is called after each move and each change of speed.
    """

    def __init__(
        self,
        base: Callable[[], float],
        skipped: float,
        *,
        is_busy: Callable[[], bool],
        calm: Callable[[], float],
        moved: Callable[[], None],
    ) -> None:
        super().__init__(base, is_busy=lambda: is_busy() or is_thread_at_work(), calm=calm)
        self._moved = moved
        self._jumps: deque[Jump] = deque(maxlen=_JUMPS)
        self._move(skipped)

    @property
    def jumps(self) -> Sequence[Jump]:
        """The last times that it was moved forward, in order."""
        return tuple(self._jumps)

    @property
    def ahead(self) -> float:
        """How many seconds it is ahead of the time without moves and speeds."""
        return self._now() - self._base()

    def advance(self, seconds: float) -> Awaitable[None]:
        """Move the clock forward by `seconds`; see `MovableClock.advance`.

        Raises:
            ValueError: The seconds are no number, less than 0, or too many.
        """
        if not is_seconds(seconds):
            raise wrong("seconds", "a number, at least 0, because time moves forward only", seconds)
        start = self.now()
        if start + seconds > _LATEST:
            raise ValueError("the clock of a sandbox does not go beyond the year 9999")
        if seconds:
            self._jumps.append(Jump(start, start + seconds))
        return super().advance(seconds)

    def wake_soon(self) -> None:
        """Let each event loop end the waits whose time has come, and tell those who show the time."""
        super().wake_soon()
        self._moved()

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
