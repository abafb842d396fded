"""The reference programs: stock PHP as a SOAP server and as a client, and a server for the sandbox."""

import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self

import uvicorn

HERE: Final = Path(__file__).parent
SNAPSHOT: Final = HERE.parent.parent / "wsdl_snapshot" / "soap.wsdl"
SNAPSHOT_URL: Final = b"https://smscentre.com/sys/soap.php"
PHP: Final = ("php", "-d", "display_errors=0", "-d", "log_errors=1", "-d", "soap.wsdl_cache_enabled=0")
PATIENCE: Final = 20.0  # seconds for what takes milliseconds, on a machine that is busy with something else


def missing_part() -> str | None:
    """Return why PHP can't judge here, None if it can."""
    try:
        asked = subprocess.run(  # noqa: S603 - our own words
            [*PHP, "-r", 'exit(extension_loaded("soap") && extension_loaded("zlib") ? 0 : 3);'],
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        return "there is no `php` (Debian: apt install php-cli php-soap)"
    return None if asked.returncode == 0 else "php has no soap extension (Debian: apt install php-soap)"


@dataclass(frozen=True)
class Call:
    """A call as PHP's SoapServer decoded it.

    Attributes:
        method: The method that it chose.
        fields: What it found in the body element.
        query: The field `query` as `parse_str` reads it.
        soap_action: The header SOAPAction, which PHP ignores.
    """

    method: str
    fields: dict[str, Any]
    query: dict[str, Any]
    soap_action: str | None = field(default=None, compare=False)


class PhpServer:
    """A PHP SoapServer on a free loopback port; `server.php` describes how its answers are configured.

    Attributes:
        url: Where it listens.
    """

    def __init__(self, directory: Path) -> None:
        self._wsdl, self._calls, self._script = (directory / name for name in ("soap.wsdl", "calls", "script.json"))
        self._lines: list[str] = []
        self._started = threading.Event()
        self.url = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            [*PHP, "-S", "127.0.0.1:0", str(HERE / "server.php")],
            env={
                **os.environ,
                "JUDGE_WSDL": str(self._wsdl),
                "JUDGE_CALLS": str(self._calls),
                "JUDGE_SCRIPT": str(self._script),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,))
        self._reader.start()
        if not self._started.wait(PATIENCE) or not self.url:
            self.__exit__()
            raise RuntimeError(f"PHP's server did not start: {self.take_output()}")
        self.reset()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._lines.append(line)
                # PHP prints this after it has begun to listen, so no polling is needed.
                if found := re.search(r"Development Server \((http://[0-9.:]+)\) started", line):
                    self.url = f"{found[1]}/sys/soap.php"
                    self._started.set()
        self._started.set()

    def reset(self) -> None:
        """Forget all calls, echo every one, and serve the snapshot of the WSDL for this address."""
        self.forget()
        self.answer()
        # The file, not the code: what changes in the code alone must not change in the judge as well.
        self.serve(SNAPSHOT.read_bytes().replace(SNAPSHOT_URL, self.url.encode()))

    def serve(self, wsdl: bytes) -> None:
        """Speak this WSDL from now on."""
        self._wsdl.write_bytes(wsdl)

    def forget(self) -> None:
        """Forget all calls."""
        self._calls.write_bytes(b"")

    def answer(self, **script: Mapping[str, Any]) -> None:
        """Answer so from now on: by method, `{"fields": ...}`, `{"fault": [code, string]}` or `{"crash": True}`."""
        self._script.write_text(json.dumps(script), encoding="utf-8")

    def calls(self) -> list[Call]:
        """Return the calls that reached the service since the last reset."""
        with self._calls.open(encoding="utf-8", newline="\n") as lines:
            return [Call(**json.loads(line)) for line in lines]

    def only_call(self) -> Call:
        """Return the call, of which there must be exactly one."""
        (call,) = self.calls()
        return call

    def take_output(self) -> str:
        """Return what PHP said since it was last asked."""
        lines, self._lines = self._lines, []
        return "".join(lines)


class PhpClient:
    """PHP's SoapClient; `client.php` describes its input.

    Args:
        wsdl: The address of the WSDL that it reads.
    """

    def __init__(self, wsdl: str) -> None:
        self._wsdl = wsdl

    def call(self, method: str, fields: object, **how: object) -> dict[str, Any]:
        """Make one call and return its `result` or its `fault`, and the `status` and `content_type` of the answer."""
        (answer,) = self.calls({"method": method, "fields": fields, **how})
        return answer

    def calls(self, *calls: Mapping[str, object]) -> list[dict[str, Any]]:
        """Make calls one after the other, in one run of PHP."""
        ran = subprocess.run(  # noqa: S603 - our own words
            [*PHP, "-d", "default_socket_timeout=15", str(HERE / "client.php")],
            input=json.dumps({"wsdl": self._wsdl, "calls": calls}),
            capture_output=True,
            timeout=PATIENCE,
            encoding="utf-8",
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        answers: list[dict[str, Any]] = json.loads(ran.stdout)
        return answers


class AppServer(uvicorn.Server):
    """A server for one ASGI application after the other, on a free loopback port, in a thread.

    Attributes:
        app: The application.
        url: Where the application's SOAP service is.
    """

    def __init__(self) -> None:
        super().__init__(
            uvicorn.Config(
                self._serve_app,
                interface="asgi3",
                lifespan="off",
                log_level="warning",
                ws="none",
                timeout_graceful_shutdown=2,  # a peer that keeps its connection must not keep the whole run
            )
        )
        self.app: Any = None
        self.url = ""
        self._listening = threading.Event()

    async def _serve_app(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Report that it listens, so no polling is needed."""
        await super().startup(sockets)
        self._listening.set()

    def __enter__(self) -> Self:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/sys/soap.php"
        # A daemon, so that a server which does not stop fails a test and not the whole run.
        self._thread = threading.Thread(target=self.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        assert self._listening.wait(PATIENCE), "uvicorn did not start"
        return self

    def __exit__(self, *_: object) -> None:
        # On Python 3.12 and later asyncio may wait for connections that peers keep; the thread is a daemon, so that is
        # no reason to fail a run whose tests have passed.
        self.should_exit = self.force_exit = True
        self._thread.join(PATIENCE / 4)
        self._socket.close()
