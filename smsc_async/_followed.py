"""What is known of the messages that are followed: few bytes each, and what is left of them as plain data."""

from array import array
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ._codes import MessageStatus
from ._exceptions import SmscError
from ._results import DeliveryReport
from ._types import FrozenModel, MessageRef

__all__ = ["Book", "Pending", "Update", "utc"]

_NO_STATUS: Final = -32_768
_OPEN, _TOLD, _CLOSED = range(3)


class Pending(FrozenModel):
    """A message that was not followed to its end; plain data (`model_dump_json()`), for a later watch.

    Attributes:
        ref: Which message.
        status: The last status that was reported, None for none.
        since: When it was first watched, aware.
    """

    ref: MessageRef
    status: int | None = None
    since: datetime


@dataclass(frozen=True, slots=True)
class Update:
    """News of one message.

    Attributes:
        ref: Which message.
        report: The answer of the service, None where the news is an error or an expiry without any answer.
        error: Why no more is to be expected, None where there is a report.
        expired: Whether the time of the watch is over and the message undecided.
        is_last: Whether no more news of this message will come.
    """

    ref: MessageRef
    report: DeliveryReport | None = None
    error: SmscError | None = None
    expired: bool = False
    is_last: bool = False

    @property
    def status(self) -> MessageStatus | None:
        """The status, None where there is no report."""
        return None if self.report is None else self.report.status


class Book:
    """What is known of each message, few bytes each; a key is the message's place in the order of arrival."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._keys: dict[str, int] = {}
        self._since = array("d")
        self._told = array("h")
        self._taken = array("h")
        self._state = bytearray()

    def __len__(self) -> int:
        return len(self._names)

    def add(self, ref: MessageRef, since: float, status: int | None) -> int | None:
        """Enter a message; return its key, None if it was there already."""
        name = str(ref)
        if name in self._keys:
            return None
        key = self._keys[name] = len(self._names)
        self._names.append(name)
        self._since.append(since)
        self._told.append(_NO_STATUS if status is None else status)
        self._taken.append(self._told[key])
        self._state.append(_OPEN)
        return key

    def key(self, ref: MessageRef) -> int | None:
        """Return the key of a message, None if it isn't there."""
        return self._keys.get(str(ref))

    def ref(self, key: int) -> MessageRef:
        """Return the message."""
        return MessageRef.parse(self._names[key])

    def since(self, key: int) -> float:
        """Return the Unix time at which it was first watched."""
        return self._since[key]

    def is_news(self, key: int, status: int) -> bool:
        """Whether this status has not been told."""
        return self._told[key] != status

    def tell(self, key: int, update: Update) -> bool:
        """Note what is about to be told; return False if the message has had its last update."""
        if self._state[key] != _OPEN:
            return False
        self._state[key] = _TOLD if update.is_last else _OPEN
        self._told[key] = _NO_STATUS if update.report is None else int(update.report.status)
        return True

    def take(self, key: int, update: Update) -> None:
        """Note what was handed out."""
        self._taken[key] = self._taken[key] if update.report is None else int(update.report.status)
        self._state[key] = _CLOSED if update.is_last else self._state[key]

    def pending(self) -> list[Pending]:
        """Return the messages whose last update was not handed out."""
        return [
            Pending(
                ref=self.ref(key),
                status=None if self._taken[key] == _NO_STATUS else self._taken[key],
                since=utc(self._since[key]),
            )
            for key, state in enumerate(self._state)
            if state != _CLOSED
        ]


def utc(seconds: float) -> datetime:
    """Return the instant of a Unix time."""
    return datetime.fromtimestamp(seconds, UTC)
