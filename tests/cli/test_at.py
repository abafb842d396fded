"""What was meant for a moment that is past is not sent at once without a word."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smsc_async._cli import app as cli
from smsc_async.sandbox import DeliveryPlan, Sandbox
from tests.cli.test_send_file import served

MOSCOW = timedelta(hours=3)
SENT_AT_ONCE = "so the service would send at once; for that, leave --at out"


def in_hours(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def wall_clock_of_moscow(hours: float) -> str:
    return (in_hours(hours) + MOSCOW).replace(tzinfo=None).isoformat(timespec="minutes")


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    monkeypatch.chdir(tmp_path)
    with served(Sandbox(delivery=DeliveryPlan.instant()), monkeypatch) as sandbox:
        yield sandbox


def send(at: str) -> Result:
    return CliRunner().invoke(cli.app, ["send", "+79991234567", "--text", "Hi", "--at", at])


def send_file(at: str, *rows: str, header: str = "phone,text") -> Result:
    Path("messages.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return CliRunner().invoke(
        cli.app, ["send-file", "messages.csv", "--journal", "job.db", "--no-follow", "--at", at], catch_exceptions=False
    )


@pytest.mark.parametrize(
    "at",
    [in_hours(-0.1).isoformat(), "2024-02-29T10:00Z", "2001-09-10T00:00+03:00"],
    ids=["minutes ago", "years ago", "long ago"],
)
def test_an_instant_in_the_past_is_refused(sandbox: Sandbox, at: str) -> None:
    for result in (send(at), send_file(at, "+79991234567,Hi")):
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"--at is in the past, {SENT_AT_ONCE}" in result.stderr
    assert not sandbox.messages


@pytest.mark.parametrize("at", [wall_clock_of_moscow(-1), "2000-01-01T10:00"], ids=["an hour ago", "long ago"])
def test_a_wall_clock_time_that_is_past_in_moscow_is_refused_and_the_zone_is_named(sandbox: Sandbox, at: str) -> None:
    for result in (send(at), send_file(at, "+79991234567,Hi")):
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"past (without an offset, it is taken for Moscow time), {SENT_AT_ONCE}" in result.stderr
    assert not sandbox.messages


def test_a_moment_to_come_is_sent(sandbox: Sandbox) -> None:
    for at in (wall_clock_of_moscow(1), in_hours(1).isoformat()):
        assert send(at).exit_code == 0
    assert [round((each.send_at - each.accepted_at) / 60) in (59, 60) for each in sandbox.messages] == [True, True]


@pytest.mark.parametrize("at", ["1999-12-31T10:00", "2100-01-01T00:00"])
def test_a_year_that_two_digits_cannot_say_is_refused(sandbox: Sandbox, at: str) -> None:
    for result in (send(at), send_file(at, "+79991234567,Hi")):
        assert (result.exit_code, result.stdout) == (2, "")
        assert "moment must be in 2000 to 2099" in result.stderr
    assert not sandbox.messages


def test_a_row_counts_in_its_own_time_zone(sandbox: Sandbox) -> None:
    at, header = wall_clock_of_moscow(1), "phone,text,sender,tz"
    result = send_file(at, "+79991234567,Hi,shop,-1", "+79991234568,Hi,shop,9", header=header)
    assert result.exit_code == 2
    assert "row 3: --at is in the past in the tz of this row" in result.stderr
    assert "row 2" not in result.stderr
    assert send_file(wall_clock_of_moscow(-1), "+79991234567,Hi,shop,-3", header=header).exit_code == 0
    assert [each.phone for each in sandbox.messages] == ["79991234567"]


@pytest.mark.slow
def test_a_job_goes_on_when_its_time_has_come_and_says_so(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    at = in_hours(1).isoformat()
    monkeypatch.setenv("SMSC_APIKEY", "wrong")
    assert send_file(at, "+79991234567,Hi").exit_code == 1
    monkeypatch.setenv("SMSC_APIKEY", "demo")
    monkeypatch.setattr("smsc_async._cli.send_file.is_past", lambda *_: True)
    monkeypatch.setattr("smsc_async._cli.arguments.is_past", lambda *_: True)
    result = send_file(at, "+79991234567,Hi")
    assert result.exit_code == 0, result.stderr
    assert "--at has passed since the job was planned, so what is still to be sent goes at once\n" in result.stderr
    assert len(sandbox.messages) == 1
