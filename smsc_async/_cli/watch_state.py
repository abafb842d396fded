"""The reports of the `watch` command, stored in a file, so that another process can continue.

Each report is one transaction, made after its line was written to stdout: if the process is killed, no report is
missing, and only the one that was about to be recorded may be printed twice. Commits reach the operating system but not
necessarily the disk (SQLite's WAL with synchronous NORMAL), so after a power failure the last few reports may also be
printed twice.

How long a message has been watched is measured by the uptime of the machine. After a restart of the machine, or on
another one, that is unknown, and the timeout starts anew.
"""

import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from smsc_async._clock import DiskTime, disk_time
from smsc_async._model import MessageRef
from smsc_async._private_file import make_private, resolved
from smsc_async._watching import Unfinished, Update, utc

__all__ = ["StateError", "WatchState"]

_APPLICATION: Final = 0x534D5357
_VERSION: Final = 2
_SCHEMA: Final = (
    """CREATE TABLE message (
        ref TEXT PRIMARY KEY, boot TEXT NOT NULL, uptime REAL NOT NULL, since REAL NOT NULL,
        status INTEGER, is_last INTEGER NOT NULL
    )""",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)


_UNKNOWN: Final = (
    "was written before the machine was restarted, or on another one, so it is unknown how long its messages have been "
    "watched: their timeout starts anew"
)

_log = logging.getLogger("smsc_async")


class StateError(Exception):
    """The file can't be used as the state of a watch; the message says why."""


class WatchState:
    """The last reported status of each message. The file is locked against other processes until it is closed.

    Args:
        path: The file, created if it does not exist; None for memory only.

    Raises:
        StateError: Another process has the file open, it is not the state of a watch, or it can't be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._name = ":memory:"
        if path is not None:
            try:
                place = resolved(path)
                make_private(place)
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise StateError(f"{path} can't be used: {reason}") from None
            self._name = str(place)
        try:
            self._file = sqlite3.connect(self._name, timeout=0, isolation_level=None)
        except sqlite3.Error as error:
            raise self._failure(error) from None
        try:
            self._open()
        except sqlite3.Error as error:
            self._file.close()
            raise self._failure(error) from None
        except StateError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def enter(self, refs: Iterable[MessageRef]) -> list[Unfinished]:
        """Add the new messages; return all that have no last report yet, in order.

        Raises:
            StateError: The file can't be written.
        """
        wanted = {str(ref): ref for ref in refs}
        now = disk_time()
        try:
            self._file.execute("BEGIN")
            self._file.executemany(
                "INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, NULL, 0)", ((name, *now) for name in wanted)
            )
            left = self._left(now)
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failure(error) from None
        return [
            Unfinished(ref=ref, since=utc(now.wall - left[name][0]), status=left[name][1])
            for name, ref in wanted.items()
            if name in left
        ]

    def note(self, update: Update) -> None:
        """Record that an update was reported.

        Raises:
            StateError: The file can't be written.
        """
        status = None if update.report is None else int(update.report.status)
        try:
            self._file.execute(
                "UPDATE message SET status = coalesce(?, status), is_last = ? WHERE ref = ?",
                (status, update.is_last, str(update.ref)),
            )
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def _left(self, now: DiskTime) -> dict[str, tuple[float, int | None]]:
        """Return how long each message without a last report has been watched, and its status."""
        left: dict[str, tuple[float, int | None]] = {}
        unknown = []
        query = "SELECT ref, status, boot, uptime, since FROM message WHERE NOT is_last"
        with closing(self._file.execute(query)) as rows:
            for name, status, *clocks in rows:
                elapsed = now.since(DiskTime(*clocks)) if list(map(type, clocks)) == [str, float, float] else None
                if elapsed is None:
                    unknown.append((*now, name))
                left[name] = elapsed or 0.0, status
        if unknown:
            _log.warning("%s %s", self._name, _UNKNOWN)
            self._file.executemany("UPDATE message SET boot = ?, uptime = ?, since = ? WHERE ref = ?", unknown)
        return left

    def _open(self) -> None:
        # SQLite takes the lock with the first statement that writes, and keeps it.
        self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._file.execute("BEGIN IMMEDIATE")
        ((application,),) = self._file.execute("PRAGMA application_id")
        ((version,),) = self._file.execute("PRAGMA user_version")
        ((tables,),) = self._file.execute("SELECT count(*) FROM sqlite_master")
        if not tables:
            for statement in _SCHEMA:
                self._file.execute(statement)
        elif (application, version) != (_APPLICATION, _VERSION):
            raise self._foreign() if application != _APPLICATION else self._old()
        self._file.execute("COMMIT")
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = NORMAL")

    def _foreign(self) -> StateError:
        return StateError(f"{self._name} is not the state of a watch; pass another file, or one that does not exist")

    def _old(self) -> StateError:
        return StateError(
            f"{self._name} is the state of a watch by another version of this package; finish it with that version, or "
            "pass another file"
        )

    def _failure(self, error: sqlite3.Error) -> StateError:
        if error.sqlite_errorname == "SQLITE_BUSY":
            return StateError(f"another process is using {self._name}; wait until it ends, or pass another file")
        if error.sqlite_errorname == "SQLITE_NOTADB":
            return self._foreign()
        return StateError(f"{self._name} can't be used: {error}")
