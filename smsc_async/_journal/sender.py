"""Sending a job: each request is recorded before it leaves, and reconciled by its status if the answer is lost."""

import logging
import math
from bisect import bisect_right
from collections.abc import Callable, Container, Sequence
from datetime import UTC, datetime
from typing import Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from smsc_async._client import Client
from smsc_async._clock import DiskTime, disk_time
from smsc_async._model import (
    ApiError,
    ConnectError,
    DeliveryReport,
    DuplicateSend,
    GetStatus,
    GuardError,
    GuardStoreError,
    JournalError,
    OnProgress,
    Outcome,
    PoolTimeout,
    Scope,
    Send,
    SendList,
    SendOutcomeUnknown,
    SmscError,
    TooManyRequests,
    UnresolvedSend,
    least_pause,
    wrong,
)
from smsc_async.guards import LimitsInForce

from .pace import UnknownPace
from .requests import operation_of, refused, results
from .rows import ChunkState, StoredChunk
from .store import JournalStore, RunBlocking
from .witness import Witness

__all__ = ["JournalSender", "counted"]

_PAUSE: Final = 5.0
_ENOUGH: Final = 12
_PATIENCE: Final = 90.0  # seconds to reconcile a request, besides those that its unknown messages have to wait
_UNRESOLVED: Final = 3  # an unresolved send counts as three network failures
_NO_PROOF: Final = (
    "the job was planned by an earlier process, and the service can't prove which of the planned messages were sent "
    "since, because it may store their phones in another form, or has older messages with their ids; these are not "
    "sent. If the journal was not restored from an older copy, continue with trust=True (--trust-journal)"
)

_log = logging.getLogger("smsc_async")


class JournalSender:
    """Sends the planned requests of a journal, each once.

    Args:
        client: The client that sends.
        store: The journal's file.
        run_blocking: Calls a method of the store off the event loop.
        workers: The number of concurrent requests.
        opened_at: When the journal was opened. A request attempted before that left before that, if at all.
        note: Called with the number of messages that have received an answer since the last call.
    """

    def __init__(
        self,
        client: Client,
        store: JournalStore,
        run_blocking: RunBlocking,
        *,
        workers: int,
        opened_at: datetime,
        note: Callable[[int], None],
    ) -> None:
        self._client = client_of(client)
        self._store = store
        self._run_blocking = run_blocking
        self._limits = LimitsInForce.of(getattr(client, "guards", None))
        self._workers = min(workers, self._limits.in_flight)
        self._opened_at = opened_at
        self._note = note
        self._pace = UnknownPace(client, store.lock_file, most=self._limits.status_in_flight)
        self._reconciling = anyio.Semaphore(self._workers)
        self._trouble = 0
        self._unresolved: list[int] = []
        self._stopped = anyio.Event()
        self._reason: Exception | None = None
        # Attempts of earlier senders ended before this one began, whatever the clocks in the file say.
        self._began = disk_time()
        self._failed_at: dict[int, DiskTime] = {}

    async def catch_up(self) -> list[int]:
        """Reconcile the planned requests that the service may have, because the journal may be outdated.

        Returns:
            The keys of the requests that the service may have although no status can show it.

        Raises:
            SmscError: A status can't be requested.
        """
        keys = await self._run_blocking(self._store.chunks, ChunkState.PLANNED)
        if not keys:
            return []
        await anyio.sleep(self._limits.late_arrival)  # a request of a process that has ended may still arrive
        planned_at = await self._run_blocking(self._store.planned_at)
        witness = Witness(
            self._store,
            self._run_blocking,
            self._status,
            workers=self._workers,
            planned_at=planned_at,
            skew=self._client.clock_skew,
        )
        known = bisect_right(keys, await self._run_blocking(self._store.furthest))
        while True:
            if known:
                await self._round(keys[:known], [])
                keys = keys[known:]
            if self._reason is not None:
                raise self._reason
            last = await witness.last_known(keys)
            if last is None:
                return witness.unproved
            known = last + 1

    async def run(self, held: Container[int] = ()) -> None:
        """Send and reconcile all requests except those that are held back.

        Raises:
            JournalError: Some are held back.
            SmscError: The job had to stop; planned messages stay planned.
        """
        keys = await self._run_blocking(self._store.chunks, ChunkState.PLANNED)
        planned = [key for key in keys if key not in held]
        unreconciled = await self._run_blocking(self._store.chunks, ChunkState.ATTEMPTED, ChunkState.UNRESOLVED)
        # One request alone first: with wrong credentials all workers would fail at once, and five failures block the
        # IP address.
        if planned:
            await self._send(planned[0])
        if self._reason is None:
            await self._round(unreconciled, planned[1:])
        if self._unresolved and self._reason is None:
            await self._round(self._unresolved.copy(), [])
        if self._reason is not None:
            raise self._reason
        if len(planned) < len(keys):
            raise JournalError(_NO_PROOF)

    async def _round(self, unreconciled: Sequence[int], planned: Sequence[int]) -> None:
        """Reconcile some requests while sending others; also send the reconciled ones that were definitely not sent."""
        due, work = anyio.create_memory_object_stream[int](math.inf)
        async with anyio.create_task_group() as group, due, work:
            for key in unreconciled:
                group.start_soon(self._reconcile, key, due.clone())
            for _ in range(self._workers):
                group.start_soon(self._work, work.clone())
            for key in planned:
                due.send_nowait(key)

    async def _work(self, work: MemoryObjectReceiveStream[int]) -> None:
        with work:
            async for key in work:
                await self._send(key)

    async def _reconcile(self, key: int, due: MemoryObjectSendStream[int]) -> None:
        """Reconcile a request by its status; queue it in `due` if it was definitely not sent."""
        with due:
            try:
                if await self._is_unsent(await self._run_blocking(self._store.chunk, key)):
                    due.send_nowait(key)
            except Exception as error:  # noqa: BLE001 - `run` raises it, outside the task group
                self._stop(error)

    async def _is_unsent(self, chunk: StoredChunk) -> bool:
        operation = operation_of(chunk)
        attempted_at = chunk.attempted_at
        if attempted_at is None:  # planned in this file, and perhaps sent by a process whose changes are lost
            attempted_at = await self._run_blocking(self._store.planned_at)
        # An attempt of an earlier process ended before the journal was opened; one cancelled in this process ended
        # before now.
        ended_at = self._opened_at if attempted_at < self._opened_at else datetime.now(UTC)
        unresolved = UnresolvedSend(
            id=operation.id,
            refs=operation.refs(),
            is_own_id=chunk.is_own_id,
            at_once=operation.at is None,
            began=attempted_at,
            failed=chunk.failed_at or ended_at,
            clocks=self._failed_at.get(chunk.key, self._began),
        )
        try:
            async with self._reconciling:
                deadline = _PATIENCE + self._pace.delay(self._workers * len(unresolved.refs))
                result = await self._client.resolve(unresolved, ask=self._pace.status, deadline=deadline)
        except SendOutcomeUnknown as error:
            await self._run_blocking(self._store.unresolved, chunk.key, unresolved.failed, _description(error))
            return False
        if result is None:
            await self._run_blocking(self._store.take_back, chunk.key)
            return True
        await self._run_blocking(self._store.finish, chunk.key, results(operation, result), datetime.now(UTC))
        self._note(len(unresolved.refs))
        return False

    async def _status(self, operation: GetStatus) -> DeliveryReport:
        """Request a status; try again after an error that may pass, as `_failed` does with sends."""
        while True:
            try:
                report = await self._pace.status(operation)
            except SmscError as error:
                if error.scope is not Scope.MOMENT:
                    raise
                pause = self._pause_after(error, self._limits.status[1])
                if self._reason is not None:
                    raise
                await anyio.sleep(pause)
            else:
                self._trouble = 0
                return report

    async def _send(self, key: int) -> None:
        """Send a request as soon as the guards allow it."""
        try:
            chunk = await self._run_blocking(self._store.chunk, key)
            operation = operation_of(chunk)
            while self._reason is None:
                if chunk.state is not ChunkState.PLANNED and not await self._is_unsent(chunk):
                    return
                pause = await self._attempt(chunk, operation)
                if pause is None:
                    return
                with anyio.move_on_after(pause):
                    await self._stopped.wait()
                chunk = await self._run_blocking(self._store.chunk, key)
        except Exception as error:  # noqa: BLE001 - as in `_reconcile`
            self._stop(error)

    async def _attempt(self, chunk: StoredChunk, operation: Send | SendList) -> float | None:
        """Make one attempt at a request; return the seconds until the next attempt, None if there is none."""
        await self._run_blocking(self._store.attempt, chunk.key, datetime.now(UTC))
        try:
            result = await self._client.call(operation, unique_id=chunk.is_own_id)
        except (SmscError, ValueError) as error:
            # The answer has arrived: a cancellation must not leave the outcome unknown.
            with anyio.CancelScope(shield=True):
                return await self._failed(chunk, operation, error)
        with anyio.CancelScope(shield=True):
            await self._run_blocking(self._store.finish, chunk.key, results(operation, result), datetime.now(UTC))
        self._trouble = 0
        self._note(len(operation.refs()))
        return None

    async def _failed(
        self, chunk: StoredChunk, operation: Send | SendList, error: SmscError | ValueError
    ) -> float | None:
        """Record a failure; return the seconds until the next attempt, None if there is none."""
        if isinstance(error, SmscError) and error.outcome is Outcome.UNKNOWN:
            await self._run_blocking(self._store.unresolved, chunk.key, datetime.now(UTC), _description(error))
            self._failed_at[chunk.key] = disk_time()
            self._unresolved.append(chunk.key)
            self._record_failure(error, _UNRESOLVED)
            return None
        if isinstance(error, ApiError) and error.scope is Scope.MESSAGE:
            await self._run_blocking(self._store.finish, chunk.key, refused(operation, error), datetime.now(UTC))
            self._note(len(operation.refs()))
            return None
        if isinstance(error, TooManyRequests):
            # An earlier attempt that was considered lost may have arrived after all, so check the status first.
            await self._run_blocking(self._store.unresolved, chunk.key, datetime.now(UTC), _description(error))
            self._failed_at[chunk.key] = disk_time()
            return self._pause_after(error, self._limits.identical_send)
        await self._run_blocking(self._store.take_back, chunk.key)
        if isinstance(error, ValueError) or error.scope is not Scope.MOMENT or error.outcome is Outcome.REJECTED:
            self._stop(error)
            return None
        return self._pause_after(error, 0.0)

    def _pause_after(self, error: SmscError, window: float) -> float:
        """Return the seconds until the next attempt; count a failure, unless a limit of the guards is the reason."""
        pause = max(_PAUSE, least_pause(error, window))
        if not isinstance(error, GuardError) or isinstance(error, GuardStoreError):
            self._record_failure(error, 1)
        elif error.retry_after is not None:
            pause = error.retry_after
        if self._reason is None:
            _log.info("%s", _why(error, pause), extra={"wait": pause})
        return pause

    def _record_failure(self, error: SmscError, weight: int) -> None:
        """Count a network failure; stop the job after too many without a success in between."""
        self._trouble += weight
        if self._trouble >= _ENOUGH:
            self._stop(error)

    def _stop(self, reason: Exception) -> None:
        self._reason = self._reason or reason
        self._stopped.set()


def client_of(value: Client) -> Client:
    """Return the client that was passed to a method of a journal.

    Raises:
        ValueError: It is no client.
    """
    if not callable(getattr(value, "call", None)) or isinstance(value, type):
        raise wrong("client", "a Client", value)
    return value


def counted(on_progress: OnProgress | None, done: int, total: int) -> Callable[[int], None]:
    """Return a function that adds to the number of messages that are done, and reports it with the total."""

    def note(more: int) -> None:
        nonlocal done
        done += more
        if on_progress is not None:
            on_progress(done, total)

    return note


def _description(error: SmscError) -> str:
    return f"{type(error).__name__}: {error}"


def _why(error: SmscError, pause: float) -> str:
    """Return why a request waits, and for how long."""
    seconds = f"{math.ceil(pause)} s"
    if isinstance(error, DuplicateSend | TooManyRequests):
        return f"identical message within a minute: {seconds} left"
    reason = "no network" if isinstance(error, ConnectError | PoolTimeout) else _description(error)
    return f"{reason}, next try in {seconds}"
