"""The state that a client keeps in case Redis loses it: its requests in flight, and the proofs that it has seen."""

import os
import secrets
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from smsc_async.guards._limits import Release
from smsc_async.guards._store import PROOF_LASTS, Demand, Reservation

__all__ = ["Flights", "Proofs"]

_MILLISECONDS: Final = 1_000
_PROOFS: Final = 10_000
# Seconds after which an answer that accepts the credentials renews their proof.
_RENEWED_EVERY: Final = 1.0


class Flights:
    """The requests of one client that have not been released, and until when they may be in flight.

    Args:
        clock: Returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._name = secrets.token_hex(4)
        self._until: dict[str, float] = {}
        self._lost: dict[str, float] = {}
        self._reported = 0.0

    def __contains__(self, token: str) -> bool:
        return token in self._until

    def token(self) -> str:
        """Return a token that begins with a name of this process, which is a different one after a fork."""
        return f"{self._name}{os.getpid() & 0xFFFF:04x}{secrets.token_hex(8)}"

    def start(self, token: str, lease: float, *, lost: bool) -> None:
        """Add a request; `lost` says whether Redis may have lost its slots meanwhile."""
        self._until[token] = self._clock() + lease
        if lost:
            self._lost[token] = self._until[token]

    def end(self, token: str, releases: Sequence[Release]) -> None:
        """Note that a request has ended; if slots are held, another release of it follows."""
        late = max((release.late for release in releases), default=0.0)
        until = min(self._until.pop(token), self._clock() + late)
        if any(release.hold for release in releases):
            self._until[token] = until
        if token in self._lost:
            self._lost[token] = until

    def lose(self) -> None:
        """Note that Redis may have lost the slots of all these requests."""
        self._lost.update(self._until)

    def report(self) -> float:
        """Return the seconds for which a request whose slots were lost may be in flight, 0 for none."""
        if not self._lost:
            return 0.0
        now = self._clock()
        self._lost = {token: until for token, until in self._lost.items() if until > now}
        report = max(self._lost.values(), default=now) - now
        self._reported = max(self._reported, report)
        return report

    def reported(self, report: float) -> None:
        """Note that Redis has received a report."""
        self._reported = report

    @property
    def is_over(self) -> bool:
        """Whether all requests whose slots were lost have ended and Redis doesn't know it."""
        return self._reported > 0 and not self.report()

    @property
    def is_reporting(self) -> bool:
        """Whether a request may be in flight, or Redis must be notified that there is none any more."""
        now = self._clock()
        return self._reported > 0 or any(until > now for until in self._until.values())


class Proofs:
    """The proofs that one client has seen, and until when they count; the latest ten thousand.

    Args:
        clock: Returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[bytes, float] = {}

    def left(self, proof: bytes) -> float:
        """Return the seconds for which a proof counts, 0 if this client has seen none."""
        return max(self._until.get(proof, -inf) - self._clock(), 0.0)

    def see(self, demands: Sequence[Demand], granted: Sequence[int], now: float) -> None:
        """Note the proofs that Redis has: a negative amount is the milliseconds for which one counts."""
        for demand, amount in zip(demands, granted, strict=True):
            if demand.proof is not None and amount < 0:
                self._keep(demand.proof, now - amount / _MILLISECONDS)

    def note(self, reservation: Reservation, releases: Sequence[Release]) -> set[bytes]:
        """Note what an answer says about proofs; return those that Redis has to renew."""
        renewed: set[bytes] = set()
        for demand, amount, release in zip(reservation.demands, reservation.amounts, releases, strict=True):
            if demand.proof is not None and release.proof is False:
                self._until.pop(demand.proof, None)
            elif demand.proof is not None and release.proof and self._is_due(demand.proof, is_new=amount > 0):
                self._keep(demand.proof, self._clock() + PROOF_LASTS)
                renewed.add(demand.proof)
        return renewed

    def _is_due(self, proof: bytes, *, is_new: bool) -> bool:
        # A request that was let through on an old proof proves nothing if it has been refuted meanwhile.
        left = self.left(proof)
        return is_new if not left else left <= PROOF_LASTS - _RENEWED_EVERY

    def clear(self) -> None:
        """Remove all proofs: their keys are invalid under another salt."""
        self._until.clear()

    def _keep(self, proof: bytes, until: float) -> None:
        self._until.pop(proof, None)
        while len(self._until) >= _PROOFS:
            del self._until[next(iter(self._until))]
        self._until[proof] = until
