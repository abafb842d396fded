"""The updates that `watch` has printed, stored in a file, so that another process can continue.

Each update is recorded in one transaction after its line was written to stdout: if the process is killed, no update is
lost, and at most one is printed twice. Commits reach the operating system but not necessarily the disk (SQLite's WAL
with synchronous NORMAL), so after a power failure the last few updates may also be printed twice.

How long a message has been watched is measured by the uptime of the machine. After a restart of the machine, or on
another one, that is unknown, and the timeout restarts.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from smsc_async._clock import DiskTime, disk_time
from smsc_async._journal import Connection, Database, FileFormat
from smsc_async._model import MessageRef, MessageStatus
from smsc_async._private_file import make_private, resolved
from smsc_async._watching import Unfinished, Update, utc

__all__ = ["WatchState"]

_STATE: Final = FileFormat(
    name="watch state",
    application=0x534D5357,  # "SMSW"
    version=2,
    stops="the watch stops",
    if_damaged=". Pass another file, and all messages are reported again",
    write_ahead=True,
    schema="""
CREATE TABLE message (
    ref TEXT PRIMARY KEY, boot TEXT NOT NULL, uptime REAL NOT NULL, since REAL NOT NULL,
    status INTEGER, is_last INTEGER NOT NULL
)""",
)
_UNKNOWN: Final = (
    "was written before the machine was restarted, or on another one, so it is unknown how long its messages have been "
    "watched: their timeout restarts"
)

_log = logging.getLogger("smsc_async")


class WatchState:
    """The last printed status of each message. The file is locked against other processes until it is closed.

    Args:
        path: The file, created if it does not exist; None for memory only.

    Raises:
        ValueError: The path can't be that of a file.
        JournalError: Another process has the file open, it is not the state of a watch, or it can't be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = None if path is None else resolved(path)
        if self._path is not None:
            with _STATE.explained(self._path):
                make_private(self._path)
        self._file = Database(self._path, _STATE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def enter(self, refs: Iterable[MessageRef]) -> list[Unfinished]:
        """Add the new messages; return all that have had no last update yet, in order.

        Raises:
            JournalError: The file can't be written.
        """
        wanted = {str(ref): ref for ref in refs}
        now = disk_time()
        with self._file.change() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, NULL, 0)", ((name, *now) for name in wanted)
            )
            left = self._left(connection, now)
        return [
            Unfinished(ref=ref, since=utc(now.wall - left[name][0]), status=left[name][1])
            for name, ref in wanted.items()
            if name in left
        ]

    def undelivered(self, refs: Iterable[MessageRef]) -> int:
        """Return how many of these messages had a last update, and were not delivered.

        Raises:
            JournalError: The file can't be read.
        """
        wanted = {str(ref) for ref in refs}
        with self._file.change() as connection:
            ended = connection.execute("SELECT ref, status FROM message WHERE is_last").fetchall()
        return sum(
            name in wanted and (status is None or not MessageStatus(status).is_delivered) for name, status in ended
        )

    def note(self, update: Update) -> None:
        """Record that an update was printed.

        Raises:
            JournalError: The file can't be written.
        """
        status = None if update.report is None else int(update.report.status)
        self._file.execute(
            "UPDATE message SET status = coalesce(?, status), is_last = ? WHERE ref = ?",
            *(status, update.is_last, str(update.ref)),
        )

    def _left(self, connection: Connection, now: DiskTime) -> dict[str, tuple[float, int | None]]:
        """Return how long each message without a last update has been watched, and its status."""
        left: dict[str, tuple[float, int | None]] = {}
        unknown = []
        query = "SELECT ref, status, boot, uptime, since FROM message WHERE NOT is_last"
        for name, status, *clocks in connection.execute(query):
            elapsed = now.since(DiskTime(*clocks)) if list(map(type, clocks)) == [str, float, float] else None
            if elapsed is None:
                unknown.append((*now, name))
            left[name] = elapsed or 0.0, status
        if unknown:
            _log.warning("%s %s", self._path, _UNKNOWN)
            connection.executemany("UPDATE message SET boot = ?, uptime = ?, since = ? WHERE ref = ?", unknown)
        return left
