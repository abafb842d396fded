"""The progress of a command: a live bar for each stage on a terminal, otherwise a line for each tenth."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from smsc_async._model import OnProgress

__all__ = ["Stages", "progress"]

Stages: TypeAlias = Mapping[str, OnProgress]
"""For each stage, a function that is called with the number of messages that have reached it, and of all."""

_LINES: Final = 10


@contextlib.contextmanager
def progress(console: Console, total: int, **done: int) -> Iterator[Stages]:
    """Show how many messages have reached each stage.

    Args:
        console: The console to print on; a quiet one shows nothing.
        total: The number of messages.
        **done: The stages, each with the number of messages that have reached it.
    """
    if not console.is_terminal:
        yield _lines(console, {name: (count, total) for name, count in done.items()})
        return
    columns = (TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # stdout must be redirected around the bars only if it goes to the same terminal.
    with Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty(), disable=console.quiet) as bars:

        def note(bar: TaskID, done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total)

        tasks = {name: bars.add_task(name, total=total, completed=count) for name, count in done.items()}
        yield {name: partial(note, task) for name, task in tasks.items()}


def _lines(console: Console, counts: dict[str, tuple[int, int]]) -> Stages:
    def steps() -> list[int]:
        return [done * _LINES // max(total, 1) for done, total in counts.values()]

    def note(name: str, done: int, total: int) -> None:
        before, counts[name] = steps(), (done, total)
        if steps() != before:
            console.print(
                ", ".join(f"{name} {done} of {total}" for name, (done, total) in counts.items()), highlight=False
            )

    return {name: partial(note, name) for name in counts}
