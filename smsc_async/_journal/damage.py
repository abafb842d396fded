"""The errors of a journal's file, in words that say what to do."""

import contextlib
import errno
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from smsc_async._model import JournalError, JournalInUse

__all__ = ["damaged", "explained", "in_use", "readable"]


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


def in_use(path: Path) -> JournalError:
    """Return the error for a file that another process has open."""
    return JournalInUse(f"another process is using the journal {path}; wait until it ends, or stop it")


def _full(path: Path) -> JournalError:
    return JournalError(
        f"the journal {path} can't be written, because the disk is full; nothing more is sent and nothing is lost: "
        "free some space and start again"
    )


_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_WORDS: Final[Mapping[str, Callable[[Path], JournalError]]] = {
    "SQLITE_BUSY": in_use,
    "SQLITE_LOCKED": in_use,
    "SQLITE_FULL": _full,
    "SQLITE_IOERR_WRITE": _full,
    "SQLITE_CORRUPT": lambda path: damaged(path, "its pages can't be read"),
    "SQLITE_NOTADB": lambda path: damaged(path, "its header is not that of a journal"),
    "SQLITE_CONSTRAINT": lambda path: damaged(path, "its tables are inconsistent"),
}
