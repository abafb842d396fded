"""A journal: a bulk job stored in a file, so that it survives a restart and each message is sent once."""

import json
from collections.abc import Callable, Iterable
from contextlib import aclosing, closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar, Unpack

import anyio
import anyio.to_thread

from smsc_async._call import checked
from smsc_async._client import Client
from smsc_async._frames import without_arguments, without_frames
from smsc_async._model import (
    Channel,
    Message,
    MessageRef,
    OnProgress,
    QueryOptions,
    Schedule,
    SendOutcomeUnknown,
    SentMessage,
    Sms,
    UnresolvedSend,
)
from smsc_async._private_file import resolved
from smsc_async._sending import each_item
from smsc_async._thread import waiting_for_thread
from smsc_async._watching import Unfinished, Update
from smsc_async.guards import Guards, Rules

from .file import JOURNAL
from .guard_store import JournalGuardStore
from .numbering import Numbering
from .requests import JobTerms, cost_of, digest_of_rows, divide, operation_of
from .rows import ChunkPlan, ChunkState, JournalRow, PlannedMessage, Summary, status_note
from .sender import JournalSender, client_of, counted
from .store import JournalStore

__all__ = ["Journal"]

T = TypeVar("T")

_SMS: Final = Sms()
_RULES: Final = Rules()
_RESERVED: Final = (".lock", "-journal", "-wal", "-shm")


class Journal:
    """A bulk job in an SQLite file: which messages are planned, attempted, accepted, failed and final.

    Use it with `async with`; only one process can have it open. A request is recorded on the disk as attempted before
    its first byte leaves. After a crash at any moment, the next start asks the service for the status of the attempted
    requests, and sends those that the service definitely does not have. Each message keeps the id that it was planned
    with. A process that continues a job also checks whether the service has requests that are planned in the file,
    because an older copy may have been restored.

    `<path>.lock` beside the file is locked while the journal is open, and records the furthest request that was
    attempted.

    Args:
        path: The file; created if it does not exist, readable by its owner only.
        trust: Whether to send what was planned by an earlier process even if no status can prove that the service does
            not have it, because the service may store the phones in another form.

    Raises:
        ValueError: The path can't be that of a file, or `trust` is not True or False.
    """

    def __init__(self, path: str | Path, *, trust: bool = False) -> None:
        checked(trust=trust)
        self._path = resolved(path)
        if self._path.name.endswith(_RESERVED):
            raise ValueError(f"the name of a journal must not end in {', '.join(_RESERVED)}")
        self._trust = trust
        self._store: JournalStore | None = None
        self._limiter: anyio.CapacityLimiter | None = None
        self._opened_at = datetime.now(UTC)
        self._is_current = False
        self._held: frozenset[int] = frozenset()
        self._turn = anyio.Lock()

    def __repr__(self) -> str:
        return f"<smsc_async.Journal {self._path}>"

    @property
    def files(self) -> tuple[Path, ...]:
        """The file, and those that are or may be beside it while the journal is in use."""
        return (self._path, *(self._path.with_name(f"{self._path.name}{end}") for end in _RESERVED))

    async def __aenter__(self) -> Self:
        """Open and lock the file.

        Raises:
            JournalInUse: Another process has the file open.
            JournalError: The file can't be opened, is damaged, or is not a journal.
        """
        if self._store is not None:
            raise RuntimeError("this journal is already open")
        self._limiter = anyio.CapacityLimiter(1)
        self._store = await anyio.to_thread.run_sync(JournalStore, self._path, limiter=self._limiter)
        self._opened_at = datetime.now(UTC)
        self._is_current, self._held, self._turn = False, frozenset(), anyio.Lock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        store, self._store = self._file, None
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(store.close, limiter=self._limiter)

    @without_frames
    async def plan(
        self,
        messages: Iterable[Message | PlannedMessage],
        *,
        source: str | None = None,
        batch_size: int = 49,
        sender: str | None = None,
        at: Schedule | datetime | None = None,
        via: Channel = _SMS,
        **options: Unpack[QueryOptions],
    ) -> bool:
        """Store the messages to be sent; do nothing if the journal already contains the same job.

        Args:
            messages: The messages, with or without their own ids and row numbers.
            source: Identifies the source of the messages, such as a hash of a file; None for a hash of the messages.
            batch_size: The maximum number of messages in one request; 1 sends each message separately.
            sender: The sender name for messages that have none.
            at: When to deliver; a message can have its own `tz` only with `LocalTime`.
            via: The channel of all messages.
            **options: The other parameters, see `QueryOptions`.

        Returns:
            Whether the job was planned by this call.

        Raises:
            ValueError: A message does not fit the arguments, or the journal has another job; nothing was planned.
        """
        checked(batch_size=batch_size, source=source)
        arguments = {"sender": sender, "at": at, "via": via, **options}
        terms = JobTerms.model_validate({"batch_size": batch_size, **arguments}).canonical()
        async with self._turn:
            # A known source need not be read again.
            if source is not None and await self._run_blocking(self._is_planned, source, terms):
                return False
            with closing(Numbering(self._path)) as rows:
                async with aclosing(each_item(messages)) as items:
                    async for item in items:
                        rows.add(item)
                await self._run_blocking(rows.arrange)
                source = await self._run_blocking(digest_of_rows, rows) if source is None else source
                if await self._run_blocking(self._is_planned, source, terms):
                    return False
                chunks = divide(rows, {**arguments, "cost": 2}, batch_size)
                await self._run_blocking(self._plan, source, terms, rows, chunks)
            self._is_current = True
            return True

    async def send(self, client: Client, *, workers: int = 4, on_progress: OnProgress | None = None) -> None:
        """Reconcile the requests that an earlier process attempted, and send the planned ones.

        Waits where a guard requires it. A message that the service refuses becomes `failed`, and the others are still
        sent. A request that can't be reconciled stays unresolved and is not sent again.

        If an earlier process planned the job, the service is first asked which of the planned requests it has; that
        takes seconds, and minutes for a large job. After 20 unknown messages, one status a second is requested.
        Concurrent calls take turns.

        Args:
            client: The client that sends, preferably with the `guards()` of this journal.
            workers: The number of concurrent requests.
            on_progress: Called after each answer with the number of messages that have one, and the number of all
                that are not skipped; earlier runs count.

        Raises:
            ValueError: An argument is wrong. Nothing was sent.
            JournalError: The file can't be written, or was moved, removed or changed by another program; or an earlier
                process planned the job, and no status can prove what it sent (see `trust`).
            SmscError: The job had to stop: wrong credentials, no money, a blocked address, no network, or sending is
                paused. Planned messages stay planned, and another call continues the job.
        """
        checked(workers=workers, on_progress=on_progress)
        async with self._turn:
            known = await self.summary()
            sending = JournalSender(
                client,
                self._file,
                self._run_blocking,
                workers=workers,
                opened_at=self._opened_at,
                note=counted(on_progress, known.accepted + known.failed + known.final, known.total - known.skipped),
            )
            if not self._is_current:
                unproved = await sending.catch_up()
                self._held = frozenset() if self._trust else frozenset(unproved)
                self._is_current = True
            await sending.run(self._held)

    @without_frames
    async def follow(
        self,
        client: Client,
        *,
        timeout: float | None = 86_400.0,
        delay_per_request: float | Literal["auto"] = "auto",
        on_progress: OnProgress | None = None,
    ) -> None:
        """Follow all accepted messages until their status is final, and record it.

        Args:
            client: The client that polls the service.
            timeout: The maximum duration in seconds, None for no limit; messages still pending then stay `accepted`.
            delay_per_request: As in `Client.watch`.
            on_progress: Called after each last update with the number of messages that have had theirs, and the number
                of all accepted messages of the job; earlier runs count.

        Raises:
            ValueError: An argument is wrong.
            SmscError: Following had to stop; another call continues it.
        """
        checked(timeout=timeout, on_progress=on_progress)
        summary, client = await self.summary(), client_of(client)
        note = counted(on_progress, summary.final, summary.final + summary.accepted)
        pending = await self._run_blocking(self._file.pending)
        unfinished = (Unfinished(ref=MessageRef(phone, id_), since=at) for phone, id_, at in pending)
        with anyio.move_on_after(timeout):
            async with client.watch(
                unfinished, timeout=None, delay_per_request=delay_per_request, confirm_pushes=True
            ) as updates:
                async for update in updates:
                    await self._note_update(update)
                    if update.is_last:
                        note(1)

    async def quote(self, client: Client) -> Decimal:
        """Return the cost of the messages that have no answer yet, without sending anything.

        Raises:
            SmscError: The service returned no cost.
        """
        states = ChunkState.PLANNED, ChunkState.ATTEMPTED, ChunkState.UNRESOLVED
        total, client = Decimal(), client_of(client)
        for key in await self._run_blocking(self._file.chunks, *states):
            chunk = await self._run_blocking(self._file.chunk, key)
            total += (await client.call(cost_of(operation_of(chunk)))).amount
        return total

    async def rows(self) -> list[JournalRow]:
        """Return all messages with their states, in the order of their rows."""
        return await self._run_blocking(self._file.rows)

    async def summary(self) -> Summary:
        """Return the number of messages in each state, and their cost."""
        return await self._run_blocking(self._file.summary)

    async def erase(self, older_than: timedelta) -> int:
        """Remove the phones and texts of the messages that have been final, refused or skipped for `older_than`.

        Their ids, states, results and costs stay, and the journal still recognises its job.

        Returns:
            How many messages had a phone.

        Raises:
            ValueError: `older_than` is no timedelta, or negative.
            JournalError: The file can't be written.
        """
        given: object = older_than
        if not isinstance(given, timedelta) or given < timedelta():
            raise ValueError("older_than must be a timedelta that is not negative, such as timedelta(days=30)")
        now = datetime.now(UTC)
        before = now - min(older_than, now - datetime.min.replace(tzinfo=UTC))
        return await self._run_blocking(self._file.erase, before)

    def guards(self, *, rules: Rules = _RULES, margin: float = 1.2, late_arrival: float = 5.0) -> Guards:
        """Return guards for the client of this job whose histories survive a restart."""
        store = JournalGuardStore(self._file, self._run_blocking, late_arrival=late_arrival)
        return Guards(store, rules=rules, margin=margin, late_arrival=late_arrival)

    @without_arguments
    def keep_unresolved(self, unresolved: UnresolvedSend) -> None:
        """Store an unresolved send that is not part of the job: `Client(on_unresolved=journal.keep_unresolved)`.

        It is on the disk when this returns. May be called from any thread.
        """
        checked(unresolved=unresolved)
        self._file.keep_unresolved(unresolved.model_dump_json())

    async def unresolved_sends(self) -> list[UnresolvedSend]:
        """Return the stored unresolved sends."""
        found = await self._run_blocking(self._file.unresolved_sends)
        return [UnresolvedSend.model_validate_json(data) for _, data in found]

    @without_frames
    async def resolve(self, client: Client) -> list[tuple[UnresolvedSend, SentMessage | None]]:
        """Reconcile the stored unresolved sends one after the other; keep those that can't be reconciled.

        Returns:
            The reconciled ones, each with the sent message, or None if it was not sent.
        """
        reconciled: list[tuple[UnresolvedSend, SentMessage | None]] = []
        for key, data in await self._run_blocking(self._file.unresolved_sends):
            unresolved = UnresolvedSend.model_validate_json(data)
            try:
                reconciled.append((unresolved, await client_of(client).resolve(unresolved)))
            except SendOutcomeUnknown:
                continue
            await self._run_blocking(self._file.forget_unresolved, key)
        return reconciled

    @property
    def _file(self) -> JournalStore:
        if self._store is None:
            raise RuntimeError("a journal can only be used inside its `async with` block")
        return self._store

    @without_frames
    async def _run_blocking(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread, one at a time; a cancellation waits until it has finished."""
        with waiting_for_thread():
            return await anyio.to_thread.run_sync(function, *arguments, limiter=self._limiter)

    def _is_planned(self, source: str, terms: str) -> bool:
        known = self._file.get("identity")
        if known is None:
            return False
        with JOURNAL.readable(self._path):
            known_source, known_terms = json.loads(known)
        if [known_source, known_terms] != [source, terms]:
            what = "messages" if known_terms == terms else "options"
            raise ValueError(
                f"the journal {self._path} belongs to a job with different {what}; continue with the same ones, or use "
                "another journal for another job"
            )
        return True

    def _plan(self, source: str, terms: str, rows: Numbering, chunks: Iterable[ChunkPlan]) -> None:
        self._file.plan(json.dumps([source, terms]), chunks, rows.faulty)

    async def _note_update(self, update: Update) -> None:
        await self._run_blocking(self._file.note_status, *status_note(update, datetime.now(UTC)))
