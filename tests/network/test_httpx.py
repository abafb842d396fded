"""The httpx transport: its exceptions, its transports in memory, its proxies; the rest is in test_transport."""

import asyncio
import gc
import ssl
from collections.abc import Iterator

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import pytest
import respx

from smsc_async import (
    ConnectError,
    ConnectionLost,
    MalformedEnvelope,
    Outcome,
    PoolTimeout,
    ReadTimeout,
    SmscError,
    Timeout,
    TransportError,
)
from smsc_async._network.httpx import HttpxTransport
from tests.doubles import RawRequest, http_bytes, raw_server

URL = "https://sms.test/sys/soap.php"
QUICK = Timeout.of(5)


def _with_descendants(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _with_descendants(child)


# What the request may have done by the time each of httpx's exceptions is raised.
EXPECTED: dict[type[Exception], type[SmscError]] = {
    httpx.RequestError: ConnectionLost,
    httpx.TransportError: ConnectionLost,
    httpx.TimeoutException: ReadTimeout,
    httpx.ConnectTimeout: ConnectError,
    httpx.ReadTimeout: ReadTimeout,
    httpx.WriteTimeout: ReadTimeout,
    httpx.PoolTimeout: PoolTimeout,
    httpx.NetworkError: ConnectionLost,
    httpx.ConnectError: ConnectError,
    httpx.ReadError: ConnectionLost,
    httpx.WriteError: ConnectionLost,
    httpx.CloseError: ConnectionLost,
    httpx.ProxyError: ConnectError,
    httpx.ProtocolError: ConnectionLost,
    httpx.LocalProtocolError: ConnectionLost,
    httpx.RemoteProtocolError: ConnectionLost,
    httpx.UnsupportedProtocol: ConnectError,
    httpx.DecodingError: ConnectionLost,
    httpx.TooManyRedirects: ConnectionLost,
}


def test_table_says_what_becomes_of_every_exception_of_httpx() -> None:
    """A new exception of httpx fails here, until somebody has thought about what it means for a send."""
    found = {kind for kind in _with_descendants(httpx.RequestError) if kind.__module__.startswith("httpx")}
    assert found == set(EXPECTED)


@pytest.mark.parametrize("foreign", EXPECTED, ids=lambda kind: kind.__name__)
@respx.mock
async def test_foreign_exception_becomes_ours(foreign: type[httpx.RequestError]) -> None:
    respx.post(URL).mock(side_effect=foreign("words of httpx"))
    transport = HttpxTransport()
    with pytest.raises(TransportError) as caught:
        await transport.post(URL, {}, b"", QUICK)
    await transport.aclose()
    assert type(caught.value) is EXPECTED[foreign]
    assert foreign.__name__ in str(caught.value) or "connecting to sms.test timed out" in str(caught.value)
    assert "words of httpx" not in str(caught.value)
    nothing_left = EXPECTED[foreign] in {ConnectError, PoolTimeout}
    assert caught.value.outcome is (Outcome.NOT_SENT if nothing_left else Outcome.UNKNOWN)


@pytest.mark.parametrize("foreign", [ssl.SSLError("alert"), ConnectionResetError("reset")])
async def test_bare_exception_of_a_socket_is_a_cut_connection(foreign: OSError) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise foreign

    transport = HttpxTransport(httpx.MockTransport(fail))
    with pytest.raises(ConnectionLost) as caught:
        await transport.post(URL, {}, b"", QUICK)
    assert caught.value.outcome is Outcome.UNKNOWN
    await transport.aclose()


async def test_limit_is_also_that_of_an_answer_made_in_memory() -> None:
    def serve(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * 11)

    for limit, fits in ((11, True), (10, False)):
        transport = HttpxTransport(httpx.MockTransport(serve), max_response_bytes=limit)
        if fits:
            assert (await transport.post(URL, {}, b"", QUICK)).body == b"x" * 11
        else:
            with pytest.raises(MalformedEnvelope):
                await transport.post(URL, {}, b"", QUICK)
        await transport.aclose()


async def test_proxy_may_be_an_object_of_httpx() -> None:
    lines: list[str] = []

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        lines.append(request.line)
        writer.write(http_bytes(b"<a/>"))
        return False

    async with raw_server(serve) as url:
        transport = HttpxTransport(proxy=httpx.Proxy(url))
        for address in ("http://sms.test/", "http://sms2.test/"):
            await transport.post(address, {}, b"", QUICK)
        await transport.aclose()
    assert lines == ["POST http://sms.test/ HTTP/1.1", "POST http://sms2.test/ HTTP/1.1"]


@pytest.mark.parametrize("proxy", ["socks5://user:secret@127.0.0.1:1", "gopher://user:secret@127.0.0.1:1"])
async def test_proxy_of_the_environment_that_is_of_no_use_is_ours_to_name(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    transport = HttpxTransport()
    with pytest.raises(ConnectError, match="the proxy can't be used") as caught:
        await transport.post(URL, {}, b"", QUICK)
    assert (caught.value.outcome, caught.value.__context__) == (Outcome.NOT_SENT, None)
    await transport.aclose()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_request_that_is_connecting_when_the_transport_is_closed_leaves_no_connection(backend: str) -> None:
    """If it has not left, it never does; if it has, its answer is awaited."""

    async def close_after(turns: int) -> None:
        received: list[bytes] = []
        ends: list[object] = []

        async def serve(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                async for piece in stream:
                    received.append(piece)
                    await stream.send(http_bytes(b"<a/>"))

        async def post() -> None:
            try:
                ends.append((await transport.post(url, {}, b"", QUICK)).body)
            except TransportError as error:
                ends.append(error.outcome)

        transport = HttpxTransport()
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/"  # noqa: S610 - of anyio, not of Django
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, serve)
            group.start_soon(post)
            while not transport._departures:
                await anyio.lowlevel.checkpoint()
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            await transport.aclose()
            while not ends:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert ends == ([b"<a/>"] if received else [Outcome.NOT_SENT]), turns

    for turns in range(12):
        anyio.run(close_after, turns, backend=backend)
    gc.collect()
