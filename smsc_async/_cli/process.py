"""The command line as a process: its exit codes and signals."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable
from typing import Final, NoReturn, TypeVar

import typer

__all__ = ["FAILED", "INTERRUPTED", "TERMINATED", "USAGE", "fail", "until_terminated"]

T = TypeVar("T")

FAILED: Final = 1
"""The exit code if the service, the network or a file failed."""
USAGE: Final = 2
"""The exit code for wrong arguments."""
INTERRUPTED: Final = 128 + signal.SIGINT
"""The exit code after Ctrl-C, as shells report it."""
TERMINATED: Final = 128 + signal.SIGTERM
"""The exit code after SIGTERM, as shells report it."""


def fail(code: int, *lines: str) -> NoReturn:
    """Print lines on stderr and exit with a code."""
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(code)


async def until_terminated(work: Awaitable[T]) -> T:
    """Await `work`; SIGTERM cancels it as Ctrl-C does, and exits with `TERMINATED`."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - in a coroutine
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        task.cancel()

    with contextlib.suppress(NotImplementedError):  # Windows has no SIGTERM that can be caught
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
