"""The server of campaign.py: it answers sends after a fixed time, and counts what it accepted and refused."""

import asyncio
import json
import os
import re
import sys
from collections import Counter
from typing import Final

from smsc_async._protocol.binding import Incoming, encode_answer
from smsc_async._protocol.contract import CONTRACT
from smsc_async._protocol.envelope import SoapVersion
from smsc_async._protocol.wsdl import write_wsdl

from .peers_server import Answering, http

IN_FLIGHT: Final = 14
"""The service's limit of requests in flight; one more is error 9."""
_ID: Final = re.compile(rb"<id>([^<]*)<")
_PHONE: Final = re.compile(rb"<phones>\+?([0-9]+)<")
_LINE: Final = re.compile(rb"(?:list=|%0A)(?:%2B)?([0-9]+)%3A")


class Counts:
    """What the server has seen since it was asked last."""

    def __init__(self) -> None:
        self.accepted: Counter[bytes] = Counter()
        self.requests = self.error_9 = 0

    def as_json(self) -> bytes:
        """Return the counts."""
        doubled = sum(number - 1 for number in self.accepted.values())
        return json.dumps(
            {"accepted": len(self.accepted), "doubled": doubled, "error_9": self.error_9, "requests": self.requests}
        ).encode()


class Accepting(Answering):
    """One connection of a campaign; each recipient gets one message."""

    counts = Counts()
    latency = 0.06
    in_flight = 0
    url = ""

    def respond(self, head: bytes, body: bytes) -> None:
        """Answer a request."""
        if head.startswith(b"get /counts"):
            answer, Accepting.counts = http(self.counts.as_json()), Counts()
            self._transport.write(answer)
        elif head.startswith(b"get"):
            self._transport.write(self.wsdl)
        else:
            loop = asyncio.get_running_loop()
            due = loop.time() + self.latency
            self.counts.requests += 1
            Accepting.in_flight += 1
            loop.call_at(due, self._answer, self._result(body))

    def _result(self, body: bytes) -> bytes:
        method = "send_sms2" if b"<query>" in body else "send_sms"
        if Accepting.in_flight > IN_FLIGHT:
            self.counts.error_9 += 1
            return self._envelope(method, error="9")
        phones = _LINE.findall(body) or _PHONE.findall(body)
        self.counts.accepted.update(phones)
        found = _ID.search(body)
        return self._envelope(method, id=found[1].decode() if found else "1", cnt=str(len(phones)))

    def _envelope(self, method: str, **values: str) -> bytes:
        return http(encode_answer(Incoming(method, {}, SoapVersion.V11), dict(values), self.url))

    def _answer(self, answer: bytes) -> None:
        Accepting.in_flight -= 1
        self._transport.write(answer)


async def main() -> None:
    """Serve on the core of the first argument, "" for any, with the seconds of an answer in the second, until ended."""
    os.sched_setaffinity(0, {int(sys.argv[1])} if sys.argv[1] else os.sched_getaffinity(0))
    Accepting.latency = float(sys.argv[2])
    server = await asyncio.get_running_loop().create_server(Accepting, "127.0.0.1", 0)
    Accepting.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sys/soap.php"
    Accepting.wsdl = http(write_wsdl(CONTRACT, Accepting.url))
    print(Accepting.url, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
