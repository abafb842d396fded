"""`guards` shows what is closed in Redis, resets rules, pauses sending; `send-file --redis` obeys the pause."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from smsc_async import ConnectionLost
from smsc_async._cli import app as cli
from smsc_async._cli import guards as module
from smsc_async._journal import Journal
from smsc_async._journal.sender import JournalSender
from smsc_async.guards import Pause, RedisAdmin, RedisStore
from smsc_async.guards._limits import BlockLimit, WindowLimit
from smsc_async.sandbox import DeliveryPlan, Sandbox
from tests.cli.test_send_file import PROGRAM, served, write
from tests.guards.redis_store import GATE, KEPT, SECRET, on, release, take
from tests.interrupts import interruptible  # noqa: F401 - a fixture
from tests.redis_server import RedisServer

T = TypeVar("T")
WHY = "incident 4711"
BLOCKED = on("a", BlockLimit(600, 1800, 1800), "blocked", 0)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def prefix(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SMSC_REDIS_URL", server.url)
    return uuid4().hex


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    monkeypatch.chdir(tmp_path)
    with served(Sandbox(delivery=DeliveryPlan.instant()), monkeypatch) as sandbox:
        yield sandbox


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["guards", *arguments])


def send_file(prefix: str, *arguments: str) -> Result:
    command = ["send-file", "messages.csv", "--journal", "job.db", "--delay-per-request", "0.01", "--prefix", prefix]
    return CliRunner().invoke(cli.app, [*command, *arguments])


def with_admin(server: RedisServer, prefix: str, work: Callable[[RedisAdmin], Awaitable[T]]) -> T:
    async def main() -> T:
        admin = RedisAdmin.from_url(server.url, prefix=prefix)
        try:
            return await work(admin)
        finally:
            await admin.aclose()

    return asyncio.run(main())


def fill(server: RedisServer, prefix: str) -> None:
    """Close some rules."""

    async def main() -> None:
        store = RedisStore.from_url(server.url, prefix=prefix)
        await release(store, await take(store, BLOCKED), KEPT)
        await release(store, await take(store, on("a", WindowLimit(1, 61.2), "identical_send")), KEPT)
        await take(store, on("a", GATE, "in_flight"), on("b", WindowLimit(10, 61.2), "balance"))
        await store.aclose()

    asyncio.run(main())


# --- what is closed
def test_an_empty_redis_is_open(prefix: str) -> None:
    shown = run("--prefix", prefix)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout.splitlines() == [
        "sending    open",
        "histories  complete",
        "",
        "no rule is closed, and none has counted anything",
    ]


def test_closed_rules_are_shown_with_their_end_and_their_reason_in_80_columns(server: RedisServer, prefix: str) -> None:
    fill(server, prefix)
    shown = run("--prefix", prefix)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    blocked, sends = (
        next(line for line in lines if line.startswith(f"{rule} ")) for rule in ("blocked", "identical_send")
    )
    assert blocked.split()[1:5] == ["1", "of", "1", "0"]
    assert " UTC" not in blocked
    assert "(in 10 min 0 s)" in blocked or "(in 9 min 59 s)" in blocked
    assert "(in 1 min " in sends
    assert "blocked: the service blocks this address (error 4)" in lines
    assert not any(line.startswith("balance:") for line in lines)  # it isn't closed


def test_json_holds_the_same(server: RedisServer, prefix: str) -> None:
    fill(server, prefix)
    shown = run("--prefix", prefix, "--json", "--pause", WHY)
    data = json.loads(shown.stdout)
    rules = {each["rule"]: each for each in data["rules"]}
    assert data["paused"]["reason"] == WHY
    assert (rules["blocked"]["is_closed"], rules["balance"]["is_closed"]) == (True, False)
    end, taken = (datetime.fromisoformat(each) for each in (rules["blocked"]["until"], data["taken_at"]))
    assert timedelta(seconds=590) < end - taken <= timedelta(seconds=600)
    assert data["lost_at"] is None


def test_lost_histories_are_shown(server: RedisServer, prefix: str) -> None:
    async def lose(admin: RedisAdmin) -> None:
        store = RedisStore.from_url(server.url, prefix=prefix)
        await store.open()
        await store.aclose()
        await admin._execute("HSET", admin._names.epoch, "incomplete", "1")

    with_admin(server, prefix, lose)
    lines = run("--prefix", prefix).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "in a flush, a restart or a failover" in " ".join(line.strip() for line in lines)
    assert any(line.startswith("status ") and "recovering" in line and "(in " in line for line in lines)


@pytest.mark.parametrize(
    ("length", "words"),
    [(-1, "0 s"), (0.2, "1 s"), (59, "59 s"), (60, "1 min 0 s"), (5_400, "1 h 30 min"), (90_000, "1 d 1 h")],
)
def test_a_duration_has_its_two_largest_units(length: float, words: str) -> None:
    assert module._span(timedelta(seconds=length)) == words


def test_a_gate_is_closed_until_a_request_ends(server: RedisServer, prefix: str) -> None:
    async def main() -> None:
        store = RedisStore.from_url(server.url, prefix=prefix)
        await take(store, *(on("a", WindowLimit(14, 0), "in_flight", 14),))
        await store.aclose()

    asyncio.run(main())
    assert "a request in flight ends" in run("--prefix", prefix).stdout


# --- the reset
def test_a_reset_says_what_it_removed_and_what_it_risks(
    server: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(server, prefix)
    shown = run("--prefix", prefix, "--reset", "blocked")
    words = " ".join(shown.stdout.split())
    assert "blocked was reset: 1 entries of 1 keys were removed. Risk: if the cause still exists" in words
    assert "blocked: the service" not in words
    assert any("the rule blocked was reset" in line for line in caplog.messages)
    words = " ".join(run("--prefix", prefix, "--reset", "in_flight").stdout.split())
    assert "1 requests in flight keep their slots. Risk: the service still counts" in words
    data = json.loads(run("--prefix", prefix, "--reset", "identical_send", "--json").stdout)
    assert data["reset"] == {"rule": "identical_send", "keys": 1, "removed": 1, "in_flight": 0}


def test_an_unknown_rule_is_a_usage_error_with_the_rules(prefix: str) -> None:
    shown = run("--prefix", prefix, "--reset", "block")
    assert shown.exit_code == 2
    assert "there is no rule 'block'; the rules are identical_send, " in shown.stderr


# --- the pause
def test_a_pause_is_shown_until_it_is_resumed(prefix: str) -> None:
    paused = run("--prefix", prefix, "--pause", WHY)
    assert (paused.exit_code, paused.stdout.splitlines()[0][:25]) == (0, "sending    PAUSED since 2"[:25])
    assert WHY in run("--prefix", prefix).stdout
    assert run("--prefix", prefix, "--resume").stdout.splitlines()[0] == "sending    open"


def test_a_pause_without_its_start_is_shown_too(server: RedisServer, prefix: str) -> None:
    with_admin(server, prefix, lambda admin: admin._execute("SET", admin._pause_key, "by hand"))
    assert run("--prefix", prefix).stdout.splitlines()[0] == "sending    PAUSED: by hand"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pause", "x", "--resume"], "only one of --reset, --pause and --resume"),
        (["--reset", "blocked", "--pause", "x"], "only one of"),
        (["--pause", ""], "one line of 1 to 200 printable characters"),
        (["--prefix", "a b"], "prefix must consist of letters"),
        (["--redis", f"redis://u:{SECRET}@127.0.0.1:x/0"], "invalid Redis URL"),
        (["--redis", f"postgres://u:{SECRET}@127.0.0.1/0"], "invalid Redis URL"),
    ],
)
@pytest.mark.usefixtures("prefix")
def test_wrong_arguments_are_usage_errors(arguments: list[str], words: str) -> None:
    shown = run(*arguments)
    assert shown.exit_code == 2
    assert words in " ".join(shown.stderr.split())
    assert SECRET not in shown.output


def test_without_a_url_the_command_says_what_to_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMSC_REDIS_URL", raising=False)
    shown = run()
    assert (shown.exit_code, "pass --redis URL, or set SMSC_REDIS_URL" in shown.stderr) == (2, True)


def test_a_redis_that_is_down_is_an_error_without_the_password() -> None:
    shown = run("--redis", f"redis://u:{SECRET}@127.0.0.1:1/0")
    assert shown.exit_code == 1
    assert "GuardStoreError: Redis can't be reached" in shown.stderr
    assert SECRET not in shown.output


def test_help_never_shows_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMSC_REDIS_URL", f"redis://u:{SECRET}@127.0.0.1:1/0")
    for command in ("guards", "send-file"):
        assert SECRET not in CliRunner().invoke(cli.app, [command, "--help"]).output


def test_ctrl_c_interrupts_the_command(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RedisAdmin, "report", interrupt)
    assert run("--prefix", prefix).exit_code == 130


@pytest.mark.usefixtures("sandbox")
def test_a_missing_extra_is_one_sentence(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "redis" else find_spec(name))
    write("+79161234567,Hi")
    for shown in (run("--prefix", prefix), send_file(prefix)):
        assert shown.exit_code == 2
        assert shown.stderr == "shared guards need an extra package: pip install 'smsc-async[cli,redis]'\n"


# --- send-file
def test_a_job_counts_in_the_shared_redis(server: RedisServer, prefix: str, sandbox: Sandbox) -> None:
    write("+79161234567,Hi")
    assert send_file(prefix, "--redis", server.url).exit_code == 0
    assert len(sandbox.messages) == 1
    rules = with_admin(server, prefix, lambda admin: admin.report()).rules
    assert "identical_send" in {each.rule for each in rules}


def test_a_paused_job_follows_what_it_has_sent_sends_no_more_and_continues_when_resumed(
    server: RedisServer, prefix: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*(f"+7916123{number:04},Hi {number}" for number in range(4)))
    attempt, paused = JournalSender._attempt, RedisAdmin.paused
    states: list[tuple[int, int]] = []
    attempts: list[int] = []

    async def attempt_and_pause(*arguments: Any) -> float | None:
        pause = await attempt(*arguments)
        if not attempts:
            attempts.append(len(sandbox.messages))
            admin = RedisAdmin.from_url(server.url, prefix=prefix)
            await admin.pause(WHY)
            await admin.aclose()
        return pause

    async def resume_when_followed(self: RedisAdmin) -> Pause | None:
        final = sum(count for (method, _), count in sandbox.counts.items() if method.startswith("get_status"))
        states.append((len(sandbox.messages), final))
        if final:
            await self._execute("DEL", self._pause_key)
        return await paused(self)

    monkeypatch.setattr(JournalSender, "_attempt", attempt_and_pause)
    monkeypatch.setattr(RedisAdmin, "paused", resume_when_followed)
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)
    shown = send_file(prefix, "--single", "--json")
    assert shown.exit_code == 0, shown.stderr
    assert {sent for sent, _ in states} == {1}
    assert states[-1][1] > 0
    assert json.loads(shown.stdout)["final"] == 4
    assert sorted(message.text for message in sandbox.messages) == [f"Hi {number}" for number in range(4)]
    said, *_, resumed = [line for line in shown.stderr.splitlines() if "sending" in line and "prefix" not in line]
    assert said.startswith("sending is paused since 2")
    assert f"UTC: {WHY}; the job waits" in said
    assert resumed == "sending is resumed"


@pytest.mark.slow
def test_ctrl_c_ends_a_paused_job_and_the_same_command_continues_it(
    server: RedisServer, prefix: str, sandbox: Sandbox
) -> None:
    write("+79161234567,Hi")
    command = [*PROGRAM, "messages.csv", "--journal", "job.db", "--prefix", prefix, "--delay-per-request", "0.1"]
    with_admin(server, prefix, lambda admin: admin.pause(WHY))
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:  # noqa: S603 - our own program
        assert process.stderr is not None
        assert process.stderr.readline() == "a new job: 1 messages are planned in job.db\n"
        assert process.stderr.readline().startswith("sending is paused since ")
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=30)
    assert (process.returncode, words) == (130, "interrupted; run the same command again to continue\n")
    assert sandbox.messages == ()
    with_admin(server, prefix, lambda admin: admin.resume())
    assert subprocess.run(command, timeout=60, check=False, capture_output=True).returncode == 0  # noqa: S603 - as above
    assert len(sandbox.messages) == 1


def test_a_redis_that_dies_while_sending_is_paused_ends_the_job(
    prefix: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("+79161234567,Hi")
    with RedisServer() as own:
        with_admin(own, prefix, lambda admin: admin.pause(WHY))
        paused = RedisAdmin.paused

        async def die(self: RedisAdmin) -> Pause | None:
            found = await paused(self)
            own.stop()
            return found

        monkeypatch.setattr(RedisAdmin, "paused", die)
        monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)
        monkeypatch.setattr("smsc_async._journal.sender._PAUSE", 0.01)  # before each of its twelve attempts
        shown = send_file(prefix, "--redis", own.url)
    assert shown.exit_code == 1
    assert "GuardStoreError" in shown.stderr
    assert sandbox.messages == ()


@pytest.mark.usefixtures("sandbox")
def test_what_fails_while_a_job_is_paused_does_not_end_its_wait(
    server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("+79161234567,Hi")
    with_admin(server, prefix, lambda admin: admin.pause(WHY))
    follow, paused = Journal.follow, RedisAdmin.paused
    failures = 0

    async def fail_once(*arguments: Any, **options: Any) -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise ConnectionLost("cut")
        await follow(*arguments, **options)

    async def resume_after_failure(self: RedisAdmin) -> Pause | None:
        if failures:
            await self._execute("DEL", self._pause_key)
        return await paused(self)

    monkeypatch.setattr(Journal, "follow", fail_once)
    monkeypatch.setattr(RedisAdmin, "paused", resume_after_failure)
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)
    assert send_file(prefix).exit_code == 0
    assert failures == 2


def test_a_pause_that_ends_at_once_is_not_mentioned(
    server: RedisServer, prefix: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("+79161234567,Hi")
    with_admin(server, prefix, lambda admin: admin.pause(WHY))
    paused = RedisAdmin.paused

    async def resume_first(self: RedisAdmin) -> Pause | None:
        await self._execute("DEL", self._pause_key)
        return await paused(self)

    monkeypatch.setattr(RedisAdmin, "paused", resume_first)
    shown = send_file(prefix)
    assert shown.exit_code == 0
    assert "sending" not in "".join(line for line in shown.stderr.splitlines() if "prefix" not in line)
    assert len(sandbox.messages) == 1
