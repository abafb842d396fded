"""The file `<journal>.lock`: locked while the journal is open, and a record that older copies of it do not contain."""

import errno
import json
import logging
import os
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any, Final

from smsc_async._clock import DiskTime, disk_time
from smsc_async._model import JournalError, Outcome
from smsc_async._private_file import make_private

from .database import Database
from .file import JOURNAL, connect

__all__ = ["NO_JOB", "JournalLock", "LockRecord", "open_locked"]

NO_JOB: Final = "it has no job, although one may have been planned in it; if none was, delete it and start again"

_log = logging.getLogger("smsc_async")

_SIZE: Final = 256  # one record, always overwritten as a whole
_NEVER: Final = DiskTime("", 0.0, 0.0)
_HAS_JOB: Final = "SELECT (SELECT count(*) FROM job WHERE name = 'identity'), (SELECT count(*) FROM unresolved)"
_LOCKED: Final = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}


@dataclass(frozen=True, slots=True)
class LockRecord:
    """What the file holds.

    Attributes:
        job: The job that `furthest` belongs to, "" for none.
        furthest: The key of the furthest request that was attempted, 0 for none.
        backlog: Seconds for which status requests were still delayed at `at`, after too many unknown messages.
        at: When `backlog` was stored; counted as now if it is unknown how long ago that was.
    """

    job: str = ""
    furthest: int = 0
    backlog: float = 0.0
    at: DiskTime = _NEVER


class JournalLock:
    """A journal's lock file, locked until it is closed or the process ends; all methods block.

    The file stays when the journal is closed: removing it could give two processes a lock each.

    Args:
        journal: The file of the journal.

    Raises:
        JournalInUse: Another process, or another `Journal` of this process, has it locked.
        JournalError: This system has no locks that end with their process.
        OSError: It can't be opened.

    Attributes:
        record: What it holds.
        is_new: Whether it held no record when it was opened.
    """

    def __init__(self, journal: Path) -> None:
        _check_system()
        self._journal = journal
        self._path = journal.with_name(f"{journal.name}.lock")
        self._writing = Lock()
        self._marked: tuple[int, ...] = ()
        self._file = self._locked()
        content = os.read(self._file, _SIZE)
        record = _parsed(content)
        self._is_empty = not content
        self.is_new = record is None
        self.record = _renewed(record or LockRecord())

    def close(self) -> None:
        """Unlock the file."""
        os.close(self._file)

    def discard(self) -> None:
        """Unlock the file, and remove it if it was empty: the journal can't be opened."""
        if self._is_empty:
            self._path.unlink(missing_ok=True)
        self.close()

    def mark(self) -> None:
        """Remember the state of the journal after a change by this process; ignore a file that replaced it."""
        found = _seen(self._journal)
        if not self._marked or found[:2] == self._marked[:2]:
            self._marked = found

    def check(self) -> None:
        """Raise a `JournalError` if the journal differs from the marked state, or this file was moved."""
        try:
            is_same = _seen(self._journal) == self._marked and self._is_in_place()
        except OSError:
            is_same = False
        if not is_same:
            raise JournalError(
                f"another program has changed, moved or removed the journal {self._journal} or its .lock file while it "
                "was in use; nothing more is sent. Restore it and start again: the service is first asked what was sent"
            )

    def update(self, **changes: Any) -> None:
        """Change the record; a killed process leaves the old one or the new one.

        Raises:
            JournalError: It can't be written.
        """
        with self._writing, JOURNAL.explained(self._journal):
            self.record = replace(self.record, **changes)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, json.dumps(asdict(self.record)).encode().ljust(_SIZE))

    def _locked(self) -> int:
        while True:
            make_private(self._path)
            file = os.open(self._path, os.O_RDWR)
            try:
                _lock(file)
                if os.path.samestat(os.fstat(file), self._path.stat()):
                    return file
            except FileNotFoundError:
                pass
            except OSError as error:
                os.close(file)
                if error.errno in _LOCKED:
                    raise JOURNAL.in_use(self._journal) from None
                raise
            os.close(file)  # the file was removed or replaced before it was locked

    def _is_in_place(self) -> bool:
        return os.path.samestat(os.fstat(self._file), self._path.stat())


def open_locked(path: Path, lock: JournalLock) -> tuple[Database, bool]:
    """Open the file of a journal; create it if it does not exist.

    Returns:
        The file, and whether it has no job although one may have been planned in it: it was emptied, or is a copy from
        before that. Planning would repeat the job.

    Raises:
        JournalInUse: Another process has the file open.
        JournalError: The file can't be opened, is damaged, or is not a journal.
    """
    was_used, is_new = bool(lock.record.job) or lock.is_new, not path.exists()
    if is_new:
        if lock.record.job:
            _log.warning("the journal %s contained a job, but the file is gone: a new job begins", path)
        lock.update(job="", furthest=0)
        make_private(path)
    database = connect(path)
    try:
        for file in (path, path.with_name(f"{path.name}-journal")):
            if file.exists():
                make_private(file)
        ((jobs, others),) = database.execute(_HAS_JOB)
        may_have_lost_its_job = was_used and not is_new and not jobs
        _check_job(path, is_lost=may_have_lost_its_job and not others)
        lock.update()
        lock.mark()
    except BaseException:
        database.close()
        raise
    return database, may_have_lost_its_job


def _check_job(path: Path, *, is_lost: bool) -> None:
    if is_lost:
        raise JOURNAL.damaged(path, NO_JOB)


def _check_system() -> None:
    if find_spec("fcntl") is None:  # Windows
        error = JournalError(
            "a journal needs Linux or macOS, because this system does not have their file locks (fcntl); nothing was "
            "sent: run the job there, or send without a journal"
        )
        error.outcome = Outcome.NOT_SENT
        raise error


def _lock(file: int) -> None:
    import fcntl  # noqa: PLC0415 - Windows does not have it

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _seen(path: Path) -> tuple[int, ...]:
    """Return values that change when another program replaces or changes the file."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _parsed(content: bytes) -> LockRecord | None:
    """Return the record; None if the file is new, or damaged after a power failure."""
    try:
        found = LockRecord(**json.loads(content))
        found = replace(found, at=DiskTime(*found.at))
    except (ValueError, TypeError):
        return None
    numbers = found.backlog, found.at.uptime, found.at.wall
    kinds = list(map(type, (found.job, found.furthest, found.at.boot, *numbers)))
    return found if kinds == [str, int, str, float, float, float] and all(map(isfinite, numbers)) else None


def _renewed(record: LockRecord) -> LockRecord:
    """Return a record with its backlog as of now, so that an unknown age is counted only once."""
    now = disk_time()
    return replace(record, backlog=max(record.backlog - (now.since(record.at) or 0.0), 0.0), at=now)
