"""The command `sandbox`: what it serves, what it shows, who may use it, and waiting for it."""

import asyncio
import os
import queue
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from smsc_async import Client
from smsc_async._cli import app as cli
from smsc_async._cli import demo, emulator
from smsc_async.callbacks import Callbacks, StatusPush
from smsc_async.sandbox import Sandbox

ROOT = Path(__file__).parent.parent.parent
PHONE = "+79161234567"


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli.app, arguments, env=env)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Sandbox]:
    """Return the sandboxes that the command would serve; it ends before it does."""
    sandboxes: list[Sandbox] = []

    class Noted(Sandbox):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            sandboxes.append(self)

    async def end(_app: object, listener: socket.socket, _announce: object) -> None:
        listener.close()

    monkeypatch.setattr(demo, "Sandbox", Noted)
    monkeypatch.setattr(demo, "serve_while", end)
    return sandboxes


def _refused(sandbox: Sandbox, host: str, *headers: tuple[bytes, bytes]) -> bool:
    scope = {"type": "http", "scheme": "http", "headers": [(b"host", host.encode()), *headers]}
    return sandbox._access.refusal(scope) is not None


def test_the_api_knows_the_hosts_and_the_token_of_the_command(served: list[Sandbox]) -> None:
    assert run("sandbox", "--port", "0", "--allowed-host", "sandbox", "--allowed-host", "sms.test").exit_code == 0
    for host, is_refused in [("sandbox:1", False), ("sms.test", False), ("localhost", False), ("evil.test", True)]:
        assert _refused(served[-1], host) is is_refused
    for arguments, env in [(["--token", "secret"], {}), ([], {"SMSC_SANDBOX_TOKEN": "secret"})]:
        assert run("sandbox", "--port", "0", *arguments, env=env).exit_code == 0
        assert _refused(served[-1], "localhost")
        assert not _refused(served[-1], "localhost", (b"authorization", b"Bearer secret"))


def test_a_host_that_others_can_connect_to_needs_a_token_or_a_decision(served: list[Sandbox]) -> None:
    result = run("sandbox", "--host", "0.0.0.0", "--port", "0")
    assert result.exit_code == 2
    assert result.stderr == "other machines can connect to this host: pass a token, or no_token (--no-token) for none\n"
    for arguments in (["--token", "secret"], ["--no-token"]):
        assert run("sandbox", "--host", "0.0.0.0", "--port", "0", *arguments).exit_code == 0
    for host in ("127.0.0.1", "localhost"):
        assert run("sandbox", "--host", host, "--port", "0").exit_code == 0
    assert not _refused(served[-1], "localhost:8025")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--token", ""], "token must be printable ASCII"),
        (["--token", "a b"], "token must be printable ASCII"),
        (["--allowed-host", "sandbox:80"], "each of allowed_hosts must be a host name without a port"),
        (["--keep", "0"], "--keep"),
        (["--wait", "127.0.0.1:8025"], "--wait needs the URL of a sandbox"),
        (["--allowed-host", "*"], "each of allowed_hosts must be a host name without a port"),
    ],
)
def test_a_wrong_argument_is_exit_code_2(arguments: list[str], words: str) -> None:
    result = run("sandbox", "--port", "0", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://127.0.0.1",
        "http://",
        "http://:8025",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://[::1",
        "http://exa mple",
        "http://user:canary@127.0.0.1:8025",
        "http://" + "a" * 70,
        "http://a..test",
    ],
)
def test_wait_refuses_what_can_be_no_url_of_a_sandbox(url: str) -> None:
    result = run("sandbox", "--wait", url)
    assert result.exit_code == 2
    assert result.stderr == "--wait needs the URL of a sandbox, such as http://127.0.0.1:8025\n"


def test_the_number_of_messages_to_keep_is_passed_on(served: list[Sandbox]) -> None:
    assert run("sandbox", "--port", "0", "--keep", "7").exit_code == 0
    assert served[-1]._keep == 7


def test_callbacks_are_set_by_options_and_their_secret_also_by_the_environment(served: list[Sandbox]) -> None:
    secret = {"SMSC_SANDBOX_CALLBACK_SECRET": "canary"}
    for arguments, env in ((["--callback-secret", "canary"], {}), ([], secret)):
        result = run("sandbox", "--port", "0", "--callback", "http://app/?charset=utf-8", *arguments, env=env)
        assert (result.exit_code, result.output) == (0, "")
        settings = served[-1].callbacks.settings
        assert settings is not None
        assert (settings.url, settings.secret.get_secret_value()) == ("http://app/?charset=utf-8", "canary")
        assert (settings.hash, settings.charset) == ("md5", "utf-8")
    refused = [
        run("sandbox", "--port", "0", "--callback", "http://app/"),
        run("sandbox", "--port", "0", "--callback", "app", env=secret),
        run("sandbox", "--port", "0", "--callback", "http://app/", "--callback-hash", "sha3", env=secret),
    ]
    assert [result.exit_code for result in refused] == [2, 2, 2]
    assert [result.stderr.split(" must")[0].split(":")[0] for result in refused] == [
        "--callback needs a secret",
        "url",
        "hash",
    ]


class _Late(BaseHTTPRequestHandler):
    answers: list[tuple[int, bytes]]

    def do_GET(self) -> None:
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _serve(*answers: tuple[int, bytes]) -> tuple[HTTPServer, str]:
    server = HTTPServer(("127.0.0.1", 0), type("Handler", (_Late,), {"answers": list(answers)}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/sys/soap.php"


def test_wait_returns_when_the_sandbox_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server, url = _serve((503, b""), (200, b"another server"), (200, b"ok"))
    result = run("sandbox", "--wait", url)
    server.shutdown()
    server.server_close()
    assert (result.exit_code, result.output) == (0, "")


def test_wait_ends_when_the_sandbox_never_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "_PATIENCE", 0.1)
    result = run("sandbox", "--wait", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert result.stderr == "the sandbox was not ready within 0 s\n"


def _start(*arguments: str) -> "tuple[subprocess.Popen[str], str]":
    """Start the command in a process of its own, and return it with its URL."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "smsc_async", "sandbox", "--port", "0", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split()[4]


def _end(process: "subprocess.Popen[str]") -> list[str]:
    """End it, and return what it has written to stderr."""
    process.terminate()
    _, written = process.communicate(timeout=30)
    return written.splitlines()


async def _use(url: str) -> None:
    async with Client(apikey="demo", url=url, guards=None) as client:
        sent = await client.send(PHONE, "Your code is 4821")
        for _ in range(6):
            try:
                await client.status(sent.ref)
            except Exception as error:  # noqa: BLE001 - the sixth
                assert "error 9" in str(error)  # noqa: PT017


def test_each_request_is_a_line_with_the_reason_of_its_error() -> None:
    process, url = _start()
    asyncio.run(_use(url))
    lines = _end(process)
    assert [line.split(" ", 1)[1].rpartition(",")[0] for line in lines] == [
        "send_sms: ok",
        *["get_status: ok"] * 5,
        "get_status: error 9: status of this message 6 in 60 s",
    ]
    shown = "\n".join(lines)
    assert not [each for each in (PHONE[1:], "4821", "demo") if each in shown]


class _Application(BaseHTTPRequestHandler):
    taken: "queue.Queue[bytes]"

    def do_POST(self) -> None:
        self.taken.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.slow
def test_the_command_sends_callbacks_and_shows_a_line_for_each_without_the_secret() -> None:
    taken: queue.Queue[bytes] = queue.Queue()
    server = HTTPServer(("127.0.0.1", 0), type("Application", (_Application,), {"taken": taken}))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    own = f"http://127.0.0.1:{server.server_port}/"
    process, url = _start("--callback", own, "--callback-secret", "canary", "--callback-hash", "sha1")
    asyncio.run(_send_to_magic_number(url))
    pushes = [taken.get(timeout=20) for _ in range(2)]
    lines = _end(process)
    server.shutdown()
    server.server_close()
    callbacks = Callbacks(secrets=["canary"])
    statuses = [callbacks.unwrap(body=push) for push in pushes]
    assert [push.status for push in statuses if isinstance(push, StatusPush)] == [1]
    assert [type(push).__name__ for push in statuses] == ["StatusPush", "IncomingMessage"]
    shown = "\n".join(lines)
    assert shown.count("callback status: HTTP 204, ") == 1
    assert not [each for each in ("79000000001", "Hello", "canary") if each in shown]


async def _send_to_magic_number(url: str) -> None:
    async with Client(apikey="demo", url=url, guards=None) as client:
        await client.send("+79000000001", "Hello")
    api = url.replace("/sys/soap.php", "/_sandbox/api")
    async with httpx.AsyncClient(trust_env=False) as http:
        await http.post(f"{api}/incoming", json={"phone": "+79000000001", "text": "Hello"})


@pytest.mark.slow
def test_quiet_shows_nothing() -> None:
    process, url = _start("--quiet")
    asyncio.run(_use(url))
    assert _end(process) == []
