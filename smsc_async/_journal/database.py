"""The only door to SQLite: database files that are locked while they are open, with errors that say what to do."""

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from threading import RLock
from typing import Any, Final

from smsc_async._model import JournalError, JournalInUse
from smsc_async._private_file import check_regular

__all__ = ["Connection", "Database", "FileFormat"]

_WAIT_FOR_LOCK: Final = 0.5  # seconds; SQLite's lock ends with the process that held it
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_FULL_DISK: Final = ("SQLITE_FULL", "SQLITE_IOERR_WRITE")
_BUSY: Final = ("SQLITE_BUSY", "SQLITE_LOCKED")
_DAMAGES: Final = {
    "SQLITE_CORRUPT": "its pages can't be read",
    "SQLITE_NOTADB": "its header is not that of a database",
    "SQLITE_CONSTRAINT": "its tables are inconsistent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """What a database file of this package contains, and the words of its errors.

    Attributes:
        name: What the errors call the file.
        application: The number in its header that names the program, for `file` and SQLite's own tools.
        version: The version of the format; files of other versions are refused.
        schema: The SQL that creates the tables.
        incomplete: The SQL that returns a row if the content of an intact file is incomplete, "" for none.
        repair: The SQL that repairs what a lost -journal file leaves behind, "" for none.
        stops: What an error means for the command.
        if_damaged: What to do if the file is damaged.
        write_ahead: Whether a commit may reach the disk later, which is much faster; a killed process loses nothing,
            but a power failure may undo the last commits.
    """

    name: str
    application: int
    version: int
    schema: str
    stops: str
    if_damaged: str
    incomplete: str = ""
    repair: str = ""
    write_ahead: bool = False

    @contextlib.contextmanager
    def explained(self, path: Path) -> Iterator[None]:
        """Convert errors of SQLite and of the system to `JournalError`, with a message that says what to do."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise self._full(path) from None
            raise self._unusable(path, f"opened ({error.strerror})") from None
        except sqlite3.Error as error:
            raise self._of_sqlite(path, error) from None
        except UnicodeDecodeError:  # in a message of SQLite that quotes the file
            raise self.damaged(path, "its pages can't be read") from None

    @contextlib.contextmanager
    def readable(self, path: Path) -> Iterator[None]:
        """Convert errors of values that were not written by this package to `JournalError`."""
        try:
            yield
        except (ValueError, TypeError, ArithmeticError):
            raise self.damaged(path, "its values can't be read") from None

    def damaged(self, path: Path, why: str) -> JournalError:
        """Return the error for a file whose content can't be trusted."""
        return JournalError(f"the {self.name} {path} is damaged: {why}; {self.stops}{self.if_damaged}")

    def in_use(self, path: Path) -> JournalError:
        """Return the error for a file that another process has open."""
        return JournalInUse(f"another process is using the {self.name} {path}; wait until it ends, or stop it")

    def foreign(self, path: Path) -> JournalError:
        """Return the error for a file of another program."""
        return JournalError(f"{path} is not a {self.name}; choose another file, or one that does not exist")

    def of_another_version(self, path: Path, version: int) -> JournalError:
        """Return the error for a file of another version of this package."""
        return JournalError(
            f"{path} is a {self.name} of another version of this package (format {version}, this one writes "
            f"{self.version}); finish it with the version that started it, or choose another file"
        )

    def _of_sqlite(self, path: Path, error: sqlite3.Error) -> JournalError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(_BUSY):
            return self.in_use(path)
        if name.startswith(_FULL_DISK):
            return self._full(path)
        why = next((words for start, words in _DAMAGES.items() if name.startswith(start)), None)
        return self._unusable(path, f"used ({error})") if why is None else self.damaged(path, why)

    def _full(self, path: Path) -> JournalError:
        return JournalError(
            f"the {self.name} {path} can't be written, because the disk is full; {self.stops} and nothing is lost: "
            "free some space and start again"
        )

    def _unusable(self, path: Path, how: str) -> JournalError:
        return JournalError(f"the {self.name} {path} can't be {how}; {self.stops} and nothing is lost")


class Database:
    """An open database file, locked against other processes; all methods block and may be called from any thread.

    Args:
        path: The file; an empty one becomes a new database. None for one in memory.
        form: Its format.

    Raises:
        JournalInUse: Another process has the file open.
        JournalError: The file can't be opened, is damaged, or has another format.

    Attributes:
        lock: Held by each method; hold it to do more than one thing at once.
    """

    def __init__(self, path: Path | None, form: FileFormat) -> None:
        self._path = path or Path(":memory:")
        self._form = form
        self.lock = RLock()
        with form.explained(self._path):
            if path is not None:
                check_regular(path)
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=_WAIT_FOR_LOCK, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close and unlock the file."""
        with self.lock:
            self._connection.close()

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Execute a statement outside a transaction, and return its rows."""
        with self.lock, self._form.explained(self._path):
            return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def change(self) -> Iterator[Connection]:
        """Run the body in one transaction, which ends when the body does."""
        with self.lock, self._form.explained(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite may have rolled back already, if the disk is full.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _prepare(self) -> None:
        """Lock the file, check that it is an intact one of its format, and create the tables if it is empty."""
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA temp_store = MEMORY")  # a temporary file would hold phones too
        # SQLite takes the lock with the first transaction that may write, and keeps it.
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("COMMIT")
        self._check_format()
        if self._form.write_ahead:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
        else:
            # All that is committed is in this one file: a lost or stale -journal file can't undo it.
            self._connection.execute("PRAGMA journal_mode = TRUNCATE")

    def _check_format(self) -> None:
        form, execute = self._form, self._connection.execute
        ((found,),) = execute("PRAGMA application_id")
        ((version,),) = execute("PRAGMA user_version")
        if not found and not version and not execute("SELECT 1 FROM sqlite_schema").fetchone():
            self._connection.executescript(
                f"BEGIN; {form.schema}; PRAGMA application_id = {form.application}; "
                f"PRAGMA user_version = {form.version}; COMMIT"
            )
            return
        if found != form.application:
            raise form.foreign(self._path)
        if version != form.version:
            raise form.of_another_version(self._path, version)
        ((result,), *_) = execute("PRAGMA integrity_check(1)")
        if result != "ok" or execute(form.incomplete).fetchone():
            raise form.damaged(self._path, "its pages are inconsistent")
        execute(form.repair)
