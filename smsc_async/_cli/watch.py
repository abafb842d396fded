"""The command `watch`: follow the messages of a file until their status is final, over several runs if interrupted."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import typer
from rich.console import Console

from smsc_async._client import Client
from smsc_async._model import MessageRef
from smsc_async._watching import Update

from .progress import progress
from .watch_state import WatchState

__all__ = ["follow", "read_refs"]

_SHOWN: Final = 10


def read_refs(path: Path) -> list[MessageRef]:
    """Read references from a CSV file with the columns phone and id, or with one `phone:id` per line; `-` is stdin.

    Raises:
        ValueError: The file can't be read, or rows are invalid; the message names the rows.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"can't read {path}: {reason}") from None
    refs, wrong = [], []
    for number, phone, id_ in _rows(text.splitlines()):
        try:
            refs.append(MessageRef(phone, id_))
        except ValueError as error:
            wrong.append(f"row {number}: {error}")
    if wrong:
        more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise ValueError("\n".join([f"{len(wrong)} row(s) of {path} are invalid", *wrong[:_SHOWN], *more]))
    return refs


def _rows(lines: list[str]) -> Iterator[tuple[int, str, str]]:
    """Yield number, phone and id of each row; a missing value is an empty string."""
    header = [name.strip().lower() for name in next(csv.reader(lines[:1]), [])]
    if {"phone", "id"} <= set(header):
        phone, id_ = header.index("phone"), header.index("id")
        reader = csv.reader(lines)
        next(reader)
        for row in reader:
            if any(map(str.strip, row)):
                cells = [*row, *[""] * len(header)]
                yield reader.line_num, cells[phone].strip(), cells[id_].strip()
    else:
        for number, line in enumerate(lines, 1):
            if line.strip():
                before, _, after = line.strip().rpartition(":")
                yield number, before, after


async def follow(
    client: Client,
    refs: list[MessageRef],
    state: WatchState,
    *,
    timeout: float | None,
    delay_per_request: float | Literal["auto"],
    as_json: bool,
    console: Console,
) -> None:
    """Print each update on stdout, then record it in the state.

    Args:
        client: The client that polls the service.
        refs: The messages.
        state: What earlier runs have reported; final messages are neither polled nor reported again.
        timeout: Seconds from the first run after which a pending message expires, None for never.
        delay_per_request: The seconds of delay that one status request is worth, or "auto".
        as_json: Whether to print JSON lines.
        console: Where to show the progress.

    Raises:
        JournalError: The state can't be written.
        SmscError: The watch had to stop.
    """
    pending = state.enter(refs)
    total = len(set(map(str, refs)))
    before = total - len(pending)
    with progress(console, total, final=before) as stages:
        watcher = client.watch(
            pending,
            timeout=timeout,
            delay_per_request=delay_per_request,
            on_progress=lambda done, _: stages["final"](before + done, total),
        )
        async with watcher as updates:
            async for update in updates:
                # There is no `await` between these two calls, so Ctrl-C can't separate them.
                typer.echo(json.dumps(_data(update), ensure_ascii=False) if as_json else _line(update))
                state.note(update)


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
