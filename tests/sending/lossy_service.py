"""A network that loses requests and answers, before a sandbox on virtual time."""

import math
import time
from collections.abc import Mapping
from typing import TypeVar

import anyio
import trio

from smsc_async import (
    Client,
    ConnectError,
    ConnectionLost,
    PoolTimeout,
    ReadTimeout,
    Reply,
    Timeout,
)
from smsc_async._network.httpx import HttpxTransport
from smsc_async.sandbox import Account, Limits, Sandbox
from tests.doubles import URL, answer

T = TypeVar("T")

PHONE, OTHER = "+79991234567", "+79991234568"

BAD = "+79000009007"  # refused with error 7


class Network:
    """A network before a sandbox that uses the clock of the event loop; the script names the fault of each request.

    "ok": the request is answered. "lost": the service executes it and the answer is lost. "gone": it never arrives.
    "late": it arrives 4 seconds after the client has given up. "refused": no connection can be made. "full": no
    connection becomes free. "html" and "empty": the service executes it, and a proxy answers with an error page, or PHP
    with nothing. "slow": it takes a tenth of a second. "stall": it never arrives and the client waits. "silent": it
    never arrives and the client waits for its read timeout. "hang": the service executes it, and the client waits for
    the answer. "foreign": the service executes it, and the answer is a refusal of another message.
    """

    def __init__(self, *script: str, then: str = "ok", limits: Limits | None = None) -> None:
        began = time.time()
        self._start: float | None = None

        def clock() -> float:
            self._start = anyio.current_time() if self._start is None else self._start
            return began + self.ahead + anyio.current_time() - self._start

        self.ahead = 0.0
        self.sandbox = Sandbox(accounts=[Account.demo()], clock=clock, limits=limits or Limits())
        self.script = list(script)
        self.then = then
        self.asked: list[str] = []
        self._inner = HttpxTransport(self.sandbox.transport())

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:
        """Send the request, with the next fault of the script."""
        arrival = self.script.pop(0) if self.script else self.then
        self.asked.append(body.decode().partition("<ns1:")[2].partition(">")[0])
        if arrival == "refused":
            raise ConnectError("no connection could be made, nothing was sent")
        if arrival == "full":
            raise PoolTimeout("no connection became free in time, nothing was sent")
        if arrival in {"gone", "late", "silent"}:
            await anyio.sleep(timeout.read if arrival == "silent" else 0)
            if arrival == "late":
                trio.lowlevel.spawn_system_task(self._arrive_late, url, headers, body, timeout)
            raise ReadTimeout("late")
        if arrival in {"stall", "slow"}:
            await anyio.sleep(math.inf if arrival == "stall" else 0.1)
        reply = await self._inner.post(url, headers, body, timeout)
        if arrival == "lost":
            raise ConnectionLost("cut")
        if arrival == "hang":
            await anyio.sleep_forever()
        others = {
            "html": Reply(502, "text/html", b"<html>"),
            "empty": Reply(500, "text/html", b""),
            "foreign": answer("send_sms", id="another", error="3"),
        }
        return others.get(arrival, reply)

    async def _arrive_late(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> None:
        await anyio.sleep(4)
        await self._inner.post(url, headers, body, timeout)

    async def aclose(self) -> None:
        """Do nothing; there are no connections."""

    @property
    def accepted(self) -> int:
        """How many messages the service has."""
        return len(self.sandbox.messages)

    def client(self, **options: object) -> Client:
        """Return a client, without guards unless some are passed."""
        given: dict[str, object] = {"apikey": "demo", "url": URL, "transport": self, "guards": None, "retries": 0}
        return Client(**given | options)  # type: ignore[arg-type]


async def _is_idle(client: Client) -> bool:
    snapshot = await client.guards.snapshot()
    return snapshot.waiting == 0 and all(rule.in_flight == 0 for rule in snapshot.rules.values())
