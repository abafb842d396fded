"""The time of the guards: that of the event loop, so that a virtual clock drives everything."""

import asyncio
import time
from collections.abc import Callable

import anyio
from sniffio import current_async_library

__all__ = ["LoopClock", "asyncio_loop", "loop_time"]


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop of asyncio, None elsewhere: told a good deal faster than anyio's token."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def loop_time() -> Callable[[], float]:
    """Return what tells the time of the running event loop, without asking each time which one it is."""
    return asyncio.get_running_loop().time if current_async_library() == "asyncio" else anyio.current_time


class LoopClock:
    """A clock that goes on when the event loop is another one.

    Event loops count from instants of their own (trio's from a random one). On a new loop this clock goes on where it
    was on the last, plus the time that has passed meanwhile on the monotonic clock.
    """

    def __init__(self) -> None:
        self._time: Callable[[], float] = anyio.current_time
        self._offset = 0.0
        self._last: tuple[float, float] | None = None

    def __call__(self) -> float:
        """Return the time in seconds."""
        now = self._time() + self._offset
        self._last = now, time.monotonic()
        return now

    def rebase(self) -> None:
        """Go on, on the running event loop."""
        self._time = loop_time()
        if self._last is not None:
            now, at = self._last
            self._offset = now + (time.monotonic() - at) - self._time()
