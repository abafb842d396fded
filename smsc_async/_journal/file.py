"""Open, lock and check the file of a journal; all functions block."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from smsc_async._model import JournalError, JournalInUse

from .wal import has_lost_commits

__all__ = ["connect", "damaged", "disconnect", "explained"]

_APPLICATION: Final = 0x534D5343  # "SMSC", which `file` and SQLite's own tools show
_VERSION: Final = 2
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


def connect(path: Path) -> sqlite3.Connection:
    """Open a journal and lock it until it is closed or the process ends; create the file if it does not exist.

    Raises:
        JournalInUse: Another process, or another `Journal` of this process, has the file open.
        JournalError: The file can't be opened, is damaged, or is not a journal.
    """
    with explained(path):
        _make(path)
        _check_log(path)
        connection = sqlite3.connect(path, timeout=_WAIT_FOR_LOCK, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
            # Checkpointed into the main file, so that the note is readable even if the -wal file is gone.
            connection.execute("INSERT OR REPLACE INTO job VALUES ('open', '1')")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except BaseException:
            connection.close()
            raise
    return connection


def disconnect(connection: sqlite3.Connection, path: Path) -> None:
    """Close a journal; afterwards all of its data is in the main file."""
    is_noted = False
    try:
        with contextlib.suppress(sqlite3.Error):  # the disk is full
            connection.execute("DELETE FROM job WHERE name = 'open'")
            is_noted = True
    finally:
        connection.close()
    if not is_noted:
        # SQLite has removed the -wal file, and a journal that is noted as open and has none is reported as damaged.
        _log_of(path).touch()


def _make(path: Path) -> None:
    """Create the file if it does not exist, readable by its owner only: it will hold phones and texts."""
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise JournalError(f"the journal {path} can't be opened ({error.strerror}); nothing was sent") from None


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _check_log(path: Path) -> None:
    """Check the -wal file before SQLite opens it, because SQLite drops the frames that it can't read."""
    log = _log_of(path)
    if not log.exists():
        if _was_open(path):
            raise damaged(path, "its -wal file is missing")
    elif has_lost_commits(log.read_bytes()):
        _check_lock(path)  # another process may be writing to it
        raise damaged(path, "its -wal file is corrupted")


def _was_open(path: Path) -> bool:
    """Return whether the last process did not close the journal; reads the main file only."""
    with contextlib.closing(_read_only(path, "&immutable=1")) as connection:
        try:
            return connection.execute("SELECT 1 FROM job WHERE name = 'open'").fetchone() is not None
        except sqlite3.Error:  # the error is reported when the file is opened
            return False


def _check_lock(path: Path) -> None:
    with contextlib.closing(_read_only(path)) as connection:
        try:
            connection.execute("SELECT 1 FROM sqlite_schema")
        except sqlite3.Error as error:
            if error.sqlite_errorname == "SQLITE_BUSY":
                raise


def _read_only(path: Path, options: str = "") -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{options}", uri=True, timeout=_WAIT_FOR_LOCK)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Lock the file, check that it is an intact journal, and create the tables if it is empty."""
    # SQLite keeps this lock until the connection is closed or the process ends, so no separate lock file is needed.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
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
    if result != "ok":
        raise damaged(path, "its pages are inconsistent")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Convert SQLite's errors to `JournalError`, with a message that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        explain = next((words for start, words in _WORDS.items() if name.startswith(start)), None)
        if explain is None:
            raise JournalError(
                f"the journal {path} can't be used ({error}); what has not been sent stays planned"
            ) from None
        raise explain(path) from None


def damaged(path: Path, why: str) -> JournalError:
    """Return the error for a file whose content can't be trusted."""
    return JournalError(
        f"the journal {path} is damaged: {why}; nothing more is sent, so that nothing is sent twice. Restore it from a "
        "copy together with its -wal file, or look up what was sent before you start another journal"
    )


def _in_use(path: Path) -> JournalError:
    return JournalInUse(f"another process is using the journal {path}; wait until it ends, or stop it")


def _full(path: Path) -> JournalError:
    return JournalError(
        f"the journal {path} can't be written, because the disk is full; nothing more is sent and nothing is lost: "
        "free some space and start again"
    )


_WORDS: Final[Mapping[str, Callable[[Path], JournalError]]] = {
    "SQLITE_BUSY": _in_use,
    "SQLITE_LOCKED": _in_use,
    "SQLITE_FULL": _full,
    "SQLITE_IOERR_WRITE": _full,
    "SQLITE_CORRUPT": lambda path: damaged(path, "its pages can't be read"),
    "SQLITE_NOTADB": lambda path: damaged(path, "its header is not that of a journal"),
    "SQLITE_CONSTRAINT": lambda path: damaged(path, "its tables are inconsistent"),
}
