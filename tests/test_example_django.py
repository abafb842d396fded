"""The Django example with asynchronous views, under uvicorn."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from smsc_async.sandbox import Sandbox
from tests.callbacks.samples import SECRET, signed
from tests.parts import need_libraries
from tests.redis_server import RedisServer

need_libraries("django", "uvicorn")

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parent.parent


@contextmanager
def served(url: str, log: Path, *options: str, **environment: str) -> Iterator[httpx.Client]:
    """Serve the project as its docstring says, and write what it prints to a file."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "uvicorn", "async_shop:application", "--port", str(port), "--log-level", "warning", *options]
    values = {"SMSC_URL": url, "SMSC_APIKEY": "demo", "SMSC_CALLBACK_SECRET": SECRET, "PYTHONPATH": str(ROOT)}
    with log.open("w") as written:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, *command],
            cwd=ROOT / "examples" / "django_shop",
            env={**os.environ, **values, **environment},
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        transport = httpx.HTTPTransport(retries=8)  # until it listens
        limits = httpx.Limits(max_keepalive_connections=0)  # any worker may take a request
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=transport, limits=limits, timeout=30
        ) as browser:
            yield browser
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    finally:
        process.kill()
        process.wait(30)


def test_views_send_show_a_status_and_take_callbacks(tmp_path: Path) -> None:
    sandbox = Sandbox()
    with sandbox.serve() as url, served(url, log := tmp_path / "log") as browser:
        page = browser.post("/codes", data={"phone": "+79991234567", "code": "4821"}).text
        sandbox.advance(120)
        assert browser.get(page).text == "delivered"
        assert browser.get(f"{page}x").status_code == 404
        again = browser.post("/codes", data={"phone": "+79991234567", "code": "4821"})
        assert (again.status_code, int(again.headers["Retry-After"]) > 50) == (429, True)
        assert browser.post("/codes", data={"phone": "nobody", "code": "1"}).status_code == 400
        assert browser.post("/smsc/callback", content=signed()).status_code == 200
        assert browser.get(f"/smsc/callback?{signed().decode()}").status_code == 200
        assert browser.post("/smsc/callback", content=signed(secret="another")).status_code == 403
    assert sandbox.messages[0].text == "Your code is 4821"
    assert log.read_text(encoding="utf-8") == ""


def _posted(browser: httpx.Client, order: dict[str, str]) -> httpx.Response:
    while (answer := browser.post("/codes", data=order)).status_code == 429:
        time.sleep(float(answer.headers["Retry-After"]))  # a busy machine: it has waited for a second
    return answer


def test_forty_of_forty_requests_to_two_workers_succeed_within_the_limits(tmp_path: Path) -> None:
    sandbox = Sandbox()
    with (
        RedisServer() as redis,
        sandbox.serve() as url,
        served(url, log := tmp_path / "log", "--workers", "2", REDIS_URL=redis.url) as browser,
        ThreadPoolExecutor(8) as threads,
    ):
        orders = [{"phone": f"+7999000{number:04}", "code": "1"} for number in range(40)]
        answers = [_posted(browser, orders[0])]  # until the first login, all others wait for it
        answers += threads.map(lambda order: _posted(browser, order), orders[1:])
        codes = list(threads.map(lambda _: browser.get(answers[0].text).status_code, range(40)))
    assert [answer.status_code for answer in answers] == [201] * 40
    assert sorted(codes) == [200] * 5 + [429] * 35
    assert (sandbox.counts["get_status", 0], sandbox.counts["get_status", 9]) == (5, 0)
    assert log.read_text(encoding="utf-8") == ""
