"""For the tests of an application: a clock that advances only when they say so."""

import math
from typing import Final
from weakref import WeakKeyDictionary

import anyio

__all__ = ["ManualClock"]

_LATEST: Final = 1e12  # seconds; later ones would be too coarse for short waits


class ManualClock:
    """A clock that stands still until it is advanced, for `Client(clock=)` and `Guards(clock=)`.

    Waits for limits, pauses before retries, deadlines and watches of such a client pass as soon as the clock has
    been advanced far enough. All other timers of the application, and the timeouts of the network, use real time:

        clock = ManualClock()
        async with Client(transport=..., clock=clock) as client:
            ...  # a task that waits for the limit of one message
            clock.advance(62)  # the task continues

    Use a clock on the event loop of its clients.

    Args:
        start: The initial time, in seconds.

    Raises:
        ValueError: It is not a number, less than 0, or too large.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = _checked("start", start, _LATEST)
        self._scopes: WeakKeyDictionary[anyio.CancelScope, float] = WeakKeyDictionary()

    def now(self) -> float:
        """Return the time in seconds."""
        return self._now

    async def sleep_until(self, time: float) -> None:
        """Sleep until the clock has been advanced to this time."""
        with self.deadline(time):
            await anyio.sleep_forever()

    def deadline(self, time: float) -> anyio.CancelScope:
        """Return a scope that is cancelled when the clock has been advanced to this time."""
        scope = anyio.CancelScope()
        if time <= self._now:
            scope.cancel()
        elif not math.isinf(time):
            self._scopes[scope] = time
        return scope

    def advance(self, seconds: float) -> None:
        """Move the clock forward, and wake all waiting tasks whose time has come, in order of time.

        Raises:
            ValueError: The seconds are less than 0, not finite, or too many.
        """
        self._now += _checked("seconds", seconds, _LATEST - self._now)
        due = [(time, scope) for scope, time in self._scopes.items() if time <= self._now]
        for _, scope in sorted(due, key=lambda each: each[0]):
            del self._scopes[scope]
            scope.cancel()


def _checked(name: str, seconds: object, most: float) -> float:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        kind = "None" if seconds is None else type(seconds).__name__
        raise ValueError(f"{name} must be a number of seconds, not {kind}")  # noqa: TRY004 - as everywhere
    if not 0.0 <= seconds <= most:
        raise ValueError(f"{name} must be at least 0 and finite, at most {_LATEST:g} in all: a clock only goes forward")
    return seconds
