"""Where the histories of the keys are kept, so that all who send for an account count together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ._limits import Limit, Release

__all__ = ["Demand", "Refusal", "Reservation", "RuleState", "Store"]


class Demand(NamedTuple):
    """A place that a request needs under one limit.

    Attributes:
        rule: The name of the rule.
        key: Under which its history is kept; it tells nothing about what it stands for.
        limit: The limit.
        amount: How many places.
        proof: The key of a proof that makes this demand needless: credentials that have been accepted.
        forced: Whether the place is taken even if there is none.
    """

    rule: str
    key: bytes
    limit: Limit
    amount: int = 1
    proof: bytes | None = None
    forced: bool = False


class Refusal(NamedTuple):
    """No place was taken, because one demand can't be met.

    Attributes:
        demand: Which.
        delay: Seconds until it may be; infinity if that hangs on requests in flight.
    """

    demand: Demand
    delay: float


@dataclass(slots=True, eq=False)
class Reservation:
    """Places that a request holds until it is settled.

    Attributes:
        demands: What it asked for.
        amounts: How many places each demand takes: 0 where a proof made it needless.
        started: The store's time of the reservation.
        token: What the store knows it by.
        expires: The time of the client's clock after which nothing may be sent on it, infinity for never.
    """

    demands: Sequence[Demand]
    amounts: Sequence[int]
    started: float
    token: str = ""
    expires: float = float("inf")


@dataclass(frozen=True, slots=True)
class RuleState:
    """What a store knows of one rule.

    Attributes:
        keys: How many keys have a history.
        in_flight: How many places requests in flight hold.
        full: The keys, in hexadecimal, without a place, and in how many seconds they have one, None if that hangs on
            requests in flight.
    """

    keys: int
    in_flight: int
    full: Mapping[str, float | None]


class Store(Protocol):
    """Keeps histories. All of a request's demands are met together or not at all."""

    @property
    def salt(self) -> bytes | None:
        """What keys are hashed with, the same for all who share the histories; None until the store is open."""

    def rebind(self) -> None:
        """Take up the running event loop; what belongs to another one is of no use here."""

    async def open(self) -> bytes:
        """Get ready; return the salt.

        Raises:
            GuardStoreError: The store can't be used.
        """

    async def acquire(self, demands: Sequence[Demand], hold: float) -> Reservation | Refusal:
        """Take the places of a request that is settled within `hold` seconds.

        Raises:
            GuardStoreError: The store can't tell whether there are places.
        """

    def release(self, reservation: Reservation, releases: Sequence[Release]) -> None:
        """Give each demand of a reservation its mark, at once or soon."""

    async def flush(self) -> None:
        """Wait until all that was settled is known to everybody."""

    def pause(self, delay: float, tries: int) -> float:
        """Return in how many seconds to ask again after so many refusals, the last with this delay."""

    async def snapshot(self, limits: Mapping[str, Limit]) -> Mapping[str, RuleState]:
        """Return what is known of each rule; where there are very many keys, of some of them."""

    async def aclose(self) -> None:
        """Flush, and give back what belongs to the event loop; the histories stay."""
