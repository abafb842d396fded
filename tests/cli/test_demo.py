"""`smsc-async demo` follows its messages until they are final, and `sandbox` serves until Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from smsc_async import MessageStatus
from smsc_async._cli import demo as _cli_demo
from smsc_async._cli.app import app
from smsc_async._cli.demo import demonstrate, listen
from smsc_async._cli.output import DemoReport, demo_lines
from smsc_async.sandbox import DeliveryPlan, Sandbox
from tests.interrupts import interruptible  # noqa: F401 - a fixture

ROOT = Path(__file__).parent.parent.parent
PROGRAM = (sys.executable, "-W", "error", "-m", "smsc_async")


IGNORED: Final = {"sent": lambda *_: None, "final": lambda *_: None}


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cli_demo, "PLAN", DeliveryPlan.instant())
    monkeypatch.setattr(_cli_demo, "DELAY_PER_REQUEST", 0.001)


@pytest.fixture
def never_final(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cli_demo, "PLAN", DeliveryPlan(to_decision=1000, spread=0))
    monkeypatch.setattr(_cli_demo, "TIMEOUT", 0.05)


@pytest.mark.slow
def test_demo_through_a_pipe_follows_every_message_without_error_9() -> None:
    ran = subprocess.run(  # noqa: S603 - our own program
        [*PROGRAM, "demo", "--messages", "49", "--json"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    report = json.loads(ran.stdout)
    assert sum(report["outcomes"].values()) == report["messages"] == 49
    assert (report["refused"], report["pending"], report["too_often"]) == (0, 0, 0)
    assert report["requests"]["send_sms2"] == 2
    assert report["status_requests_a_message"] == round(report["requests"]["get_status"] / 49, 3)
    assert report["peak_memory_mb"] > 10
    assert Decimal(report["balance_before"]) - Decimal(report["balance_after"]) == Decimal(report["cost"]) > 0


@pytest.mark.skipif(os.name != "posix", reason="Windows can't send Ctrl-C to one process")
def test_ctrl_c_ends_the_sandbox_without_a_traceback() -> None:
    with subprocess.Popen(  # noqa: S603 - our own program
        [*PROGRAM, "sandbox", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert "the sandbox listens on http://127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors.strip()) == (130, "")


@pytest.mark.usefixtures("fast")
def test_demo_prints_progress_lines_and_the_tables() -> None:
    result = CliRunner().invoke(app, ["demo", "--messages", "120"])
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[-1] == "sent 120 of 120, final 120 of 120"
    for words in ("delivered", "error 9", "send_sms2", "balance 1200 before"):
        assert words in result.stdout


@pytest.mark.usefixtures("fast")
def test_demo_in_json_prints_nothing_else() -> None:
    result = CliRunner().invoke(app, ["demo", "--messages", "3", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["outcomes"] == {"1": 3}


@pytest.mark.usefixtures("never_final")
def test_a_pending_message_is_exit_code_1() -> None:
    result = CliRunner().invoke(app, ["demo", "--messages", "2"])
    assert result.exit_code == 1
    assert "pending" in result.stdout
    assert "2 pending, 0 refused" in result.stderr


@pytest.mark.usefixtures("never_final")
async def test_messages_pending_at_the_timeout_are_counted() -> None:
    report = await demonstrate(3, IGNORED)
    assert report.pending == 3
    assert report.too_often == 0


async def test_refused_messages_are_counted(monkeypatch: pytest.MonkeyPatch, fast: None) -> None:  # noqa: ARG001 - its constants
    # A demo account without money: every request is refused with error 3.
    monkeypatch.setattr(_cli_demo, "BALANCE", Decimal(0))
    report = await demonstrate(2, IGNORED)
    assert (report.refused, report.pending, report.cost) == (2, 0, Decimal(0))
    assert not report.is_complete


def test_a_port_in_use_is_an_error_of_one_line() -> None:
    with listen("127.0.0.1", 0) as taken:
        result = CliRunner().invoke(app, ["sandbox", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
async def test_an_ipv6_address_is_in_brackets() -> None:
    async def work(url: str) -> str:
        return url

    try:
        listener = listen("::1", 0)
    except OSError:
        pytest.skip("no IPv6 loopback")
    sandbox = Sandbox()
    assert (await _cli_demo.serve_while(sandbox.app, listener, work)).startswith("http://[::1]:")


def test_the_table_shows_refused_and_pending_messages() -> None:
    report = DemoReport(
        messages=3,
        outcomes=Counter({MessageStatus.DELIVERED: 1}),
        refused=1,
        pending=1,
        cost=Decimal(1),
        balance_before=Decimal(3),
        balance_after=Decimal(2),
        requests=Counter({"get_status": 5}),
        too_often=0,
        seconds=1.25,
    )
    shown = "\n".join(demo_lines(report))
    assert "refused" in shown
    assert "pending" in shown
    assert "2.50" in shown  # status requests per accepted message
    assert "peak memory" not in shown
    assert report.as_json()["peak_memory_mb"] is None


def test_memory_is_unknown_if_the_system_does_not_report_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cli_demo, "find_spec", lambda _: None)
    assert _cli_demo._peak_memory() is None
