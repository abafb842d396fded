"""Buckets of messages that wait for a status request, the longest waiting first; no I/O."""

import enum
import heapq
from array import array
from collections import deque
from typing import Final

_STALE: Final = 64  # a bucket may always have this many entries of messages that left it in another way


class Position(enum.IntEnum):
    """The position of a watched message in the plan."""

    NOWHERE = 0
    BUCKET = 1
    FRONT = 2
    """Before all buckets, because of a hint."""
    ASKED = 3
    """Its status is being requested."""
    HELD = 4
    """Requested as often as its limit allows."""
    LATER = 5
    """Its last request failed."""


_BUCKET: Final = int(Position.BUCKET)
_ASKED: Final = int(Position.ASKED)


class MessageTable:
    """The watched messages, in columns: a message is a small number, since an object for each takes too much memory."""

    __slots__ = ("bucket", "position", "sent", "since")

    def __init__(self) -> None:
        self.position = bytearray()
        """A `Position`."""
        self.bucket = bytearray()
        """The number of its bucket: the edge nearest to the age at which it was last found pending."""
        self.sent = array("d")
        self.since = array("d")
        """When it was sent or last found pending, with a small offset that spreads messages requested together."""

    def has(self, key: int) -> bool:
        """Return whether this message is watched."""
        return 0 <= key < len(self.position) and self.position[key] != Position.NOWHERE

    def add(self, key: int, sent: float) -> None:
        """Add a message, which is in no bucket yet."""
        missing = key + 1 - len(self.position)
        if missing > 0:
            self.position.extend(bytes(missing))
            self.bucket.extend(bytes(missing))
            self.sent.extend([0.0] * missing)
            self.since.extend([0.0] * missing)
        self.position[key] = _ASKED
        self.bucket[key] = 0
        self.sent[key] = self.since[key] = sent


class Bucket:
    """Messages last found pending at about the same age. Entries of messages that left in another way are skipped."""

    __slots__ = ("_heap", "_queue", "_table", "number", "size")

    def __init__(self, number: int, table: MessageTable) -> None:
        self.number = number
        self.size = 0
        self._table = table
        self._queue: deque[tuple[float, int]] = deque()  # entries added in order of time
        self._heap: list[tuple[float, int]] = []  # the others

    def put(self, key: int) -> None:
        """Add a message that waits since its time in the table: O(1) in order of time, else O(log n)."""
        self._table.position[key] = _BUCKET
        self._table.bucket[key] = self.number
        self.size += 1
        entry = (self._table.since[key], key)
        queue = self._queue
        if not queue or queue[-1][0] <= entry[0]:
            queue.append(entry)
        else:
            heapq.heappush(self._heap, entry)
        if len(queue) + len(self._heap) > 2 * self.size + _STALE:
            self._queue = deque(entry for entry in queue if self._waits(entry))
            self._heap = [entry for entry in self._heap if self._waits(entry)]
            heapq.heapify(self._heap)

    def take(self, latest: float) -> int | None:
        """Remove and return the message that waits longest, if it waits since `latest` or longer."""
        queue, heap = self._queue, self._heap
        while queue or heap:
            from_heap = heap and not (queue and queue[0][0] <= heap[0][0])
            entry = heap[0] if from_heap else queue[0]
            waits = self._waits(entry)
            if waits and entry[0] > latest:
                return None
            if from_heap:
                heapq.heappop(heap)
            else:
                queue.popleft()
            if waits:
                self.size -= 1
                self._table.position[entry[1]] = _ASKED
                return entry[1]
        return None

    def first(self) -> float:
        """Return since when the first message waits. The bucket must not be empty."""
        queue, heap = self._queue, self._heap
        while queue and not self._waits(queue[0]):
            queue.popleft()
        while heap and not self._waits(heap[0]):
            heapq.heappop(heap)
        if queue and heap:
            return min(queue[0][0], heap[0][0])
        return (queue or heap)[0][0]

    def _waits(self, entry: tuple[float, int]) -> bool:
        since, key = entry
        table = self._table
        return table.position[key] == _BUCKET and table.bucket[key] == self.number and table.since[key] == since
