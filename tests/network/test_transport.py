"""HTTP as it really is: cut, slow, huge, compressed, redirected; each failure becomes one of ours with its outcome.

Every transport makes the same promises, so each of these tests runs over each of them.
"""

import asyncio
import gzip
import socket
import ssl
import traceback
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import aiohttp
import httpx
import pytest

from smsc_async import (
    ConnectError,
    ConnectionLost,
    MalformedEnvelope,
    Outcome,
    PoolTimeout,
    ReadTimeout,
    Reply,
    Timeout,
    Transport,
    TransportWithGet,
)
from smsc_async._network.aiohttp import AiohttpTransport
from smsc_async._network.httpx import HttpxTransport
from smsc_async._network.transport import KEEPALIVE_EXPIRY
from tests.doubles import RawRequest, answer, http_bytes, raw_server

QUICK = Timeout.of(5)
CERTIFICATE = Path(__file__).parent / "localhost.pem"
Make: TypeAlias = Callable[..., HttpxTransport | AiohttpTransport]


@pytest.fixture(params=[HttpxTransport, AiohttpTransport], ids=["httpx", "aiohttp"])
def make(request: pytest.FixtureRequest) -> Make:
    """Return what makes a transport."""
    kind: Make = request.param
    return kind


async def _posted(make: Make, url: str, *, timeout: Timeout = QUICK, max_response_bytes: int = 1_048_576) -> Reply:
    transport = make(max_response_bytes=max_response_bytes)
    try:
        return await transport.post(url, {"SOAPAction": '"x"'}, b"<a/>", timeout)
    finally:
        await transport.aclose()


async def test_request_arrives_as_it_was_given(make: Make) -> None:
    seen: list[RawRequest] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        seen.append(request)
        writer.write(http_bytes(b"<b/>", status="500 Internal Server Error"))
        return True

    async with raw_server(serve) as url:
        assert await _posted(make, url) == Reply(500, "text/xml; charset=utf-8", b"<b/>")
    assert seen[0].line == "POST /sys/soap.php HTTP/1.1"
    assert seen[0].body == b"<a/>"
    assert seen[0].headers["soapaction"] == '"x"'
    assert seen[0].headers["accept-encoding"] == "identity"
    assert seen[0].headers["user-agent"].startswith("smsc-async/")


async def test_get_fetches_a_document(make: Make) -> None:
    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(request.line.encode()))
        return False

    transport = make()
    async with raw_server(serve) as url:
        reply = await transport.get(f"{url}?wsdl", QUICK)
    assert reply.body == b"GET /sys/soap.php?wsdl HTTP/1.1"
    await transport.aclose()


async def test_answer_without_a_content_type_has_an_empty_one(make: Make) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return False

    async with raw_server(serve) as url:
        assert await _posted(make, url) == Reply(200, "", b"")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(make: Make, status: int) -> None:
    seen: list[str] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        seen.append(request.line)
        writer.write(http_bytes(b"", status=f"{status} Elsewhere", location="/elsewhere"))
        return True

    async with raw_server(serve) as url:
        assert (await _posted(make, url)).status_code == status
    assert seen == ["POST /sys/soap.php HTTP/1.1"]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<half",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<half",
    ],
    ids=["nothing", "half a head", "half a body", "half a chunk"],
)
async def test_connection_cut_during_the_answer_leaves_the_outcome_unknown(make: Make, sent: bytes) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(sent)
        return False

    async with raw_server(serve) as url:
        with pytest.raises(ConnectionLost) as caught:
            await _posted(make, url)
    assert caught.value.outcome is Outcome.UNKNOWN
    assert isinstance(caught.value, ConnectionError)
    assert caught.value.__suppress_context__, "the words of the library quote the server, which may quote the request"


async def test_reset_connection_leaves_the_outcome_unknown_and_keeps_its_cause(make: Make) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        linger = b"\x01\0\0\0\0\0\0\0"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return False

    async with raw_server(serve) as url:
        with pytest.raises(ConnectionLost) as caught:
            await _posted(make, url)
    assert isinstance(caught.value.__cause__, httpx.ReadError | aiohttp.ClientOSError)


async def test_refused_connection_sent_nothing(make: Make) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ConnectError) as caught:
            await _posted(make, f"http://127.0.0.1:{port}/")
    assert caught.value.outcome is Outcome.NOT_SENT


async def test_answer_that_never_comes_is_a_read_timeout(make: Make) -> None:
    async def serve(_request: RawRequest, _writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(30)
        return False  # pragma: no cover - the server is closed before

    async with raw_server(serve) as url:
        with pytest.raises(ReadTimeout) as caught:
            await _posted(make, url, timeout=Timeout(read=0.05))
    assert caught.value.outcome is Outcome.UNKNOWN
    assert isinstance(caught.value, TimeoutError)


async def test_pool_that_stays_full_sent_nothing(make: Make) -> None:
    arrived = asyncio.Event()

    async def serve(_request: RawRequest, _writer: asyncio.StreamWriter) -> bool:
        arrived.set()
        await asyncio.sleep(30)
        return False  # pragma: no cover - the server is closed before

    transport = make(max_connections=1)
    async with raw_server(serve) as url:
        first = asyncio.create_task(transport.post(url, {}, b"", QUICK))
        await arrived.wait()
        with pytest.raises(PoolTimeout) as caught:
            await transport.post(url, {}, b"", Timeout(pool=0.05))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert caught.value.outcome is Outcome.NOT_SENT
    await transport.aclose()


BOMB = gzip.compress(b"\0" * 50_000_000, mtime=0)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP "])
async def test_gzip_bomb_is_stopped_while_it_is_read(make: Make, encoding: str) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(BOMB, content_encoding=encoding))
        return True

    async with raw_server(serve) as url:
        with pytest.raises(MalformedEnvelope, match="larger than 1048576 bytes"):
            await _posted(make, url)


async def test_endless_answer_is_stopped_while_it_is_read(make: Make) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
            await writer.drain()

    async with raw_server(serve) as url:
        with pytest.raises(MalformedEnvelope, match="larger than 5000 bytes") as caught:
            await _posted(make, url, max_response_bytes=5000)
    assert caught.value.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("size", "fits"), [(5000, True), (5001, False)])
@pytest.mark.parametrize("packed", [False, True])
async def test_limit_counts_what_comes_out_of_the_decompressor(
    make: Make, *, size: int, fits: bool, packed: bool
) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        body = b"x" * size
        writer.write(http_bytes(gzip.compress(body, mtime=0), content_encoding="gzip") if packed else http_bytes(body))
        return True

    async with raw_server(serve) as url:
        if fits:
            assert len((await _posted(make, url, max_response_bytes=5000)).body) == size
        else:
            with pytest.raises(MalformedEnvelope):
                await _posted(make, url, max_response_bytes=5000)


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (b"<a/>", "identity"),
        (gzip.compress(b"<a/>", mtime=0), "gzip"),
        (zlib.compress(b"<a/>"), "deflate"),
        (b"<a/>", ""),
    ],
)
async def test_compressed_answer_is_read_piece_by_piece(make: Make, packed: bytes, encoding: str) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        head = http_bytes(b"", content_encoding=encoding).replace(b"Content-Length: 0", b"Connection: close")
        for byte in (head + packed)[:-1], packed[-1:]:
            writer.write(byte)
            await writer.drain()
            await asyncio.sleep(0)
        return False

    async with raw_server(serve) as url:
        assert (await _posted(make, url)).body == b"<a/>"


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [(b"\x1f\x8b<a/>", "gzip", "compression is broken"), (b"\x0b\x02\x80<a/>\x03", "br", "not asked for")],
)
async def test_compression_that_can_not_be_read_is_said(make: Make, body: bytes, encoding: str, words: str) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(body, content_encoding=encoding))
        return True

    async with raw_server(serve) as url:
        with pytest.raises(MalformedEnvelope, match=words) as caught:
            await _posted(make, url)
    assert caught.value.__context__ is None


async def test_connection_is_kept_for_the_next_request(make: Make) -> None:
    peers: list[object] = []

    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        peers.append(writer.get_extra_info("peername"))
        writer.write(http_bytes(answer("get_balance", balance="1").body))
        return True

    transport = make()
    async with raw_server(serve) as url:
        for _ in range(3):
            await transport.post(url, {}, b"", QUICK)
        await transport.aclose()
    assert len(peers) == 3
    assert len(set(peers)) == 1


async def test_idle_connections_are_dropped_before_a_server_cuts_them() -> None:
    """Apache keeps them for 5 seconds; a request on one that is just being cut would have an unknown outcome."""
    assert KEEPALIVE_EXPIRY < 5


@asynccontextmanager
async def _tls_server() -> AsyncIterator[str]:
    """Run a server with a self-signed certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(b"<a/>"))
        return False

    async with raw_server(serve, tls=context) as url:
        yield url


async def test_self_signed_certificate_is_refused_before_anything_leaves(make: Make) -> None:
    async with _tls_server() as url:
        with pytest.raises(ConnectError, match="nothing was sent") as caught:
            await _posted(make, url)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value.__cause__)


@pytest.mark.parametrize("trusting", [False, True])
async def test_verification_is_the_callers_to_change(make: Make, *, trusting: bool) -> None:
    async with _tls_server() as url:
        transport = make(verify=ssl.create_default_context(cafile=CERTIFICATE) if trusting else False)
        assert (await transport.post(url, {}, b"", QUICK)).body == b"<a/>"
        await transport.aclose()


async def test_proxy_gets_the_request_and_a_dead_one_sent_nothing(make: Make) -> None:
    lines: list[str] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        lines.append(request.line)
        writer.write(http_bytes(b"<a/>", status="502 Bad Gateway" if "CONNECT" in request.line else "200 OK"))
        return False

    async with raw_server(serve) as url:
        transport = make(proxy=url)
        await transport.post("http://sms.test/soap.php", {}, b"", QUICK)
        with pytest.raises(ConnectError, match=r"the proxy 127.*refused to connect to sms.test \(HTTP 502\)"):
            await transport.post("https://sms.test/soap.php", {}, b"", QUICK)
        await transport.aclose()
    assert lines == ["POST http://sms.test/soap.php HTTP/1.1", "CONNECT sms.test:443 HTTP/1.1"]


async def test_proxy_of_the_environment_is_not_for_loopback(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(b"<a/>"))
        return False

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with raw_server(serve) as url:
        assert (await _posted(make, url)).body == b"<a/>"
        with pytest.raises(ConnectError):
            await _posted(make, "http://sms.test/")


def test_steps_of_a_timeout() -> None:
    assert Timeout.of(3) == Timeout(connect=3, read=3, write=3, pool=3)
    assert Timeout.of(60) == Timeout(connect=5, read=60, write=60, pool=10)
    assert Timeout.of(Timeout(read=1)) == Timeout(read=1)
    assert Timeout().within(4) == Timeout(connect=4, read=4, write=4, pool=4)
    assert Timeout().within(1000) == Timeout()
    short = Timeout(connect=1, read=1, write=1, pool=1)
    for step in ("connect", "read", "write", "pool"):
        assert replace(short, **{step: 9.0}).within(2) == replace(short, **{step: 2.0})
    assert Timeout().within(0).read > 0
    with pytest.raises(ValueError, match="more than 0"):
        Timeout(read=0)


def test_repr_of_a_reply_hides_its_body() -> None:
    assert "secret" not in repr(Reply(200, "", b"secret"))


def test_transport_is_what_the_protocols_ask_for(make: Make) -> None:
    transport: Transport = make()
    assert isinstance(transport, TransportWithGet)


async def test_closing_twice_or_unused_does_nothing(make: Make) -> None:
    transport = make()
    transport.distrust()
    await transport.aclose()
    await transport.aclose()


async def test_half_an_answer_is_never_read_by_the_next_request(make: Make) -> None:
    begun = asyncio.Event()
    peers: list[object] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        peers.append(writer.get_extra_info("peername"))
        if request.body == b"first":
            writer.write(http_bytes(b"<first/>")[:-4])
            begun.set()
            await asyncio.sleep(0.05)
            writer.write(b"st/>")
        writer.write(http_bytes(b"<second/>"))
        return True

    transport = make(max_connections=1)
    async with raw_server(serve) as url:
        first = asyncio.create_task(transport.post(url, {}, b"first", QUICK))
        await begun.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await transport.post(url, {}, b"second", QUICK)).body == b"<second/>"
        await transport.aclose()
    assert len(set(peers)) == 2


async def test_request_that_waits_for_a_connection_gets_it(make: Make) -> None:
    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(request.body))
        return True

    transport = make(max_connections=2)
    async with raw_server(serve) as url:
        bodies = [b"%d" % number for number in range(20)]
        replies = await asyncio.gather(*(transport.post(url, {}, body, QUICK) for body in bodies))
        await transport.aclose()
    assert [reply.body for reply in replies] == bodies


async def test_closing_amid_requests_leaves_no_connection_and_sends_nothing_more(make: Make) -> None:
    arrived = [asyncio.Event(), asyncio.Event()]
    go_on = asyncio.Event()

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        arrived[int(request.body)].set()
        await go_on.wait()
        writer.write(http_bytes(b"<a/>"))
        return True

    async with raw_server(serve) as url:
        transport = make(max_connections=1)
        first = asyncio.create_task(transport.post(url, {}, b"0", QUICK))
        await arrived[0].wait()
        second = asyncio.create_task(transport.post(url, {}, b"1", QUICK))
        await asyncio.sleep(0.01)
        await transport.aclose()
        go_on.set()
        with pytest.raises(PoolTimeout) as caught:
            await second
        assert caught.value.outcome is Outcome.NOT_SENT
        await asyncio.gather(first, return_exceptions=True)
    assert not arrived[1].is_set()


LARGE = bytes(range(256)) * 40_000


async def test_large_request_arrives_whole(make: Make) -> None:
    seen: list[RawRequest] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        seen.append(request)
        writer.write(http_bytes(b"<a/>"))
        return True

    transport = make()
    async with raw_server(serve) as url:
        assert (await transport.post(url, {"Content-Type": "text/xml"}, LARGE, QUICK)).body == b"<a/>"
        await transport.aclose()
    assert seen[0].body == LARGE
    assert seen[0].headers["content-length"] == str(len(LARGE))
    assert seen[0].headers["content-type"] == "text/xml"


@asynccontextmanager
async def _deaf_server() -> AsyncIterator[int]:
    """Run a server that takes connections, reads nothing and says nothing; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_request_that_does_not_leave_is_given_up(make: Make) -> None:
    transport = make()
    async with _deaf_server() as port:
        with pytest.raises(ReadTimeout) as caught:
            async with asyncio.timeout(10):
                await transport.post(f"http://127.0.0.1:{port}/", {}, LARGE * 3, Timeout(read=9, write=0.05))
        await transport.aclose()
    assert caught.value.outcome is Outcome.UNKNOWN


async def test_connection_that_does_not_come_about_is_given_up_and_sent_nothing(make: Make) -> None:
    async with _deaf_server() as port:
        with pytest.raises(ConnectError) as caught:
            async with asyncio.timeout(10):
                await _posted(make, f"https://127.0.0.1:{port}/", timeout=Timeout(connect=0.05))
    assert caught.value.outcome is Outcome.NOT_SENT


async def test_password_of_a_proxy_is_in_no_exception(make: Make) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        return False

    async with raw_server(serve) as url:
        transport = make(proxy=url.replace("//", "//user:secret-of-the-proxy@"))
        with pytest.raises(ConnectError) as caught:
            await transport.post("https://sms.test/", {}, b"", QUICK)
        await transport.aclose()
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret-of-the-proxy" not in shown + repr(caught.value) + repr(caught.value.__cause__)
