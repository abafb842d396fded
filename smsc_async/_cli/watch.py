"""The command `watch`: follow the messages of a file until their status is final, over several runs if interrupted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from rich.console import Console

from smsc_async._client import Client
from smsc_async._model import MessageRef
from smsc_async._watching import Update

from .progress import progress
from .spreadsheet import damage, is_sheet, lines_of, read_sheet
from .terminal import read_file, show
from .watch_state import WatchState

__all__ = ["follow", "read_refs"]

_SHOWN: Final = 10
_COLUMNS: Final = ("phone", "id")
_NOT_SENT: Final = frozenset({"planned", "failed", "skipped"})
"""The results in a report of messages that the service does not have."""
_UNSHOWN: Final = "the watch stops, because an update can't be printed; run the same command again"


def read_refs(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> list[MessageRef]:
    """Read references from a CSV file with the columns phone and id, or with one `phone:id` per line; `-` is stdin.

    Of a report of `send-file`, these are the messages that the service may have.

    Args:
        path: The file.
        encoding: The encoding of a file without a byte order mark, None for UTF-8 or UTF-16.
        delimiter: The delimiter, None to recognise it.

    Raises:
        ValueError: The file can't be read, or rows are invalid; the message names the rows.
    """
    refs, wrong = [], []
    for number, phone, id_ in _rows(read_file(path), encoding, delimiter):
        fault = _fault(phone=phone, id=id_)
        try:
            refs.append(MessageRef(phone, id_))
        except ValueError as error:
            wrong.append(f"row {number}: {fault or error}")
    if wrong:
        more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise ValueError("\n".join([f"{len(wrong)} row(s) of {path} are invalid", *wrong[:_SHOWN], *more]))
    return refs


def _rows(content: bytes, encoding: str | None, delimiter: str | None) -> Iterator[tuple[int, str, str]]:
    """Yield number, phone and id of each row; a missing value is an empty string."""
    if not is_sheet(content, _COLUMNS, encoding=encoding, delimiter=delimiter):
        for number, line in enumerate(lines_of(content, encoding), 1):
            if line.strip():
                phone, _, id_ = line.strip().lstrip("'").rpartition(":")
                yield number, phone, id_
        return
    sheet = read_sheet(content, _COLUMNS, encoding=encoding, delimiter=delimiter)
    is_report = "result" in sheet.columns
    for number, cells in sheet.rows:
        row = {name: cell.strip() for name, cell in zip(sheet.columns, cells, strict=False)}
        phone, id_ = row.get("phone", "").lstrip("'"), row.get("id", "")
        if not is_report or (row.get("result") not in _NOT_SENT and phone and id_):
            yield number, phone, id_


def _fault(**cells: str) -> str:
    """Return what a spreadsheet did to the cells of a row, "" for nothing."""
    faults = ((name, damage(cell, is_number=True)) for name, cell in cells.items())
    return next((f"{name} {fault}" for name, fault in faults if fault), "")


async def follow(
    client: Client,
    refs: list[MessageRef],
    state: WatchState,
    *,
    timeout: float | None,
    delay_per_request: float | Literal["auto"],
    as_json: bool,
    console: Console,
    show_progress: bool = True,
) -> int:
    """Print each update on stdout, then record it in the state; return how many of the messages were not delivered.

    Args:
        client: The client that polls the service.
        refs: The messages.
        state: What earlier runs have reported; final messages are neither polled nor reported again.
        timeout: Seconds from the first run after which a pending message expires, None for never.
        delay_per_request: The seconds of delay that one status request is worth, or "auto".
        as_json: Whether to print JSON lines.
        console: Where to show the progress, or what is waited for.
        show_progress: Whether to show the progress.

    Raises:
        JournalError: The state can't be written.
        SmscError: The watch had to stop.
    """
    pending = state.enter(refs)
    total = len(set(map(str, refs)))
    before = total - len(pending)
    with progress(console, total, steps=show_progress, final=before) as stages:
        watcher = client.watch(
            pending,
            timeout=timeout,
            delay_per_request=delay_per_request,
            on_progress=lambda done, _: stages["final"](before + done, total),
        )
        async with watcher as updates:
            async for update in updates:
                # There is no `await` between these two calls, so Ctrl-C can't separate them.
                line = json.dumps(_data(update), ensure_ascii=False) if as_json else _line(update)
                show(line, otherwise=_UNSHOWN)
                state.note(update)
    return state.undelivered(refs)


def _data(update: Update) -> dict[str, Any]:
    report = update.report
    return {
        "phone": update.ref.phone,
        "id": update.ref.id,
        "status": None if report is None else int(report.status),
        "reason": None if report is None or report.error is None else int(report.error),
        "changed_at": None if report is None or report.changed_at is None else report.changed_at.isoformat(),
        "error": None if update.error is None else type(update.error).__name__,
        "expired": update.expired,
        "is_last": update.is_last,
    }


def _line(update: Update) -> str:
    if update.expired:
        return f"{update.ref}\texpired"
    if update.report is None:
        return f"{update.ref}\t{type(update.error).__name__}: {update.error}"
    reason = f" ({update.report.error.phrase})" if update.report.error else ""
    return f"{update.ref}\t{int(update.report.status)} {update.report.status.phrase}{reason}"
