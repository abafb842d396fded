"""The progress of a command: a live bar for each stage on a terminal, otherwise a line for each tenth."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from rich.console import Console

from smsc_async._model import OnProgress

if TYPE_CHECKING:
    from rich.progress import TaskID

__all__ = ["Stages", "progress"]

Stages: TypeAlias = Mapping[str, OnProgress]
"""For each stage, a function that is called with the number of messages that have reached it, and of all."""

_WAITING: Final = {"sent": "sending", "final": "waiting for delivery"}
_LINES: Final = 10
_FIRST_REMINDER: Final = 5.0
_REMINDER: Final = 30.0


@contextlib.contextmanager
def progress(console: Console, total: int, *, steps: bool = True, **done: int) -> Iterator[Stages]:
    """Show how many messages have reached each stage.

    Args:
        console: The console to print on; a quiet one shows nothing.
        total: The number of messages.
        steps: Whether to show the progress itself, not only what is waited for from time to time.
        **done: The stages, each with the number of messages that have reached it.
    """
    if not (console.is_terminal and steps):
        lines = _Lines(console, {name: (count, total) for name, count in done.items()}, steps=steps)
        with lines.reminders():
            yield {name: partial(lines.note, name) for name in done}
        return
    from rich.progress import (  # noqa: PLC0415 - the help and most commands show no bars
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # stdout must be redirected around the bars only if it goes to the same terminal.
    is_shared = sys.stdout is not None and sys.stdout.isatty()
    with Progress(*columns, console=console, redirect_stdout=is_shared, disable=console.quiet) as bars:

        def note(bar: "TaskID", done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total)

        tasks = {name: bars.add_task(name, total=total, completed=count) for name, count in done.items()}
        yield {name: partial(note, task) for name, task in tasks.items()}


class _Lines:
    """Prints a line at each tenth, and what is waited for if there has been none for a while.

    Args:
        console: The console to print on.
        counts: For each stage, the number of messages that have reached it, and of all.
        steps: Whether to print a line at each tenth.
    """

    def __init__(self, console: Console, counts: dict[str, tuple[int, int]], *, steps: bool) -> None:
        self._console = console
        self._counts = counts
        self._steps = steps
        self._timer: asyncio.TimerHandle | None = None

    def note(self, name: str, done: int, total: int) -> None:
        """Note how many messages have reached a stage."""
        before, self._counts[name] = self._tenths(), (done, total)
        if self._steps and self._tenths() != before:
            self._print(", ".join(f"{name} {done:,} of {total:,}" for name, (done, total) in self._counts.items()))
            self._restart(_REMINDER)

    @contextlib.contextmanager
    def reminders(self) -> Iterator[None]:
        """Print from time to time what is waited for."""
        self._restart(_FIRST_REMINDER)
        try:
            yield
        finally:
            self._stop()

    def _restart(self, seconds: float) -> None:
        self._stop()
        with contextlib.suppress(RuntimeError):  # outside of an event loop nothing waits
            self._timer = asyncio.get_running_loop().call_later(seconds, self._remind)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _remind(self) -> None:
        for name, (done, total) in self._counts.items():
            if done < total:
                self._print(f"{_WAITING[name]}: {done:,} of {total:,} {name}")
                break
        self._restart(_REMINDER)

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)

    def _tenths(self) -> list[int]:
        return [done * _LINES // max(total, 1) for done, total in self._counts.values()]
