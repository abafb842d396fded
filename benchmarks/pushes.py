"""How soon a callback of the service reaches `async for update in updates`, over loopback.

A server of this process receives callbacks, verifies them with `Callbacks`, passes them to `client.notify` and answers
200: first the least code that does so, then FastAPI with `callback_router` on uvicorn. The service is a client that
posts a signed final status of one message after the other over a connection that stays open. The time is from the first
byte that it writes to the update in the loop of the consumer. The messages are also polled meanwhile, and pending.

    python -m benchmarks.pushes
"""

import argparse
import asyncio
import re
import socket
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvicorn
from fastapi import FastAPI

from smsc_async import Client, MessageRef, Reply, Timeout
from smsc_async._protocol import encode_answer, encode_callback, receive
from smsc_async.callbacks import Callbacks, StatusPush
from smsc_async.fastapi import callback_router

SECRET = "secret"  # noqa: S105 - of no account
URL = "https://sms.test/sys/soap.php"
LATENCY = 0.06
GOAL = 50.0
LENGTH = re.compile(rb"(?i)content-length: ([0-9]+)")


class PendingService:
    """A transport whose messages are all pending, and whose answers take as long as usual."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:  # noqa: ARG002
        """Answer a request."""
        request = receive(body, namespaces=(URL,))
        await asyncio.sleep(LATENCY)
        return Reply(200, "text/xml; charset=utf-8", encode_answer(request, {"status": "0", "err": "0"}, URL))

    async def aclose(self) -> None:
        """Do nothing."""


class Receiver:
    """The server of a user to which the service sends its callbacks."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._callbacks = Callbacks(secrets=[SECRET])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the callbacks of one connection."""
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = LENGTH.search(head)
            push = self._callbacks.unwrap(body=await reader.readexactly(int(length[1]) if length else 0))
            if isinstance(push, StatusPush):
                self._client.notify(push)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
            await writer.drain()
        writer.close()


@asynccontextmanager
async def bare_server(client: Client) -> AsyncGenerator[int, None]:
    """Serve the callbacks with little more than a socket, on the returned port."""
    server = await asyncio.start_server(Receiver(client).serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def fastapi_server(client: Client) -> AsyncGenerator[int, None]:
    """Serve the callbacks with FastAPI on uvicorn, on the returned port."""
    app = FastAPI()
    app.state.smsc_client = client
    app.include_router(callback_router(Callbacks(secrets=[SECRET]), path="/callback"))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        await serving


SERVERS: Mapping[str, Callable[[Client], AbstractAsyncContextManager[int]]] = {
    "sockets only": bare_server,
    "FastAPI on uvicorn": fastapi_server,
}


def callback(ref: MessageRef) -> bytes:
    """Return the request that reports a message as delivered."""
    phone = ref.phone.removeprefix("+")
    hints = {"time": "14.11.2023 22:13:20", "ts": "1700000000", "err": "0", "type": "0"}
    body = encode_callback({"id": ref.id, "phone": phone, "status": "1", **hints}, SECRET)
    head = f"POST /callback HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def measure(server: str, messages: int, pushes: int) -> list[float]:
    """Return the milliseconds of each callback."""
    refs = [MessageRef(f"+7999{number:07}", "a1") for number in range(messages)]
    began: dict[MessageRef, float] = {}
    took: list[float] = []
    async with (
        Client(apikey="key", url=URL, transport=PendingService()) as client,
        SERVERS[server](client) as port,
        client.watch(refs) as updates,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while updates.total < messages:
            await asyncio.sleep(0.01)

        async def consume() -> None:
            async for update in updates:
                if update.source == "push":
                    took.append((time.perf_counter() - began[update.ref]) * 1000)
                if len(took) == pushes:
                    return

        consumer = asyncio.create_task(consume())
        for ref in refs[:pushes]:
            request = callback(ref)
            began[ref] = time.perf_counter()
            writer.write(request)
            await reader.readuntil(b"OK\r\n")
            await reader.readuntil(b"OK")
        await consumer
        writer.close()
    return took


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pushes", type=int, default=1_000)
    options = parser.parse_args()
    print(f"milliseconds from the callback to the update, {options.pushes:,} callbacks")
    print("  server              watched messages   median      p99      max")
    for server in SERVERS:
        for messages in (options.pushes, 100_000):
            took = sorted(asyncio.run(measure(server, messages, options.pushes)))
            median, last = statistics.median(took), took[int(len(took) * 0.99)]
            reached = "reached" if median < GOAL else "MISSED"
            figures = f"{messages:16,}  {median:7.2f}  {last:7.2f}  {took[-1]:7.2f}"
            print(f"  {server:18}  {figures}   goal {GOAL:.0f} median: {reached}", flush=True)


if __name__ == "__main__":
    main()
