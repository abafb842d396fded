"""A request leaves only while its transport is not stopped; a connection in the making is not lost."""

import asyncio
import ssl

import anyio
import httpx
import pytest

from smsc_async import PoolTimeout, Timeout
from smsc_async._network.aiohttp import AiohttpTransport
from smsc_async._network.httpx import HttpxTransport
from tests.doubles import RawRequest, http_bytes, raw_server

QUICK = Timeout.of(5)


@pytest.mark.parametrize("make", [HttpxTransport, AiohttpTransport])
async def test_stopped_transport_sends_nothing(make: type[HttpxTransport | AiohttpTransport]) -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(b"<a/>"))
        return True

    async with raw_server(serve) as url:
        unused, used = make(), make()
        await used.post(url, {}, b"", QUICK)
        for transport in (unused, used):
            transport.stop()
            with pytest.raises(PoolTimeout, match="nothing was sent"):
                await transport.post(url, {}, b"", QUICK)
            await transport.aclose()


@pytest.mark.parametrize("given", [False, True])
async def test_connection_whose_tls_is_cancelled_is_closed(*, given: bool) -> None:
    """httpcore closes it after an exception only."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        begun.set()
        await reader.read()
        writer.close()
        ended.set()

    transport = HttpxTransport(httpx.AsyncHTTPTransport(verify=ssl.create_default_context()) if given else None)
    async with await asyncio.start_server(deaf, "127.0.0.1", 0) as server, asyncio.timeout(5):
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with anyio.create_task_group() as group:
            group.start_soon(transport.post, url, {}, b"", QUICK)
            await begun.wait()
            group.cancel_scope.cancel()
        await ended.wait()
    await transport.aclose()
