"""The commands of `smsc-async`: their output, their errors and their exit codes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from smsc_async import DeliveryError, DeliveryReport, MalformedEnvelope, MessageRef, MessageStatus
from smsc_async._cli import app as cli
from smsc_async._cli import demo, emulator
from smsc_async._cli.demo import listen, serve_while
from smsc_async._cli.output import cost_lines, error_lines, sent_lines, status_lines
from smsc_async._model.results import Cost, SentMessage
from smsc_async._version import __version__
from smsc_async.sandbox import DeliveryPlan, Limits, Sandbox
from tests.interrupts import interruptible  # noqa: F401 - a fixture

ROOT = Path(__file__).parent.parent.parent
PHONE = "+79161234567"
WRONG = "79000009007"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a sandbox in a thread, and set the environment variables for it."""
    sandbox = Sandbox(limits=Limits.off(), delivery=DeliveryPlan.instant(20, 6))
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


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def run_json(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_send_prints_a_reference_that_status_takes(sandbox: Sandbox) -> None:
    sent = run("send", PHONE, "--text", "Hi", "--id", "order-1", "--sender", "ivan", "--cost")
    assert sent.exit_code == 0, sent.output
    assert sent.stdout.splitlines() == [
        "accepted, 1 SMS, id order-1",
        "cost     4.5",
        "balance  9995.5",
        f"ref      {PHONE}:order-1",
    ]
    assert [(each.sender, each.text) for each in sandbox.messages] == [("ivan", "Hi")]
    status = run("status", f"{PHONE}:order-1", "--detail", "2")
    assert status.exit_code == 0
    assert "status   20 impossible to deliver" in status.stdout
    assert "reason   6 the subscriber is offline (send again: later)" in status.stdout
    assert "text     Hi" in status.stdout


@pytest.mark.usefixtures("sandbox")
def test_results_in_json() -> None:
    sent = run_json("send", PHONE, "--text", "Hi", "--id", "7")
    assert (sent["id"], sent["refs"]) == ("7", [{"phone": PHONE, "id": "7"}])
    assert run_json("status", f"{PHONE}:7")["status"] == 20
    assert run_json("cost", PHONE, "--text", "Hi") == {"amount": "4.5", "sms_count": 1, "extra": {}}
    assert run_json("balance")["amount"] == "9995.5"
    assert run_json("parts", "Hi €") == {"count": 1, "encoding": "GSM-7", "segments": ["Hi €"], "units": 5}


@pytest.mark.usefixtures("sandbox")
def test_results_as_lines() -> None:
    assert run("cost", PHONE, "--text", "Hi").stdout.splitlines() == ["cost     4.5", "SMS      1"]
    assert run("balance").stdout == "balance  10000\n"
    assert run("parts", "Привет").stdout.splitlines() == ["1 SMS, UCS-2, 6 units", "  1 Привет"]


@pytest.mark.parametrize("via", list(cli.Via))
def test_every_channel_can_be_chosen(sandbox: Sandbox, via: cli.Via) -> None:
    text = () if via in {"hlr", "ping"} else ("--text", "Hi")
    result = run("send", PHONE, *text, "--via", via)
    assert result.exit_code == 0, result.output
    assert [via in str(each.channel).lower() or via == "social" for each in sandbox.messages] == [True]


def test_refused_recipients_are_named_and_exit_code_1(sandbox: Sandbox) -> None:
    result = run("send", PHONE, WRONG, "--text", "Hi")
    assert result.exit_code == 1
    assert f"refused  {WRONG} (error 7, wrong number)" in result.stdout
    assert result.stderr == "1 recipient(s) refused\n"
    assert len(sandbox.messages) == 1


def test_recipients_may_be_separated_as_the_service_separates_them(sandbox: Sandbox) -> None:
    result = run("send", f"{PHONE},+79161234568;+79161234569", "+79161234570", "--text", "Hi")
    assert result.exit_code == 0, result.output
    assert [each.phone for each in sandbox.messages] == [f"7916123456{n}" for n in (7, 8, 9)] + ["79161234570"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("+90", 5400), ("2090-01-01T12:00+05:00", None), ("2090-01-01T07:00Z", None)]
)
def test_at_is_a_time_or_a_delay(sandbox: Sandbox, text: str, seconds: int | None) -> None:
    result = run("send", PHONE, "--text", "Hi", "--at", text)
    assert result.exit_code == 0, result.output
    (message,) = sandbox.messages
    wanted = message.accepted_at + seconds if seconds else datetime.fromisoformat(text).timestamp()
    assert abs(message.send_at - wanted) < 1


def test_an_interrupted_send_says_that_it_may_have_been_sent(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setattr("smsc_async.Client.send", interrupted)
    result = run("send", PHONE, "--text", "Hi")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "interrupted; the message may have been sent, so look it up before you send it again\n"
    assert not sandbox.messages


def test_a_send_that_is_interrupted_before_its_answer_says_how_to_look_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1)
            os.kill(os.getpid(), signal.SIGINT)
            while connection.recv(65_536):
                pass

    monkeypatch.setenv("SMSC_APIKEY", "demo")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("SMSC_URL", f"http://127.0.0.1:{server.getsockname()[1]}/sys/soap.php")
        thread = threading.Thread(target=interrupt)
        thread.start()
        result = run("send", PHONE, "--text", "Hi", "--id", "order-7")
        thread.join(20)
    assert result.exit_code == 130
    assert result.stderr.splitlines() == [
        "interrupted; the message may have been sent, so look it up before you send it again",
        f"  smsc-async status {PHONE}:order-7",
    ]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("send", PHONE, "--text", "Hi", "--at", "tomorrow"), "--at must be a date and time"),
        (("send", PHONE, "--text", "Hi", "--at", "+0"), "minutes must be at least 1"),
        (("send", PHONE), "Sms needs a text"),
        (("send", "nobody at all", "--text", "Hi"), "to[0] must be a phone"),
        (("send", PHONE, "--text", "x" * 1001), "text must have at most 1000 characters"),
        (("status", "no-colon"), "phone:id"),
        (("balance", "--url", "http://sms.example"), "http would send the credentials in clear"),
        (("parts", "\x00"), "U+0000"),
    ],
)
def test_a_wrong_argument_is_one_clear_line_and_exit_code_2(arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("send",), ("balance", "--apikey", "x"), ("status", "1:1", "--detail", "3")])
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_missing_credentials_name_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMSC_APIKEY", "SMSC_LOGIN", "SMSC_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    result = run("balance")
    assert result.exit_code == 2
    assert result.stderr == (
        "credentials are missing; set SMSC_APIKEY, or SMSC_LOGIN and SMSC_PASSWORD, in the environment\n"
    )


@pytest.mark.usefixtures("sandbox")
def test_a_refusal_of_the_service_is_exit_code_1_with_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMSC_APIKEY", "canary-key")
    result = run("balance")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("AuthenticationFailed: ")
    assert result.stderr.endswith("(outcome: rejected)\n")
    assert "canary-key" not in result.stderr


def test_a_send_of_unknown_outcome_says_how_to_check_it() -> None:
    error = MalformedEnvelope("not what was asked for")
    assert list(error_lines(error)) == ["MalformedEnvelope: not what was asked for (outcome: unknown)"]
    error = error.replace(id="7", refs=(MessageRef(PHONE, "7"),))
    assert list(error_lines(error))[-1] == f"  smsc-async status {PHONE}:7"


def test_missing_values_are_not_printed() -> None:
    assert list(cost_lines(Cost.parse({"cost": "1"}))) == ["cost     1"]
    sent = SentMessage.from_wire({"cnt": "1"}, id="7", recipients=["G1"])
    assert list(sent_lines(sent)) == ["accepted, 1 SMS, id 7"]
    report = DeliveryReport(ref=MessageRef(PHONE, 1), status=MessageStatus.DELIVERED, error=DeliveryError.NONE)
    assert list(status_lines(report)) == ["status   1 delivered"]


def test_ctrl_c_ends_the_sandbox_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def echo_and_interrupt(line: str) -> None:
        print(line)  # noqa: T201 - what `show` would do
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)

    monkeypatch.setattr(emulator, "show", echo_and_interrupt)
    result = run("sandbox", "--port", "0")
    assert result.exit_code == 130
    assert result.stdout.startswith("the sandbox listens on http://127.0.0.1:")


def test_the_version_and_a_completion_are_shown() -> None:
    assert run("--version").stdout == f"smsc-async {__version__}\n"
    shown = run("--help").stdout
    assert "--show-completion" in shown
    script = CliRunner().invoke(cli.app, [], env={"_SMSC_ASYNC_COMPLETE": "source_bash"}, prog_name="smsc-async")
    assert "complete -o default -F _smsc_async_completion smsc-async" in script.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [("balance",), ("send", PHONE, "Hi"), ("cost", PHONE, "Hi"), ("status", f"{PHONE}:1"), ("doctor",)]
)
def test_http_is_allowed_if_asked_for(monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("SMSC_APIKEY", "demo")
    url = ("--url", "http://sms.invalid/")
    refused = run(*command, *url)
    assert (refused.exit_code, "use https, or pass allow_http=True (--allow-http)" in refused.stderr) == (2, True)
    allowed = run(*command, *url, "--allow-http")
    assert allowed.exit_code == 1
    assert "ConnectError" in allowed.output


def test_the_sandbox_has_a_balance_and_a_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[object, object]] = []

    class Noted(Sandbox):
        def __init__(self, **options: Any) -> None:
            (account,) = options["accounts"]
            given.append((account.balance, options["latency"]))
            super().__init__(**options)

    async def end(_app: object, listener: socket.socket, _announce: object) -> None:
        listener.close()

    monkeypatch.setattr(demo, "Sandbox", Noted)
    monkeypatch.setattr(demo, "serve_while", end)
    assert run("sandbox", "--port", "0").exit_code == 0
    assert run("sandbox", "--port", "0", "--balance", "1.5", "--latency", "0.2").exit_code == 0
    assert list(dict.fromkeys(given)) == [(10_000, 0.0), (Decimal("1.5"), 0.2)]
    result = run("sandbox", "--port", "0", "--balance", "much")
    assert (result.exit_code, result.stderr) == (2, "--balance must be an amount of money, such as 150 or 99.90\n")
    assert run("sandbox", "--latency", "-1").exit_code == 2


def test_the_sandbox_serves_a_namespace_of_your_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    class Noted(Sandbox):
        def __init__(self, **options: Any) -> None:
            given.append(options["namespace"])
            super().__init__(**options)

    async def end(_app: object, listener: socket.socket, _announce: object) -> None:
        listener.close()

    monkeypatch.setattr(demo, "Sandbox", Noted)
    monkeypatch.setattr(demo, "serve_while", end)
    assert run("sandbox", "--port", "0", "--namespace", "urn:mine").exit_code == 0
    assert run("sandbox", "--port", "0").exit_code == 0
    result = run("sandbox", "--port", "0", "--namespace", "")
    assert (result.exit_code, list(dict.fromkeys(given))) == (2, ["urn:mine", None, ""])
    assert "another URI without spaces" in result.stderr


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "fastapi"])
@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_a_missing_extra_of_the_sandbox_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, package: str, command: str
) -> None:
    monkeypatch.setattr(emulator, "find_spec", lambda name: None if name == package else find_spec(name))
    result = run(command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "the demo and the sandbox need extra packages: pip install 'smsc-async[cli,sandbox]'\n"


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_extra_of_the_command_line_is_one_sentence(package: str, tmp_path: Path) -> None:
    start = f"import sys; sys.modules[{package!r}] = None; from smsc_async.__main__ import main; main()"
    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", start],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr == "the command line needs extra packages: pip install 'smsc-async[cli]'\n"


def test_no_option_takes_a_credential() -> None:
    for command in ("send", "cost", "status", "watch", "balance", "doctor", "demo", "sandbox"):
        shown = run(command, "--help").stdout
        assert not {"--apikey", "--login", "--password", "--psw"} & set(shown.split())


def test_sandbox_with_an_invalid_state_file_does_not_start(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("nonsense\n", encoding="utf-8")
    result = run("sandbox", "--port", "0", "--state", str(state))
    assert result.exit_code == 1
    assert "can't use the state: line 1 of the state file" in result.stderr
