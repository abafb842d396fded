"""Clients that nobody closes: silent in a notebook, visible to those who look for leaks."""

import asyncio
import gc
import subprocess
import sys
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from smsc_async import Client
from smsc_async.sandbox import Limits, Sandbox

ROOT = Path(__file__).parent.parent.parent
LEAK = "connections of a client with transport='aiohttp' were not closed"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Sandbox(limits=Limits.off()).serve() as url:
        yield url


def _connections(client: Client) -> "list[asyncio.Transport]":
    session = client._caller._transport._session  # type: ignore[attr-defined]
    return [handler.transport for each in session.connector._conns.values() for handler, _ in each]


def _forget(clients: list[Client]) -> None:
    clients.clear()
    gc.collect()


@pytest.fixture(autouse=True)
def _forget_what_other_tests_left() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def test_a_forgotten_client_over_aiohttp_closes_its_connections_and_warns_only_of_the_resource(url: str) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    client = Client(apikey="demo", url=url, transport="aiohttp")
    await client.balance()
    (connection,) = _connections(client)
    gone = weakref.ref(client)
    forgotten = [client]
    del client
    with pytest.warns(ResourceWarning, match=LEAK):
        _forget(forgotten)
    assert gone() is None
    assert connection.is_closing()
    await asyncio.sleep(0)
    assert reported == []


async def test_a_client_over_aiohttp_that_was_closed_or_not_used_leaves_nothing_to_warn_of(url: str) -> None:
    async with Client(apikey="demo", url=url, transport="aiohttp") as client:
        await client.balance()
    unused = Client(apikey="demo", url=url, transport="aiohttp")
    del client, unused
    gc.collect()  # a warning would be an error here


def test_a_client_over_aiohttp_keeps_no_session_of_an_earlier_event_loop(url: str) -> None:
    client = Client(apikey="demo", url=url, transport="aiohttp")
    sessions = []

    async def use() -> None:
        await client.balance()
        sessions.append(weakref.ref(client._caller._transport._session))  # type: ignore[attr-defined]

    def use_on_three_loops() -> None:
        for _ in range(3):
            asyncio.run(use())
        gc.collect()

    with pytest.warns(ResourceWarning):  # asyncio warns of the sockets of a loop that has ended
        use_on_three_loops()
    assert [session() is None for session in sessions] == [True, True, False]
    with pytest.warns(ResourceWarning):  # noqa: PT031 - as above, and not in a later test
        asyncio.run(client.aclose())
        gc.collect()


PROGRAM = """
import asyncio, gc, sys
from smsc_async import Client
url, transport, how = sys.argv[1], None if sys.argv[2] == "httpx" else sys.argv[2], sys.argv[3]
loop = asyncio.new_event_loop()
if how == "one loop, a client in each cell":
    for _ in range(3):
        client = Client(apikey="demo", url=url, transport=transport)
        loop.run_until_complete(client.balance())
        gc.collect()
elif how == "one client, a loop in each cell":
    client = Client(apikey="demo", url=url, transport=transport)
    for _ in range(3):
        asyncio.run(client.balance())
        gc.collect()
else:  # both loops stay open
    client = Client(apikey="demo", url=url, transport=transport)
    other = asyncio.new_event_loop()
    loop.run_until_complete(client.balance())
    other.run_until_complete(client.balance())
    gc.collect()
"""


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["httpx", "aiohttp"])
@pytest.mark.parametrize("how", ["one loop, a client in each cell", "one client, a loop in each cell", "two loops"])
def test_a_program_that_closes_nothing_is_silent(url: str, transport: str, how: str) -> None:
    command = [sys.executable, "-c", PROGRAM, url, transport, how]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ours
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
