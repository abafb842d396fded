"""Histories in this process."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from math import inf, isinf
from typing import ClassVar, Final, TypeAlias

from smsc_async._clock import LoopClock

from ._limits import History, Limit, Release
from ._store import Demand, Refusal, Reservation, RuleState

__all__ = ["MemoryStore"]

Clock: TypeAlias = Callable[[], float]

_SHORTEST_TERM: Final = 60.0
_SWEPT: Final = 8
# Guards wake those who wait for their own requests; for those of other guards on the same store this is often enough.
_LONGEST_PAUSE: Final = 1.0
# Below this the sum of an instant and a pause may be the instant itself.
_SHORTEST_PAUSE: Final = 0.001
_SHOWN: Final = 10_000


class _Table:
    """The histories under one rule, in two generations, so that a key that nobody touches costs nobody a search.

    What was written in one term is young. At the end of the term it becomes old, and goes when all of it has expired.

    Args:
        span: Seconds for which an entry counts.
    """

    __slots__ = ("_latest", "_latest_old", "due", "dying", "old", "span", "young")

    def __init__(self, span: float) -> None:
        self.span = span
        self.young: dict[bytes, History] = {}
        self.old: dict[bytes, History] = {}
        self.dying: dict[bytes, History] = {}
        self._latest = self._latest_old = self.due = -inf

    def __len__(self) -> int:
        return len(self.young) + sum(key not in self.young for key in self.old)

    def get(self, key: bytes) -> History:
        """Return the history of a key, empty if there is none."""
        return self.young.get(key) or self.old.get(key) or ()

    def put(self, key: bytes, history: History, now: float) -> None:
        """Keep the history of a key; an empty one is none."""
        if not history:
            self.young.pop(key, None)
            self.old.pop(key, None)
            return
        self.young[key] = history
        last = history[-1]
        latest = now if last == inf else last
        self._latest = max(self._latest, latest)

    def is_due(self, now: float) -> bool:
        """Whether a term is over; otherwise a little of what was dropped goes, so that no call waits for all of it."""
        if now >= self.due:
            return True
        for _ in range(min(len(self.dying), _SWEPT)):
            self.dying.popitem()
        return False

    def turn(self, now: float, flying: Mapping[bytes, History]) -> None:
        """Age by a term, if the old generation has expired; those in flight stay young."""
        if now < self._latest_old + self.span:
            self.due = self._latest_old + self.span
            return
        self.dying = self.old
        self.old, self._latest_old = self.young, self._latest
        self.young, self._latest = dict(flying), now
        self.due = now + max(self.span, _SHORTEST_TERM)

    def sweep(self, now: float, flying: Mapping[bytes, History]) -> None:
        """Let go of everything that has expired or is dropped."""
        self.dying.clear()
        if now >= self._latest_old + self.span:
            self.old = {key: history for key, history in self.old.items() if key in flying}
        if now >= self._latest + self.span:
            self.young = {key: history for key, history in self.young.items() if key in flying}


class MemoryStore:
    """Histories in this process, for all clients that share the guards it belongs to.

    Args:
        clock: Returns the seconds of a clock that never goes back; None for that of the running event loop.
        salt: What keys are hashed with; None for something random.
    """

    proofs: ClassVar[str] = "proofs"
    """The name under which `restore` and `history` keep the proofs of credentials."""
    proof_lasts: ClassVar[float] = 86_400.0
    """Seconds for which a proof counts."""

    def __init__(self, clock: Clock | None = None, *, salt: bytes | None = None) -> None:
        self._clock: Clock = LoopClock() if clock is None else clock
        self._salt = secrets.token_bytes(16) if salt is None else salt
        self._tables: dict[str, _Table] = {}
        self._flying: set[Reservation] = set()

    def __len__(self) -> int:
        now = self._clock()
        for name, table in self._tables.items():
            table.sweep(now, self._in_flight(name, table))
        return sum(map(len, self._tables.values()))

    @property
    def salt(self) -> bytes:
        """What keys are hashed with."""
        return self._salt

    def rebind(self) -> None:
        """Go on with the clock of the running event loop."""
        if isinstance(self._clock, LoopClock):
            self._clock.rebase()

    async def open(self) -> bytes:
        """Return the salt."""
        return self._salt

    async def acquire(self, demands: Sequence[Demand], hold: float) -> Reservation | Refusal:  # noqa: ARG002 - nothing expires here
        """Take the places of a request, all or none."""
        now = self._clock()
        takes: list[tuple[_Table, bytes, History]] = []
        amounts: list[int] = []
        for demand in demands:
            rule, key, limit, amount, proof, forced = demand
            if proof is not None and self._is_proven(proof, now):
                amounts.append(0)
                continue
            table = self._table(rule, limit.span, now)
            history = limit.fresh(table.get(key), now)
            delay = 0.0 if forced else limit.delay(history, now, amount)
            if delay:
                return Refusal(demand, delay)
            amounts.append(amount)
            if amount:
                takes.append((table, key, history + (inf,) * amount))
        for table, key, history in takes:
            table.put(key, history, now)
        reservation = Reservation(demands, amounts, now)
        self._flying.add(reservation)
        return reservation

    def release(self, reservation: Reservation, releases: Sequence[Release]) -> None:
        """Give each demand of a reservation its mark; a second time it does nothing."""
        if reservation not in self._flying:
            return
        self._flying.remove(reservation)
        now = self._clock()
        started = reservation.started
        for demand, amount, release in zip(reservation.demands, reservation.amounts, releases, strict=True):
            rule, key, limit, _, proof, _ = demand
            if amount or release.keep or release.clear or release.fill:  # else the history stays what it is
                table = self._table(rule, limit.span, now)
                history = table.get(key)
                if history or release.keep or release.fill:
                    table.put(key, limit.released(history, now, started, amount, release), now)
            # Refuted always, proven only where it wasn't yet: that is once a day.
            if proof is not None and (release.proof is False or (release.proof and amount)):
                self._table(self.proofs, self.proof_lasts, now).put(proof, (now,) if release.proof else (), now)

    async def flush(self) -> None:
        """Do nothing: what is settled here is known at once."""

    def pause(self, delay: float, tries: int) -> float:  # noqa: ARG002 - nothing to guess here
        """Return in how many seconds to ask again: then, or when a request of other guards may have been settled."""
        return _LONGEST_PAUSE if isinf(delay) else max(delay, _SHORTEST_PAUSE)

    async def snapshot(self, limits: Mapping[str, Limit]) -> Mapping[str, RuleState]:
        """Return what is known of each rule; of more than ten thousand keys only some are looked at."""
        now = self._clock()
        return {name: self._state(self._table(name, limit.span, now), limit, now) for name, limit in limits.items()}

    async def aclose(self) -> None:
        """Do nothing: the histories stay for the next event loop."""

    def history(self, rule: str, key: bytes) -> History:
        """Return what is known of a key, for one who keeps it elsewhere."""
        table = self._tables.get(rule)
        return () if table is None else table.get(key)

    def restore(self, rule: str, key: bytes, span: float, history: History) -> None:
        """Take up what was known of a key elsewhere."""
        now = self._clock()
        self._table(rule, span, now).put(key, history, now)

    def _state(self, table: _Table, limit: Limit, now: float) -> RuleState:
        keys = in_flight = 0
        full: dict[str, float | None] = {}
        for key in islice(chain(table.young, (key for key in table.old if key not in table.young)), _SHOWN):
            history = limit.fresh(table.get(key), now)
            keys += bool(history)
            in_flight += sum(map(isinf, history))
            delay = limit.delay(history, now, 1)
            if delay:
                full[key.hex()] = None if isinf(delay) else delay
        return RuleState(keys, in_flight, full)

    def _table(self, name: str, span: float, now: float) -> _Table:
        table = self._tables.get(name)
        if table is not None and now < table.due and not table.dying and span <= table.span:
            return table
        if table is None:
            table = self._tables[name] = _Table(span)
        elif span > table.span:  # of other guards, with other rules
            table.span = span
        if table.is_due(now):
            table.turn(now, self._in_flight(name, table))
        return table

    def _in_flight(self, name: str, table: _Table) -> dict[bytes, History]:
        demands = (demand for reservation in self._flying for demand in reservation.demands if demand.rule == name)
        return {demand.key: history for demand in demands if (history := table.get(demand.key))}

    def _is_proven(self, proof: bytes, now: float) -> bool:
        proven = self._table(self.proofs, self.proof_lasts, now).get(proof)
        return bool(proven) and now < proven[0] + self.proof_lasts
