"""A Django project with synchronous views sends and shows a status, under its test client and under WSGI servers."""

import asyncio
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import django.test
import httpx
import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.utils.asyncio import async_unsafe

from smsc_async import Message
from smsc_async.sandbox import Sandbox
from smsc_async.sync import sandbox_client
from tests.parts import is_installed, missing
from tests.redis_server import RedisServer

ROOT: Final = Path(__file__).parent.parent.parent
SHOP: Final = ROOT / "examples" / "django_shop"
PHONE: Final = "+79991234567"


@pytest.fixture(scope="module")
def shop() -> Iterator[Any]:
    """Import the project, whose client is not used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMSC_APIKEY", "demo")
        patch.delenv("REDIS_URL", raising=False)
        found = importlib.util.spec_from_file_location("shop", SHOP / "shop.py")
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        patch.setitem(sys.modules, "shop", module)
        found.loader.exec_module(module)
        yield module


@pytest.fixture
def sandbox(shop: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Return the sandbox in which the project sends."""
    sandbox = Sandbox()
    with sandbox_client(sandbox) as client:
        monkeypatch.setattr(shop, "client", client)
        yield sandbox


def test_a_view_sends_a_code_and_another_shows_its_status(sandbox: Sandbox) -> None:
    browser = django.test.Client()
    sent = browser.post("/codes", {"phone": PHONE, "code": "4821"})
    assert (sent.status_code, sandbox.messages[0].text) == (201, "Your code is 4821")
    page = sent.content.decode()
    before = browser.get(page)
    sandbox.advance(120)
    after = browser.get(page)
    assert [before.status_code, after.status_code] == [200, 200]
    assert after.content == b"delivered"
    assert browser.get(f"{page}x").status_code == 404
    assert browser.post("/codes", {"phone": PHONE}).status_code == 201
    again = browser.post("/codes", {"phone": PHONE})
    assert (again.status_code, int(again.headers["Retry-After"]) > 50) == (429, True)
    assert browser.post("/codes", {"phone": "nobody", "code": "1"}).status_code == 400


def test_a_batch_reads_from_the_database_where_django_allows_it(sandbox: Sandbox) -> None:
    @async_unsafe("the database can't be used in an event loop")
    def phone(number: int) -> str:
        return f"+7999000{number:04}"

    async def use() -> None:
        with pytest.raises(SynchronousOnlyOperation):
            phone(0)

    asyncio.run(use())
    with sandbox_client(sandbox) as client:
        outcomes = list(client.send_batch(Message(phone(number), "Hello") for number in range(3)))
    assert [outcome.error for outcome in outcomes] == [None] * 3


@contextmanager
def served(url: str, log: Path, *options: str, **environment: str) -> Iterator[httpx.Client]:
    """Serve the project with gunicorn, as its docstring says."""
    if not is_installed("gunicorn"):
        missing("gunicorn is not installed: pip install '.[test-all]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "gunicorn", "shop:application", *options, "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    formats = ["--access-logfile", str(log), "--access-logformat", "%(p)s %(s)s"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, *command, *formats],
        cwd=SHOP,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SMSC_URL": url, "SMSC_APIKEY": "demo", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        transport = httpx.HTTPTransport(retries=50)  # until it listens
        # A new connection for each request, so that any worker may take it.
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=transport, limits=limits, timeout=30
        ) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        log.with_suffix(".err").write_text(errors, encoding="utf-8")


def posted(client: httpx.Client, first: int = 0) -> list[httpx.Response]:
    """Post forty codes to different phones from eight threads."""

    def post(number: int) -> httpx.Response:
        order = {"phone": f"+7999000{number:04}", "code": "1"}
        while (answer := client.post("/codes", data=order)).status_code == 429:
            time.sleep(float(answer.headers["Retry-After"]))  # a busy machine: it has waited for a second
        return answer

    alone = [post(first)]  # until the first login, all others wait for it
    with ThreadPoolExecutor(8) as pool:
        return [*alone, *pool.map(post, range(first + 1, first + 40))]


def read(client: httpx.Client, page: str) -> Counter[int]:
    """Read a page forty times from eight threads, and return the number of each status code."""
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda _: client.get(page).status_code, range(40)))


@pytest.mark.slow
def test_forty_of_forty_requests_of_eight_threads_succeed(tmp_path: Path) -> None:
    sandbox = Sandbox()
    with sandbox.serve() as url, served(url, tmp_path / "log", "--threads", "8") as client:
        answers = posted(client)
    assert [answer.status_code for answer in answers] == [201] * 40
    assert len({message.phone for message in sandbox.messages}) == 40
    assert (tmp_path / "log.err").read_text(encoding="utf-8") == ""


PRELOAD: Final = ("--preload", "--workers", "4", "--threads", "2")


def workers(log: Path) -> Counter[str]:
    """Return the number of answers of each worker."""
    return Counter(line.split()[0] for line in log.read_text(encoding="utf-8").splitlines())


@pytest.mark.slow
def test_preloaded_workers_have_clients_of_their_own_and_warn_once_each(tmp_path: Path) -> None:
    sandbox = Sandbox(latency=0.3)  # eight requests in flight need all eight threads
    rounds = iter(range(50))
    log = tmp_path / "log"
    with sandbox.serve() as url, served(url, log, *PRELOAD) as client:
        answers = posted(client)
        while len(workers(log)) < 4:
            next(rounds)
            answers += posted(client, len(answers))
        while not sandbox.counts["get_status", 9]:  # each worker allows five, and the service five in all
            next(rounds)
            read(client, answers[0].text)
    assert [answer.status_code for answer in answers] == [201] * len(answers)
    errors = log.with_suffix(".err").read_text(encoding="utf-8")
    assert len(re.findall("RuntimeWarning: this client of smsc_async.sync was made before a fork", errors)) == 4
    assert "Traceback" not in errors


@pytest.mark.slow
def test_preloaded_workers_that_share_redis_stay_inside_the_limits_and_do_not_warn(tmp_path: Path) -> None:
    sandbox = Sandbox()
    log = tmp_path / "log"
    with RedisServer() as redis, sandbox.serve() as url, served(url, log, *PRELOAD, REDIS_URL=redis.url) as client:
        answers = posted(client)
        codes = read(client, answers[0].text)
    assert [answer.status_code for answer in answers] == [201] * 40
    assert codes == {200: 5, 429: 35}
    assert (sandbox.counts["get_status", 0], sandbox.counts["get_status", 9]) == (5, 0)
    assert log.with_suffix(".err").read_text(encoding="utf-8") == ""
