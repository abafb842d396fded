"""A journal: a bulk job in a file, so that it survives its process and each message is sent once."""

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack

import anyio
import anyio.to_thread

from smsc_async._client import Client
from smsc_async._model import (
    Channel,
    Message,
    MessageRef,
    QueryOptions,
    Schedule,
    SendOutcomeUnknown,
    SentMessage,
    Sms,
    UnresolvedSend,
    recipient_key,
)
from smsc_async._watching import Unfinished, Update
from smsc_async.guards import Guards, Rules

from .guard_store import JournalGuardStore
from .requests import cost_of, divide, operation_of
from .rows import ChunkPlan, ChunkState, JournalRow, PlannedMessage, RowPlan, Summary
from .sender import JournalSender
from .store import JournalStore

__all__ = ["Journal"]

T = TypeVar("T")

_SMS: Final = Sms()
_RULES: Final = Rules()


class Journal:
    """A bulk job in an SQLite file: what is planned, attempted, accepted, failed and decided.

    Use it with `async with`; only one process can have it open. A request is noted as attempted, on the disk, before
    its first byte leaves. Killed at any moment, the next start asks the service what became of it, and sends what the
    service surely does not have. Each message keeps the id that it was planned with.

    Args:
        path: The file; made if it doesn't exist.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._store: JournalStore | None = None
        self._limiter: anyio.CapacityLimiter | None = None
        self._opened_at = datetime.now(UTC)

    def __repr__(self) -> str:
        return f"<smsc_async.Journal {self._path}>"

    async def __aenter__(self) -> Self:
        """Open and lock the file.

        Raises:
            JournalInUse: Another process works with it.
            JournalError: It is damaged, no journal, or can't be opened.
        """
        if self._store is not None:
            raise RuntimeError("this journal is open already")
        self._limiter = anyio.CapacityLimiter(1)
        self._store = await anyio.to_thread.run_sync(JournalStore, self._path, limiter=self._limiter)
        self._opened_at = datetime.now(UTC)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        store, self._store = self._file, None
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(store.close, limiter=self._limiter)

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
        """Note what is to be sent; a journal that has been planned is left as it is, if it is for the same.

        Args:
            messages: The messages, with or without ids and row numbers of their own.
            source: What the messages come from, such as a hash of a file; None for a hash of the messages.
            batch_size: The most messages in one request; 1 sends each alone.
            sender: For messages that have none.
            at: When; only `LocalTime` lets a message have a `tz` of its own.
            via: The channel of all.
            **options: The other parameters, see `QueryOptions`.

        Returns:
            Whether it was planned by this call.

        Raises:
            ValueError: A message and the arguments don't go together, or the journal is for another job. Nothing was
                planned.
        """
        if batch_size < 1:
            raise ValueError("batch_size is 1 or more")
        arguments = {"sender": sender, "at": at, "via": via, "cost": 2, **options}
        terms = json.dumps({"batch_size": batch_size, **arguments}, default=repr, sort_keys=True)
        # A source that is known need not be read again.
        rows = (
            _numbered(messages)
            if source is None or not await self._run_blocking(self._is_planned, source, terms)
            else []
        )
        source = _digest(rows) if source is None else source
        if await self._run_blocking(self._is_planned, source, terms):
            return False
        await self._run_blocking(self._plan, source, terms, rows, divide(rows, arguments, batch_size))
        return True

    async def send(self, client: Client, *, workers: int = 4, on_progress: Callable[[int], None] | None = None) -> None:
        """Settle what an earlier process attempted, and send what is planned.

        Waits where a limit demands it. What the service refuses has failed, and the rest goes on. A doubt that can't be
        settled stays in doubt and is not sent again.

        Args:
            client: What sends; best with the `guards()` of this journal.
            workers: How many requests are made at once.
            on_progress: Is told how many more messages have an answer.

        Raises:
            SmscError: It had to stop: wrong credentials, no money, a block, no network, no disk. What is planned stays
                planned, and another call goes on.
        """
        sending = JournalSender(
            client,
            self._file,
            self._run_blocking,
            workers=workers,
            opened_at=self._opened_at,
            note=on_progress or _ignore,
        )
        await sending.run()

    async def follow(
        self,
        client: Client,
        *,
        timeout: float | None = 86_400.0,
        delay_per_request: float = 10.0,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Follow all accepted messages until their delivery is decided, and note how.

        Args:
            client: What asks.
            timeout: For so many seconds at most, None for no end; what is undecided then stays accepted.
            delay_per_request: As in `Client.watch`.
            on_progress: Is told how many more messages have ended.

        Raises:
            SmscError: It had to stop; another call goes on.
        """
        note = on_progress or _ignore
        pending = await self._run_blocking(self._file.pending)
        unfinished = [Unfinished(ref=MessageRef(phone, id_), since=at) for phone, id_, at in pending]
        with anyio.move_on_after(timeout):
            async with client.watch(unfinished, timeout=None, delay_per_request=delay_per_request) as updates:
                async for update in updates:
                    await self._note_update(update)
                    note(int(update.is_last))

    async def quote(self, client: Client) -> Decimal:
        """Ask what the messages that have no answer yet would cost; sends nothing.

        Raises:
            SmscError: The service told no price.
        """
        states = ChunkState.PLANNED, ChunkState.ATTEMPTED, ChunkState.UNRESOLVED
        total = Decimal()
        for key in await self._run_blocking(self._file.chunks, *states):
            chunk = await self._run_blocking(self._file.chunk, key)
            total += (await client.call(cost_of(operation_of(chunk)))).amount
        return total

    async def rows(self) -> list[JournalRow]:
        """Return all messages and what has become of them, in the order of their rows."""
        return await self._run_blocking(lambda: list(self._file.rows()))

    async def summary(self) -> Summary:
        """Return how many messages are where, and what they cost."""
        return await self._run_blocking(self._file.summary)

    def guards(self, *, rules: Rules = _RULES, margin: float = 1.2, late_arrival: float = 5.0) -> Guards:
        """Return guards for the client of this job that remember across restarts what the service has counted."""
        store = JournalGuardStore(self._file, self._run_blocking, late_arrival=late_arrival)
        return Guards(store, rules=rules, margin=margin, late_arrival=late_arrival)

    def keep_unresolved(self, unresolved: UnresolvedSend) -> None:
        """Keep a doubt about a send outside the job: `Client(on_unresolved=journal.keep_doubt)`.

        It is on the disk when this returns; from any thread.
        """
        self._file.keep_unresolved(unresolved.model_dump_json())

    async def unresolved_sends(self) -> list[UnresolvedSend]:
        """Return the doubts that were kept and are not settled."""
        return [
            UnresolvedSend.model_validate_json(data)
            for _, data in await self._run_blocking(self._file.unresolved_sends)
        ]

    async def resolve(self, client: Client) -> list[tuple[UnresolvedSend, SentMessage | None]]:
        """Settle the doubts that were kept, one after the other; those that can't be settled stay.

        Returns:
            Those that are settled, each with the send, or None if nothing was sent.
        """
        reconciled: list[tuple[UnresolvedSend, SentMessage | None]] = []
        for key, data in await self._run_blocking(self._file.unresolved_sends):
            unresolved = UnresolvedSend.model_validate_json(data)
            try:
                reconciled.append((unresolved, await client.resolve(unresolved)))
            except SendOutcomeUnknown:
                continue
            await self._run_blocking(self._file.forget_unresolved, key)
        return reconciled

    @property
    def _file(self) -> JournalStore:
        if self._store is None:
            raise RuntimeError("a journal is used inside its `async with`")
        return self._store

    async def _run_blocking(self, function: Callable[..., T], *arguments: Any) -> T:
        """Do something with the file in a thread, one thing at a time; once begun it is finished."""
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._limiter)

    def _is_planned(self, source: str, terms: str) -> bool:
        known = self._file.get("identity")
        if known is None:
            return False
        if json.loads(known) != [source, terms]:
            what = "messages" if json.loads(known)[1] == terms else "options"
            raise ValueError(
                f"the journal {self._path} is that of a job with other {what}; go on with the same ones, or take "
                "another journal for another job"
            )
        return True

    def _plan(self, source: str, terms: str, rows: Iterable[PlannedMessage], chunks: Iterable[ChunkPlan]) -> None:
        faulty = [RowPlan(each.row or 0, each.phone, each.fault) for each in rows if each.message is None]
        self._file.plan(json.dumps([source, terms]), chunks, faulty)

    async def _note_update(self, update: Update) -> None:
        report, words = update.report, None
        if update.error is not None:
            words = f"its status can't be told: {type(update.error).__name__}: {update.error}"
        final_at = None
        if report is not None and report.is_final:
            final_at = report.changed_at or datetime.now(UTC)
        status = None if report is None else int(report.status)
        error = None if report is None or report.error is None else int(report.error)
        ref = update.ref
        await self._run_blocking(self._file.note_status, ref.phone, ref.id, status, error, words, final_at)


def _numbered(messages: Iterable[Message | PlannedMessage]) -> list[PlannedMessage]:
    """Give each message its row.

    Raises:
        ValueError: Two have the same row, or the same phone and id.
    """
    rows: dict[int, PlannedMessage] = {}
    ids: set[tuple[str, str]] = set()
    for place, item in enumerate(messages, 1):
        planned = PlannedMessage(message=item) if isinstance(item, Message) else item
        row = place if planned.row is None else planned.row
        if planned.message is not None and planned.id is not None:
            known = len(ids)
            ids.add((recipient_key(planned.message.phone), planned.id))
            if len(ids) == known:
                raise ValueError(f"message {place} has the phone and the id of an earlier one")
        if row in rows:
            raise ValueError(f"message {place} has the row number of an earlier one")
        rows[row] = planned.model_copy(update={"row": row})
    return [rows[row] for row in sorted(rows)]


def _digest(rows: Iterable[PlannedMessage]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(row.model_dump_json().encode())
    return digest.hexdigest()


def _ignore(count: int) -> None:
    """Take note of nothing."""
