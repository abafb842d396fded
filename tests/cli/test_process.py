"""SIGTERM ends a command with its own exit code, and a cancellation does not."""

import asyncio
import os
import signal

import pytest
import typer

from smsc_async._cli.process import until_terminated


async def test_a_cancellation_is_not_a_termination() -> None:
    task = asyncio.create_task(until_terminated(asyncio.sleep(100)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.skipif(os.name != "posix", reason="Windows can't send a signal to one process")
async def test_sigterm_has_its_own_exit_code() -> None:
    asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
    with pytest.raises(typer.Exit) as caught:
        await until_terminated(asyncio.sleep(100))
    assert caught.value.exit_code == 143
