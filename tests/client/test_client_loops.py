"""One client on several event loops, and its behaviour while it closes."""

import asyncio
import gc
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smsc_async import (
    Client,
    ConnectError,
    MalformedEnvelope,
    Reply,
    SoapFault,
)
from tests.client.client_service import PHONE
from tests.doubles import (
    FakeService,
    answer,
    fault,
    make_client,
)


class _Keeping(http.server.BaseHTTPRequestHandler):
    """A service that keeps connections open after the event loops of its clients have ended."""

    protocol_version = "HTTP/1.1"
    peers: list[tuple[str, int]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).peers.append(self.client_address)
        body = answer("get_balance", balance="1").body
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def _collected() -> Iterator[None]:
    """Collect garbage after the test, so that its warnings do not appear in another test."""
    yield
    gc.collect()


def forgotten_connections(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test whose event loop ends with open connections, about which Python warns."""
    ignored = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    return pytest.mark.usefixtures("_collected")(ignored(test))  # type: ignore[no-any-return]


@pytest.fixture
def keeping_server() -> Iterator[tuple[str, list[tuple[str, int]]]]:
    class Handler(_Keeping):
        peers: list[tuple[str, int]] = []

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/soap.php", Handler.peers
        server.shutdown()
        thread.join()


@forgotten_connections
@pytest.mark.parametrize(
    "backends", [("asyncio", "asyncio"), ("asyncio", "trio"), ("trio", "asyncio"), ("trio", "trio")]
)
def test_second_event_loop_makes_connections_of_its_own(
    backends: tuple[str, str], keeping_server: tuple[str, list[tuple[str, int]]]
) -> None:
    """The first loop ends with an open connection, which can't be closed any more."""
    url, peers = keeping_server
    client = Client(apikey="key", url=url, retries=0, on_unknown="raise")

    async def twice() -> None:
        await client.balance()
        await client.balance()

    async def last() -> None:
        await twice()
        await client.aclose()

    anyio.run(twice, backend=backends[0])
    anyio.run(last, backend=backends[1])
    assert len(peers) == 4
    assert peers[0] == peers[1]
    assert peers[2] == peers[3]
    assert peers[0] != peers[2]


@forgotten_connections
def test_closing_on_another_loop_is_quiet(keeping_server: tuple[str, list[tuple[str, int]]]) -> None:
    client = Client(apikey="key", url=keeping_server[0])
    asyncio.run(client.balance())
    asyncio.run(client.aclose())
    with pytest.raises(RuntimeError, match="this client is closed"):
        asyncio.run(client.balance())


@forgotten_connections
def test_httpx_transport_of_another_loop_is_refused_clearly(keeping_server: tuple[str, list[tuple[str, int]]]) -> None:
    client = Client(apikey="key", url=keeping_server[0], transport=httpx.AsyncHTTPTransport())
    asyncio.run(client.balance())
    with pytest.raises(RuntimeError, match="connections of another event loop"):
        asyncio.run(client.balance())


@pytest.mark.parametrize("first", ["asyncio", "trio"])
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_client_made_on_one_loop_is_used_on_another(first: str, second: str) -> None:
    async def make() -> Client:
        return make_client(FakeService(latency=0.001))

    async def use() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(client.balance)
            group.start_soon(client.balance)

    client = anyio.run(make, backend=first)
    anyio.run(use, backend=second)
    anyio.run(use, backend=first)


def test_two_loops_at_once_are_refused() -> None:
    class Reentrant(FakeService):
        async def post(self, *arguments: Any) -> Reply:
            await anyio.to_thread.run_sync(other_loop)
            return await super().post(*arguments)

    failures: list[BaseException] = []

    def other_loop() -> None:
        try:
            asyncio.run(client.balance())
        except RuntimeError as error:
            failures.append(error)

    client = make_client(Reentrant())
    asyncio.run(client.balance())
    assert ["in use on another event loop" in str(error) for error in failures] == [True]


def test_loop_whose_call_only_pauses_is_in_use_too() -> None:
    service = FakeService([ConnectError("gone")])
    client = make_client(service)
    refused: list[str] = []

    def other_loop() -> None:
        with pytest.raises(RuntimeError, match="in use on another event loop") as caught:
            asyncio.run(client.balance())
        refused.append(str(caught.value))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(client.balance)
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(other_loop)

    asyncio.run(main())
    assert len(refused) == 1


def test_call_that_pauses_while_the_client_closes_makes_no_more_requests() -> None:
    async def main() -> None:
        service = FakeService([ConnectError("gone")] * 3)
        client = make_client(service)

        async def ask() -> None:
            with pytest.raises(RuntimeError, match="this client is closed"):
                await client.balance()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            await client.aclose()
        assert len(service.urls) == 1

    trio.run(main, clock=MockClock(autojump_threshold=0.02))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_both_backends_over_a_real_connection(backend: str, keeping_server: tuple[str, list[tuple[str, int]]]) -> None:
    async def main() -> None:
        async with Client(apikey="key", url=keeping_server[0], on_unknown="raise") as client:
            assert (await client.balance()).amount == 1
            with pytest.raises(MalformedEnvelope):
                await client.send(PHONE, "Hi")

    anyio.run(main, backend=backend)


def test_fault_without_a_known_meaning_is_shown() -> None:
    with pytest.raises(SoapFault, match="Server: the base is down"):
        asyncio.run(make_client(FakeService([fault("Server", "the base is down")])).balance())
