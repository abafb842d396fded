"""Open and check the file of a journal; all functions block."""

import contextlib
import errno
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from smsc_async._model import JournalError, JournalInUse

__all__ = ["connect", "damaged", "explained", "readable"]

_APPLICATION: Final = 0x534D5343  # "SMSC", which `file` and SQLite's own tools show
_VERSION: Final = 3
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
    failed_at TEXT
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
    rule TEXT NOT NULL, key BLOB NOT NULL, span REAL NOT NULL, until REAL NOT NULL, instants TEXT NOT NULL,
    PRIMARY KEY (rule, key)
) WITHOUT ROWID;
CREATE INDEX history_until ON history (until);
"""
_IS_INCOMPLETE: Final = """
SELECT 1 FROM job WHERE name = 'size'
    AND value != (SELECT count(*) FROM chunk) || ' ' || (SELECT count(*) FROM message)
"""
_REPAIR: Final = """
UPDATE chunk SET state = 'attempted'
    WHERE (state = 'done') = EXISTS (SELECT 1 FROM message WHERE chunk = key AND state = 'open')
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file of a journal whose lock file is locked; a new one is empty.

    Raises:
        JournalInUse: Another process has the file open.
        JournalError: The file can't be opened, is damaged, or is not a journal.
    """
    with explained(path):
        if path.with_name(f"{path.name}-wal").exists():
            raise damaged(path, "a -wal file is beside it, which belongs to another file")
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


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Convert errors of SQLite and of the system to `JournalError`, with a message that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full(path) from None
        raise JournalError(
            f"the journal {path} can't be opened ({error.strerror}); what has not been sent stays planned"
        ) from None
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        explain = next((words for start, words in _WORDS.items() if name.startswith(start)), None)
        if explain is None:
            raise JournalError(
                f"the journal {path} can't be used ({error}); what has not been sent stays planned"
            ) from None
        raise explain(path) from None
    except UnicodeDecodeError:  # in a message of SQLite that quotes the file
        raise damaged(path, "its pages can't be read") from None


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Convert errors of values that were not written by this package to `JournalError`."""
    try:
        yield
    except (ValueError, TypeError, ArithmeticError):
        raise damaged(path, "its values can't be read") from None


def damaged(path: Path, why: str) -> JournalError:
    """Return the error for a file whose content can't be trusted."""
    return JournalError(
        f"the journal {path} is damaged: {why}; nothing more is sent, so that nothing is sent twice. Put back a copy "
        "of it, and the next start asks the service what was sent since; or look that up before you start another "
        "journal"
    )


def _in_use(path: Path) -> JournalError:
    return JournalInUse(f"another process is using the journal {path}; wait until it ends, or stop it")


def _full(path: Path) -> JournalError:
    return JournalError(
        f"the journal {path} can't be written, because the disk is full; nothing more is sent and nothing is lost: "
        "free some space and start again"
    )


_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_WORDS: Final[Mapping[str, Callable[[Path], JournalError]]] = {
    "SQLITE_BUSY": _in_use,
    "SQLITE_LOCKED": _in_use,
    "SQLITE_FULL": _full,
    "SQLITE_IOERR_WRITE": _full,
    "SQLITE_CORRUPT": lambda path: damaged(path, "its pages can't be read"),
    "SQLITE_NOTADB": lambda path: damaged(path, "its header is not that of a journal"),
    "SQLITE_CONSTRAINT": lambda path: damaged(path, "its tables are inconsistent"),
}
