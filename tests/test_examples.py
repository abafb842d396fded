"""The examples run unchanged."""

import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import anyio
import httpx
import pytest
import uvicorn

from examples.fastapi_shop import kills
from smsc_async.sandbox import Sandbox
from tests.redis_server import RedisServer

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parent.parent / "examples"
WORKERS = "fastapi_workers", "--workers", "2"


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[tuple[Sandbox, str]]:
    """Serve a sandbox; its parameter is the latency in seconds."""
    sandbox = Sandbox(latency=getattr(request, "param", 0.0))
    config = uvicorn.Config(
        sandbox.app, host="127.0.0.1", port=0, lifespan="off", log_level="error", ws="none", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    with config.bind_socket() as listener:
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield sandbox, f"http://127.0.0.1:{listener.getsockname()[1]}/sys/soap.php"
        server.should_exit = True
        thread.join()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def _served(app: str, *options: str, **environment: str) -> AsyncIterator[httpx.AsyncClient]:
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", f"{app}:app", *options, "--port", str(port)]
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own command, and the test has nothing else to do
        [*command, "--log-level", "warning"],
        cwd=EXAMPLES,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "SMSC_APIKEY": "demo", **environment},
    )
    try:
        # A new connection for each request, so that either worker may take it.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=20) as client:
            with anyio.fail_after(30):
                while not await _is_up(client):  # noqa: ASYNC110 - another process, it sets no event here
                    await anyio.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(20)


async def _is_up(client: httpx.AsyncClient) -> bool:
    try:
        await client.get("/openapi.json")
    except httpx.TransportError:
        return False
    return True


async def _ask_both_workers(client: httpx.AsyncClient) -> Counter[int]:
    """Request one status until each worker has been asked more often than the service allows."""
    sent = await client.post("/codes", json={"phone": "+79991234567", "code": "4821"})
    ref = sent.json()["ref"]
    workers: Counter[str] = Counter()
    answers: Counter[int] = Counter()
    with anyio.fail_after(60):
        while len(workers) < 2 or min(workers.values()) < 6:
            response = await client.get(f"/codes/{ref}")
            workers[response.headers["X-Worker"]] += 1
            answers[response.status_code] += 1
            if response.status_code == 429:
                assert 1 <= int(response.headers["Retry-After"]) <= 62
    return answers


async def test_workers_that_share_redis_never_break_the_status_limit(sandbox: tuple[Sandbox, str]) -> None:
    service, url = sandbox
    with RedisServer() as redis:
        async with _served(*WORKERS, SMSC_URL=url, REDIS_URL=redis.url) as client:
            answers = await _ask_both_workers(client)
    assert answers[200] == 5
    assert answers.keys() == {200, 429}
    assert (service.counts["get_status", 0], service.counts["get_status", 9]) == (5, 0)


async def test_workers_that_do_not_share_redis_break_the_status_limit(sandbox: tuple[Sandbox, str]) -> None:
    service, url = sandbox
    async with _served(*WORKERS, SMSC_URL=url, REDIS_URL="") as client:
        await _ask_both_workers(client)
    assert service.counts["get_status", 9] > 0


async def test_a_shop_that_is_killed_under_load_loses_no_message_and_sends_none_twice() -> None:
    run = await kills.measure(6)
    assert (run.kills, run.doubled, run.lost) == (6, 0, 0)
    assert len(run.accepted) >= len(run.orders) > 6
    assert run.repeated > 0


async def _until(client: httpx.AsyncClient, number: str, *outcomes: str) -> None:
    """Wait until the application reports one of these outcomes of an invoice."""
    with anyio.fail_after(20):
        while (await client.get(f"/invoices/{number}")).text not in outcomes:  # noqa: ASYNC110 - another process
            await anyio.sleep(0.02)


@pytest.mark.parametrize("sandbox", [1.0], indirect=True)
async def test_handler_that_is_cancelled_mid_send_loses_nothing_and_sends_nothing_twice(
    sandbox: tuple[Sandbox, str],
) -> None:
    service, url = sandbox
    async with _served("fastapi_cancelled", SMSC_URL=url) as client:
        invoice = {"number": "2026-11", "phone": "+79991234567", "amount": "100.00"}
        async with anyio.create_task_group() as group:
            group.start_soon(partial(client.post, "/invoices", json=invoice))
            while not service.messages:  # noqa: ASYNC110 - the service is in another thread
                await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        await _until(client, "2026-11", "unresolved", "sent")
        await _until(client, "2026-11", "sent")
        assert service.counts["get_status", 0] == 1  # its outcome was unknown, so the status was asked for
        again = await client.post("/invoices", json=invoice)
        other = await client.post("/invoices", json={**invoice, "number": "2026-12"})
        assert (again.text, other.text) == ("sent", "sent")
    assert [message.id for message in service.messages] == ["2026-11", "2026-12"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("otel.py", ["span send_sms", "error.type = 'ConnectionLost'", "smsc.result = 'sent'", "metric smsc.messages"]),
        ("audit.py", ['"outcome": "accepted"', '"outcome": "not_sent"', "4820: True, 4821: False"]),
    ],
)
def test_a_script_prints_what_its_docstring_says(name: str, expected: list[str]) -> None:
    ran = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(EXAMPLES / name)],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert [words for words in expected if words not in ran.stdout] == []
    assert "9991234567" not in ran.stdout
