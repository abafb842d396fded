"""The connection of a request: timeouts in process, clients that go away, and servers other than the sandbox's own."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import httpx
import pytest
import uvicorn
from anyio.lowlevel import checkpoint

from smsc_async import Client, ConnectionLost, ReadTimeout, SmscError, testing
from smsc_async._model.credentials import ApiKey
from smsc_async._model.operations import GetBalance
from smsc_async._protocol.binding import encode
from smsc_async.sandbox import Sandbox, _server
from tests.virtual import virtual_time

URL = "http://127.0.0.1/sys/soap.php"
BALANCE = encode(GetBalance(), ApiKey.model_validate({"key": "demo"}), URL).body
BALANCE_12 = BALANCE.replace(b"http://schemas.xmlsoap.org/soap/envelope/", b"http://www.w3.org/2003/05/soap-envelope")


@contextmanager
def another_server(sandbox: Sandbox) -> Iterator[str]:
    """Serve the application as a user does who knows only ASGI."""
    config = uvicorn.Config(sandbox.app, port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    listener.listen()
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/sys/soap.php"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@virtual_time
async def test_a_latency_beyond_the_timeout_is_a_timeout_in_process_too() -> None:
    sandbox = Sandbox(latency=3)
    async with Client(apikey="demo", transport=sandbox.transport(), timeout=1, retries=0) as client:
        start = anyio.current_time()
        with pytest.raises(ReadTimeout):
            await client.balance()
        assert anyio.current_time() - start == pytest.approx(1, abs=0.01)
    async with Client(apikey="demo", transport=sandbox.transport(), timeout=4) as client:
        await client.balance()


async def test_a_client_without_timeouts_waits_for_any_delay() -> None:
    sandbox = Sandbox(faults=["delay seconds=1000"])
    async with (
        httpx.AsyncClient(transport=sandbox.transport(), timeout=httpx.Timeout(None)) as http,
        anyio.create_task_group() as group,
    ):
        group.start_soon(lambda: http.post(URL, content=BALANCE))
        await sandbox.advance(999)
        assert sandbox.counts["get_balance", 0] == 1
        assert sandbox.clock._waits
        await sandbox.advance(1)
        assert not sandbox.clock._waits


@pytest.mark.parametrize("fault", ["lose_request", "lose_answer", "cut at=5", "leftover_bytes", "slow_drip seconds=0"])
async def test_another_server_does_what_it_can(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "uvicorn.error")
    sandbox = Sandbox(faults=[f"{fault} times=1"])
    with another_server(sandbox) as url:
        async with testing.client(sandbox, url=url, guards=None, retries=0) as client:
            if fault.partition(" ")[0] in {"leftover_bytes", "slow_drip"}:
                await client.balance()
            else:
                with pytest.raises(ConnectionLost):
                    await client.balance()
            await client.balance()


async def test_a_request_whose_client_has_gone_leaves_the_sandbox() -> None:
    sandbox = Sandbox(faults=["delay seconds=3600 times=1"])
    with sandbox.serve() as url:
        async with testing.client(sandbox, url=url, guards=None, timeout=0.05, retries=0) as client:
            with pytest.raises(SmscError):
                await client.balance()
            with anyio.fail_after(5):
                while sandbox._service.in_flight:
                    await checkpoint()


async def test_a_sandbox_is_served_on_ipv6_too() -> None:
    sandbox = Sandbox()
    with sandbox.serve("::1") as url:
        assert url.startswith("http://[::1]:")
        async with testing.client(sandbox, url=url) as client:
            await client.balance()


def test_a_port_that_is_taken_is_an_oserror() -> None:
    with (
        Sandbox().serve() as url,
        pytest.raises(OSError, match="in use"),
        Sandbox().serve(port=httpx.URL(url).port or 0),
    ):
        pass


@pytest.mark.parametrize(
    ("fault", "code"),
    [("drifted_namespace", b"rpc:ProcedureNotPresent"), ("soap_fault", b"injected by the sandbox")],
)
async def test_a_fault_in_soap_12_has_the_form_of_soap_12(fault: str, code: bytes) -> None:
    async with httpx.AsyncClient(transport=Sandbox(faults=[fault]).transport()) as http:
        reply = await http.post(URL, content=BALANCE_12)
    assert (reply.status_code, reply.headers["Content-Type"]) == (500, "application/soap+xml; charset=utf-8")
    assert code in reply.content


async def test_a_page_of_an_unregistered_status_has_its_number() -> None:
    async with httpx.AsyncClient(transport=Sandbox(faults=["http status=499"]).transport()) as http:
        reply = await http.post(URL, content=BALANCE)
    assert (reply.status_code, b"<h1>499</h1>" in reply.content) == (499, True)


@pytest.mark.parametrize("path", ["/_sandbox/api/messages?wait=60", "/sys/soap.php"])
def test_a_server_that_stops_cuts_what_still_waits(
    path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_server, "_GRACE", 0)
    sandbox = Sandbox(latency=60, namespace=URL)
    with httpx.Client(timeout=10) as http:

        def ask() -> None:
            with pytest.raises(httpx.RemoteProtocolError):
                http.request("POST" if "soap" in path else "GET", f"{base}{path}", content=BALANCE)
            cut.append(path)

        cut: list[str] = []
        thread = threading.Thread(target=ask)
        with sandbox.serve() as url:
            base = url.removesuffix("/sys/soap.php")
            thread.start()
            while not (len(sandbox._changes._listeners) > 1 or sandbox._service.in_flight):  # one sends callbacks
                threading.Event().wait(0.01)
        thread.join()
    assert cut == [path]
    assert not [record for record in caplog.records if "Exception in ASGI" in record.getMessage()]
