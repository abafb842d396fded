"""A command that waits says why, and for how long, also in a pipe."""

import asyncio
import io
import logging
import os
import subprocess

import pytest
from rich.console import Console

from smsc_async import CallFinished, CallRetried
from smsc_async._cli import progress as progress_module
from smsc_async._cli.progress import progress
from smsc_async._cli.waiting import WaitNotices, notices
from tests.cli.test_send_file import PHONES, PROGRAM, folder, write  # noqa: F401 - a fixture

LOG = logging.getLogger("smsc_async")
WAIT = "identical message within a minute: 58 s left"


def retried(error: str, seconds: float) -> CallRetried:
    return CallRetried(call=1, operation="send_sms", number=1, error=error, seconds=seconds)


def finished(operation: str, error: str | None) -> CallFinished:
    return CallFinished(
        call=1,
        operation=operation,
        host="",
        id=None,
        seconds=1,
        waited=0,
        attempts=1,
        error=error,
        code=None,
        outcome=None,
        is_refused=False,
        cost=None,
    )


def test_a_pause_is_announced_once_for_all_calls(capsys: pytest.CaptureFixture[str]) -> None:
    observer = WaitNotices()
    observer.retried(retried("ConnectError", 0.5))  # too short for a line
    observer.retried(retried("ConnectError", 7.2))
    observer.retried(retried("PoolTimeout", 7.2))
    observer.retried(retried("ReadTimeout", 2))
    observer.finished(finished("get_status", "ConnectError"))  # of the same network
    observer.finished(finished("send_sms", "ConnectError"))
    observer.finished(finished("get_status", None))
    assert capsys.readouterr() == ("", "no network, next try in 8 s\nno answer (ReadTimeout), next try in 2 s\n")
    WaitNotices().finished(finished("get_status", "ConnectError"))
    assert capsys.readouterr().err == "no network, the status is requested again soon\n"


def test_the_log_of_a_job_is_printed_without_repetitions(capsys: pytest.CaptureFixture[str]) -> None:
    level, handlers = LOG.level, LOG.handlers.copy()
    with notices() as (observer,):
        assert isinstance(observer, WaitNotices)
        for seconds in (58, 57):
            LOG.info("identical message within a minute: %d s left", seconds, extra={"wait": seconds})
        LOG.info("no network, next try in 5 s", extra={"wait": 0.0})
        LOG.info("no network, next try in 9 s", extra={"wait": 9.0})
        LOG.warning("a warning")
        LOG.debug("a detail")
    assert capsys.readouterr().err.splitlines() == [
        WAIT,
        "no network, next try in 5 s",
        "no network, next try in 9 s",
        "a warning",
    ]
    with notices(quiet=True) as observers:
        LOG.info(WAIT, extra={"wait": 58.0})
    assert (observers, LOG.level, LOG.handlers) == ([], level, handlers)
    assert capsys.readouterr().err == ""


def test_a_finer_log_stays_as_fine_as_it_is() -> None:
    before = LOG.level
    try:
        LOG.setLevel(logging.DEBUG)
        with notices():
            assert LOG.level == logging.DEBUG
    finally:
        LOG.setLevel(before)


async def test_silence_is_interrupted_by_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_FIRST_REMINDER", 0.0)
    monkeypatch.setattr(progress_module, "_REMINDER", 1000.0)
    screen = io.StringIO()
    with progress(Console(file=screen, width=20), 1000, sent=999, final=950) as stages:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert screen.getvalue() == "sending: 999 of 1,000 sent\n"
        monkeypatch.setattr(progress_module, "_REMINDER", 0.0)
        stages["sent"](1000, 1000)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        monkeypatch.setattr(progress_module, "_REMINDER", 1000.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert "waiting for delivery: 950 of 1,000 final" in screen.getvalue().splitlines()
        stages["final"](1000, 1000)
    lines = screen.getvalue()
    await asyncio.sleep(0)
    assert screen.getvalue() == lines


async def test_nothing_is_waited_for_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_FIRST_REMINDER", 0.0)
    screen = io.StringIO()
    with progress(Console(file=screen), 10, sent=10, final=10):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert screen.getvalue() == ""


async def test_without_steps_a_terminal_shows_only_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_FIRST_REMINDER", 0.0)
    screen = io.StringIO()
    with progress(Console(file=screen, force_terminal=True), 10, steps=False, final=1) as stages:
        stages["final"](5, 10)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert screen.getvalue() == "waiting for delivery: 5 of 10 final\n"


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
@pytest.mark.skipif(os.name != "posix", reason="Windows can't send a signal to one process")
def test_a_job_without_a_network_says_so_in_a_pipe() -> None:
    write(f"{PHONES[0]},Hi")
    environment = {**os.environ, "SMSC_URL": "http://127.0.0.1:9/sys/soap.php", "SMSC_APIKEY": "demo"}
    command = [*PROGRAM, "messages.csv", "--journal", "job.db"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", env=environment
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "a new job: 1 messages are planned in job.db\n"
        assert process.stderr.readline() == "no network, next try in 5 s\n"
        process.terminate()
        assert process.stderr.read() == "interrupted; run the same command again to continue\n"
    assert process.returncode == 143
