"""Wakes those who wait for a change in the sandbox, on any event loop and thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import anyio
from anyio.lowlevel import EventLoopToken, current_token

from smsc_async._movable_clock import call_soon

__all__ = ["Changes"]


class Changes:
    """Those who wait for a change."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._listeners: dict[anyio.Event, EventLoopToken] = {}

    @contextmanager
    def listen(self) -> Iterator[anyio.Event]:
        """Return an event that is set by the next change."""
        event = anyio.Event()
        with self._lock:
            self._listeners[event] = current_token()
        try:
            yield event
        finally:
            with self._lock:
                del self._listeners[event]

    def notify(self) -> None:
        """Wake all who listen."""
        with self._lock:
            listeners = list(self._listeners.items())
        for event, loop in listeners:
            call_soon(loop, event.set)
