"""A periodic call while a client has requests in flight, even if the client itself is idle."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from smsc_async._clock import asyncio_loop

__all__ = ["Heartbeat"]

# Seconds. After a loss acquire.lua waits 30 s for the reports of all clients.
_EVERY: Final = 10.0


class Heartbeat:
    """Calls a function at intervals while it is needed, on one event loop at a time.

    Between two calls there is a timer and no task, so an event loop may end at any time.

    Args:
        beat: The function.
        is_needed: Returns whether to continue.
    """

    def __init__(self, beat: Callable[[], Awaitable[None]], is_needed: Callable[[], bool]) -> None:
        self._beat = beat
        self._is_needed = is_needed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start on the running event loop, unless it has been started."""
        if self._loop is not loop:
            self._loop, self._task = loop, None
            self._timer = loop.call_later(_EVERY, self._due)

    async def stop(self) -> None:
        """Stop, and wait for a call that has begun."""
        task = self._task
        if self._timer is not None:
            self._timer.cancel()
        self._loop = self._timer = self._task = None
        if task is not None and task.get_loop() is asyncio_loop():
            await asyncio.wait([task])

    def _due(self) -> None:
        loop, self._loop, self._timer = self._loop, None, None
        if loop is not None and self._is_needed():
            self._loop = loop
            self._task = loop.create_task(self._run(), name="smsc_async: report to Redis")

    async def _run(self) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        goes_on = False
        try:
            await self._beat()
        finally:  # if the event loop ends, the next request starts it on another one
            if self._task is task:
                self._loop, self._task, goes_on = None, None, True
        if goes_on:
            self.start(loop)
