"""`send-file` sends each row once, reports its result, and continues after an interruption."""

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from typer.testing import CliRunner, Result

from smsc_async import Journal, ReadTimeout, Reply, Timeout
from smsc_async._cli import app as cli
from smsc_async._cli.demo import listen, serve_while
from smsc_async._cli.report import write_csv
from smsc_async._network.httpx import HttpxTransport
from smsc_async.sandbox import DeliveryPlan, Sandbox
from tests.interrupts import interruptible  # noqa: F401 - a fixture

PROGRAM = (sys.executable, "-W", "error", "-m", "smsc_async", "send-file")
PHONES = [f"+7916123456{number}" for number in range(4)]
REFUSED = "+79000009007"
NEVER = "+79000000000"
NINE_IN_MOSCOW = 1_935_381_600.0


@contextmanager
def served(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a sandbox in a thread, and set SMSC_URL to it."""
    listening, stop = threading.Event(), asyncio.Event()
    loop: asyncio.AbstractEventLoop

    async def work(url: str) -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        monkeypatch.setenv("SMSC_URL", url)
        listening.set()
        await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve_while(sandbox.app, listen("127.0.0.1", 0), work)))
    thread.start()
    assert listening.wait(20)
    monkeypatch.setenv("SMSC_APIKEY", "demo")
    yield sandbox
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with served(Sandbox(delivery=DeliveryPlan.instant()), monkeypatch) as sandbox:
        yield sandbox


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*rows: str, header: str = "phone,text") -> None:
    Path("messages.csv").write_text("\n".join([header, *rows]), encoding="utf-8")


def send_file(*arguments: str) -> Result:
    return CliRunner().invoke(
        cli.app, ["send-file", "messages.csv", "--journal", "job.db", "--delay-per-request", "0.01", *arguments]
    )


def report() -> list[dict[str, str]]:
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sent(sandbox: Sandbox) -> Counter[str]:
    return Counter(message.text for message in sandbox.messages)


@pytest.mark.usefixtures("folder")
def test_rows_are_sent_followed_and_reported_and_the_same_command_sends_nothing_more(sandbox: Sandbox) -> None:
    write(*(f"{phone},Hi {number}" for number, phone in enumerate(PHONES)))
    for _ in range(2):
        result = send_file("--report", "out.csv", "--sender", "shop")
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines() == ["final      4", "cost       18"]
    assert sent(sandbox) == Counter(f"Hi {number}" for number in range(4))
    assert sandbox.counts["send_sms2", 0] == 1
    assert {message.sender for message in sandbox.messages} == {"shop"}
    rows = report()
    assert [(row["row"], row["phone"]) for row in rows] == [
        (str(number), phone) for number, phone in enumerate(PHONES, 2)
    ]
    for row in rows:
        assert (row["result"], row["status"], row["status_name"], row["cost"]) == ("delivered", "1", "delivered", "4.5")
        assert row["attempted_at"] <= row["accepted_at"]
        assert all(row[name] for name in ("id", "final_at"))


@pytest.mark.usefixtures("folder")
def test_single_messages_have_their_own_ids_and_stdout_is_pure_json(sandbox: Sandbox) -> None:
    write(f"{PHONES[0]},Hi,order-1", f"{PHONES[1]},Hi,", header="phone,text,id")
    result = send_file("--single", "--no-follow", "--json", "--at", "+5")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["accepted"] == 2
    first, second = (message.id for message in sandbox.messages)
    assert first != second
    assert "order-1" in {first, second}
    assert sandbox.counts["send_sms", 0] + sandbox.counts["send_sms2", 0] == 2


@pytest.mark.usefixtures("folder")
def test_bad_rows_stop_everything_before_anything_is_sent(sandbox: Sandbox) -> None:
    write(f"{PHONES[0]},Hi", *["12,Hi"] * 12)
    result = send_file()
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0].startswith("nothing was sent: 12 invalid row(s); --skip-bad FILE writes them to a file")
    assert lines[1].startswith("  row 3: phone must be a phone")
    assert lines[-1] == "  and 2 more"
    assert not sandbox.messages


@pytest.mark.usefixtures("folder")
def test_skipped_rows_are_written_to_a_file_and_the_rest_is_sent(sandbox: Sandbox) -> None:
    write(f"{PHONES[0]},Hi", "12,Ho", f"{REFUSED},He")
    result = send_file("--skip-bad", "bad.csv", "--report", "out.csv", "--single")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "1 refused"
    (bad,) = csv.DictReader(Path("bad.csv").read_text(encoding="utf-8").splitlines())
    assert "sent 2 of 2, final 0 of 2" in result.stderr  # the skipped one is not counted
    assert (bad["row"], bad["phone"], bad["text"]) == ("3", "12", "Ho")
    assert [(row["result"], row["code"]) for row in report()] == [("delivered", ""), ("skipped", ""), ("failed", "7")]
    assert all(row["error"] for row in report()[1:])
    assert sent(sandbox) == Counter(["Hi"])


@pytest.mark.usefixtures("folder", "sandbox")
def test_a_file_with_only_bad_rows_is_an_error() -> None:
    write("12,Hi")
    result = send_file("--skip-bad", "bad.csv")
    assert (result.exit_code, result.stderr) == (2, "no row of the CSV file can be sent\n")


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_a_cost_above_the_limit_sends_nothing_and_a_higher_limit_continues(sandbox: Sandbox) -> None:
    write(f"{PHONES[0]},Hi", f"{PHONES[1]},Hi")
    result = send_file("--max-cost", "8.99")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "nothing was sent: it would cost 9, and --max-cost is 8.99"
    assert not sandbox.messages
    assert send_file("--max-cost", "9").exit_code == 0
    assert send_file("--max-cost", "1").exit_code == 0, "the limit does not apply to messages that were sent"
    assert len(sandbox.messages) == 2


@pytest.mark.usefixtures("folder")
def test_a_duplicate_row_is_bad_unless_allowed(sandbox: Sandbox) -> None:
    write(f"{PHONES[0]},Hi", f"{PHONES[0]},Hi")
    assert "row 2 is the same message to the same phone" in send_file().stderr
    write(f"{PHONES[0]},Hi", f"{PHONES[0]},Ho")
    assert send_file("--allow-duplicates").exit_code == 0
    assert sent(sandbox) == Counter(["Hi", "Ho"])


@pytest.mark.usefixtures("folder", "sandbox")
def test_a_journal_of_another_file_or_with_other_options_is_refused() -> None:
    write(f"{PHONES[0]},Hi")
    assert send_file().exit_code == 0
    for arguments, words in ((("--sender", "shop"), "options"), (("--at", "2031-05-01T10:00"), "options")):
        result = send_file(*arguments)
        assert result.exit_code == 2
        assert f"belongs to a job with different {words}" in result.stderr
    write(f"{PHONES[0]},Ho")
    assert "belongs to a job with different messages" in send_file().stderr


@pytest.mark.usefixtures("sandbox")
async def test_a_second_process_is_refused(folder: Path) -> None:
    write(f"{PHONES[0]},Hi")
    async with Journal("job.db"):
        ended = await anyio.run_process([*PROGRAM, "messages.csv", "--journal", "job.db"], check=False)
    assert ended.returncode == 1
    assert (
        ended.stderr.decode()
        == f"another process is using the journal {folder / 'job.db'}; wait until it ends, or stop it\n"
    )


@pytest.mark.usefixtures("folder", "sandbox")
def test_a_damaged_journal_is_one_sentence() -> None:
    write(f"{PHONES[0]},Hi")
    Path("job.db").write_bytes(b"no database " * 1000)
    result = send_file()
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"the journal {Path('job.db').resolve()} is damaged: its header is not that of a database; nothing more is sent"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("folder", "sandbox")
def test_wrong_credentials_stop_the_job_and_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    write(f"{PHONES[0]},Hi")
    monkeypatch.setenv("SMSC_APIKEY", "wrong")
    result = send_file("--report", "out.csv")
    assert result.exit_code == 1
    assert "AuthenticationFailed: error 2" in result.stderr
    assert (
        result.stderr.splitlines()[-1]
        == "messages that were not sent stay planned; run the same command again to continue"
    )
    assert [row["result"] for row in report()] == ["planned"]
    monkeypatch.setenv("SMSC_APIKEY", "demo")
    assert send_file().exit_code == 0


@pytest.mark.usefixtures("folder", "sandbox")
def test_messages_pending_at_the_timeout_are_reported() -> None:
    write(f"{NEVER},Hi")
    result = send_file("--timeout", "0.5", "--report", "out.csv")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "1 pending; run the same command again to continue"
    assert [row["result"] for row in report()] == ["accepted"]


@pytest.mark.usefixtures("folder", "sandbox")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-cost", "much"), "--max-cost must be an amount of money"),
        (("--max-cost", "-1"), "--max-cost must be an amount of money"),
        (("--at", "tomorrow"), "--at must be a date and time such as"),
        (("--sender", "far too long a name"), "row 2: sender must be up to 11"),
        (("--report", "missing/out.csv"), "can't write missing/out.csv: No such file or directory"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(arguments: tuple[str, ...], words: str) -> None:
    write(f"{PHONES[0]},Hi")
    result = send_file(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.usefixtures("folder", "sandbox")
def test_a_missing_file_and_missing_credentials_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "can't read messages.csv: No such file or directory" in send_file().stderr
    monkeypatch.delenv("SMSC_APIKEY")
    assert "set SMSC_APIKEY, or SMSC_LOGIN and SMSC_PASSWORD, in the environment" in send_file().stderr


@pytest.mark.usefixtures("folder")
def test_a_local_time_uses_the_time_zone_of_each_row(sandbox: Sandbox) -> None:
    write(f"{PHONES[0]},Hi,shop,2", f"{PHONES[1]},Hi,shop,", header="phone,text,sender,tz")
    assert "a message's own tz needs at=LocalTime" in send_file().stderr
    assert send_file("--at", "2031-05-01T10:00+03:00", "--no-follow").exit_code == 2
    assert send_file("--at", "2031-05-01T10:00", "--no-follow").exit_code == 0
    assert sorted(message.send_at - NINE_IN_MOSCOW for message in sandbox.messages) == [-3600, 3600]


@pytest.fixture
def far_east() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Vladivostok")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("folder", "far_east")
@pytest.mark.parametrize("text", ["2031-05-01T09:00", "2031-05-01T09:00+03:00", "2031-05-01 06:00Z"])
def test_at_means_the_same_in_send_and_send_file_in_every_zone_of_the_machine(sandbox: Sandbox, text: str) -> None:
    write(f"{PHONES[0]},Hi")
    assert send_file("--at", text, "--no-follow").exit_code == 0
    assert CliRunner().invoke(cli.app, ["send", PHONES[1], "--text", "Hi", "--at", text]).exit_code == 0
    assert [message.send_at for message in sandbox.messages] == [NINE_IN_MOSCOW] * 2


@pytest.mark.usefixtures("folder", "sandbox")
def test_an_interrupt_says_how_to_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    write(f"{PHONES[0]},Hi")
    monkeypatch.setattr(Journal, "send", interrupted)
    result = send_file()
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "interrupted; run the same command again to continue"


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_an_unresolved_send_is_reported(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    post = HttpxTransport.post

    async def lost(self: HttpxTransport, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        if b":send" in body:
            raise ReadTimeout("late")
        return await post(self, url, headers, body, timeout)

    write("89161234567,Hi")  # of a number without + "not found" proves nothing
    monkeypatch.setattr(HttpxTransport, "post", lost)
    monkeypatch.setattr("smsc_async._journal.sender._PATIENCE", -0.5)
    result = send_file("--report", "out.csv")
    assert result.exit_code == 1
    assert "1 unresolved: they may have been sent, and are not sent again" in result.stderr
    assert [row["result"] for row in report()] == ["unresolved"]
    assert not sandbox.messages


@pytest.mark.usefixtures("folder", "sandbox")
def test_an_undelivered_message_says_why() -> None:
    write("+79000000020,Hi")
    assert send_file("--report", "out.csv").exit_code == 0
    (row,) = report()
    assert (row["result"], row["status"], row["error"]) == ("not delivered", "20", "the subscriber does not exist")


def test_a_file_that_can_not_be_replaced_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ValueError, match=r"can't write .*out\.csv: Permission denied"):
        write_csv(tmp_path / "out.csv", [["a"], ["1"]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
@pytest.mark.skipif(os.name != "posix", reason="Windows can't send a signal to one process")
@pytest.mark.parametrize(("sent_signal", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_job_cleanly_and_the_same_command_continues(
    monkeypatch: pytest.MonkeyPatch, sent_signal: signal.Signals, code: int
) -> None:
    write(*(f"+7916123{number:04},Hi {number}" for number in range(30)))
    command = [*PROGRAM, "messages.csv", "--journal", "job.db", "--report", "out.csv", "--batch-size", "2"]
    slow = Sandbox(delivery=DeliveryPlan(to_operator=0, to_decision=2, spread=0), latency=0.05)
    with served(slow, monkeypatch):
        with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:  # noqa: S603 - our own program
            assert process.stderr is not None
            assert process.stderr.readline() == "a new job: 30 messages are planned in job.db\n"
            assert process.stderr.readline().startswith("sent ")
            process.send_signal(sent_signal)
            _, words = process.communicate(timeout=30)
        assert process.returncode == code
        assert words.splitlines()[-1] == "interrupted; run the same command again to continue"
        assert len(report()) == 30
        ended = subprocess.run([*command, "--delay-per-request", "0.1"], capture_output=True, timeout=60, check=False)  # noqa: S603 - as above
        assert (ended.returncode, [row["result"] for row in report()]) == (0, ["delivered"] * 30)
    assert sent(slow) == Counter(f"Hi {number}" for number in range(30))


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
@pytest.mark.skipif(os.name != "posix", reason="Windows has no limit for the size of a file")
def test_a_full_disk_stops_the_job_and_nothing_is_lost_or_sent_twice(sandbox: Sandbox) -> None:
    write(*(f"+7916123{number:04},Hi {number}" for number in range(50)))
    command = [
        *PROGRAM,
        "messages.csv",
        "--journal",
        "job.db",
        "--report",
        "out.csv",
        "--single",
        "--delay-per-request",
        "0.01",
    ]
    limited = ["sh", "-c", 'ulimit -f 112; exec "$@"', "sh", *command]
    ended = subprocess.run(limited, capture_output=True, encoding="utf-8", timeout=60, check=False)  # noqa: S603 - as above
    assert ended.returncode == 1
    assert "the disk is full; nothing more is sent and nothing is lost: free some space and start again" in ended.stderr
    assert 0 < len(sandbox.messages) < 50
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=90, check=False)  # noqa: S603 - as above
    assert (ended.returncode, {row["result"] for row in report()}) == (0, {"delivered"})
    assert sent(sandbox) == Counter(f"Hi {number}" for number in range(50))
