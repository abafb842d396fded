"""The server of peers.py: it answers `get_status` with ready bytes, and `?wsdl`, as fast as asyncio can."""

import asyncio
import os
import sys
from typing import Final

from smsc_async._protocol.binding import Incoming, encode_answer
from smsc_async._protocol.contract import CONTRACT
from smsc_async._protocol.envelope import SoapVersion
from smsc_async._protocol.wsdl import write_wsdl

FIELDS: Final = {
    "status": "1",
    "last_date": "14.11.2023 22:13:20",
    "last_timestamp": "1700000000",
    "err": "0",
}


def http(body: bytes) -> bytes:
    """Return an HTTP answer with a body."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def envelope(namespace: str) -> bytes:
    """Return the answer to `get_status`."""
    return encode_answer(Incoming("get_status", {}, SoapVersion.V11), dict(FIELDS), namespace)


class Answering(asyncio.Protocol):
    """One connection."""

    answer: bytes
    wsdl: bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of a new connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            _, found, rest = head.partition(b"content-length:")
            total = end + 4 + (int(rest.split(b"\r\n", 1)[0]) if found else 0)
            if len(self._data) < total:
                return
            body, self._data = self._data[end + 4 : total], self._data[total:]
            self.respond(head, body)

    def respond(self, head: bytes, body: bytes) -> None:  # noqa: ARG002 - for servers that read it
        """Answer a request; the head is in lower case."""
        self._transport.write(self.wsdl if head.startswith(b"get") else self.answer)


async def main() -> None:
    """Serve on the core of the first argument, until the process is ended."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sys/soap.php"
    Answering.answer, Answering.wsdl = http(envelope(url)), http(write_wsdl(CONTRACT, url))
    print(url, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
