"""The events that change what the service remembers; the event log is made of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Final, Self, TypeAlias

from ._channels import ServiceChannel
from ._fields import Value
from ._messages import AcceptedMessage

__all__ = [
    "AccountPut",
    "Arrival",
    "Departure",
    "Event",
    "StateSnapshot",
    "StatusSet",
    "StoredMessages",
    "read_event",
    "write_event",
]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that has arrived.

    Attributes:
        method: Its method.
        now: Unix time of the arrival.
        source: The IP address it came from.
        login: The login of the customer; `None` where the credentials were not accepted.
        error: The error code of a request without a login.
        fields: Its fields without the credentials.
        request: Its number.
    """

    method: str
    now: float
    source: str
    login: str | None
    error: int
    fields: Mapping[str, Value] = field(repr=False)
    request: int = 0


@dataclass(frozen=True, slots=True)
class Departure:
    """A request that has left, or all those that were in flight when a sandbox ended.

    Attributes:
        ticket: The slot that it held; None for all.
    """

    ticket: int | None


@dataclass(frozen=True, slots=True)
class StatusSet:
    """A status that a test has given to a message.

    Attributes:
        key: The message.
        status: The status from then on.
        err: The delivery error from then on.
        now: Unix time.
    """

    key: int
    status: int
    err: int
    now: float


@dataclass(frozen=True, slots=True)
class AccountPut:
    """A customer that was added or changed.

    Attributes:
        account: Its JSON, without credentials.
    """

    account: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StateSnapshot:
    """The whole state but for the messages, which follow it.

    Attributes:
        snapshot: The state.
    """

    snapshot: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredMessages:
    """Messages of a snapshot.

    Attributes:
        rows: For each message the values of an `AcceptedMessage`, in order.
    """

    rows: list[list[Any]] = field(repr=False)

    @classmethod
    def of(cls, messages: Sequence[AcceptedMessage]) -> Iterator[Self]:
        """Yield events for messages."""
        for first in range(0, len(messages), _ROWS):
            yield cls([_row(message) for message in messages[first : first + _ROWS]])

    def messages(self) -> Iterator[AcceptedMessage]:
        """Yield the messages; equal values are one object as far as possible, which saves memory."""
        costs: dict[str, Decimal] = {}
        known: dict[Any, Any] = {}
        for id_, phone, text, sender, channel, at, send_at, parts, cost, login, timeline, key, request in self.rows:
            yield AcceptedMessage(
                known.setdefault(id_, id_),
                phone,
                text,
                known.setdefault(sender, sender),
                _CHANNELS[channel],
                known.setdefault(at, at),
                known.setdefault(send_at, send_at),
                parts,
                costs.get(cost) or costs.setdefault(cost, Decimal(cost)),
                known.setdefault(login, login),
                (known[at], *timeline[1:]) if timeline[0] == at else tuple(timeline),
                key,
                request,
            )


def _row(message: AcceptedMessage) -> list[Any]:
    row = [getattr(message, name) for name in _NAMES]
    row[_COST] = str(message.cost)
    return row


Event: TypeAlias = Arrival | Departure | StatusSet | AccountPut | StateSnapshot | StoredMessages

_NAMES: Final = tuple(each.name for each in fields(AcceptedMessage))
_COST: Final = _NAMES.index("cost")
_CHANNELS: Final = {channel.value: channel for channel in ServiceChannel}
_ROWS: Final = 500
_KINDS: Final[Mapping[str, type[Event]]] = {
    "method": Arrival,
    "ticket": Departure,
    "key": StatusSet,
    "account": AccountPut,
    "snapshot": StateSnapshot,
    "rows": StoredMessages,
}
"""The first field of each event, by which it is recognized."""


def read_event(stored: Mapping[str, Any]) -> Event:
    """Return the event of a line.

    Raises:
        TypeError: It is none.
    """
    kind = _KINDS.get(next(iter(stored), ""))
    if kind is None:
        raise TypeError("not an event")
    return kind(**stored)


def write_event(event: Event) -> dict[str, Any]:
    """Return the line of an event."""
    return {each.name: getattr(event, each.name) for each in fields(event)}
