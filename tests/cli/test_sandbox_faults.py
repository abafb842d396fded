"""`smsc-async sandbox --fault`: faults for a program that knows nothing of this package."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smsc_async import Client
from smsc_async._cli.app import app

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows can't send Ctrl-C to one process")
async def test_the_sandbox_injects_the_faults_and_prints_nothing_about_them() -> None:
    faults = "lose_answer operation=send times=1", "leftover_bytes operation=send"
    with subprocess.Popen(  # noqa: S603, ASYNC220 - our own program
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "smsc_async",
            "sandbox",
            "--port=0",
            "--seed=7",
            "--quiet",
            *(f"--fault={each}" for each in faults),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url is not None
        async with Client(apikey="demo", url=url[0]) as client:
            reconciled = [(await client.send("+79991234567", text)).reconciled for text in ("one", "two", "three")]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (reconciled, process.returncode, errors.strip()) == ([True, False, False], 130, "")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("lose_everything", "kind must be 'lose_request', 'lose_answer'"),
        ("delay", "delay needs seconds, such as 'delay seconds=3'"),
        ("http stat=502", "did you mean status?"),
        ("lose_answer send", "each parameter is name=value"),
    ],
)
def test_a_wrong_fault_is_a_wrong_usage_that_says_what_to_pass(fault: str, words: str) -> None:
    result = CliRunner().invoke(app, ["sandbox", "--fault", fault])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert words in result.stderr
