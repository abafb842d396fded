"""The guard store in the memory of this process."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from math import inf, isinf
from typing import ClassVar, Final

from smsc_async._clock import LoopClock
from smsc_async._model import wrong

from ._limits import BlockLimit, History, HistoryLimit, Limit, Release, SpendLimit
from ._spend import Slice, SpendHistory
from ._store import PROOF_LASTS, Demand, Refusal, Reservation, RuleState

__all__ = ["MemoryStore"]

_SHORTEST_TERM: Final = 60.0
_SWEPT: Final = 8
# Guards wake waiters when their own requests end; this poll interval covers other guards on the same store.
_LONGEST_PAUSE: Final = 1.0
# A shorter pause may be lost to rounding when it is added to an instant.
_SHORTEST_PAUSE: Final = 0.001
_SHOWN: Final = 10_000


class _Table:
    """The histories under one rule, in two generations, so that idle keys expire without a search.

    Histories written in the current term are young. At the end of the term they become old, and they are dropped
    together when all of them have expired.

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
        """Store the history of a key; an empty one removes the key."""
        if not history:
            self.young.pop(key, None)
            self.old.pop(key, None)
            return
        self.young[key] = history
        last = history[-1]
        latest = now if last == inf else last
        self._latest = max(self._latest, latest)

    def is_due(self, now: float) -> bool:
        """Return whether a term is over; if not, free a few dropped histories, so that no call has to free them all."""
        if now >= self.due:
            return True
        for _ in range(min(len(self.dying), _SWEPT)):
            self.dying.popitem()
        return False

    def turn(self, now: float, flying: Mapping[bytes, History]) -> None:
        """Begin a new term if the old generation has expired; histories of requests in flight stay young."""
        if now < self._latest_old + self.span:
            self.due = self._latest_old + self.span
            return
        self.dying = self.old
        self.old, self._latest_old = self.young, self._latest
        self.young, self._latest = dict(flying), now
        self.due = now + max(self.span, _SHORTEST_TERM)

    def sweep(self, now: float, flying: Mapping[bytes, History]) -> None:
        """Remove all histories that have expired or were dropped."""
        self.dying.clear()
        if now >= self._latest_old + self.span:
            self.old = {key: history for key, history in self.old.items() if key in flying}
        if now >= self._latest + self.span:
            self.young = {key: history for key, history in self.young.items() if key in flying}


class MemoryStore:
    """Histories in this process, for all clients that share the guards it belongs to.

    Args:
        clock: Returns the seconds of a monotonic clock; None for that of the running event loop.
        salt: The key of the hashes; None for a random one.
    """

    proofs: ClassVar[str] = "proofs"
    """The name under which `restore` and `history` keep the proofs of credentials."""

    def __init__(self, clock: Callable[[], float] | None = None, *, salt: bytes | None = None) -> None:
        if not (clock is None or callable(clock)):
            raise wrong("clock", "a function that returns seconds, such as ManualClock().now, or None", clock)
        self._clock: Callable[[], float] = LoopClock() if clock is None else clock
        self._salt = secrets.token_bytes(16) if salt is None else salt
        self._tables: dict[str, _Table] = {}
        self._spent: dict[bytes, SpendHistory] = {}
        self._flying: set[Reservation] = set()

    def __len__(self) -> int:
        now = self._clock()
        for name, table in self._tables.items():
            table.sweep(now, self._in_flight(name, table))
        return sum(map(len, self._tables.values()))

    @property
    def salt(self) -> bytes:
        """The key of the hashes."""
        return self._salt

    def anew(self) -> "MemoryStore":
        """Return an empty store on the same clock."""
        return MemoryStore(None if isinstance(self._clock, LoopClock) else self._clock, salt=self._salt)

    def rebind(self) -> None:
        """Switch to the clock of the running event loop."""
        if isinstance(self._clock, LoopClock):
            self._clock.rebase()

    async def open(self) -> bytes:
        """Return the salt."""
        return self._salt

    async def acquire(self, demands: Sequence[Demand], hold: float) -> Reservation | Refusal:  # noqa: ARG002 - nothing expires here
        """Reserve the slots of a request, all or none."""
        now = self._clock()
        added: list[tuple[_Table, bytes, History]] = []
        amounts: list[int] = []
        for demand in demands:
            rule, key, limit, amount, proof, forced = demand
            if proof is not None and self._is_proven(proof, now):
                amounts.append(0)
                continue
            if isinstance(limit, SpendLimit):
                delay = self._spending(key, limit, now).delay(limit, now, amount)
                if delay:
                    return Refusal(demand, delay)
                amounts.append(amount)
                continue
            table = self._table(rule, limit.span, now)
            history = limit.fresh(table.get(key), now)
            delay = 0.0 if forced else limit.delay(history, now, amount)
            if delay:
                return Refusal(demand, delay)
            amounts.append(amount)
            if amount:
                added.append((table, key, history + (inf,) * amount))
        for table, key, history in added:
            table.put(key, history, now)
        reservation = Reservation(demands, amounts, now)
        self._flying.add(reservation)
        for demand in demands:
            if isinstance(demand.limit, SpendLimit):
                self._spent[demand.key].flights[reservation] = demand.amount, inf
        return reservation

    def release(self, reservation: Reservation, releases: Sequence[Release]) -> None:
        """Apply the release of each demand of a reservation; a second call does nothing."""
        if reservation not in self._flying:
            return
        holds = any(release.hold for release in releases)
        if not holds:
            self._flying.remove(reservation)
        now = self._clock()
        for number, (demand, release) in enumerate(zip(reservation.demands, releases, strict=True)):
            if isinstance(demand.limit, SpendLimit):
                self._spent.setdefault(demand.key, SpendHistory()).release(reservation, release, now)
            elif not release.hold:
                self._release(demand, demand.limit, reservation.amounts[number], reservation.started, release, now)
                reservation.amounts[number] *= not holds

    async def flush(self) -> None:
        """Do nothing: releases take effect at once."""

    def pause(self, delay: float, tries: int) -> float:  # noqa: ARG002 - the delay is known here
        """Return the seconds until the next try: the delay, or a poll interval if requests in flight determine it."""
        return _LONGEST_PAUSE if isinf(delay) else max(delay, _SHORTEST_PAUSE)

    async def snapshot(self, limits: Mapping[str, Limit]) -> Mapping[str, RuleState]:
        """Return the state of each rule; of more than ten thousand keys only some are examined."""
        now = self._clock()
        return {name: self._state(name, limit, now) for name, limit in limits.items()}

    async def aclose(self) -> None:
        """Do nothing: the histories stay for the next event loop."""

    def history(self, rule: str, key: bytes) -> History:
        """Return the history of a key, so that a caller can store it elsewhere."""
        table = self._tables.get(rule)
        return () if table is None else table.get(key)

    def restore(self, rule: str, key: bytes, span: float, history: History) -> None:
        """Restore the history of a key that was stored elsewhere."""
        now = self._clock()
        self._table(rule, span, now).put(key, history, now)

    def spent(self, key: bytes) -> Iterable[Slice]:
        """Return what an account has spent, so that a caller can store it elsewhere."""
        return self._spent[key].all(self._clock()) if key in self._spent else ()

    def restore_spent(self, key: bytes, slices: Iterable[Slice]) -> None:
        """Restore what an account has spent that was stored elsewhere."""
        history = self._spent.setdefault(key, SpendHistory())
        for each in slices:
            history.add(each)

    def _state(self, name: str, limit: Limit, now: float) -> RuleState:
        if isinstance(limit, SpendLimit):
            return self._spend_state(limit, now)
        table = self._table(name, limit.span, now)
        keys = in_flight = used = 0
        full: dict[str, float | None] = {}
        for key in islice(chain(table.young, (key for key in table.old if key not in table.young)), _SHOWN):
            history = limit.fresh(table.get(key), now)
            keys += bool(history)
            in_flight += sum(map(isinf, history))
            delay = limit.delay(history, now, 1)
            used = max(used, bool(delay) if isinstance(limit, BlockLimit) else len(history))
            if delay:
                full[key.hex()] = None if isinf(delay) else delay
        return RuleState(keys, in_flight, full, used)

    def _release(  # noqa: PLR0917 - the arguments of `released`, and the demand
        self, demand: Demand, limit: HistoryLimit, amount: int, started: float, release: Release, now: float
    ) -> None:
        if amount or release.keep or release.clear or release.fill:  # otherwise the history does not change
            table = self._table(demand.rule, limit.span, now)
            history = table.get(demand.key)
            if history or release.keep or release.fill:
                table.put(demand.key, limit.released(history, now, started, amount, release), now)
        if demand.proof is not None and release.proof is not None:
            self._note(demand.proof, now, proven=release.proof, is_new=amount > 0)

    def _spend_state(self, limit: SpendLimit, now: float) -> RuleState:
        self._forget_spent(limit, now)
        delays = {key.hex(): spent.delay(limit, now, 1) for key, spent in self._spent.items()}
        full = {key: None if isinf(delay) else delay for key, delay in delays.items() if delay}
        used = max((spent.units for spent in self._spent.values()), default=0)
        return RuleState(len(delays), sum(spent.flying(now) for spent in self._spent.values()), full, used)

    def _forget_spent(self, limit: SpendLimit, now: float) -> None:
        self._spent = {key: spent for key, spent in self._spent.items() if not spent.forget(limit, now)}

    def _spending(self, key: bytes, limit: SpendLimit, now: float) -> SpendHistory:
        if key not in self._spent:
            self._forget_spent(limit, now)
            self._spent[key] = SpendHistory()
        return self._spent[key]

    def _table(self, name: str, span: float, now: float) -> _Table:
        table = self._tables.get(name)
        if table is not None and now < table.due and not table.dying and span <= table.span:
            return table
        if table is None:
            table = self._tables[name] = _Table(span)
        elif span > table.span:  # other guards, with other rules, share the store
            table.span = span
        if table.is_due(now):
            table.turn(now, self._in_flight(name, table))
        return table

    def _in_flight(self, name: str, table: _Table) -> dict[bytes, History]:
        demands = (demand for reservation in self._flying for demand in reservation.demands if demand.rule == name)
        return {demand.key: history for demand in demands if (history := table.get(demand.key))}

    def _is_proven(self, proof: bytes, now: float) -> bool:
        proven = self._table(self.proofs, PROOF_LASTS, now).get(proof)
        return bool(proven) and now < proven[0] + PROOF_LASTS

    def _note(self, proof: bytes, now: float, *, proven: bool, is_new: bool) -> None:
        table = self._table(self.proofs, PROOF_LASTS, now)
        # A request that was let through on an old proof renews it, but proves nothing if it has been refuted meanwhile.
        if not proven or is_new or self._is_proven(proof, now):
            table.put(proof, (now,) if proven else (), now)
