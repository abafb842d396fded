"""Which change of a status comes next, for those who report each of them; off until it is started."""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from math import inf
from threading import Lock

from ._delivery import Change
from ._messages import AcceptedMessage

__all__ = ["StatusSchedule"]


class StatusSchedule:
    """The changes of status that were not taken yet; the first status of a message, "waiting", is none.

    It holds one entry for each message, so 100,000 of them take some megabytes.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_on = False
        self._heap: list[tuple[float, int, int]] = []  # time, key, and index in the life of the message
        self._next: dict[int, int] = {}  # by key; an entry of the heap that differs is outdated

    @property
    def next_at(self) -> float:
        """When to take the next change, at the latest; infinity for never."""
        with self._lock:
            return self._heap[0][0] if self._heap else inf

    def start(self, since: float, messages: Callable[[], Iterable[AcceptedMessage]]) -> None:
        """Begin with the changes of all messages after a time, unless it has begun.

        Args:
            since: Unix time.
            messages: Returns the messages so far. Meanwhile the service accepts others, and is not held up.
        """
        with self._lock:
            if self._is_on:
                return
            self._is_on = True
            known = messages()
        for message in known:
            first = next((index for index, change in enumerate(message.life) if index and change.at > since), None)
            if first is not None:
                with self._lock:
                    if self._is_on and message.key not in self._next:
                        self._put(message, first)

    def stop(self) -> None:
        """Forget all changes, and those to come."""
        with self._lock:
            self._is_on = False
            self._heap, self._next = [], {}

    def clear(self) -> None:
        """Forget the changes of all messages so far."""
        with self._lock:
            self._heap, self._next = [], {}

    def add(self, message: AcceptedMessage) -> None:
        """Add a message that was accepted."""
        if self._is_on:
            with self._lock:
                self._put(message, 1)

    def change(self, message: AcceptedMessage) -> None:
        """Replace the changes to come of a message by its last one."""
        with self._lock:
            last = len(message.life) - 1
            # An earlier change that was not taken yet leads to the last one.
            if self._is_on and self._next.get(message.key, last) >= last:
                self._put(message, last)

    def take(self, now: float, find: Callable[[int], AcceptedMessage | None]) -> tuple[AcceptedMessage, Change] | None:
        """Return the earliest change up to a time, None if there is none.

        Args:
            now: Unix time.
            find: Returns the message with a key, None if it is not kept any more.
        """
        with self._lock:
            while self._heap and self._heap[0][0] <= now:
                _, key, index = heappop(self._heap)
                if self._next.get(key) != index:
                    continue
                message = find(key)
                if message is not None:
                    self._put(message, index + 1)
                    return message, message.life[index]
                del self._next[key]
        return None

    def _put(self, message: AcceptedMessage, index: int) -> None:
        life = message.life
        if index < len(life):
            self._next[message.key] = index
            heappush(self._heap, (life[index].at, message.key, index))
        else:
            self._next.pop(message.key, None)
