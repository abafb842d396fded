"""The aiohttp transport: its exceptions, its event loop, its proxies; it repeats nothing and keeps no cookies."""

import asyncio
import base64
import builtins
import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import trio
from yarl import URL

from smsc_async import Client, ConnectError, ConnectionLost, Outcome, ReadTimeout, SmscError, Timeout, TransportError
from smsc_async._network import connector
from smsc_async._network.aiohttp import _OURS, AiohttpTransport, _Pieces
from smsc_async._network.connector import Connector
from smsc_async._network.transport import ours
from tests.doubles import RawRequest, http_bytes, raw_server

ADDRESS = "https://sms.test/sys/soap.php"
QUICK = Timeout.of(5)
ROOT = Path(__file__).parent.parent.parent


def _with_descendants(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _with_descendants(child)


# What the request may have done by the time each of aiohttp's exceptions is raised.
EXPECTED: dict[str, type[SmscError]] = {
    "ClientError": ConnectionLost,
    "ClientResponseError": ConnectionLost,
    "ContentTypeError": ConnectionLost,
    "WSServerHandshakeError": ConnectionLost,
    "ClientHttpProxyError": ConnectError,
    "TooManyRedirects": ConnectionLost,
    "ClientConnectionError": ConnectionLost,
    "ClientConnectionResetError": ConnectionLost,
    "ClientOSError": ConnectionLost,
    "ClientConnectorError": ConnectError,
    "ClientConnectorDNSError": ConnectError,
    "ClientProxyConnectionError": ConnectError,
    "ClientSSLError": ConnectError,
    "ClientConnectorSSLError": ConnectError,
    "ClientConnectorCertificateError": ConnectError,
    "UnixClientConnectorError": ConnectError,
    "ServerConnectionError": ConnectionLost,
    "ServerDisconnectedError": ConnectionLost,
    "ServerTimeoutError": ReadTimeout,
    "ConnectionTimeoutError": ConnectError,
    "SocketTimeoutError": ReadTimeout,
    "ServerFingerprintMismatch": ConnectError,
    "ClientPayloadError": ConnectionLost,
    "InvalidURL": ConnectError,
    "InvalidUrlClientError": ConnectError,
    "NonHttpUrlClientError": ConnectError,
    "RedirectClientError": ConnectionLost,
    "InvalidUrlRedirectClientError": ConnectionLost,
    "NonHttpUrlRedirectClientError": ConnectionLost,
    "UploadAbortedError": ConnectionLost,
    "WSMessageTypeError": ConnectionLost,
}
KINDS = {
    kind.__name__: kind for kind in _with_descendants(aiohttp.ClientError) if kind.__module__.startswith("aiohttp")
}


def test_table_says_what_becomes_of_every_exception_of_aiohttp() -> None:
    """A new exception of aiohttp fails here, until somebody has thought about what it means for a send."""
    assert KINDS.keys() <= EXPECTED.keys()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_foreign_exception_becomes_ours(name: str) -> None:
    error = ours(KINDS[name].__new__(KINDS[name]), _OURS, left=None)
    assert type(error) is EXPECTED[name]
    assert name in str(error)
    assert error.outcome is (Outcome.NOT_SENT if EXPECTED[name] is ConnectError else Outcome.UNKNOWN)


@pytest.mark.parametrize(
    ("foreign", "kind"), [(builtins.TimeoutError(), ReadTimeout), (ConnectionResetError("reset"), ConnectionLost)]
)
def test_bare_exception_of_a_socket_leaves_the_outcome_unknown(foreign: Exception, kind: type[TransportError]) -> None:
    assert type(ours(foreign, _OURS, left=None)) is kind


def test_trio_is_refused_in_one_sentence() -> None:
    async def main() -> None:
        client = Client(apikey="key", url=ADDRESS, transport="aiohttp", guards=None)
        with pytest.raises(RuntimeError, match="works on asyncio only; leave transport= out on trio"):
            await client.balance()
        await client.aclose()

    trio.run(main)


def test_missing_extra_is_said_in_one_sentence() -> None:
    code = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "import smsc_async; smsc_async.Client(apikey='k', transport='aiohttp')"
    )
    ran = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    last = ran.stderr.strip().splitlines()[-1]
    assert last == "ModuleNotFoundError: transport='aiohttp' needs an extra package: pip install 'smsc-async[aiohttp]'"


async def test_dead_connection_is_not_tried_again() -> None:
    """The request may have been executed before the connection died, so only the caller may repeat it."""
    bodies: list[bytes] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        bodies.append(request.body)
        if len(bodies) > 1:
            return False
        writer.write(http_bytes(b"<a/>"))
        return True

    transport = AiohttpTransport()
    async with raw_server(serve) as url:
        await transport.post(url, {}, b"1", QUICK)
        with pytest.raises(ConnectionLost, match="ServerDisconnectedError") as caught:
            await transport.post(url, {}, b"2", QUICK)
        await transport.aclose()
    assert caught.value.outcome is Outcome.UNKNOWN
    assert bodies == [b"1", b"2"]


async def test_cookies_are_not_kept() -> None:
    seen: list[str | None] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        seen.append(request.headers.get("cookie"))
        writer.write(http_bytes(b"<a/>", set_cookie="session=1"))
        return True

    transport = AiohttpTransport()
    async with raw_server(serve) as url:
        for _ in range(2):
            await transport.post(url.replace("127.0.0.1", "localhost"), {}, b"", QUICK)
        await transport.aclose()
    assert seen == [None, None]


async def test_proxy_gets_the_credentials_of_its_url() -> None:
    seen: list[tuple[str, str | None]] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        seen.append((request.line.split(" ")[0], request.headers.get("proxy-authorization")))
        writer.write(http_bytes(b"<a/>", status="407 No" if "CONNECT" in request.line else "200 OK"))
        return False

    async with raw_server(serve) as url:
        transport = AiohttpTransport(proxy=str(URL(url).with_user("ann").with_password("secret")))
        await transport.post("http://sms.test/", {}, b"", QUICK)
        with pytest.raises(ConnectError) as caught:
            await transport.post("https://sms.test/", {}, b"", QUICK)
        await transport.aclose()
    basic = f"Basic {base64.b64encode(b'ann:secret').decode()}"
    assert seen == [("POST", basic), ("CONNECT", basic)]
    assert "secret" not in repr(caught.value)


async def test_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="http and https proxies only"):
        AiohttpTransport(proxy="socks5://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    transport = AiohttpTransport()
    with pytest.raises(ConnectError, match="http and https proxies only"):
        await transport.post(ADDRESS, {}, b"", QUICK)
    await transport.aclose()


async def test_many_requests_take_turns_on_few_connections() -> None:
    open_at_once: list[int] = []
    flying = 0

    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        nonlocal flying
        flying += 1
        open_at_once.append(flying)
        await asyncio.sleep(0)
        flying -= 1
        writer.write(http_bytes(b"<a/>"))
        return True

    transport = AiohttpTransport(max_connections=2)
    async with raw_server(serve) as url:
        await asyncio.gather(*(transport.post(url, {}, b"", QUICK) for _ in range(20)))
        await transport.aclose()
    assert len(open_at_once) == 20
    assert max(open_at_once) <= 2


@pytest.fixture
def _collected() -> Iterator[None]:
    yield
    gc.collect()


async def test_connection_that_is_made_while_the_transport_stops_is_not_used() -> None:
    bodies: list[bytes] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        bodies.append(request.body)
        writer.write(http_bytes(b"<a/>"))
        return True

    transport = AiohttpTransport()
    async with raw_server(serve) as url:
        await transport.post(url, {}, b"1", QUICK)
        assert transport._session is not None
        assert isinstance(transport._session.connector, Connector)
        transport._session.connector.stop()
        with pytest.raises(ConnectError, match="nothing was sent"):
            await transport.post(url, {}, b"2", QUICK)
        await transport.aclose()
    assert bodies == [b"1"]


async def test_windows_reads_ahead_so_nothing_is_asked_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(request.body))
        return True

    monkeypatch.setattr(connector, "_POLL", None)
    transport = AiohttpTransport()
    async with raw_server(serve) as url:
        for body in (b"1", b"2"):
            assert (await transport.post(url, {}, body, QUICK)).body == body
        await transport.aclose()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("_collected")
def test_transport_may_be_closed_on_another_loop() -> None:
    transport = AiohttpTransport()

    async def post() -> None:
        with pytest.raises(ConnectError):
            await transport.post("http://127.0.0.1:9/", {}, b"", QUICK)

    asyncio.run(post())
    asyncio.run(transport.aclose())


@pytest.mark.usefixtures("_collected")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_each_event_loop_gets_connections_of_its_own() -> None:
    peers: list[object] = []
    transport = AiohttpTransport()

    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        peers.append(writer.get_extra_info("peername"))
        writer.write(http_bytes(b"<a/>"))
        return True

    async def main(last: bool) -> None:
        async with raw_server(serve) as url:
            for _ in range(2):
                await transport.post(url, {}, b"", QUICK)
            if last:
                await transport.aclose()

    asyncio.run(main(last=False))
    asyncio.run(main(last=True))
    assert len(peers) == 4
    assert len(set(peers)) == 2


@pytest.mark.usefixtures("_collected")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_connections_of_a_loop_that_only_pauses_are_left_alone() -> None:
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    transport = AiohttpTransport()

    async def failing() -> None:
        with pytest.raises(ConnectError):
            await transport.post("http://127.0.0.1:9/", {}, b"", QUICK)

    first.run_until_complete(failing())
    second.run_until_complete(failing())
    second.run_until_complete(transport.aclose())
    first.close()
    second.close()


async def test_no_content_type_is_made_up_and_a_large_body_can_be_shown() -> None:
    seen: list[RawRequest] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        seen.append(request)
        writer.write(http_bytes(b"<a/>"))
        return True

    transport = AiohttpTransport()
    async with raw_server(serve) as url:
        for size in (1, 100_000):
            await transport.post(url, {}, b"x" * size, QUICK)
        await transport.aclose()
    assert ["content-type" in request.headers for request in seen] == [False, False]
    assert _Pieces(b"<a/>", 1).decode() == "<a/>"
