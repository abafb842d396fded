"""The callbacks that are to be sent, in order of time, and the last ones with their answers."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from math import inf
from threading import Lock
from typing import Final

from smsc_async.sandbox._fault import FaultKind

from .callback import Callback, CallbackAttempt, CallbackKind, CallbackState

__all__ = ["MOST_WAITING", "CallbackQueue"]

MOST_WAITING: Final = 1_000
"""How many may wait; further changes of status are left in the schedule, which is smaller."""
_KEPT: Final = 10_000
_ATTEMPTS: Final = 20


class CallbackQueue:
    """The callbacks, for several threads: those that wait, and the last 10,000 of all."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[int, Callback] = OrderedDict()
        self._heap: list[tuple[float, int, Callback]] = []
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def last_id(self) -> int:
        """The number of the last callback, 0 for none."""
        return self._last_id

    @property
    def next_at(self) -> float:
        """When the next one is due, infinity for never."""
        with self._lock:
            return self._heap[0][0] if self._heap else inf

    def all(self) -> Sequence[Callback]:
        """Return the last ones, in order."""
        with self._lock:
            return tuple(self._kept.values())

    def get(self, number: int) -> Callback | None:
        """Return the one with this number, None if it is not kept."""
        with self._lock:
            return self._kept.get(number)

    def add(
        self,
        kind: CallbackKind,
        at: float,
        fields: Mapping[str, str],
        *,
        message: int | None = None,
        fault: FaultKind | None = None,
        delay: float = 0.0,
    ) -> Callback:
        """Add a callback, to be sent `delay` seconds later than it is due."""
        with self._lock:
            self._last_id += 1
            callback = Callback(self._last_id, kind, at, fields, message, fault)
            self._kept[callback.id] = callback
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            if fault is FaultKind.LOSE_CALLBACK:
                callback.state = CallbackState.LOST
            else:
                self._put(callback, at + delay)
        return callback

    def put(self, callback: Callback, at: float) -> None:
        """Let a callback wait until this time."""
        with self._lock:
            self._put(callback, at)

    def again(self, callback: Callback, at: float) -> None:
        """Send a callback again, whatever became of it; its number of failures begins anew."""
        with self._lock:
            self._heap = sorted(entry for entry in self._heap if entry[1] != callback.id)
            callback.failures = 0
            self._put(callback, at)

    def take(self, now: float) -> Callback | None:
        """Return the next one that is due, None if there is none; `end` or `put` follows."""
        with self._lock:
            return heappop(self._heap)[2] if self._heap and self._heap[0][0] <= now else None

    def note(self, callback: Callback, attempt: CallbackAttempt) -> None:
        """Keep what the application has answered."""
        with self._lock:
            callback.attempts = (*callback.attempts, attempt)[-_ATTEMPTS:]

    def end(self, callback: Callback, state: CallbackState) -> None:
        """Send a callback no more."""
        with self._lock:
            callback.state, callback.next_at = state, None

    def clear(self) -> None:
        """Forget all; numbers go on."""
        with self._lock:
            self._kept.clear()
            self._heap = []

    def give_up(self) -> None:
        """Send none of those that wait."""
        with self._lock:
            for _, _, callback in self._heap:
                callback.state, callback.next_at = CallbackState.GIVEN_UP, None
            self._heap = []

    def _put(self, callback: Callback, at: float) -> None:
        callback.state, callback.next_at = CallbackState.WAITING, at
        heappush(self._heap, (at, callback.id, callback))
