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

MOST_WAITING: Final = 10_000
"""How many may wait; further changes of status are left in the schedule, and no more can be made on request."""
_KEPT: Final = 10_000
_ATTEMPTS: Final = 20


class CallbackQueue:
    """The callbacks, for several threads: those that wait, and the last 10,000 of all."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[int, Callback] = OrderedDict()
        self._waiting: dict[int, Callback] = {}
        self._heap: list[tuple[float, int]] = []  # time and number; outdated where the callback is due at another time
        self._last_id = 0
        self._revision = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def last_id(self) -> int:
        """The number of the last callback, 0 for none."""
        return self._last_id

    @property
    def revision(self) -> int:
        """A number that grows whenever a callback is added, changed or forgotten."""
        return self._revision

    @property
    def next_at(self) -> float:
        """When to take the next one, at the latest; infinity for never."""
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
                self._revision += 1
            else:
                self._put(callback, at + delay)
        return callback

    def again(self, callback: Callback, at: float) -> None:
        """Send a callback at this time, whatever became of it; its number of failures begins anew."""
        with self._lock:
            callback.failures = 0
            self._put(callback, at)

    def take(self, now: float) -> Callback | None:
        """Return the next one that is due, None if there is none; `end` or `retry` follows."""
        with self._lock:
            while self._heap and self._heap[0][0] <= now:
                at, number = heappop(self._heap)
                callback = self._waiting.get(number)
                if callback is not None and callback.next_at == at:
                    del self._waiting[number]
                    return callback
        return None

    def note(self, callback: Callback, attempt: CallbackAttempt) -> None:
        """Keep what the application has answered."""
        with self._lock:
            callback.attempts = (*callback.attempts, attempt)[-_ATTEMPTS:]
            self._revision += 1

    def retry(self, callback: Callback, at: float) -> None:
        """Send a callback again at this time, unless it was given up meanwhile or is to be sent on request."""
        with self._lock:
            if callback.state is CallbackState.WAITING and callback.id not in self._waiting:
                self._put(callback, at)

    def end(self, callback: Callback, state: CallbackState) -> None:
        """Send a callback no more, unless it is to be sent on request."""
        with self._lock:
            if callback.id not in self._waiting:
                callback.state, callback.next_at = state, None
                self._revision += 1

    def give_up(self) -> None:
        """Send none of those that wait or are being sent again."""
        with self._lock:
            self._give_up()

    def clear(self) -> None:
        """Give all up and forget them; numbers go on."""
        with self._lock:
            self._give_up()
            self._kept.clear()

    def _give_up(self) -> None:
        for callback in (*self._kept.values(), *self._waiting.values()):
            if callback.state is CallbackState.WAITING:
                callback.state, callback.next_at = CallbackState.GIVEN_UP, None
        self._waiting, self._heap = {}, []
        self._revision += 1

    def _put(self, callback: Callback, at: float) -> None:
        callback.state, callback.next_at = CallbackState.WAITING, at
        self._revision += 1
        self._waiting[callback.id] = callback
        heappush(self._heap, (at, callback.id))
