"""The watched messages, a few bytes each; when they expire; and the unfinished ones as plain data."""

import math
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heapify, heappop, heappush
from typing import Final, Literal, TypeAlias

from smsc_async._model import (
    AnyRef,
    DeliveryReport,
    FrozenModel,
    Many,
    MessageRef,
    MessageStatus,
    SentMessage,
    Shown,
    SmscError,
    TableRow,
    about,
    capitalized,
    code_columns,
    failure_columns,
    in_utc,
    is_seconds,
    many,
    refs_of,
    shown_time,
    spellings,
    wrong,
)

__all__ = ["Expiries", "Registry", "Source", "Unfinished", "Update", "Watched", "source_of", "utc", "watched"]

_NO_STATUS: Final = -32_768
_OPEN, _REPORTED, _CLOSED = range(3)
_STALE: Final = 64  # this many expiries of messages that have had their last update may always remain


class Unfinished(Shown, FrozenModel):
    """A message whose last update was not taken; plain data (`model_dump_json()`) for a later watch.

    Attributes:
        ref: The message.
        status: The last status that was reported, None for none.
        since: When it was first watched, aware.
    """

    ref: MessageRef
    status: int | None = None
    since: datetime

    def to_rows(self) -> list[TableRow]:
        """Return one row."""
        status = None if self.status is None else MessageStatus(self.status)
        key = {"phone": self.ref.phone, "id": self.ref.id}
        return [{**key, **code_columns("status", status), "since": in_utc(self.since)}]

    def _sentence(self) -> str:
        return f"{capitalized(about(self.ref.phone, self.ref.id))}: pending, watched since {shown_time(self.since)}."


Watched: TypeAlias = AnyRef | Unfinished
Source: TypeAlias = Watched | Many[Watched]
"""The messages of a watch: one, or any number from an iterable or an async iterable."""


def source_of(value: Source) -> Many[Watched]:
    """Return the messages of a watch as an iterable.

    Raises:
        ValueError: It is neither a message nor an iterable.
    """
    if isinstance(value, MessageRef | SentMessage | Unfinished | str):  # strings and models are iterable too
        return (value,)
    return many("messages", "messages", value)


def watched(message: Watched, since: float) -> Iterator[tuple[MessageRef, float, int | None]]:
    """Yield the reference, the start of the watch and the last status of each message that a value stands for."""
    if isinstance(message, Unfinished):
        yield message.ref, min(message.since.timestamp(), since), message.status  # the wall clock can be set back
    else:
        for ref in refs_of(message):
            yield ref, since, None


@dataclass(frozen=True, slots=True)
class Update(Shown):
    """An update about one message.

    Attributes:
        ref: The message.
        report: The answer of the service, None for an error or an expiry. That of a push has only `ref` and `status`.
        error: The error that ends the watching of this message, None if there is a report.
        expired: Whether the `timeout` of the watch is over and the message is still pending.
        is_last: Whether this is the last update about the message.
        source: "push" if a callback reported the status, else "poll".
    """

    ref: MessageRef
    report: DeliveryReport | None = None
    error: SmscError | None = None
    expired: bool = False
    is_last: bool = False
    source: Literal["poll", "push"] = "poll"

    @property
    def status(self) -> MessageStatus | None:
        """The status, None if there is no report."""
        return None if self.report is None else self.report.status

    def to_rows(self) -> list[TableRow]:
        """Return one row; that of an expiry or an error has no status."""
        report = self.report
        return [
            {
                "phone": self.ref.phone,
                "id": self.ref.id,
                **code_columns("status", self.status),
                "is_final": report is not None and report.is_final,
                "is_delivered": report is not None and report.is_delivered,
                **code_columns("error", None if report is None else report.error),
                "changed_at": None if report is None else in_utc(report.changed_at),
                "expired": self.expired,
                "is_last": self.is_last,
                "source": self.source,
                **failure_columns(self.error),
            }
        ]

    def _sentence(self) -> str:
        if self.report is not None:
            return str(self.report)
        why = "still pending, the watch is over" if self.error is None else f"{type(self.error).__name__}: {self.error}"
        return f"{capitalized(about(self.ref.phone, self.ref.id))}: {why}."


class Registry:
    """The watched messages, a few bytes each.

    A key is a small number. It belongs to a message until the last update was taken and nothing holds the key. Then the
    key is used for another message, so that an endless watch doesn't grow.
    """

    def __init__(self) -> None:
        self._keys: dict[bytes, int] = {}  # bytes take less memory than str
        self._names: list[bytes] = []
        self._since = array("d")
        self._handed_over = array("h")
        self._taken = array("h")
        self._state = bytearray()
        self._holders = bytearray()
        self._free: list[int] = []
        self.entered = 0
        """How many messages have been added."""

    def __len__(self) -> int:
        """Return how many messages have not had their last update."""
        return len(self._keys)

    def add(self, ref: MessageRef, since: float, status: int | None) -> int | None:
        """Add a message; return its key, None if it is watched already."""
        name = str(ref).encode()
        if name in self._keys:
            return None
        reported = _NO_STATUS if status is None else status
        if self._free:
            key = self._free.pop()
            self._names[key], self._since[key], self._state[key] = name, since, _OPEN
            self._handed_over[key] = self._taken[key] = reported
        else:
            key = len(self._names)
            self._names.append(name)
            self._since.append(since)
            self._handed_over.append(reported)
            self._taken.append(reported)
            self._state.append(_OPEN)
            self._holders.append(0)
        self._keys[name] = key
        self.entered += 1
        return key

    def keys(self, ref: MessageRef) -> list[int]:
        """Return the keys under which a message is watched, one for each spelling of its phone."""
        names = (f"{phone}:{ref.id}".encode() for phone in spellings(ref.phone))
        return [self._keys[name] for name in names if name in self._keys]

    def hold(self, key: int) -> None:
        """Prevent reuse of the key for another message until `release` has been called as often."""
        self._holders[key] += 1

    def release(self, key: int) -> None:
        """Undo a `hold`."""
        self._holders[key] -= 1
        self._free_if_unused(key)

    def ref(self, key: int) -> MessageRef:
        """Return the message."""
        return MessageRef.parse(self._names[key].decode())

    def since(self, key: int) -> float:
        """Return the Unix time at which it was first watched."""
        return self._since[key]

    def is_open(self, key: int) -> bool:
        """Return whether its last update has not been handed over."""
        return self._state[key] == _OPEN

    def status(self, key: int) -> int | None:
        """Return the status handed over last, None for none."""
        status = self._handed_over[key]
        return None if status == _NO_STATUS else status

    def hand_over(self, key: int, update: Update) -> bool:
        """Record an update that is handed over; return False if the message has had its last update."""
        if self._state[key] != _OPEN:
            return False
        self._state[key] = _REPORTED if update.is_last else _OPEN
        self._handed_over[key] = _NO_STATUS if update.report is None else int(update.report.status)
        return True

    def take(self, key: int, update: Update) -> None:
        """Record an update that was taken."""
        if update.report is not None:
            self._taken[key] = int(update.report.status)
        if update.is_last:
            del self._keys[self._names[key]]
            self._names[key] = b""
            self._state[key] = _CLOSED
            self._free_if_unused(key)

    def unfinished(self) -> list[Unfinished]:
        """Return the messages whose last update was not taken, in the order in which they were added."""
        return [
            Unfinished(
                ref=self.ref(key),
                status=None if self._taken[key] == _NO_STATUS else self._taken[key],
                since=utc(self._since[key]),
            )
            for key in self._keys.values()
        ]

    def _free_if_unused(self, key: int) -> None:
        if self._state[key] == _CLOSED and not self._holders[key]:
            self._free.append(key)


class Expiries:
    """When each message of a registry expires. Messages added in order of time, as most are, take 8 bytes.

    Args:
        registry: The registry.
        timeout: Seconds from `since` to the expiry, None for never.

    Raises:
        ValueError: The timeout is not a number of seconds.
    """

    def __init__(self, registry: Registry, timeout: float | None) -> None:
        if timeout is not None and not is_seconds(timeout):
            raise wrong("timeout", "a number of seconds, at least 0, or None for no timeout", timeout)
        self._registry = registry
        self._timeout = math.inf if timeout is None else timeout
        self._queue: deque[int] = deque()  # keys added in order of time
        self._heap: list[tuple[float, int]] = []  # the others

    def __len__(self) -> int:
        return len(self._queue) + len(self._heap)

    def add(self, key: int) -> None:
        """Schedule the expiry of a message, unless the timeout is infinite."""
        if self._timeout == math.inf:
            return
        self._registry.hold(key)
        since = self._registry.since(key)
        if not self._queue or self._registry.since(self._queue[-1]) <= since:
            self._queue.append(key)
        else:
            heappush(self._heap, (since, key))
        if len(self) > 2 * len(self._registry) + _STALE:
            self._forget_the_reported()

    def is_over(self, key: int, now: float) -> bool:
        """Return whether a message has expired at this Unix time."""
        return self._registry.since(key) + self._timeout <= now

    def next_at(self) -> float:
        """Return the Unix time of the next expiry, infinity if there is none."""
        first = math.inf
        if self._queue:
            first = self._registry.since(self._queue[0])
        if self._heap:
            first = min(first, self._heap[0][0])
        return first + self._timeout

    def pop(self, now: float) -> int | None:
        """Remove and return a message that has expired at this Unix time, None if there is none."""
        while self.next_at() <= now:
            queue, heap = self._queue, self._heap
            from_heap = heap and not (queue and self._registry.since(queue[0]) <= heap[0][0])
            key = heappop(heap)[1] if from_heap else queue.popleft()
            is_open = self._registry.is_open(key)
            self._registry.release(key)
            if is_open:
                return key
        return None

    def _forget_the_reported(self) -> None:
        for key in (*self._queue, *(key for _, key in self._heap)):
            if not self._registry.is_open(key):
                self._registry.release(key)
        self._queue = deque(key for key in self._queue if self._registry.is_open(key))
        self._heap = [entry for entry in self._heap if self._registry.is_open(entry[1])]
        heapify(self._heap)


def utc(seconds: float) -> datetime:
    """Return a Unix time as an aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)
