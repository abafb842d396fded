"""The command `watch`: follow the messages of a file to their end, and go on where an earlier run ended."""

import asyncio
import contextlib
import csv
import json
import signal
import sys
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from smsc_async._client import Client
from smsc_async._model import MessageRef, OnProgress
from smsc_async._watching import Update

from .output import usage_line
from .watch_state import WatchState

__all__ = ["TERMINATED", "follow", "read_refs", "until_terminated"]

T = TypeVar("T")

TERMINATED: Final = 128 + signal.SIGTERM
"""The exit code of a process that was asked to end, as shells give it."""

_SHOWN: Final = 10
_LINES: Final = 10


def read_refs(path: Path) -> list[MessageRef]:
    """Read references: a CSV file with the columns phone and id, or a `phone:id` a line; `-` is stdin.

    Raises:
        ValueError: It can't be read, or rows are wrong; the words name the rows.
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
            wrong.append(f"row {number}: {usage_line(error)}")
    if wrong:
        more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise ValueError("\n".join([f"{len(wrong)} row(s) of {path} are wrong", *wrong[:_SHOWN], *more]))
    return refs


def _rows(lines: list[str]) -> Iterator[tuple[int, str, str]]:
    """Yield number, phone and id of each row; what is missing is empty."""
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
    delay_per_request: float,
    as_json: bool,
    progress: bool,
) -> None:
    """Report each update on stdout, and note it once it has left.

    Args:
        client: Who asks.
        refs: The messages.
        state: What earlier runs reported, which is neither asked nor reported again.
        timeout: Seconds, from the first run on, after which an undecided message has expired, None for never.
        delay_per_request: Seconds of delay that a request is worth.
        as_json: Whether to print JSON lines.
        progress: Whether to show on stderr how far it is.

    Raises:
        StateError: The state can't be written.
        SmscError: What ended the watch.
    """
    pending = state.enter(refs)
    total = len(set(map(str, refs)))
    before = total - len(pending)
    with _progress(total, before, enabled=progress) as note:
        watcher = client.watch(
            pending,
            timeout=timeout,
            delay_per_request=delay_per_request,
            on_progress=lambda done, _: note(before + done, total),
        )
        async with watcher as updates:
            async for update in updates:
                # Nothing waits between the two, so Ctrl-C never parts them.
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


@contextlib.contextmanager
def _progress(total: int, done: int, *, enabled: bool) -> Iterator[OnProgress]:
    """Show on stderr how far the watch is: a live bar on a terminal, else a line for each tenth."""
    console = Console(stderr=True, quiet=not enabled)
    if not console.is_terminal:
        yield _tenths(console, done, total)
        return
    columns = (TextColumn("final"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # What goes to the same screen must go around the bar; what goes elsewhere is none of its business.
    with Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty(), disable=not enabled) as bars:
        bar = bars.add_task("", total=total, completed=done)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _tenths(console: Console, before: int, total: int) -> OnProgress:
    shown = before * _LINES // max(total, 1)

    def note(done: int, total: int) -> None:
        nonlocal shown
        if done * _LINES // total != shown:
            shown = done * _LINES // total
            console.print(f"decided {done} of {total}", highlight=False)

    return note


async def until_terminated(work: Awaitable[T]) -> T:
    """Do some work; SIGTERM ends it as Ctrl-C does, with an exit code of its own."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - in a coroutine
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        task.cancel()

    with contextlib.suppress(NotImplementedError):  # Windows knows no SIGTERM that can be caught
        loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await work
    except asyncio.CancelledError:
        if terminated:
            raise typer.Exit(TERMINATED) from None
        raise
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGTERM)
