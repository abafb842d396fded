"""A clock that tests move forward: waits pass at their time without real waiting, on any event loop and thread."""

import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any, Final
from weakref import WeakKeyDictionary

import anyio
from anyio import NoEventLoopError
from anyio.lowlevel import EventLoopToken, checkpoint, current_token

__all__ = ["MovableClock", "call_soon"]

_CALM: Final = 50  # passes of the event loop
_PATIENCE: Final = 5.0  # real seconds
_POLL: Final = 0.001  # real seconds
_CALM_ELSEWHERE: Final = 0.02  # real seconds, in which another thread takes its turn


def _never() -> bool:
    return False


class MovableClock:
    """A clock that can be moved forward; its waits end when it reaches their time, and never block the event loop.

    Args:
        base: The time in seconds, without the moves.
        speed: How many of its seconds pass in a second of `base`; 0 if it only moves when it is advanced.
        is_busy: Whether something that was woken still works without using the clock.
        calm: Real seconds without activity after which all that was woken waits again.
    """

    def __init__(
        self,
        base: Callable[[], float],
        *,
        speed: float = 1.0,
        is_busy: Callable[[], bool] = _never,
        calm: Callable[[], float] = float,
    ) -> None:
        self._base = base
        self._speed = speed
        self._origin = base()
        self._start = self._origin
        self._is_busy = is_busy
        self._calm = calm
        self._lock = Lock()
        self._uses = 0
        self._waits: WeakKeyDictionary[anyio.CancelScope, tuple[float, EventLoopToken]] = WeakKeyDictionary()

    def now(self) -> float:
        """Return the time in seconds."""
        self._uses += 1
        return self._now()

    async def sleep_until(self, time: float) -> None:
        """Sleep until this time of the clock."""
        with self.deadline(time):
            await anyio.sleep_forever()

    def deadline(self, time: float) -> anyio.CancelScope:
        """Return a scope that is cancelled at this time of the clock; infinity for never."""
        scope = anyio.CancelScope()
        if time <= self.now():
            scope.cancel()
        elif not math.isinf(time):
            here = current_token()
            scope.deadline = self._real_end(time, here)
            with self._lock:
                self._waits[scope] = time, here
        return scope

    @property
    def speed(self) -> float:
        """How many of its seconds pass in a real second."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        """Let the clock run at another speed from now on, 0 to stop it."""
        given: object = speed
        if not isinstance(given, int | float) or isinstance(given, bool) or not 0.0 <= given < math.inf:
            raise ValueError("speed must be a number, at least 0 and finite: the seconds that pass in a real second")
        with self._lock:
            self._start, self._origin = self._now(), self._base()
            self._speed = speed
        self.wake_soon()

    def advance(self, seconds: float) -> Awaitable[None]:
        """Move the clock forward by `seconds`.

        All waits whose time has come end, and the woken tasks see the new time. If the result is awaited at once, the
        clock goes step by step instead: each wait ends at its own time, in order, and so do those that the woken tasks
        then begin within these seconds.
        """
        self._move(seconds)
        return _Move(self, seconds)

    def take_back(self, seconds: float) -> None:
        """Undo a move that nobody has noticed yet."""
        self._move(-seconds)

    async def step(self, seconds: float) -> None:
        """Move the clock forward from wait to wait, and let all that each of them wakes run until it waits again."""
        give_up, here = anyio.current_time() + _PATIENCE, current_token()
        await self.until_calm(give_up)
        while seconds > 0.0:
            with self._lock:
                waits = list(self._waits.values())
            following = min((time for time, _ in waits), default=math.inf)
            is_alone = all(loop == here for _, loop in waits)
            pause = min(max(following - self._now(), 0.0), seconds)
            self._move(pause)
            if pause < seconds and self._now() < following:  # lost to rounding
                self._move(following - self._now() + math.ulp(following))
            seconds -= pause
            self._wake(here)
            self.wake_soon()
            await self.until_calm(give_up, 0.0 if is_alone else _CALM_ELSEWHERE)

    async def until_calm(self, give_up: float = -math.inf, calm: float = 0.0) -> None:
        """Let tasks run until none of them uses the clock any more, or this time of the event loop has come."""
        calm = max(calm, self._calm())
        uses, passes, since = self._uses, 0, anyio.current_time()
        while passes < _CALM or anyio.current_time() - since < calm:
            is_busy = self._is_busy()
            await (anyio.sleep(_POLL) if is_busy or calm else checkpoint())
            passes += 1
            if (is_busy or uses != self._uses) and anyio.current_time() < give_up:
                uses, passes, since = self._uses, 0, anyio.current_time()

    def _now(self) -> float:
        return self._start + (self._base() - self._origin) * self._speed

    def _move(self, seconds: float) -> None:
        with self._lock:
            self._start += seconds

    def _real_end(self, time: float, here: EventLoopToken) -> float:
        """Return the time of the event loop at which this time of the clock comes, unless the clock is moved."""
        if not self._speed:
            return math.inf
        # anyio does not know the event loop in a callback of asyncio.
        now: Callable[[], float] = getattr(here.native_token, "time", anyio.current_time)
        return now() + (time - self._now()) / self._speed

    def wake_soon(self) -> None:
        """Let each event loop end the waits whose time has come."""
        with self._lock:
            tokens = [token for _, token in self._waits.values()]
        for token in dict.fromkeys(tokens):
            call_soon(token, partial(self._wake, token))

    def _wake(self, here: EventLoopToken) -> None:
        """End the waits on this event loop whose time has come, in order of time, and move the ends of the others."""
        with self._lock:
            waits = [(time, scope) for scope, (time, token) in self._waits.items() if token == here]
        for time, scope in sorted(waits, key=lambda wait: wait[0]):
            if time > self._now():
                scope.deadline = self._real_end(time, here)
            else:
                with self._lock:
                    self._waits.pop(scope, None)
                scope.cancel()


class _Move:
    """A move of a clock, which becomes steps if it is awaited before anything else has run."""

    def __init__(self, clock: MovableClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._is_seen = False
        try:
            call_soon(current_token(), self._see)
        except NoEventLoopError:
            self._see()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._go().__await__()

    def _see(self) -> None:
        if not self._is_seen:
            self._is_seen = True
            self._clock.wake_soon()

    async def _go(self) -> None:
        if self._is_seen:
            await self._clock.until_calm(anyio.current_time() + _PATIENCE)
        else:
            self._is_seen = True
            self._clock.take_back(self._seconds)
            await self._clock.step(self._seconds)


def call_soon(loop: EventLoopToken, work: Callable[[], None]) -> None:
    """Call a function on an event loop, which may belong to another thread; do nothing if the loop has ended."""
    native: Any = loop.native_token
    run = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
    with suppress(RuntimeError):
        run(work)
