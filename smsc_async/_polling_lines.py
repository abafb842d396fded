"""Lines of messages that wait to be asked for their status: the longest unasked first. Pure."""

import enum
import heapq
from collections import deque
from typing import Final

_STALE: Final = 64  # entries of messages that left otherwise, which a line may always have


class Place(enum.Enum):
    """Where a followed message is."""

    LINE = enum.auto()
    FRONT = enum.auto()
    """Before all lines, for a hint."""
    ASKED = enum.auto()
    """Its answer is under way."""
    HELD = enum.auto()
    """Asked as often as its limit allows."""
    LATER = enum.auto()
    """Its last request failed."""
    GONE = enum.auto()


_LINE: Final = Place.LINE


class Followed:
    """A message that is followed."""

    __slots__ = ("key", "line", "place", "since")

    def __init__(self, key: int, since: float) -> None:
        self.key = key
        self.since = since
        """When it was sent or last found undecided, or a little off that, so that what was asked together parts."""
        self.line = 0
        """The number of its line: the edge nearest to the age at which it was last found undecided."""
        self.place = _LINE

    def __lt__(self, other: "Followed") -> bool:
        return self.key < other.key  # where two entries of a heap have the same time


class Line:
    """Messages last found undecided at about the same age. Those that left it otherwise are skipped when met."""

    __slots__ = ("_heap", "_queue", "number", "size")

    def __init__(self, number: int) -> None:
        self.number = number
        self.size = 0
        self._queue: deque[tuple[float, Followed]] = deque()  # what came in order of time
        self._heap: list[tuple[float, Followed]] = []  # what did not

    def put(self, message: Followed) -> None:
        """Let a message wait, since `message.since`: O(1) in order of time, else O(log n)."""
        message.place = _LINE
        message.line = self.number
        self.size += 1
        entry = (message.since, message)
        queue = self._queue
        if not queue or queue[-1][0] <= entry[0]:
            queue.append(entry)
        else:
            heapq.heappush(self._heap, entry)
        if len(queue) + len(self._heap) > 2 * self.size + _STALE:
            self._queue = deque(entry for entry in queue if self._waits(entry))
            self._heap = [entry for entry in self._heap if self._waits(entry)]
            heapq.heapify(self._heap)

    def take(self, latest: float) -> Followed | None:
        """Remove and return the message that waits longest, if since `latest` or longer."""
        queue, heap, number = self._queue, self._heap, self.number
        while True:
            if heap and not (queue and queue[0][0] <= heap[0][0]):
                since, message = heap[0]
                if message.place is _LINE and message.line == number and message.since == since:
                    if since > latest:
                        return None
                    heapq.heappop(heap)
                    break
                heapq.heappop(heap)
            elif queue:
                since, message = queue[0]
                if message.place is _LINE and message.line == number and message.since == since:
                    if since > latest:
                        return None
                    queue.popleft()
                    break
                queue.popleft()
            else:
                return None
        self.size -= 1
        message.place = Place.ASKED
        return message

    def first(self) -> float:
        """Return since when the first message waits. The line must not be empty."""
        queue, heap = self._queue, self._heap
        while queue and not self._waits(queue[0]):
            queue.popleft()
        while heap and not self._waits(heap[0]):
            heapq.heappop(heap)
        if queue and heap:
            return min(queue[0][0], heap[0][0])
        return (queue or heap)[0][0]

    def _waits(self, entry: tuple[float, Followed]) -> bool:
        since, message = entry
        return message.place is _LINE and message.line == self.number and message.since == since
