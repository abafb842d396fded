"""The tables of a journal and the queries on them; all methods block."""

import hashlib
import itertools
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from smsc_async._clock import disk_time
from smsc_async._private_file import check_regular

from .database import Connection
from .file import JOURNAL
from .lock import NO_JOB, JournalLock, open_locked
from .requests import without
from .rows import (
    ChunkPlan,
    ChunkState,
    JournalRow,
    KeyHistory,
    MessageResult,
    RowPlan,
    StoredChunk,
    Summary,
    disk_time_of,
    history_of,
    moment,
    row_of,
)

__all__ = ["JournalStore", "RunBlocking"]

T = TypeVar("T")

_FOREVER: Final = 1e11  # seconds
_CHUNK: Final = "SELECT state, content, digest, is_list, is_own_id, attempted_at, failed_at FROM chunk WHERE key = ?"
_ROWS: Final = """
SELECT row, phone, id, CASE message.state WHEN 'open' THEN CASE chunk.state WHEN 'done' THEN 'attempted'
    ELSE chunk.state END ELSE message.state END AS state, status, delivery_error, code, error, cost, parts,
    attempted_at, accepted_at, final_at
FROM message LEFT JOIN chunk ON chunk.key = message.chunk
"""
_DUE: Final = """
SELECT row, message.chunk, phone FROM message LEFT JOIN chunk ON chunk.key = message.chunk
WHERE message.state IN ('final', 'failed', 'skipped') AND phone != '' AND julianday(coalesce(
    final_at, attempted_at, (SELECT value FROM job WHERE name = 'planned_at'))) <= julianday(?)
ORDER BY message.chunk
"""


class RunBlocking(Protocol):
    """Calls a function that uses the journal's file off the event loop."""

    def __call__(self, function: Callable[..., T], /, *arguments: Any) -> Awaitable[T]:
        """Call the function with these arguments and return its result."""


class JournalStore:
    """The open and locked file of a journal; all methods block and may be called from any thread.

    Each change is one transaction and is on the disk when the method returns.

    Args:
        path: The file; created if it does not exist.

    Raises:
        JournalInUse: It is open in another process, or by another `Journal` of this process.
        JournalError: It can't be opened, is damaged, or is not a journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with JOURNAL.explained(path):
            check_regular(path)
            self.lock_file = JournalLock(path)
        try:
            with JOURNAL.explained(path):
                self._file, self._may_have_lost_its_job = open_locked(path, self.lock_file)
        except BaseException:
            self.lock_file.discard()
            raise

    def close(self) -> None:
        """Close and unlock the file."""
        with self._file.lock:
            try:
                self._file.close()
            finally:
                self.lock_file.close()

    def furthest(self) -> int:
        """Return the key of the furthest request that was attempted, as far as this file and the lock file know."""
        ((key,),) = self._file.execute("SELECT coalesce(max(key), 0) FROM chunk WHERE state != 'planned'")
        record = self.lock_file.record
        return max(int(key), record.furthest if record.job == self.get("job") else 0)

    def get(self, name: str) -> str | None:
        """Return a property of the whole job, None if it was not stored."""
        found = self._file.execute("SELECT value FROM job WHERE name = ?", name)
        return str(found[0][0]) if found else None

    def put(self, name: str, value: str) -> None:
        """Store a property of the whole job."""
        with self.change() as connection:
            connection.execute("INSERT OR REPLACE INTO job VALUES (?, ?)", (name, value))

    def plan(self, identity: str, chunks: Iterable[ChunkPlan], faulty: Iterable[RowPlan]) -> None:
        """Store the planned requests and rows in one transaction.

        Raises:
            JournalError: The file is a copy from before its job was planned.
        """
        if self._may_have_lost_its_job:
            raise JOURNAL.damaged(self._path, NO_JOB)
        job = secrets.token_hex(8)
        with self.change() as connection:
            connection.executemany(
                "INSERT INTO job VALUES (?, ?)",
                [("identity", identity), ("job", job), ("planned_at", datetime.now(UTC).isoformat())],
            )
            for key, chunk in enumerate(chunks, 1):
                connection.execute(
                    "INSERT INTO chunk (key, state, content, digest, is_list, is_own_id) "
                    "VALUES (?, 'planned', ?, ?, ?, ?)",
                    (key, chunk.content, _digest(chunk.content), chunk.is_list, chunk.is_own_id),
                )
                connection.executemany(
                    "INSERT INTO message (row, chunk, phone, id, state) VALUES (?, ?, ?, ?, 'open')",
                    [(row.row, key, row.phone, chunk.id) for row in chunk.rows],
                )
            connection.executemany(
                "INSERT INTO message (row, phone, state, error) VALUES (?, ?, 'skipped', ?)",
                [(row.row, row.phone, row.error) for row in faulty],
            )
            connection.execute(
                "INSERT INTO job SELECT 'size', (SELECT count(*) FROM chunk) || ' ' || (SELECT count(*) FROM message)"
            )
        self.lock_file.update(job=job, furthest=0)
        self._may_have_lost_its_job = False

    def planned_at(self) -> datetime:
        """Return when the job was planned, aware."""
        with JOURNAL.readable(self._path):
            return datetime.fromisoformat(self.get("planned_at") or "")

    def chunks(self, *states: ChunkState) -> list[int]:
        """Return the keys of the requests in any of these states, in order."""
        parameters = ", ".join("?" * len(states))
        query = f"SELECT key FROM chunk WHERE state IN ({parameters}) ORDER BY key"  # noqa: S608 - question marks only
        return [key for (key,) in self._file.execute(query, *states)]

    def chunk(self, key: int) -> StoredChunk:
        """Return a request.

        Raises:
            JournalError: Its content differs from what was planned.
        """
        with JOURNAL.readable(self._path):
            ((state, content, digest, *flags, began, failed),) = self._file.execute(_CHUNK, key)
            if digest != _digest(content):
                raise JOURNAL.damaged(self._path, "a request in it differs from the one that was planned")
            is_list, is_own_id = map(bool, flags)
            return StoredChunk(key, ChunkState(state), content, is_list, is_own_id, moment(began), moment(failed))

    def attempt(self, key: int, at: datetime) -> None:
        """Record that a request is about to leave.

        Raises:
            JournalError: It can't be recorded, or the file was changed, moved or removed.
        """
        record = self.lock_file.record
        job = self.get("job") or ""
        if record.job != job or record.furthest < key:
            self.lock_file.update(job=job, furthest=max(key, self.furthest()))
        self._move(key, ChunkState.ATTEMPTED, attempted_at=at.isoformat(), failed_at=None)

    def take_back(self, key: int) -> None:
        """Record that a request definitely never reached the service."""
        self._move(key, ChunkState.PLANNED, attempted_at=None, failed_at=None)

    def unresolved(self, key: int, failed_at: datetime, error: str) -> None:
        """Record that the outcome of a request is unknown."""
        with self.change() as connection:
            connection.execute(
                "UPDATE chunk SET state = 'unresolved', failed_at = ? WHERE key = ?", (failed_at.isoformat(), key)
            )
            connection.execute("UPDATE message SET error = ? WHERE chunk = ?", (error, key))

    def finish(self, key: int, results: Iterable[MessageResult], at: datetime) -> None:
        """Record the result of each message of a request."""
        with self.change() as connection:
            clock = json.dumps(disk_time())
            connection.execute("UPDATE chunk SET state = 'done', done_clock = ? WHERE key = ?", (clock, key))
            connection.executemany(
                "UPDATE message SET state = ?, id = ?, code = ?, error = ?, cost = ?, parts = ?, accepted_at = ? "
                "WHERE chunk = ? AND phone = ?",
                [
                    (
                        "accepted" if each.error is None else "failed",
                        each.id,
                        each.code,
                        each.error,
                        None if each.cost is None else str(each.cost),
                        each.parts,
                        at.isoformat() if each.error is None else None,
                        key,
                        each.phone,
                    )
                    for each in results
                ],
            )

    def note_status(  # noqa: PLR0917 - the columns of one update
        self,
        phone: str,
        id: str,  # noqa: A002 - the service's own name
        status: int | None,
        error: int | None,
        words: str | None,
        final_at: datetime | None,
    ) -> None:
        """Record the status of an accepted message; the status is final if `final_at` is given."""
        with self.change() as connection:
            connection.execute(
                "UPDATE message SET status = coalesce(?, status), delivery_error = coalesce(?, delivery_error), "
                "error = ?, final_at = ?, state = iif(? IS NULL, state, 'final') "
                "WHERE id = ? AND phone = ? AND state = 'accepted'",
                (status, error, words, *[final_at and final_at.isoformat()] * 2, id, phone),
            )

    def pending(self) -> list[tuple[str, str, datetime]]:
        """Return phone, id and time of acceptance of each pending message; the time is now where it is unknown."""
        found = self._file.execute(
            "SELECT phone, id, done_clock FROM message JOIN chunk ON chunk.key = message.chunk "
            "WHERE message.state = 'accepted' ORDER BY row"
        )
        now, today = disk_time(), datetime.now(UTC)
        with JOURNAL.readable(self._path):
            elapsed = {clock: now.since(disk_time_of(clock)) or 0.0 for *_, clock in found}
            return [(phone, id_, today - timedelta(seconds=elapsed[clock])) for phone, id_, clock in found]

    def rows(self) -> list[JournalRow]:
        """Return all rows, in order."""
        with JOURNAL.readable(self._path):
            return list(map(row_of, self._file.execute(f"{_ROWS} ORDER BY row")))

    def summary(self) -> Summary:
        """Return the number of messages in each state, and their cost."""
        counts = dict(self._file.execute(f"SELECT state, count(*) FROM ({_ROWS}) GROUP BY state"))  # noqa: S608 - constants only
        costs = self._file.execute("SELECT cost FROM message WHERE state IN ('accepted', 'final')")
        known = [cost for (cost,) in costs if cost is not None]
        with JOURNAL.readable(self._path):
            cost = sum(map(Decimal, known), Decimal())
            return Summary(cost=cost, unpriced=len(costs) - len(known), **counts)

    def keep_unresolved(self, data: str) -> None:
        """Store an unresolved send that is not part of the job."""
        with self.change() as connection:
            connection.execute("INSERT INTO unresolved (data) VALUES (?)", (data,))

    def unresolved_sends(self) -> list[tuple[int, str]]:
        """Return the stored unresolved sends, each with its key."""
        return self._file.execute("SELECT key, data FROM unresolved ORDER BY key")

    def forget_unresolved(self, key: int) -> None:
        """Delete an unresolved send that has been reconciled."""
        with self.change() as connection:
            connection.execute("DELETE FROM unresolved WHERE key = ?", (key,))

    def histories(self) -> list[KeyHistory]:
        """Return the stored histories of the guards."""
        found = self._file.execute("SELECT rule, key, span, clock, ages FROM history")
        with JOURNAL.readable(self._path):
            return list(map(history_of, found))

    def put_histories(self, histories: Iterable[KeyHistory], *, instead: bool = False) -> None:
        """Store histories of the guards, perhaps `instead` of all others; delete those that no longer count."""
        with self.change() as connection:
            if instead:
                connection.execute("DELETE FROM history")
            for each in histories:
                last = max((_FOREVER if age is None else -age for age in each.ages), default=-_FOREVER)
                until = each.at.uptime + last + each.span
                values = each.rule, each.key, each.span, json.dumps(each.at), json.dumps(each.entries()), until
                connection.execute("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?)", values)
            connection.execute("DELETE FROM history WHERE until < ?", (disk_time().uptime,))

    def erase(self, before: datetime) -> int:
        """Remove the phones and texts of the messages whose outcome has been final since before a time.

        Returns:
            How many messages had a phone.
        """
        with self.change() as connection:
            due = connection.execute(_DUE, (before.isoformat(),)).fetchall()
            connection.executemany(
                "UPDATE message SET phone = '', error = iif(state = 'skipped', NULL, error) WHERE row = ?",
                [(row,) for row, *_ in due],
            )
            for key, messages in itertools.groupby(due, itemgetter(1)):
                phones = {phone for *_, phone in messages}
                for (content,) in self._file.execute("SELECT content FROM chunk WHERE key = ?", key):
                    rest = without(content, phones)
                    values = rest, _digest(rest), key
                    connection.execute("UPDATE chunk SET content = ?, digest = ? WHERE key = ?", values)
        with self._file.lock, JOURNAL.explained(self._path):
            self._file.execute("VACUUM")  # what is only deleted stays readable in the file
            self.lock_file.mark()
        return len(due)

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """Run the body in one transaction, on a file that no other program has changed."""
        with self._file.lock, JOURNAL.explained(self._path):
            self.lock_file.check()
            try:
                with self._file.change() as connection:
                    yield connection
            finally:
                self.lock_file.mark()

    def _move(self, key: int, state: ChunkState, **columns: str | None) -> None:
        settings = ", ".join(f"{name} = ?" for name in columns)
        with self.change() as connection:
            connection.execute(
                f"UPDATE chunk SET state = ?, {settings} WHERE key = ?",  # noqa: S608 - constant column names
                (state, *columns.values(), key),
            )
            connection.execute("UPDATE message SET error = NULL WHERE chunk = ?", (key,))


def _digest(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()
