"""The report of `send-file`: a CSV file with one row for each row of the job."""

import errno
import os
import re
import sys
import tempfile
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Final

import anyio

from smsc_async._journal import Journal, JournalRow, RowState
from smsc_async._private_file import resolved

from .spreadsheet import Dialect, in_dialect

__all__ = ["check_files", "plain", "write_csv", "write_report"]

_REPORT: Final = (
    *("row", "phone", "id", "result", "status", "status_name", "code", "error", "cost", "parts"),
    *("attempted_at", "accepted_at", "final_at"),
)
_DIALECT: Final = Dialect()
_STREAMS: Final = {"/dev/stdout": 1, "/dev/stderr": 2}
_OPEN_FILE: Final = re.compile(r"(?:/dev/fd|/proc/self/fd)/([0-9]+)")
_AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0)  # a pipe that no process reads would block forever


async def write_report(path: Path | None, journal: Journal, dialect: Dialect = _DIALECT) -> None:
    """Write the state of each row of a job to `path`, if it is given."""
    if path is not None:
        rows = await journal.rows()
        await anyio.to_thread.run_sync(write_csv, path, [_REPORT, *map(_report_row, rows)], dialect)


def _report_row(row: JournalRow) -> list[str]:
    status, error = row.status, row.error
    result = row.state.value.replace("_", " ")
    if row.state is RowState.FINAL and status is not None:
        result = "delivered" if status.is_delivered else "not delivered"
    if error is None and row.delivery_error:
        error = row.delivery_error.phrase
    values = {
        "row": row.row,
        "phone": row.phone,
        "id": row.id,
        "result": result,
        "status": None if status is None else int(status),
        "status_name": None if status is None else status.phrase,
        "code": row.code,
        "error": error,
        "cost": None if row.cost is None else plain(row.cost),
        "parts": row.parts,
        "attempted_at": _iso(row.attempted_at),
        "accepted_at": _iso(row.accepted_at),
        "final_at": _iso(row.final_at),
    }
    return ["" if value is None else str(value) for value in values.values()]


def check_files(files: Mapping[str, Path | None], written: Container[str]) -> None:
    """Check the files of a command before it does anything; the keys name their purposes.

    Raises:
        ValueError: A file is given for two purposes, or one of those that are `written` can't be.
    """
    known: dict[Path, str] = {}
    for name, path in files.items():
        if path is None or str(path) == os.devnull:
            continue
        try:
            place = resolved(path)
            for other, purpose in known.items():
                if place == other or (place.exists() and other.exists() and place.samefile(other)):
                    raise ValueError(f"{purpose} and {name} are the same file, {path}; pass different ones")
            known[place] = name
            if name in written and not _is_special(path):
                tempfile.TemporaryFile(dir=place.parent).close()
        except OSError as error:
            raise ValueError(f"{name}: can't write {path}: {error.strerror}") from None


def write_csv(path: Path, rows: Iterable[Sequence[str]], dialect: Dialect = _DIALECT) -> None:
    """Write a CSV file: a regular one atomically; a pipe, a device or an open file such as /dev/stdout as it is.

    Raises:
        ValueError: The file can't be written.
    """
    content = in_dialect(dialect, rows)
    try:
        if not _is_special(path):
            _replace(resolved(path), content)
            return
        sys.stdout.flush()
        with _opened(path) as file:
            file.write(content)
    except OSError as error:
        reason = "no process reads it" if error.errno == errno.ENXIO else error.strerror
        raise ValueError(f"can't write {path}: {reason}") from None


def _descriptor(path: Path) -> int | None:
    """Return the number of the open file that a path stands for, such as /dev/stdout or /dev/fd/5."""
    name = str(path)
    if name in _STREAMS:
        return _STREAMS[name]
    found = _OPEN_FILE.fullmatch(name)
    if found:
        return int(found[1])
    with suppress(OSError):
        if os.path.samestat(path.stat(), os.fstat(1)):  # stdout goes to this file
            return 1
    return None


def _is_special(path: Path) -> bool:
    return _descriptor(path) is not None or (path.exists() and not path.is_file())


def _opened(path: Path) -> BinaryIO:
    number = _descriptor(path)
    if number is not None:  # a regular file that is opened again would be overwritten by later output
        return os.fdopen(os.dup(number), "wb")
    file = os.open(path, os.O_WRONLY | _AT_ONCE)
    os.set_blocking(file, True)
    return os.fdopen(file, "wb")


def _replace(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)  # noqa: PTH105 - Path.replace needs one more object
        except BaseException:
            Path(file.name).unlink()
            raise


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def plain(amount: Decimal) -> str:
    """Return an amount without trailing zeros."""
    return f"{amount.normalize():f}"
