"""Why no connection could be made, and what was wrong with the head of an answer: words that name host and cause."""

import asyncio
import errno
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import httpx
import pytest
import trio

from smsc_async import ConnectError, ConnectionLost, MalformedEnvelope, Outcome, ProtocolError, Timeout
from smsc_async._network.aiohttp import AiohttpTransport
from smsc_async._network.causes import Route
from smsc_async._network.httpx import HttpxTransport
from tests.doubles import RawRequest, http_bytes, raw_server

QUICK = Timeout.of(5)
CERTIFICATE = Path(__file__).parent / "localhost.pem"
URL = "https://sms.test:8443/sys/soap.php"
Run: TypeAlias = Callable[[Callable[[], Awaitable[object]]], object]
Make: TypeAlias = Callable[..., HttpxTransport | AiohttpTransport]


def _on_asyncio(work: Callable[[], Any]) -> object:
    return asyncio.run(work())


@pytest.fixture(params=["httpx on asyncio", "httpx on trio", "a given one of httpx", "aiohttp"])
def stack(request: pytest.FixtureRequest) -> tuple[Run, Make]:
    """Return what runs a coroutine, and what makes a transport."""

    def given(proxy: str | None = None) -> HttpxTransport:
        return HttpxTransport(httpx.AsyncHTTPTransport(proxy=proxy))

    stacks: dict[str, tuple[Run, Make]] = {
        "httpx on asyncio": (_on_asyncio, HttpxTransport),
        "httpx on trio": (trio.run, HttpxTransport),
        "a given one of httpx": (_on_asyncio, given),
        "aiohttp": (_on_asyncio, AiohttpTransport),
    }
    return stacks[request.param]


def _words(stack: tuple[Run, Make], url: str, timeout: Timeout = QUICK, **options: Any) -> str:
    """Return the words of the `ConnectError` that a post raises while the caller handles an error of its own."""
    run, make = stack

    async def post() -> str:
        transport = make(**options)
        try:
            raise ConnectionRefusedError  # noqa: TRY301 - an error of the caller
        except ConnectionRefusedError:
            with pytest.raises(ConnectError) as caught:
                await transport.post(url, {}, b"<a/>", timeout)
        await transport.aclose()
        assert caught.value.outcome is Outcome.NOT_SENT
        return str(caught.value)

    return str(run(post))


@contextmanager
def _closed_port() -> Iterator[int]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield closed.getsockname()[1]


def _fail_to_resolve(*_: object, **__: object) -> object:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_a_host_that_dns_does_not_know_is_named(stack: tuple[Run, Make], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _fail_to_resolve)
    assert _words(stack, URL) == "could not resolve sms.test, nothing was sent"


def test_a_proxy_that_dns_does_not_know_is_named_without_its_password(
    stack: tuple[Run, Make], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _fail_to_resolve)
    words = _words(stack, URL, proxy="http://ann:canary@proxy.test:3128")
    assert words == "could not resolve the proxy proxy.test, nothing was sent"


def test_a_host_that_refuses_is_named(stack: tuple[Run, Make]) -> None:
    with _closed_port() as port:
        assert _words(stack, f"https://127.0.0.1:{port}/") == (
            f"127.0.0.1:{port} refused the connection, nothing was sent"
        )


def test_a_proxy_that_refuses_is_named_without_its_password(
    stack: tuple[Run, Make], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _closed_port() as port:
        words = f"the proxy 127.0.0.1:{port} refused the connection, nothing was sent"
        proxy = f"http://ann:canary@127.0.0.1:{port}"
        assert _words(stack, URL, proxy=proxy) == words
        if stack[1] in (HttpxTransport, AiohttpTransport):
            monkeypatch.setenv("HTTPS_PROXY", proxy)
            assert _words(stack, URL) == words


def test_a_host_that_does_not_answer_is_named(stack: tuple[Run, Make]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        assert _words(stack, f"https://127.0.0.1:{port}/", Timeout.of(0.1)) == (
            f"connecting to 127.0.0.1:{port} timed out, nothing was sent"
        )


@pytest.fixture(params=[HttpxTransport, AiohttpTransport], ids=["httpx", "aiohttp"])
def make(request: pytest.FixtureRequest) -> Make:
    """Return what makes a transport."""
    kind: Make = request.param
    return kind


async def _error(make: Make, answer: bytes, **options: Any) -> Exception:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer)
        return False

    async with raw_server(serve, **options) as url:
        transport = make()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the test judges it
            await transport.post(url, {}, b"<a/>", QUICK)
        await transport.aclose()
        assert isinstance(caught.value, Exception)
        return caught.value


async def test_a_server_without_tls_is_told_apart_from_one_that_closes(make: Make) -> None:
    for answer, words in ((b"HTTP/1.1 400 Bad\r\n\r\n", "WRONG_VERSION_NUMBER"), (b"", "closed the connection")):

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer) -> None:
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            transport = make()
            with pytest.raises(ConnectError, match=words):
                await transport.post(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"<a/>", QUICK)
            await transport.aclose()


async def test_a_self_signed_certificate_is_called_so(make: Make) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    error = await _error(make, b"", tls=context)
    assert str(error).startswith("the certificate of 127.0.0.1:")
    assert str(error).endswith("is self-signed, nothing was sent")


def _certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate of ann:canary")
    error.verify_code = code
    return error


def _tls(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(1, "canary")
    error.reason = reason  # type: ignore[assignment]
    return error


CAUSES: list[tuple[BaseException, str]] = [
    (_certificate(10), "the certificate of sms.test:8443 has expired"),
    (_certificate(9), "the certificate of sms.test:8443 is not valid yet (is the clock of this machine right?)"),
    (_certificate(18), "the certificate of sms.test:8443 is self-signed"),
    (_certificate(19), "the certificate of sms.test:8443 is signed by a self-signed one"),
    (_certificate(62), "the certificate of sms.test:8443 is for another host name"),
    (_certificate(64), "the certificate of sms.test:8443 is for another IP address"),
    (_certificate(20), "the certificate of sms.test:8443 is not trusted"),
    (_tls("WRONG_VERSION_NUMBER"), "TLS with sms.test:8443 failed (WRONG_VERSION_NUMBER)"),
    (_tls(None), "TLS with sms.test:8443 failed (SSLError)"),
    (ConnectionResetError(), "sms.test:8443 closed the connection"),
    (OSError(errno.EHOSTUNREACH, "x"), "sms.test:8443 is unreachable"),
    (OSError(errno.ENETUNREACH, "x"), "sms.test:8443 is unreachable"),
    (TimeoutError(), "connecting to sms.test:8443 timed out"),
    (
        ExceptionGroup("", [OSError(errno.ENETUNREACH, "IPv6"), ConnectionRefusedError("IPv4")]),
        "sms.test:8443 refused the connection",
    ),
    (anyio.EndOfStream(), "sms.test:8443 closed the connection"),
    (anyio.BrokenResourceError(), "sms.test:8443 closed the connection"),
    (OSError("canary"), "no connection to sms.test:8443 could be made (RuntimeError)"),
    (ExceptionGroup("", [OSError()] * 1_000), "no connection to sms.test:8443 could be made (RuntimeError)"),
]


@pytest.mark.parametrize(("error", "words"), CAUSES, ids=lambda value: str(value)[:40])
def test_each_cause_has_its_words(error: BaseException, words: str) -> None:
    outer = RuntimeError("canary")
    outer.__cause__ = error
    assert Route(URL).failed(outer) == words


def test_with_an_https_proxy_either_handshake_may_have_failed() -> None:
    assert Route(URL, "https://proxy.test").failed(_certificate(10)) == (
        "the certificate of sms.test:8443 or the proxy proxy.test has expired"
    )


@pytest.mark.parametrize("answer", ["407 canary", "Proxy Server could not connect: canary", ""])
def test_a_proxy_that_makes_no_tunnel_is_not_quoted(answer: str) -> None:
    words = Route(URL, "socks5://proxy.test:1080").refused(answer)
    assert words == "the proxy proxy.test:1080 refused to connect to sms.test:8443" + (
        " (HTTP 407)" if answer.startswith("407") else ""
    )


@pytest.mark.parametrize(
    "head",
    [
        b"+79991234567 not HTTP",
        b"HTTP/9 200 OK",
        b"HTTP/1.1 abc OK",
        b"HTTP/1.1 200 OK\r\nno colon",
        b"HTTP/1.1 200 OK\r\nbad name: 1",
        b"HTTP/1.1 200 OK\r\n: no name",
        b"HTTP/1.1 200 OK\r\nX: a\0b",
        b"HTTP/1.1 200 OK\r\nContent-Length: five",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
    ],
    ids=lambda head: repr(head[:60]),
)
async def test_broken_headers_are_said_and_leave_the_outcome_unknown(make: Make, head: bytes) -> None:
    error = await _error(make, head + b"\r\n\r\n<a/>")
    assert isinstance(error, ProtocolError)
    assert not isinstance(error, ConnectionLost | MalformedEnvelope)
    assert error.outcome is Outcome.UNKNOWN
    assert str(error).startswith("the HTTP headers of the answer are broken or too long")
    assert error.__cause__ is error.__context__ is None, "the words of the library quote the server"


@pytest.mark.parametrize(
    "lines",
    [
        [b"X-Long: " + b"y" * 9_000],
        [b"Set-Cookie: c%d=%s; Path=/" % (each, b"v" * 200) for each in range(200)],
        [b"Content-Security-Policy: " + b"z" * 60_000],
        [b"X-%d: y" % each for each in range(1_000)],
    ],
    ids=["9 kB", "200 cookies", "60 kB", "1,000 headers"],
)
async def test_long_headers_are_read(make: Make, lines: list[bytes]) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(b"<a/>").replace(b"\r\n\r\n", b"\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"))
        return True

    transport = make()
    async with raw_server(serve) as url:
        for _ in "12":
            assert (await transport.post(url, {}, b"<a/>", QUICK)).body == b"<a/>"
    await transport.aclose()


@pytest.mark.parametrize("status", ["404 Not Found", "503 Service Unavailable"])
async def test_an_http_error_whose_page_is_compressed_in_an_unknown_way_keeps_its_status(
    make: Make, status: str
) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(b"\x0b\x02\x80<a/>\x03", status=status, content_encoding="br"))
        return True

    transport = make()
    async with raw_server(serve) as url:
        reply = await transport.post(url, {}, b"<a/>", QUICK)
    await transport.aclose()
    assert (reply.status_code, reply.body) == (int(status[:3]), b"")


async def test_content_encoding_may_be_in_several_headers(make: Make) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        packed = zlib.compress(b"<a/>")[2:-4]
        head = b"Content-Encoding: identity\r\nContent-Encoding: deflate\r\n\r\n"
        writer.write(http_bytes(packed).replace(b"\r\n\r\n", b"\r\n" + head, 1))
        return True

    transport = make()
    async with raw_server(serve) as url:
        assert (await transport.post(url, {}, b"<a/>", QUICK)).body == b"<a/>"
    await transport.aclose()
