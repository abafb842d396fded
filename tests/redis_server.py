"""A private redis-server on loopback, for tests that need a real one."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from tests.parts import missing

__all__ = ["RedisServer", "redis_server"]

_STARTS_WITHIN = 10.0


class RedisServer:
    """A redis-server of our own, on a free port of loopback, in a folder of its own.

    Args:
        options: More options of redis-server, such as `"--maxmemory", "100mb"`.
        persistent: Whether it keeps what it knows over a restart.
        below: The port is lower than this; a node of a cluster adds 10000 for its bus.
        binary: The program, None for redis-server.
    """

    def __init__(self, *options: str, persistent: bool = False, below: int = 65_536, binary: str | None = None) -> None:
        self._binary = _binary() if binary is None else binary
        self._options = options
        self._persistent = persistent
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self._below = below
        self._choose_port()

    def __enter__(self) -> Self:
        while True:  # another process may take the port first
            try:
                self.start()
            except AssertionError as error:
                if "Address already in use" not in str(error):
                    raise
                self._choose_port()
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self, *options: str, awaiting: bytes = b"+PONG") -> None:
        """Start it, this time with more options, and wait until it answers like this, or asks for a password."""
        persistence = ("--appendonly", "yes", "--appendfsync", "always") if self._persistent else ("--appendonly", "no")
        arguments = [self._binary, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", *persistence]
        arguments += ["--dir", self._folder.name, "--loglevel", "warning", *self._options, *options]
        with (Path(self._folder.name) / "log").open("wb") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)  # noqa: S603 - our own words
        end = time.monotonic() + _STARTS_WITHIN
        while not self._answers(awaiting):
            assert self._process.poll() is None, (Path(self._folder.name) / "log").read_text()
            assert time.monotonic() < end, "redis-server doesn't answer"
            time.sleep(0.01)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_STARTS_WITHIN)
            self._process = None

    def restart(self) -> None:
        """End it and start it again on the same port."""
        self.stop()
        self.start()

    def _choose_port(self) -> None:
        self.port = self._below
        while self.port >= self._below:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def _answers(self, awaited: bytes) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((awaited, b"-NOAUTH", b"-MASTERDOWN"))
        except OSError:
            return False


def _binary() -> str:
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        missing("there is no redis-server on this machine")
    return binary


@asynccontextmanager
async def redis_server() -> AsyncIterator[str]:
    """Yield the URL of a private redis-server."""
    with RedisServer() as server:
        yield server.url
