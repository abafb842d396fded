"""The clocks: the time by which a client waits, the event loop it waits on, and instants that are stored on disk."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import anyio
from anyio.lowlevel import EventLoopToken, current_token
from sniffio import current_async_library

__all__ = [
    "Clock",
    "DiskTime",
    "LoopBinding",
    "LoopClock",
    "PerLoop",
    "RealClock",
    "asyncio_loop",
    "disk_time",
    "is_clock",
    "steady_clock",
    "unix_time",
    "utc_now",
]

T = TypeVar("T")

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_AGREEMENT: Final = 1.0  # seconds


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running asyncio event loop, None under another library; this is much faster than anyio's token."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class LoopBinding:
    """The event loop to which an object is bound, none at first."""

    __slots__ = ("_loop", "_token")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._token: EventLoopToken | None = None

    @property
    def is_bound(self) -> bool:
        """Whether the object is bound."""
        return self._token is not None

    def is_here(self) -> bool:
        """Return whether the object is bound to the running event loop."""
        loop = asyncio_loop()
        # anyio makes a new token on each call, so tokens are compared by value.
        return (loop is not None and loop is self._loop) or (self._token is not None and self._token == current_token())

    def bind(self) -> None:
        """Bind the object to the running event loop."""
        self._loop, self._token = asyncio_loop(), current_token()


class PerLoop(Generic[T]):
    """A value that is recreated when the event loop changes, as locks and events work on one event loop only.

    Args:
        make: Makes the value.
    """

    __slots__ = ("_binding", "_make", "_value")

    def __init__(self, make: Callable[[], T]) -> None:
        self._binding = LoopBinding()
        self._make = make
        self._value = make()

    def __call__(self) -> T:
        """Return the value for the running event loop."""
        if not self._binding.is_here():
            self._binding.bind()
            self._value = self._make()
        return self._value


class Clock(Protocol):
    """The clock of a client or of guards: they wait by it, and measure their limits and deadlines with it.

    The timeouts of single network steps always use real time.
    """

    def now(self) -> float:
        """Return the time in seconds; it never goes backwards."""

    async def sleep_until(self, time: float) -> None:
        """Sleep until this time of the clock."""

    def deadline(self, time: float) -> anyio.CancelScope:
        """Return a scope that is cancelled at this time of the clock; infinity for never."""


def is_clock(value: object) -> bool:
    """Return whether this is an object with the methods of `Clock`."""
    methods = (getattr(value, name, None) for name in ("now", "sleep_until", "deadline"))
    return not isinstance(value, type) and all(map(callable, methods))


def unix_time(clock: Clock) -> float:
    """Return the Unix time: that of the clock if it has one, as a sandbox's clock does, by which its answers count."""
    own: Callable[[], float] = getattr(clock, "unix_time", time.time)
    return own()


def utc_now(clock: Clock) -> datetime:
    """Return `unix_time` as an aware datetime."""
    return datetime.fromtimestamp(unix_time(clock), UTC)


class RealClock:
    """The clock of the running event loop."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now: Callable[[], float] = _loop_time()
        """Return the time in seconds."""

    async def sleep_until(self, time: float) -> None:
        """Sleep until this time of the event loop."""
        await anyio.sleep_until(time)

    def deadline(self, time: float) -> anyio.CancelScope:
        """Return a scope that is cancelled at this time of the event loop."""
        return anyio.CancelScope(deadline=time)


def _loop_time() -> Callable[[], float]:
    """Return the function that reads the running event loop's time, so that the loop is looked up once."""
    loop = asyncio_loop()
    if loop is None or current_async_library() != "asyncio":
        return anyio.current_time
    return loop.time


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
        self._time = _loop_time()
        if self._last is not None:
            now, at = self._last
            self._offset = now + (time.monotonic() - at) - self._time()


class DiskTime(NamedTuple):
    """An instant as it is stored on disk.

    The wall clock may be set at any time, so durations are measured by the uptime. How long ago a stored
    instant was is known only if the machine is the same and has not been restarted since. Otherwise the duration is
    unknown, and each limit counts the instant as if it were now: a limit is then kept for one window too long, which
    is logged, and never for less than a window.

    Attributes:
        boot: The boot id of the machine, "" where the system has none.
        uptime: Seconds since the boot, including suspended time where the system counts it.
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
    """Return a clock of Unix time that continues from an instant, even if the wall clock is set later."""
    return lambda: start.wall + uptime() - start.uptime


@cache
def boot_id() -> str:
    """Return the boot id, which changes only with a restart, "" if there is none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def uptime() -> float:
    """Return the seconds since the boot; they do not depend on the wall clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)  # on Linux; it also runs while the machine is suspended
    return time.monotonic() if clock is None else time.clock_gettime(clock)
