"""Every command ends with an exit code and lines that say why, also after Ctrl-C and SIGTERM."""

import asyncio
import os
import signal
from collections.abc import Callable

import anyio
import pytest
import typer

from smsc_async import ConnectError, JournalInUse
from smsc_async._cli.process import attempt, run, until_terminated
from tests.interrupts import interruptible  # noqa: F401 - a fixture

posix = pytest.mark.skipif(os.name != "posix", reason="Windows can't send a signal to one process")


async def sleep_after(number: signal.Signals) -> None:
    signal.raise_signal(number)
    await asyncio.Event().wait()


def exit_code(work: Callable[[], object]) -> int:
    with pytest.raises(typer.Exit) as caught:
        work()
    return caught.value.exit_code


async def test_a_cancellation_is_not_a_termination() -> None:
    task = asyncio.create_task(until_terminated(asyncio.sleep(100)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_has_its_own_exit_code_and_the_line_of_the_command(
    number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(lambda: run(sleep_after(number))) == code
    assert capsys.readouterr() == ("", "")
    assert exit_code(lambda: run(sleep_after(number), on_interrupt="start again")) == code
    assert capsys.readouterr() == ("", "interrupted; start again\n")


def test_a_second_interrupt_is_exit_code_130_too() -> None:
    async def insist() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    async def work() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(insist)

    assert exit_code(lambda: run(work())) == 130


def test_other_exception_groups_are_raised_unchanged() -> None:
    async def work() -> None:
        raise BaseExceptionGroup("", [GeneratorExit()])

    with pytest.raises(BaseExceptionGroup):
        run(work())


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (ConnectError("no route"), 1, "ConnectError: no route (outcome: not_sent)\ncontinue\n"),
        (JournalInUse("another process"), 1, "another process\n"),
        (ValueError("pass a phone"), 2, "pass a phone\n"),
    ],
)
def test_an_error_has_its_exit_code_and_its_words(
    error: Exception, code: int, lines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    assert exit_code(lambda: attempt(fail, on_failure="continue")) == code
    assert capsys.readouterr() == ("", lines)
