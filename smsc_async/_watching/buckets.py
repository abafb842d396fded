"""Where watched messages wait for a status request: buckets of messages of about the same age; no I/O."""

import enum
import heapq
from array import array
from typing import Final

_SCOUTED: Final = 20  # one of 20 waiting messages is requested early, if no other is requested,
_FEW_SCOUTED: Final = 5  # and one of 5 more,
_FEW: Final = 20  # but not more than 20
_STALE: Final = 64  # a bucket may always have this many entries of messages that were removed elsewhere


class Position(enum.IntEnum):
    """The position of a watched message in the plan."""

    NOWHERE = 0
    BUCKET = 1
    FRONT = 2
    """Ahead of all buckets, because of a hint."""
    ASKED = 3
    """Its status is being requested."""
    LATER = 4
    """Not before a time: its last request failed, or it was requested as often as its limit allows."""


class MessageTable:
    """The watched messages, in columns: a message is a small number, since an object for each takes too much memory."""

    def __init__(self) -> None:
        self.position = bytearray()
        """A `Position`."""
        self.bucket = bytearray()
        """The number of its bucket: the edge nearest to the age at which it was last found pending."""
        self.sent = array("d")
        self.since = array("d")
        """When it was sent or last found pending."""

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
        self.position[key] = Position.ASKED
        self.bucket[key] = 0
        self.sent[key] = self.since[key] = sent


class Bucket:
    """Messages last found pending at about the same age. Entries of messages removed elsewhere are skipped."""

    def __init__(self, number: int, table: MessageTable) -> None:
        self.number = number
        self.size = 0
        self._table = table
        self._heap: list[tuple[float, int]] = []

    def put(self, key: int) -> None:
        """Add a message that has been waiting since its time in the table."""
        self._table.position[key] = Position.BUCKET
        self._table.bucket[key] = self.number
        self.size += 1
        heapq.heappush(self._heap, (self._table.since[key], key))
        if len(self._heap) > 2 * self.size + _STALE:
            self._heap = [entry for entry in self._heap if self._waits(entry)]
            heapq.heapify(self._heap)

    def first(self) -> float:
        """Return the time since which the first message has been waiting. The bucket must not be empty."""
        while not self._waits(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0]

    def take(self) -> int:
        """Remove and return the message that has waited longest. The bucket must not be empty."""
        self.first()
        key = heapq.heappop(self._heap)[1]
        self.size -= 1
        self._table.position[key] = Position.ASKED
        return key

    def _waits(self, entry: tuple[float, int]) -> bool:
        since, key = entry
        table = self._table
        return table.position[key] == Position.BUCKET and table.bucket[key] == self.number and table.since[key] == since


def scouts_of(waiting: int) -> int:
    """Return how many of the waiting messages are requested early, as a sample."""
    return waiting // _SCOUTED + min(waiting // _FEW_SCOUTED, _FEW)
