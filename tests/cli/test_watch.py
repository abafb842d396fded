"""`smsc-async watch` reports each message once, even if it is interrupted and run again."""

import asyncio
import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from smsc_async import (
    DeliveryError,
    DeliveryReport,
    JournalError,
    Message,
    MessageNotFound,
    MessageRef,
    MessageStatus,
    Update,
)
from smsc_async._cli import watch as command
from smsc_async._cli.app import app
from smsc_async._cli.demo import listen, serve_while
from smsc_async._cli.watch import follow, read_refs
from smsc_async._cli.watch_state import WatchState
from smsc_async._client import Client
from smsc_async.sandbox import DeliveryPlan, Limits, Sandbox
from tests.interrupts import interruptible  # noqa: F401 - a fixture

ROOT = Path(__file__).parent.parent.parent
ONE = MessageRef("+79161234567", "7")
posix = pytest.mark.skipif(os.name != "posix", reason="Windows can't send a signal to one process")


class Service:
    """A sandbox that listens in a thread, whose messages become final 1000 s after they were sent."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(
            limits=Limits.off(),
            delivery=DeliveryPlan(to_operator=0, to_decision=1000, spread=0, outcomes=DeliveryPlan.instant().outcomes),
        )
        self.asked: Counter[str] = Counter()
        self.most = math.inf  # messages; a request about one more waits until it is released
        self.released = threading.Event()
        self._arrive = self.sandbox._service.arrive
        self.sandbox._service.arrive = self._note  # type: ignore[method-assign]  # to count the status requests

    def _note(self, method: str, fields: Any, **rest: Any) -> Any:
        if method == "get_status":
            self.asked[f"{fields['phone']}:{fields['id']}"] += 1
            if len(self.asked) > self.most:
                self.released.wait(30)
        return self._arrive(method, fields, **rest)

    def send(self, first: int, count: int) -> list[str]:
        """Send `count` messages; return their references."""

        async def work() -> list[str]:
            async with Client(apikey="demo", transport=self.sandbox.transport(), guards=None) as client:
                messages = [Message(f"+7916{number:07}", "Hi") for number in range(first, first + count)]
                return [str(outcome.ref) async for outcome in client.send_batch(messages)]

        return asyncio.run(work())

    def later(self) -> None:
        """Let the status of all sent messages become final."""
        self.sandbox.advance(2000)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    service = Service()
    listening, stop = threading.Event(), asyncio.Event()
    loop: asyncio.AbstractEventLoop

    async def work(url: str) -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        monkeypatch.setenv("SMSC_URL", url)
        listening.set()
        await stop.wait()

    server = serve_while(service.sandbox.app, listen("127.0.0.1", 0), work)
    thread = threading.Thread(target=lambda: asyncio.run(server))
    thread.start()
    assert listening.wait(20)
    monkeypatch.setenv("SMSC_APIKEY", "demo")
    yield service
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["watch", *map(str, arguments), "--delay-per-request", "0.05"])


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    program = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "smsc_async",
        "watch",
        *map(str, arguments),
        "--delay-per-request",
        "0.05",
    ]
    pipe = subprocess.PIPE
    return subprocess.Popen(program, cwd=ROOT, stdout=pipe, stderr=pipe, encoding="utf-8")  # noqa: S603 - our own program


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def names(updates: list[dict[str, Any]], *, last: bool) -> list[str]:
    return [f"{each['phone']}:{each['id']}" for each in updates if each["is_last"] == last]


def interrupted(service: Service, folder: Path, number: int) -> tuple[list[str], list[dict[str, Any]], int]:
    """Start a watch and end it half-way with a signal; return all references, the reports, and the exit code."""
    refs = service.send(0, 60)
    service.later()
    refs += service.send(60, 60)
    (folder / "refs.csv").write_text("\n".join(refs))
    service.most = 90  # however late the signal is, the watch is not at its end
    with start(folder / "refs.csv", "--state", folder / "state", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        head = "".join(process.stdout.readline() for _ in range(60))
        process.send_signal(number)
        rest = process.stdout.read()  # `communicate` would lose what `readline` has read ahead
        errors = process.stderr.read()
    service.most = math.inf
    service.released.set()
    assert errors in {"", "interrupted; run the same command again\n"}
    whole, _, _ = (head + rest).rpartition("\n")
    return refs, lines(whole), process.returncode


@pytest.mark.slow
@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_an_interrupt_each_message_is_reported_exactly_once(
    service: Service, tmp_path: Path, number: int, code: int
) -> None:
    refs, first, ended = interrupted(service, tmp_path, number)
    assert ended == code
    assert 60 <= len(first) < 120
    service.asked.clear()
    service.later()
    result = run(tmp_path / "refs.csv", "--state", tmp_path / "state", "--json")
    assert result.exit_code == 0, result.output
    second = lines(result.stdout)
    assert sorted(names(first, last=True) + names(second, last=True)) == sorted(refs)
    seen = Counter((name, last) for last in (True, False) for name in names(first + second, last=last))
    assert set(seen.values()) == {1}
    assert service.asked.keys() == set(refs) - set(names(first, last=True))
    assert list(tmp_path.glob("state-*")) == []  # SQLite has removed its temporary files


@pytest.mark.slow
@posix
def test_after_kill_9_each_message_is_reported_at_least_once(service: Service, tmp_path: Path) -> None:
    refs, first, ended = interrupted(service, tmp_path, signal.SIGKILL)
    assert ended == -signal.SIGKILL
    service.asked.clear()
    service.later()
    second = lines(run(tmp_path / "refs.csv", "--state", tmp_path / "state", "--json").stdout)
    reported = Counter(names(first, last=True) + names(second, last=True))
    assert reported.keys() == set(refs)
    assert reported.total() <= len(refs) + 1  # the one that was about to be recorded
    assert len(service.asked.keys() & set(names(first, last=True))) <= 1


def test_a_second_process_is_refused(service: Service, tmp_path: Path) -> None:
    (tmp_path / "refs.csv").write_text(service.send(0, 1)[0])
    with WatchState(tmp_path / "state"):
        result = run(tmp_path / "refs.csv", "--state", tmp_path / "state")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"another process is using the watch state {tmp_path / 'state'}; wait until it ends, or stop it\n"
    )
    assert not service.asked


def test_a_file_in_another_format_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "refs.csv").write_text("+79161234567:7\n" * 100)
    before = (tmp_path / "refs.csv").read_bytes()
    result = run(tmp_path / "refs.csv", "--state", tmp_path / "refs.csv")
    assert result.exit_code == 1
    assert "is damaged: its header is not that of a database; the watch stops. Pass another file" in result.stderr
    assert (tmp_path / "refs.csv").read_bytes() == before


def test_results_as_lines_with_progress(service: Service, tmp_path: Path) -> None:
    refs = service.send(0, 10)
    service.later()
    rows = "".join(f"x,{each.rpartition(':')[2]},{each.rpartition(':')[0]}\n" for each in [*refs, refs[0]])
    (tmp_path / "refs.csv").write_text(f"name,ID,Phone\n{rows}\n")
    result = run(tmp_path / "refs.csv", "--progress")
    assert result.exit_code == 0, result.output
    assert sorted(result.stdout.splitlines()) == sorted(f"{ref}\t1 delivered" for ref in refs)
    assert result.stderr.splitlines()[-1] == "final 10 of 10"
    assert len(result.stderr.splitlines()) == 10


def test_pending_messages_expire(service: Service, tmp_path: Path) -> None:
    (ref,) = service.send(0, 1)
    (tmp_path / "refs.csv").write_text(ref)
    for _ in range(2):
        result = run(tmp_path / "refs.csv", "--timeout", "0.2", "--state", tmp_path / "state")
        assert (result.exit_code, result.stderr) == (1, "1 message(s) not delivered\n")
    result = run(tmp_path / "refs.csv", "--timeout", "0.2")
    assert result.stdout.splitlines()[-1] == f"{ref}\texpired"


def test_an_error_that_ends_the_watch_is_exit_code_1(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "refs.csv").write_text(service.send(0, 1)[0])
    monkeypatch.setenv("SMSC_APIKEY", "canary-key")
    result = run(tmp_path / "refs.csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("AuthenticationFailed: ")


@pytest.mark.parametrize("delay", ["auto", "5", "0.001"])
def test_the_delay_that_a_request_is_worth_is_auto_or_a_number(
    delay: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMSC_APIKEY", "demo")
    (tmp_path / "refs.csv").write_text("")
    result = CliRunner().invoke(app, ["watch", str(tmp_path / "refs.csv"), "--delay-per-request", delay])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("delay", ["0", "-1", "inf", "nan", "often"])
def test_another_delay_is_refused_in_words(delay: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["watch", str(tmp_path / "refs.csv"), "--delay-per-request", delay])
    assert result.exit_code == 2
    assert "auto" in result.stderr


def test_wrong_rows_are_reported_before_any_request(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "refs.csv"
    path.write_text("phone,id\n+79161234567,1\nnobody at all,2\n\n+79161234568\n")
    result = run(path, "--state", tmp_path / "state")
    assert (result.exit_code, result.stdout) == (2, "")
    reported = result.stderr.splitlines()
    assert reported[0] == f"2 row(s) of {path} are invalid"
    assert reported[1].startswith("row 3: phone must be ")
    assert reported[2].startswith("row 5: id must be ")
    path.write_text("no colon\n" * 12)
    assert run(path).stderr.splitlines()[-1] == "and 2 more"
    assert not service.asked
    assert not (tmp_path / "state").exists()


def test_a_file_that_can_not_be_read_is_reported_in_one_line(tmp_path: Path) -> None:
    assert run(tmp_path / "none.csv").stderr == f"can't read {tmp_path / 'none.csv'}: No such file or directory\n"
    (tmp_path / "refs.csv").write_bytes(b"\xff")
    assert run(tmp_path / "refs.csv").stderr == (
        'the file is not UTF-8 (byte 0); save it as "CSV UTF-8", or pass its encoding, such as --encoding cp1251\n'
    )


def test_a_file_written_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "refs.csv"
    path.write_text("phone,id\r\n+79161234567,7\r\n", encoding="utf-8-sig")
    assert read_refs(path) == [ONE]


def test_references_are_read_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"+79161234567:7\n\n")))
    assert read_refs(Path("-")) == [ONE]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert read_refs(Path("-")) == []


def test_every_kind_of_update_has_a_line() -> None:
    report = DeliveryReport(ref=ONE, status=MessageStatus.UNDELIVERABLE, error=DeliveryError(6))
    assert command._line(Update(ONE, report, is_last=True)).startswith("+79161234567:7\t20 ")
    assert command._line(Update(ONE, report, is_last=True)).endswith(" (the subscriber is offline)")
    assert command._data(Update(ONE, report))["reason"] == 6
    assert command._line(Update(ONE, error=MessageNotFound("no"), is_last=True)).startswith(
        "+79161234567:7\tMessageNotFound: "
    )


def test_the_state_keeps_what_was_reported(tmp_path: Path) -> None:
    two, three = MessageRef("+79161234568", "7"), MessageRef("+79161234569", "7")
    sent = DeliveryReport(ref=ONE, status=MessageStatus.SENT)
    with WatchState(tmp_path / "state") as state:
        (pending,) = state.enter([ONE])
        assert pending.status is None
        assert (datetime.now(UTC) - pending.since).total_seconds() < 60
        state.enter([two])
        state.note(Update(ONE, sent))
        state.note(Update(two, expired=True, is_last=True))
    with WatchState(tmp_path / "state") as state:
        left = state.enter([three, ONE, two])
        assert [each.ref for each in left] == [three, ONE]
        assert left[1].status == 0
        assert abs((left[1].since - pending.since).total_seconds()) < 0.1


def test_a_state_that_can_not_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"can't be opened \(No such file or directory\); the watch stops"):
        WatchState(tmp_path / "none" / "state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("smsc_async._cli.watch_state.make_private", bool)
        with pytest.raises(JournalError, match=r"can't be used \(unable to open"):
            WatchState(tmp_path / "none" / "state")
    with WatchState(tmp_path / "state") as state:
        state._file.execute("PRAGMA query_only = ON")
        with pytest.raises(JournalError, match="readonly"):
            state.enter([ONE])
        with pytest.raises(JournalError, match="readonly"):
            state.note(Update(ONE, expired=True, is_last=True))
    with WatchState(tmp_path / "state") as state:
        state._file.execute("PRAGMA user_version = 9")
    with pytest.raises(JournalError, match=r"is a watch state of another version .*\(format 9, .* finish it"):
        WatchState(tmp_path / "state")


async def test_nothing_to_follow_ends_at_once() -> None:
    async with Client(apikey="demo", transport=Sandbox().transport()) as client:
        with WatchState() as state:
            await follow(client, [], state, timeout=None, delay_per_request=1, as_json=False, console=Console())
