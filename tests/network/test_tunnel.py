"""A proxy that makes no tunnel: nothing was sent, however it fails."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import httpx
import pytest

from smsc_async import Client, ConnectError, Outcome, Timeout
from smsc_async._network.aiohttp import AiohttpTransport
from smsc_async._network.httpx import HttpxTransport
from tests.doubles import RawRequest, raw_server

SERVICE = "https://sms.test/sys/soap.php"
Make: TypeAlias = Callable[..., HttpxTransport | AiohttpTransport]
# What each proxy answers, and whether it then closes the connection.
PROXIES: dict[str, tuple[bytes, bool]] = {
    "hangs": (b"", False),
    "hangs in its answer": (b"HTTP/1.1 200 OK\r\nServer:", False),
    "hangs after its answer": (b"HTTP/1.1 200 OK\r\n\r\n", False),
    "closes": (b"", True),
    "closes in its answer": (b"HTTP/1.1 200", True),
    "closes after its answer": (b"HTTP/1.1 200 OK\r\n\r\n", True),
    "is no proxy": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", True),
    "is no proxy and hangs": (b"220 mail ESMTP\r\n", False),
    "wants a password": (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", False),
    "has no route": (b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n", True),
    "speaks no TLS": (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n", False),
}


def _given(proxy: str) -> HttpxTransport:
    return HttpxTransport(httpx.AsyncHTTPTransport(proxy=proxy))


def _proxy(name: str) -> Callable[[RawRequest, asyncio.StreamWriter], Any]:
    answer, closes = PROXIES[name]

    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(0 if closes else 60)
        return False

    return serve


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [HttpxTransport, AiohttpTransport, _given], ids=["httpx", "aiohttp", "a given one of httpx"]
)
@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("timeout", [Timeout.of(0.1), Timeout(connect=0.1)], ids=["all steps", "connect only"])
async def test_proxy_that_makes_no_tunnel_sent_nothing(make: Make, name: str, timeout: Timeout) -> None:
    async with raw_server(_proxy(name)) as url, asyncio.timeout(3):
        transport = make(proxy=url)
        with pytest.raises(ConnectError, match="nothing was sent") as caught:
            await transport.post(SERVICE, {}, b"<a/>", timeout)
        await transport.aclose()
    assert caught.value.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("transport", [None, "aiohttp"])
@pytest.mark.parametrize(
    "limits", [{"deadline": 0.3}, {"deadline": None, "timeout": 0.1}, {"timeout": Timeout(connect=0.1)}]
)
async def test_send_through_a_proxy_that_hangs_is_no_unresolved_send(transport: Any, limits: dict[str, Any]) -> None:
    unresolved: list[object] = []
    options: dict[str, Any] = {"on_unresolved": unresolved.append, "retries": 0, **limits}
    async with (
        raw_server(_proxy("hangs")) as url,
        Client(apikey="key", url=SERVICE, proxy=url, transport=transport, **options) as client,
    ):
        with pytest.raises(ConnectError) as caught:
            await client.send("+79991234567", "Hi")
    assert (caught.value.outcome, caught.value.unresolved, unresolved) == (Outcome.NOT_SENT, None, [])


@pytest.mark.parametrize(
    "make", [HttpxTransport, AiohttpTransport, _given], ids=["httpx", "aiohttp", "a given one of httpx"]
)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "did not answer as an HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "did not answer as an HTTP proxy"),
        (b"HTTP/1.1 407 Who?\r\nX: " + b"y" * 9_000 + b"\r\n\r\n", r"refused to connect to sms\.test \(HTTP 407\)"),
        (b"HTTP/1.1 403 No\r\n" + b"Set-Cookie: c=v\r\n" * 200 + b"\r\n", r"refused to connect .* \(HTTP 403\)"),
    ],
    ids=["SSH", "broken headers", "9 kB", "200 cookies"],
)
async def test_what_a_proxy_answers_is_said_however_long_its_headers(make: Make, answer: bytes, words: str) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer)
        await writer.drain()
        return False

    async with raw_server(serve) as url:
        transport = make(proxy=url)
        with pytest.raises(ConnectError, match=rf"the proxy 127\.0\.0\.1:[0-9]+ {words}, nothing was sent"):
            await transport.post(SERVICE, {}, b"<a/>", Timeout.of(5))
        await transport.aclose()
