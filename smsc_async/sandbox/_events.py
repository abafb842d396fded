"""The events that change what the service remembers; the event log is made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Final, Self, TypeAlias

from ._channels import ServiceChannel
from ._delivery import Change
from ._fields import Value
from ._messages import AcceptedMessage

__all__ = [
    "AccountPut",
    "Arrival",
    "Departure",
    "Event",
    "StateSnapshot",
    "StatusSet",
    "StoredMessage",
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
class StoredMessage:
    """A message of a snapshot.

    Attributes:
        row: The values of an `AcceptedMessage`, in order.
    """

    row: list[Any] = field(repr=False)

    @classmethod
    def of(cls, message: AcceptedMessage) -> Self:
        """Return the event for a message."""
        row = [getattr(message, each.name) for each in fields(message)]
        row[_COST] = str(message.cost)
        return cls(row)

    def message(self) -> AcceptedMessage:
        """Return the message."""
        named = dict(zip(_NAMES, self.row, strict=True))
        named["channel"] = ServiceChannel(named["channel"])
        named["cost"] = Decimal(named["cost"])
        named["life"] = tuple(Change(*change) for change in named["life"])
        return AcceptedMessage(**named)


Event: TypeAlias = Arrival | Departure | StatusSet | AccountPut | StateSnapshot | StoredMessage

_NAMES: Final = tuple(each.name for each in fields(AcceptedMessage))
_COST: Final = _NAMES.index("cost")
_KINDS: Final[Mapping[str, type[Event]]] = {
    "method": Arrival,
    "ticket": Departure,
    "key": StatusSet,
    "account": AccountPut,
    "snapshot": StateSnapshot,
    "row": StoredMessage,
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
