"""The clocks: the time of the event loop in a process, and instants that are stored on disk."""

import asyncio
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import anyio
from sniffio import current_async_library

__all__ = ["DiskTime", "LoopClock", "asyncio_loop", "disk_time", "loop_time", "steady_clock"]

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_AGREEMENT: Final = 1.0  # seconds


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


class DiskTime(NamedTuple):
    """An instant as it is stored on disk.

    The wall clock may be set at any time, so durations are measured by the uptime. It is known how long ago a stored
    instant was only if the machine has not been restarted since, and is the same machine. Otherwise the duration is
    unknown, and each limit counts the instant as if it were now: a limit is then kept for one window too long, which
    is reported in the log, and never for less than a window.

    Attributes:
        boot: The boot id of the machine, "" where the system has none.
        uptime: Seconds since the boot, including those in suspension where the system counts them.
        wall: Unix time.
    """

    boot: str
    uptime: float
    wall: float

    def since(self, earlier: "DiskTime") -> float | None:
        """Return the seconds since an earlier instant, None if they are unknown."""
        elapsed = self.uptime - earlier.uptime
        is_same = self.boot == earlier.boot
        if not self.boot:  # without a boot id, two clocks must agree that this is the same boot
            is_same = is_same and abs(self.wall - earlier.wall - elapsed) <= _AGREEMENT
        return elapsed if is_same and 0.0 <= elapsed <= self.uptime else None


def disk_time() -> DiskTime:
    """Return the current instant, to be stored or to be compared with a stored one."""
    return DiskTime(boot_id(), uptime(), time.time())


def steady_clock(start: DiskTime) -> Callable[[], float]:
    """Return a clock of Unix time that continues from an instant, whatever the wall clock is set to later."""
    return lambda: start.wall + uptime() - start.uptime


@cache
def boot_id() -> str:
    """Return the id that the system has until it is restarted, "" if there is none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def uptime() -> float:
    """Return the seconds since the boot; no setting of the wall clock changes them."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)  # of Linux; it also runs while the machine is suspended
    return time.monotonic() if clock is None else time.clock_gettime(clock)
