"""Applications in processes of their own, with the servers that users run."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.callbacks.samples import INCOMING, SECRET, STATUS, signed

ROOT = Path(__file__).parent.parent.parent
URL = "/smsc/callback"

RECEIVING = f"""
import asyncio, pathlib
from smsc_async import Client
from smsc_async.callbacks import Callbacks
from smsc_async.sandbox import Sandbox

CALLBACKS = Callbacks(secrets=[{SECRET!r}])

def make_client():
    return Client(apikey="demo", transport=Sandbox().transport())

async def keep(push):
    await asyncio.sleep(0.02)
    balance = (await client().balance()).amount if push.ref.id == "1" else ""
    with pathlib.Path("kept").open("a") as file:
        file.write(push.ref.id + "\\n")

async def slow(message):
    pathlib.Path("began").touch()
    await asyncio.sleep(0.5)
"""
FASTAPI = """
from fastapi import FastAPI
from smsc_async.fastapi import callback_router, exception_handlers, lifespan
app = FastAPI(lifespan=lifespan({make}))
exception_handlers(app)
app.include_router(callback_router(CALLBACKS, on_status=keep, on_incoming=slow))
client = lambda: app.state.smsc_client
"""
AIOHTTP = """
from aiohttp import web
from smsc_async.aiohttp import add_callback_routes, client_key, context
app = web.Application()
app.cleanup_ctx.append(context({make}))
add_callback_routes(app, CALLBACKS, on_status=keep, on_incoming=slow)
client = lambda: app[client_key]
print("running on http://127.0.0.1:{port} ", flush=True)
web.run_app(app, host="127.0.0.1", port={port}, print=None)
"""

pytestmark = pytest.mark.slow


def _start(folder: Path, name: str, make: str, port: int) -> subprocess.Popen[str]:
    code = (FASTAPI if name == "fastapi" else AIOHTTP).replace("{make}", make).replace("{port}", str(port))
    (folder / "shop.py").write_text(RECEIVING + code, encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SMSC_")}
    serve = ["-m", "uvicorn", "shop:app", "--port", str(port)] if name == "fastapi" else ["shop.py"]
    return subprocess.Popen(  # noqa: S603 - our own application
        [sys.executable, *serve],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait_for(url: str) -> None:
    for _ in range(600):
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server did not start")


@pytest.mark.parametrize("name", ["fastapi", "aiohttp"])
def test_what_was_answered_200_is_passed_on_although_the_server_is_stopped(
    name: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    server = _start(tmp_path, name, "make_client", unused_tcp_port)
    try:
        url = f"http://127.0.0.1:{unused_tcp_port}{URL}"
        _wait_for(url)
        with httpx.Client(trust_env=False) as service:
            for number in range(1, 101):
                assert service.get(f"{url}?{signed(STATUS, id=str(number)).decode()}").status_code == 200
        server.send_signal(signal.SIGTERM)
        shown, _ = server.communicate(timeout=60)
    finally:
        server.kill()
    assert (tmp_path / "kept").read_text(encoding="utf-8").split() == [str(number) for number in range(1, 101)], shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("name", ["fastapi", "aiohttp"])
def test_an_incoming_message_is_handled_to_its_end_although_the_service_has_gone_away(
    name: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    server = _start(tmp_path, name, "make_client", unused_tcp_port)
    try:
        url = f"http://127.0.0.1:{unused_tcp_port}{URL}"
        _wait_for(url)
        with httpx.Client(trust_env=False, timeout=0.1) as service, pytest.raises(httpx.ReadTimeout):
            service.get(f"{url}?{signed(INCOMING).decode()}")
        assert (tmp_path / "began").exists()
        assert httpx.get(f"{url}?{signed(INCOMING).decode()}", trust_env=False).status_code == 200
        server.send_signal(signal.SIGTERM)
        shown, _ = server.communicate(timeout=60)
    finally:
        server.kill()
    assert "Traceback" not in shown


@pytest.mark.parametrize("name", ["fastapi", "aiohttp"])
def test_missing_credentials_end_the_server_with_one_sentence(name: str, tmp_path: Path, unused_tcp_port: int) -> None:
    server = _start(tmp_path, name, "Client", unused_tcp_port)
    try:
        shown, _ = server.communicate(timeout=60)
    finally:
        server.kill()
    assert server.returncode not in {0, None}
    errors = [line for line in shown.splitlines() if "Error" in line and not line.startswith(" ")]
    sentence = r"ValueError: credentials are missing; pass apikey=.* in the environment"
    assert len(errors) == 1, shown
    assert re.fullmatch(sentence, errors[0])
