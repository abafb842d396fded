"""Wakes those who wait for a change in the sandbox, on any event loop and thread."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Final

import anyio
from anyio.lowlevel import EventLoopToken, current_token

from smsc_async._movable_clock import call_soon

__all__ = ["ALL_MESSAGES", "Changes"]

ALL_MESSAGES: Final = 0
"""In place of the key of a message: any of them may have changed, or they are forgotten."""
_KEPT: Final = 1_000


class Changes:
    """Those who wait for a change, and which messages were changed last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._edited: deque[int] = deque(maxlen=_KEPT)
        self._edits = 0
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

    def edited_since(self, count: int) -> tuple[int, Sequence[int]]:
        """Return how many times messages were changed so far, and the keys of those that were since this many times."""
        with self._lock:
            missed = self._edits - count
            keys = list(self._edited)[-missed:] if missed else []
            return self._edits, [ALL_MESSAGES] if missed > _KEPT else keys

    def notify(self, edited: int | None = None) -> None:
        """Wake all who listen.

        Args:
            edited: The key of a message that was changed by other means than time, `ALL_MESSAGES` for all; None for
                another change.
        """
        with self._lock:
            if edited is not None:
                self._edited.append(edited)
                self._edits += 1
            listeners = list(self._listeners.items())
        for event, loop in listeners:
            call_soon(loop, event.set)
