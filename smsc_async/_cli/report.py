"""The report of `send-file`: a CSV file with one row for each row of the job."""

import csv
import io
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import anyio

from smsc_async._journal import Journal, JournalRow, RowState
from smsc_async._private_file import resolved

__all__ = ["check_files", "plain", "write_csv", "write_report"]

_REPORT: Final = (
    *("row", "phone", "id", "result", "status", "status_name", "code", "error", "cost", "parts"),
    *("attempted_at", "accepted_at", "final_at"),
)


async def write_report(path: Path | None, journal: Journal) -> None:
    """Write the state of each row of a job to `path`, if it is given."""
    if path is not None:
        rows = await journal.rows()
        await anyio.to_thread.run_sync(write_csv, path, _REPORT, map(_report_row, rows))


def _report_row(row: JournalRow) -> dict[str, str]:
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
    return {name: "" if value is None else str(value) for name, value in values.items()}


def check_files(files: Mapping[str, Path | None]) -> None:
    """Raise a `ValueError` if a file is given for two purposes, or can't be written; the keys name the purposes."""
    known: dict[Path, str] = {}
    for name, path in files.items():
        if path is None or str(path) == os.devnull:
            continue
        if not path.parent.is_dir():
            raise ValueError(f"{name}: can't write {path}: there is no such folder")
        place = resolved(path)
        for other, purpose in known.items():
            if place == other or (place.exists() and other.exists() and place.samefile(other)):
                raise ValueError(f"{purpose} and {name} are the same file, {path}; pass different ones")
        known[place] = name


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    """Write a CSV file: a regular one atomically, a pipe or a device such as /dev/stdout as it is.

    Raises:
        ValueError: The file can't be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    try:
        if _is_stdout(path):
            sys.stdout.write(text.getvalue())
            sys.stdout.flush()
        elif path.exists() and not path.is_file():
            path.write_text(text.getvalue(), encoding="utf-8")
        else:
            _replace(resolved(path), text.getvalue().encode())
    except OSError as error:
        raise ValueError(f"can't write {path}: {error.strerror}") from None


def _is_stdout(path: Path) -> bool:
    """Return whether this is stdout: opened again, a file behind it would be overwritten by what is printed later."""
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False


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
