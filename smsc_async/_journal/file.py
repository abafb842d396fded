"""Open and check the file of a journal; all functions block."""

import logging
import sqlite3
from pathlib import Path
from typing import Final

from smsc_async._model import JournalError
from smsc_async._private_file import make_private

from .damage import damaged, explained
from .lock import JournalLock

__all__ = ["NO_JOB", "connect", "open_locked"]

NO_JOB: Final = "it has no job, although one may have been planned in it; if none was, delete it and start again"

_log = logging.getLogger("smsc_async")

_APPLICATION: Final = 0x534D5343  # "SMSC", which `file` and SQLite's own tools show
_VERSION: Final = 4
_WAIT_FOR_LOCK: Final = 0.5  # seconds; SQLite's lock ends with the process that held it
_SCHEMA: Final = """
CREATE TABLE job (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE chunk (
    key INTEGER PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('planned', 'attempted', 'unresolved', 'done')),
    content TEXT NOT NULL,
    digest BLOB NOT NULL,
    is_list INTEGER NOT NULL CHECK (is_list IN (0, 1)),
    is_own_id INTEGER NOT NULL CHECK (is_own_id IN (0, 1)),
    attempted_at TEXT,
    failed_at TEXT,
    done_clock TEXT
);
CREATE INDEX chunk_state ON chunk (state) WHERE state != 'done';
CREATE TABLE message (
    row INTEGER PRIMARY KEY,
    chunk INTEGER REFERENCES chunk (key),
    phone TEXT NOT NULL,
    id TEXT,
    state TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'failed', 'skipped', 'final')),
    status INTEGER,
    delivery_error INTEGER,
    code INTEGER,
    error TEXT,
    cost TEXT,
    parts INTEGER,
    accepted_at TEXT,
    final_at TEXT
);
CREATE INDEX message_chunk ON message (chunk);
CREATE INDEX message_id ON message (id, phone);
CREATE TABLE unresolved (key INTEGER PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE history (
    rule TEXT NOT NULL, key BLOB NOT NULL, span REAL NOT NULL, clock TEXT NOT NULL, ages TEXT NOT NULL,
    until REAL NOT NULL, PRIMARY KEY (rule, key)
) WITHOUT ROWID;
CREATE INDEX history_until ON history (until);
"""
_IS_INCOMPLETE: Final = """
SELECT 1 FROM job WHERE name = 'size'
    AND value != (SELECT count(*) FROM chunk) || ' ' || (SELECT count(*) FROM message)
"""
_HAS_JOB: Final = "SELECT (SELECT count(*) FROM job WHERE name = 'identity'), (SELECT count(*) FROM unresolved)"
_REPAIR: Final = """
UPDATE chunk SET state = 'attempted'
    WHERE (state = 'done') = EXISTS (SELECT 1 FROM message WHERE chunk = key AND state = 'open')
"""


def open_locked(path: Path, lock: JournalLock) -> tuple[sqlite3.Connection, bool]:
    """Open the file of a journal; create it if it does not exist.

    Returns:
        The connection, and whether the file has no job although one may have been planned in it: it was emptied, or is
        a copy from before that. Planning would start the job anew.

    Raises:
        JournalInUse: Another process has the file open.
        JournalError: The file can't be opened, is damaged, or is not a journal.
    """
    was_used, is_new = bool(lock.record.job) or lock.is_new, not path.exists()
    if is_new:
        if lock.record.job:
            _log.warning("there was a job in the journal %s, and the file is gone: this is a new job", path)
        lock.update(job="", furthest=0)
        make_private(path)
    connection = connect(path)
    try:
        for file in (path, path.with_name(f"{path.name}-journal")):
            if file.exists():
                make_private(file)
        ((jobs, others),) = connection.execute(_HAS_JOB)
        may_have_lost_its_job = was_used and not is_new and not jobs
        _check_job(path, is_lost=may_have_lost_its_job and not others)
        lock.update()
        lock.mark()
    except BaseException:
        connection.close()
        raise
    return connection, may_have_lost_its_job


def _check_job(path: Path, *, is_lost: bool) -> None:
    if is_lost:
        raise damaged(path, NO_JOB)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file of a journal whose lock file is locked; a new one is empty.

    Raises:
        JournalInUse: Another process has the file open.
        JournalError: The file can't be opened, is damaged, or is not a journal.
    """
    with explained(path):
        if path.with_name(f"{path.name}-wal").exists():
            raise JournalError(
                f"beside the journal {path} is a file {path.name}-wal, which belongs to another file; nothing was "
                "sent, move it away and start again"
            )
        connection = sqlite3.connect(path, timeout=_WAIT_FOR_LOCK, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Lock the file, check that it is an intact journal, and create the tables if it is empty."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    # All that is committed is in this one file: a lost or stale -journal file can't undo it.
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")  # a temporary file would hold phones too
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")
    ((found,),) = connection.execute("PRAGMA application_id")
    ((version,),) = connection.execute("PRAGMA user_version")
    if not found and not version and not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        connection.executescript(
            f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_VERSION}; COMMIT"
        )
        return
    if found != _APPLICATION:
        raise JournalError(f"{path} is not a journal; nothing was sent, choose another file")
    if version != _VERSION:
        raise JournalError(
            f"{path} is a journal of another version of this package (format {version}, this one writes "
            f"{_VERSION}); nothing was sent, finish the job with the version that started it"
        )
    ((result,), *_) = connection.execute("PRAGMA integrity_check(1)")
    if result != "ok" or connection.execute(_IS_INCOMPLETE).fetchone():
        raise damaged(path, "its pages are inconsistent")
    # Parts of a transaction can be left if the -journal file is lost. The service knows what became of such a request.
    connection.execute(_REPAIR)
