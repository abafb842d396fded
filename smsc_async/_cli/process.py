"""The command line as a process: its exit codes and signals."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NoReturn, TypeVar

import typer

from smsc_async._model import JournalError, SmscError

from .output import error_lines
from .terminal import say

__all__ = ["FAILED", "INTERRUPTED", "TERMINATED", "USAGE", "attempt", "fail", "run", "until_terminated"]

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
    say(*lines)
    raise typer.Exit(code)


def run(work: Coroutine[Any, Any, T], *, on_failure: str = "", on_interrupt: str = "") -> T:
    """Run `work` on an event loop, and return its result; Ctrl-C and SIGTERM cancel it.

    Args:
        work: What to run.
        on_failure: A further line if the service or the network fails.
        on_interrupt: What to do after an interrupt; "" to print nothing.
    """
    said = [f"interrupted; {on_interrupt}"] if on_interrupt else []
    try:
        return attempt(lambda: asyncio.run(until_terminated(work, *said)), on_failure=on_failure)
    except (KeyboardInterrupt, BaseExceptionGroup) as error:
        # A second Ctrl-C is raised at an arbitrary point, and may be wrapped in the exception group of a task group.
        if not isinstance(error, KeyboardInterrupt) and error.subgroup(KeyboardInterrupt) is None:
            raise
        fail(INTERRUPTED, *said)


def attempt(work: Callable[[], T], *, on_failure: str = "") -> T:
    """Return the result of `work`, or print why it failed and exit with the code for that."""
    try:
        return work()
    except JournalError as error:
        fail(FAILED, str(error))
    except SmscError as error:
        fail(FAILED, *error_lines(error), *filter(None, [on_failure]))
    except ValueError as error:
        fail(USAGE, str(error))


async def until_terminated(work: Awaitable[T], *said: str) -> T:
    """Await `work`; SIGTERM cancels it as Ctrl-C does, prints lines, and exits with `TERMINATED`."""
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
            fail(TERMINATED, *said)
        raise
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGTERM)
