"""The histories of the guards, stored in the journal, so that they survive a restart."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from math import inf
from typing import Final

from smsc_async._clock import LoopClock, disk_time
from smsc_async._model import GuardStoreError, JournalError
from smsc_async.guards import PROOF_LASTS, Demand, Limit, MemoryStore, Refusal, Release, Reservation, RuleState, Slice

from .rows import KeyHistory
from .store import JournalStore, RunBlocking

__all__ = ["JournalGuardStore"]

_log = logging.getLogger("smsc_async")

# The service may have counted a request that was in flight when the process died. Rules for identical sends are left
# out, because the journal reconciles those requests by their status. Connections end with their process, and a missing
# answer is no evidence of wrong credentials.
_COUNTED_IF_LOST: Final = frozenset({"status", "balance", "identical_cost", "subscriber"})
_UNKNOWN: Final = (
    "the machine was restarted, or is another one, since the journal was written, so it is unknown how long ago its "
    "last requests were made: the limits count them as if they had just been made, once"
)


class JournalGuardStore:
    """Guard histories in memory; each change is written to the journal before the request leaves.

    Entries are stored as ages, so that a wall clock that is set changes nothing. After a restart of the machine, or on
    another one, their ages are unknown: they count as if the requests had just been made, and credentials as unproven.

    Args:
        store: The journal's file.
        run_blocking: Calls a method of the store off the event loop.
        late_arrival: Seconds for which a request of a process that died may still arrive.
    """

    def __init__(self, store: JournalStore, run_blocking: RunBlocking, *, late_arrival: float) -> None:
        self._store = store
        self._run_blocking = run_blocking
        self._late = late_arrival
        self._clock = LoopClock()
        self._memory: MemoryStore | None = None
        self._changed: dict[tuple[str, bytes], float] = {}

    @property
    def salt(self) -> bytes | None:
        """The salt of the journal for hashing keys; None until `open` is called."""
        return None if self._memory is None else self._memory.salt

    def rebind(self) -> None:
        """Use the clock of the running event loop from now on."""
        self._clock.rebase()

    async def open(self) -> bytes:
        """Read the stored histories and return the salt.

        Raises:
            GuardStoreError: The journal can't be read.
        """
        try:
            salt = await self._run_blocking(self._salt)
            histories = await self._run_blocking(self._store.histories)
            # Two concurrent requests may both get here; keep what the first one has counted.
            if self._memory is None:
                self._memory = MemoryStore(self._clock, salt=salt)
                self._restore(self._memory, histories)
                # An unknown age counts once: store the ages that were assumed, for the next process.
                await self._write(instead=True)
        except JournalError as error:
            raise _refusal(error) from error
        return salt

    async def acquire(self, demands: Sequence[Demand], hold: float) -> Reservation | Refusal:
        """Reserve the slots of a request, and write them to the journal before the request leaves.

        Raises:
            GuardStoreError: The journal can't be written.
        """
        memory = self._opened
        answer = await memory.acquire(demands, hold)
        if isinstance(answer, Refusal):
            return answer
        for demand, amount in zip(answer.demands, answer.amounts, strict=True):
            if amount and demand.limit.span:
                self._changed[demand.rule, demand.key] = demand.limit.span
        try:
            await self._write()
        except BaseException as error:
            memory.release(answer, [Release()] * len(demands))
            if isinstance(error, JournalError):
                raise _refusal(error) from error
            raise
        return answer

    def release(self, reservation: Reservation, releases: Sequence[Release]) -> None:
        """Release the slots of a request.

        The journal is updated with the next request; a process that dies before that leaves histories that count too
        many requests, never too few.
        """
        self._opened.release(reservation, releases)
        for demand, amount, release in zip(reservation.demands, reservation.amounts, releases, strict=True):
            if demand.limit.span and (amount or release.keep or release.clear):
                self._changed[demand.rule, demand.key] = demand.limit.span
            if demand.proof is not None and release.proof is not None:
                self._changed[MemoryStore.proofs, demand.proof] = PROOF_LASTS

    async def flush(self) -> None:
        """Write the pending releases; if that fails, the journal keeps older histories, which count more requests."""
        try:
            await self._write()
        except JournalError:
            return

    def pause(self, delay: float, tries: int) -> float:
        """Return the seconds to wait before the next attempt to reserve."""
        return self._opened.pause(delay, tries)

    async def snapshot(self, limits: Mapping[str, Limit]) -> Mapping[str, RuleState]:
        """Return the state of each rule."""
        await self.open()
        return await self._opened.snapshot(limits)

    async def aclose(self) -> None:
        """Write the pending releases."""
        await self.flush()

    @property
    def _opened(self) -> MemoryStore:
        if self._memory is None:
            raise GuardStoreError("the histories of the guards have not been read yet; nothing was sent")
        return self._memory

    def _salt(self) -> bytes:
        known = self._store.get("salt")
        if known is None:
            known = secrets.token_hex(16)
            self._store.put("salt", known)
        # A corrupted salt still works: keys that were counted under another one are counted from zero.
        return known.encode()

    def _restore(self, memory: MemoryStore, histories: Sequence[KeyHistory]) -> None:
        now, clock, is_unknown = disk_time(), self._clock(), False
        for rule, key, span, at, ages, costs in histories:
            elapsed = now.since(at)
            is_unknown = is_unknown or elapsed is None
            if elapsed is None and rule == MemoryStore.proofs:
                continue
            lost = [clock + self._late] if rule in _COUNTED_IF_LOST else []
            # An entry in the future counts for at most one more window.
            known = (lost if age is None else [clock - (elapsed or 0.0) - max(age, -span)] for age in ages)
            entries = tuple(chain.from_iterable(known))
            if costs:
                memory.restore_spent(key, (Slice(last, *each) for last, each in zip(entries, costs, strict=True)))
            else:
                memory.restore(rule, key, span, tuple(sorted(entries)))
            self._changed[rule, key] = span
        if is_unknown:
            _log.warning(_UNKNOWN)

    async def _write(self, *, instead: bool = False) -> None:
        if self._memory is None or not (self._changed or instead):
            return
        changed, self._changed = self._changed, {}
        now, clock = disk_time(), self._clock()
        histories = []
        for (rule, key), span in changed.items():
            entries = self._memory.history(rule, key)
            costs: tuple[tuple[int, ...], ...] = ()
            if rule == "spend":
                spent = list(self._memory.spent(key))
                entries = tuple(each.last for each in spent)
                costs = tuple((each.units, each.unpriced, each.dearest) for each in spent)
            ages = [None if each == inf else clock - each for each in entries]
            histories.append(KeyHistory(rule, key, span, now, tuple(ages), costs))
        try:
            await self._run_blocking(partial(self._store.put_histories, histories, instead=instead))
        except BaseException:
            self._changed = changed | self._changed
            raise


def _refusal(error: JournalError) -> GuardStoreError:
    return GuardStoreError(f"the histories of the guards can't be stored, so nothing was sent: {error}")
