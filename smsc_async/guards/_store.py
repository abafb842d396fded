"""The store of the histories, so that all clients of an account count together."""

import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, Protocol, TypeVar

from smsc_async._model import (
    LOGIN_FAILURES,
    Bar,
    GuardStoreError,
    Shown,
    SmscError,
    TableRow,
    View,
    counted,
    in_utc,
    shown_time,
)

from ._limits import BlockLimit, Limit, Release
from ._spend import UNITS

__all__ = [
    "PAUSE",
    "PROOF_LASTS",
    "Demand",
    "Refusal",
    "Reservation",
    "RuleSnapshot",
    "RuleState",
    "Snapshot",
    "Store",
    "answer_of",
    "written",
]

_log = logging.getLogger("smsc_async")
T = TypeVar("T")

PROOF_LASTS: Final = LOGIN_FAILURES[1]
"""Seconds for which an answer proves the credentials, unless error 2 refutes them."""


class Demand(NamedTuple):
    """The slots that a request needs under one limit.

    Attributes:
        rule: The name of the rule.
        key: The key of the history; it does not reveal what it was made from.
        limit: The limit.
        amount: The number of slots.
        proof: The key of a proof that makes this demand unnecessary: the credentials have been accepted.
        forced: Whether the slots are reserved even if none is free.
    """

    rule: str
    key: bytes
    limit: Limit
    amount: int = 1
    proof: bytes | None = None
    forced: bool = False


PAUSE: Final = Demand("pause", b"", BlockLimit(0.0, 0.0, 0.0), amount=0)
"""The demand of every request that isn't a read; only a store that can pause sending refuses it (`SendingPaused`)."""


class Refusal(NamedTuple):
    """No slot was reserved, because one demand can't be met.

    Attributes:
        demand: The demand that can't be met.
        delay: Seconds until it may be met; infinity if that depends on requests in flight.
    """

    demand: Demand
    delay: float


@dataclass(slots=True, eq=False)
class Reservation:
    """The slots that a request holds until they are released.

    Attributes:
        demands: The demands of the request.
        amounts: The number of slots under each demand: 0 if a proof made the demand unnecessary, or if they were
            released while others are held.
        started: The store's time of the reservation.
        token: The store's id of the reservation.
        expires: The time on the client's clock after which the request must not be sent, infinity for never.
    """

    demands: Sequence[Demand]
    amounts: list[int]
    started: float
    token: str = ""
    expires: float = float("inf")

    @property
    def is_login(self) -> bool:
        """Whether nothing proves the credentials of the request yet."""
        return any(
            demand.proof is not None and amount for demand, amount in zip(self.demands, self.amounts, strict=True)
        )


@dataclass(frozen=True, slots=True)
class RuleState:
    """The state of one rule in a store.

    Attributes:
        keys: The number of keys that have a history.
        in_flight: The number of slots that requests in flight hold.
        full: The keys, in hexadecimal, without a free slot, and the seconds until one is free, None if that depends on
            requests in flight.
        used: The most slots that one key has taken, in flight or in its history.
    """

    keys: int
    in_flight: int
    full: Mapping[str, float | None]
    used: int = 0


@dataclass(frozen=True, slots=True)
class RuleSnapshot:
    """The state of one rule.

    Attributes:
        count: The limit of the rule; of `spend` in 1/10,000 of the currency.
        keys: The number of keys with a history: messages, accounts or addresses, depending on the rule.
        in_flight: The number of slots that requests in flight hold.
        waiting: The number of requests of these guards that wait for a slot.
        full: The keys without a free slot, as hashes, and until when; None if that depends on requests in flight.
        used: The most slots that one key has taken, in flight or since; of `spend` in 1/10,000 of the currency.
    """

    count: int
    keys: int
    in_flight: int
    waiting: int
    full: Mapping[str, datetime | None]
    used: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot(Shown):
    """The state of the guards.

    Attributes:
        taken_at: The moment at which it was taken.
        waiting: The number of requests of these guards that wait.
        rules: The state of each rule that isn't off.
    """

    taken_at: datetime
    waiting: int
    rules: Mapping[str, RuleSnapshot]

    def to_rows(self) -> list[TableRow]:
        """Return a row for each rule; `full` is the number of keys without a free slot, and names none of them."""
        return [
            {
                "rule": name,
                "used": rule.used if name != "spend" else Decimal(rule.used) / UNITS,
                "limit": rule.count if name != "spend" else Decimal(rule.count) / UNITS,
                "keys": rule.keys,
                "in_flight": rule.in_flight,
                "waiting": rule.waiting,
                "full": len(rule.full),
                "full_until": in_utc(max(filter(None, rule.full.values()), default=None)),
            }
            for name, rule in self.rules.items()
        ]

    def _sentence(self) -> str:
        full = sum(bool(rule.full) for rule in self.rules.values())
        return (
            f"The guards at {shown_time(self.taken_at)}: {counted(self.waiting, 'request')} waiting, "
            f"{full} of {counted(len(self.rules), 'rule')} full."
        )

    def _view(self) -> View:
        rows = []
        for row in self.to_rows():
            share = 1.0 if row["full"] else float(row["used"] / row["limit"])
            use = Bar(share, f"{row['used']:,} of {row['limit']:,}")
            rows.append({"rule": row["rule"], "fullest_key": use, **{name: row[name] for name in _FIGURES}})
        return View(self._sentence(), rows)


_FIGURES: Final = "keys", "full", "in_flight", "waiting", "full_until"


class Store(Protocol):
    """Stores histories. All demands of a request are met together or not at all."""

    @property
    def salt(self) -> bytes | None:
        """The key of the hashes, the same for all clients that share the histories; None until the store is open."""

    def rebind(self) -> None:
        """Bind to the running event loop; drop the resources of another one."""

    async def open(self) -> bytes:
        """Prepare the store and return the salt.

        Raises:
            GuardStoreError: The store can't be used.
        """

    async def acquire(self, demands: Sequence[Demand], hold: float) -> Reservation | Refusal:
        """Reserve the slots of a request that releases them within `hold` seconds.

        Raises:
            GuardStoreError: The store can't determine whether slots are free.
        """

    def release(self, reservation: Reservation, releases: Sequence[Release]) -> None:
        """Apply the release of each demand of a reservation, at once or soon.

        Held slots stay reserved: a later call releases them, and does not change what has been released.
        """

    async def flush(self) -> None:
        """Wait until every client that shares the store can see all releases."""

    def pause(self, delay: float, tries: int) -> float:
        """Return the seconds until the next attempt after `tries` refusals, the last one with this delay."""

    async def snapshot(self, limits: Mapping[str, Limit]) -> Mapping[str, RuleState]:
        """Return the state of each rule; of very many keys only some are examined."""

    async def aclose(self) -> None:
        """Flush, and free the resources of the event loop; the histories stay."""


async def answer_of(asking: Awaitable[T]) -> T:
    """Return the answer of a store.

    Raises:
        GuardStoreError: It raised an exception of another library, whose text may be private.
    """
    try:
        return await asking
    except SmscError:
        raise
    except Exception as error:  # noqa: BLE001 - no exception of another library leaves a call
        kind = type(error).__name__
    raise GuardStoreError(f"the store of the guards failed ({kind}), nothing was sent")


async def written(writing: Awaitable[None]) -> None:
    """Wait for a store to write releases; a failure affects no request, because all of them have ended."""
    try:
        await writing
    except Exception as error:  # noqa: BLE001 - see above
        _log.error("the store of the guards failed to write releases (%s)", type(error).__name__)
