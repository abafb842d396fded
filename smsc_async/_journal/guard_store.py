"""What the guards have counted, kept in a journal, so that a restart does not begin to count anew."""

import secrets
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from math import inf
from typing import Final

from smsc_async._clock import LoopClock
from smsc_async._model import GuardStoreError, JournalError
from smsc_async.guards import Demand, Limit, MemoryStore, Refusal, Release, Reservation, RuleState

from .rows import KeyHistory
from .store import JournalStore, RunBlocking

__all__ = ["JournalGuardStore"]

# What was in flight when the process died may still have been counted. For the same send the journal knows better: it
# is settled by its status. Connections end with their process, and silence proves no wrong credentials.
_COUNTED_IF_LOST: Final = frozenset({"status", "balance", "identical_cost", "subscriber"})


class JournalGuardStore:
    """Histories in this process, each change of which is in the journal before the request leaves.

    Args:
        store: The journal's file.
        do: Does something with it, off the event loop.
        late_arrival: Seconds for which a request of a dead process may still be on its way.
    """

    def __init__(self, store: JournalStore, do: RunBlocking, *, late_arrival: float) -> None:
        self._store = store
        self._run_blocking = do
        self._late = late_arrival
        self._clock = LoopClock()
        self._memory: MemoryStore | None = None
        self._changed: dict[tuple[str, bytes], float] = {}

    @property
    def salt(self) -> bytes | None:
        """What keys are hashed with: the journal's own; None until it is open."""
        return None if self._memory is None else self._memory.salt

    def rebind(self) -> None:
        """Go on with the clock of the running event loop."""
        self._clock.rebase()

    async def open(self) -> bytes:
        """Read what was counted; return the salt.

        Raises:
            GuardStoreError: It can't be read.
        """
        try:
            salt = await self._run_blocking(self._salt)
            histories = await self._run_blocking(self._store.histories, time.time())
        except JournalError as error:
            raise _refusal(error) from error
        # Two requests that come at once both get here; what the first has counted stays.
        if self._memory is None:
            self._memory = MemoryStore(self._clock, salt=salt)
            self._restore(self._memory, histories)
        return salt

    async def acquire(self, demands: Sequence[Demand], hold: float) -> Reservation | Refusal:
        """Take the places of a request, and let the journal know before it leaves.

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
        """Give each demand its mark; the journal learns it with the next request, and until then it counts more."""
        self._opened.release(reservation, releases)
        for demand, amount, release in zip(reservation.demands, reservation.amounts, releases, strict=True):
            if demand.limit.span and (amount or release.keep or release.clear):
                self._changed[demand.rule, demand.key] = demand.limit.span
            if demand.proof is not None and release.proof is not None:
                self._changed[MemoryStore.proofs, demand.proof] = MemoryStore.proof_lasts

    async def flush(self) -> None:
        """Write what was settled; a journal that can't be written keeps what it knows, which counts more."""
        try:
            await self._write()
        except JournalError:
            return

    def pause(self, delay: float, tries: int) -> float:
        """Return in how many seconds to ask again."""
        return self._opened.pause(delay, tries)

    async def snapshot(self, limits: Mapping[str, Limit]) -> Mapping[str, RuleState]:
        """Return what is known of each rule."""
        await self.open()
        return await self._opened.snapshot(limits)

    async def aclose(self) -> None:
        """Write what was settled."""
        await self.flush()

    @property
    def _opened(self) -> MemoryStore:
        if self._memory is None:
            raise GuardStoreError("what the guards have counted is not read yet, nothing was sent")
        return self._memory

    def _salt(self) -> bytes:
        known = self._store.get("salt")
        if known is None:
            known = secrets.token_hex(16)
            self._store.put("salt", known)
        return bytes.fromhex(known)

    def _restore(self, memory: MemoryStore, histories: Sequence[KeyHistory]) -> None:
        offset = self._clock() - time.time()
        for history in histories:
            lost = [self._clock() + self._late] if history.rule in _COUNTED_IF_LOST else []
            known = (lost if each is None else [each + offset] for each in history.instants)
            memory.restore(history.rule, history.key, history.span, tuple(sorted(chain.from_iterable(known))))

    async def _write(self) -> None:
        if self._memory is None or not self._changed:
            return
        changed, self._changed = self._changed, {}
        offset = time.time() - self._clock()
        histories = []
        for (rule, key), span in changed.items():
            instants = [None if each == inf else each + offset for each in self._memory.history(rule, key)]
            histories.append(KeyHistory(rule, key, span, tuple(instants)))
        try:
            await self._run_blocking(self._store.put_histories, histories)
        except BaseException:
            self._changed = changed | self._changed
            raise


def _refusal(error: JournalError) -> GuardStoreError:
    return GuardStoreError(f"what was sent can't be counted, so nothing was sent: {error}")
