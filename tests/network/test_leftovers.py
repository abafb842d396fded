"""Bytes that follow an answer: the answer is used, its connection is not, and they are never another answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import anyio.abc
import httpx
import pytest
import trio
from anyio.streams.tls import TLSListener

from smsc_async import Client, ConnectionLost, Outcome, ProtocolError, ReadTimeout, Timeout, TransportError
from smsc_async._network.aiohttp import AiohttpTransport
from smsc_async._network.httpx import HttpxTransport
from tests.doubles import RawRequest, answer, http_bytes, raw_server

QUICK = Timeout.of(5)
CERTIFICATE = Path(__file__).parent / "localhost.pem"
Make: TypeAlias = Callable[..., HttpxTransport | AiohttpTransport]


def _given(**options: Any) -> HttpxTransport:
    return HttpxTransport(httpx.AsyncHTTPTransport(verify=options.get("verify", True)))


@pytest.fixture(params=[HttpxTransport, AiohttpTransport, _given], ids=["httpx", "aiohttp", "a given one of httpx"])
def make(request: pytest.FixtureRequest) -> Make:
    """Return what makes a transport."""
    kind: Make = request.param
    return kind


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


class Server:
    """Answers each request with its body; what the test asks for follows the first answer."""

    def __init__(self, answer: Callable[[bytes], bytes] = http_bytes) -> None:
        self.extra = [b""]
        self.connections: list[asyncio.StreamWriter] = []
        self._answer = answer

    async def serve(self, request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        first, *others = self.extra if not self.connections else [b""]
        self.connections.append(writer)
        writer.write(self._answer(request.body) + first)
        for each in others:
            await asyncio.sleep(0)
            writer.write(each)
        return True

    @asynccontextmanager
    async def running(self, make: Make, *, tls: bool) -> AsyncIterator[Callable[[bytes], Any]]:
        transport = make(verify=False)
        async with raw_server(self.serve, tls=_tls() if tls else None) as url:
            yield lambda body: _body(transport, url, body)
            await transport.aclose()


async def _body(transport: HttpxTransport | AiohttpTransport, url: str, body: bytes) -> bytes:
    return (await transport.post(url, {}, body, QUICK)).body


def _chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def _large(body: bytes) -> bytes:
    return http_bytes(body + b" " * 8192, connection="keep-alive")


LEFT = [
    b" ",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b">",
    b"nonsense\r\n\r\n",
    http_bytes(b"<another/>"),
    b"HTTP/1.1 200 OK\r\nConte",
]
LEFT += [_chunked(b"<another/>"), http_bytes(b"<another/>") * 3, b"HTTP/1.1 100 Continue\r\n\r\n", b"0\r\n\r\n", b"\0"]


@pytest.mark.parametrize("tls", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "tls"])
@pytest.mark.parametrize("extra", LEFT)
async def test_complete_answer_before_other_bytes_is_used_and_its_connection_is_not(
    make: Make, *, extra: bytes, tls: bool
) -> None:
    for form in (http_bytes, _chunked, _large):
        for extras in ([extra], [b"", extra], [extra[:1], extra[1:], extra]):
            server = Server(form)
            server.extra = extras
            async with server.running(make, tls=tls) as post:
                bodies = [(await post(body)).strip() for body in (b"<1/>", b"<2/>", b"<3/>")]
            assert bodies == [b"<1/>", b"<2/>", b"<3/>"]
            assert server.connections[0] is not server.connections[1]
            assert server.connections[1] is server.connections[2]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("turns", [0, 1, 20])
async def test_bytes_that_come_on_an_idle_connection_are_no_answer_to_the_next_request(
    make: Make, turns: int, *, tls: bool
) -> None:
    """Without a turn of the event loop they have been received and nobody has read them."""
    for extra in LEFT:
        server = Server()
        async with server.running(make, tls=tls) as post:
            assert await post(b"<1/>") == b"<1/>"
            server.connections[0].write(extra)
            for _ in range(turns):
                await asyncio.sleep(0)
            assert await post(b"<2/>") == b"<2/>"
        assert server.connections[0] is not server.connections[1]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_connection_that_the_server_has_closed_is_not_used(make: Make, *, tls: bool) -> None:
    server = Server()
    async with server.running(make, tls=tls) as post:
        assert await post(b"<1/>") == b"<1/>"
        server.connections[0].close()
        await asyncio.sleep(0)
        assert await post(b"<2/>") == b"<2/>"


async def test_answer_shorter_than_its_body_ends_where_it_says(make: Make) -> None:
    def answer(body: bytes) -> bytes:
        return http_bytes(body).replace(b"Content-Length: 4", b"Content-Length: 3")

    server = Server(answer)
    async with server.running(make, tls=False) as post:
        assert [await post(body) for body in (b"<1/>", b"<2/>")] == [b"<1/", b"<2/"]
    assert server.connections[0] is not server.connections[1]


async def test_large_answer_hides_no_bytes_after_it(make: Make) -> None:
    """What is received with more than 64 kB may be kept in another buffer."""
    head = len(http_bytes(b" " * 65_000)) - 65_000
    for size in range(65_536 - head - 1, 65_536 - head + 2):
        server = Server(lambda body, size=size: http_bytes(body.ljust(size)))  # type: ignore[misc]
        server.extra = [http_bytes(b"<another/>")]
        async with server.running(make, tls=False) as post:
            assert [(await post(body)).strip() for body in (b"<1/>", b"<2/>")] == [b"<1/>", b"<2/>"]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("late", [False, True])
def test_leftover_bytes_are_no_answer_on_trio_either(*, tls: bool, late: bool) -> None:
    async def main(extra: bytes) -> None:
        streams: list[anyio.abc.ByteStream] = []

        async def serve(stream: anyio.abc.ByteStream) -> None:
            async with stream:
                while True:
                    body = b""
                    try:
                        while not body.endswith(b"/>"):
                            body += await stream.receive()
                    except (anyio.EndOfStream, anyio.BrokenResourceError):
                        return
                    body = body.partition(b"\r\n\r\n")[2]
                    streams.append(stream)
                    await stream.send(http_bytes(body) + (extra if len(streams) == 1 and not late else b""))

        listener: Any = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - of anyio, not of Django
        transport = HttpxTransport(verify=False)
        listener = TLSListener(listener, _tls(), standard_compatible=False) if tls else listener
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, serve)
            url = f"http{'s' if tls else ''}://127.0.0.1:{port}/"
            for number in (1, 2, 3):
                assert (await transport.post(url, {}, b"<%d/>" % number, QUICK)).body == b"<%d/>" % number
                if late and number == 1:
                    await streams[0].send(extra)
            await transport.aclose()
            group.cancel_scope.cancel()
        assert streams[0] is not streams[1]
        assert streams[1] is streams[2]

    for extra in LEFT:
        trio.run(main, extra)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = [
    b"zz\r\n",
    b"\r\n",
    b"-4\r\n",
    b"4\r\n<a/>zz\r\n",
    b"4\r\n<a/>\r\nzz\r\n",
    b"z",
    b"4\r\n<a/>z",
    b"ffffffffffffffffff\r\n",
]


@pytest.mark.parametrize("chunks", BROKEN)
@pytest.mark.parametrize(("size", "head_first"), [(1000, False), (1000, True), (1, True)])
async def test_broken_chunk_ends_the_answer(make: Make, chunks: bytes, size: int, *, head_first: bool) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(CHUNKED + (b"" if head_first else chunks))
        for start in range(0, len(chunks) if head_first else 0, size):
            await asyncio.sleep(0.001)
            writer.write(chunks[start : start + size])
        await asyncio.sleep(60)
        return False  # pragma: no cover - the server is closed before

    transport = make()
    async with raw_server(serve) as url, asyncio.timeout(3):
        with pytest.raises(TransportError) as caught:
            await transport.post(url, {}, b"", Timeout(read=0.1))
        await transport.aclose()
    assert isinstance(caught.value, ConnectionLost | ReadTimeout)
    assert caught.value.outcome is Outcome.UNKNOWN


@pytest.mark.slow
async def test_each_piece_of_an_answer_has_the_read_timeout(make: Make) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(CHUNKED)
        for _turn in range(10):
            await asyncio.sleep(0.05)
            writer.write(b"1\r\nx\r\n")
        await asyncio.sleep(60)
        return False  # pragma: no cover - the server is closed before

    transport = make()
    started = asyncio.get_running_loop().time()
    async with raw_server(serve) as url, asyncio.timeout(5):
        with pytest.raises(ReadTimeout):
            await transport.post(url, {}, b"", Timeout(read=0.3))
        await transport.aclose()
    assert asyncio.get_running_loop().time() - started > 0.7


@pytest.mark.parametrize("transport", [None, "aiohttp"])
async def test_connection_with_somebody_elses_answer_is_not_used_again(transport: Any) -> None:
    """Its answers may be behind by one, and those of status requests have no id that would show it."""
    server = Server(lambda _: http_bytes(answer("send_sms", id="another", error="3").body))
    async with (
        raw_server(server.serve) as url,
        Client(apikey="key", url=url, guards=None, transport=transport, on_unknown="raise") as client,
    ):
        for _ in range(3):
            with pytest.raises(ProtocolError) as caught:
                await client.send("+79991234567", "Hi")
            assert caught.value.outcome is Outcome.UNKNOWN
    assert len(set(server.connections)) == 3


async def test_no_connection_is_used_again_once_answers_are_distrusted(make: Make) -> None:
    server = Server()
    transport = make(verify=False)
    async with raw_server(server.serve) as url:
        for _ in range(2):
            assert await _body(transport, url, b"one") == b"one"
        transport.distrust()
        assert await _body(transport, url, b"two") == b"two"
        assert len({id(writer) for writer in server.connections}) == 2
        await transport.aclose()
