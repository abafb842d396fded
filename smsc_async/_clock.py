"""The clock of the guards: the time of the event loop, so that a test's virtual clock controls it too."""

import asyncio
import time
from collections.abc import Callable

import anyio
from sniffio import current_async_library

__all__ = ["LoopClock", "asyncio_loop", "loop_time"]


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running asyncio event loop, None under another library; this is much cheaper than anyio's token."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def loop_time() -> Callable[[], float]:
    """Return the function that reads the running event loop's time, so that the loop is looked up once."""
    return asyncio.get_running_loop().time if current_async_library() == "asyncio" else anyio.current_time


class LoopClock:
    """A clock that continues when the event loop changes.

    Each event loop counts from its own origin (trio's is random). On a new loop this clock continues from its last
    value, plus the time that has passed since then on the monotonic clock.
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
        """Continue on the running event loop."""
        self._time = loop_time()
        if self._last is not None:
            now, at = self._last
            self._offset = now + (time.monotonic() - at) - self._time()
