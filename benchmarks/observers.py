"""What observers cost: the CPU time of a call without any, and with one of each kind, side by side.

The transport answers at once and every call waits for nothing, so the rest is the time of the client. The calls of both
clients alternate in rounds, and the fastest round of each counts.

    python -m benchmarks.observers
"""

import argparse
import asyncio
import tempfile
import time
import timeit
from collections.abc import Mapping
from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from smsc_async import Client, Observer, Reply, Send, Timeout
from smsc_async._protocol.binding import encode_answer, receive
from smsc_async.audit import AuditLog
from smsc_async.otel import SmscInstrumentor

URL = "https://sms.test/sys/soap.php"


class Answering:
    """A transport that answers sends at once."""

    def __init__(self) -> None:
        self._reply: Reply | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: Timeout) -> Reply:  # noqa: ARG002
        """Answer a request."""
        if self._reply is None:
            answer = encode_answer(receive(body, namespaces=(URL,)), {"id": "1", "cnt": "1"}, URL)
            self._reply = Reply(200, "text/xml; charset=utf-8", answer)
        return self._reply

    async def aclose(self) -> None:
        """Do nothing."""


def telemetry() -> Observer:
    """Return the observer of the instrumentor, with providers that export nothing."""
    instrumentor = SmscInstrumentor()
    instrumentor.instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider())
    observer = Observer.defaults[-1]
    Observer.defaults = ()
    return observer


async def measure(clients: Mapping[str, Client], rounds: int, calls: int) -> dict[str, float]:
    """Return the seconds of a call of each client, in its fastest round."""
    best = dict.fromkeys(clients, float("inf"))
    for _ in range(rounds):
        for name, client in clients.items():
            start = time.process_time()
            for _ in range(calls):
                await client.send("+79991234567", "Hi", id="1")
            best[name] = min(best[name], (time.process_time() - start) / calls)
    return best


async def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    folder = tempfile.TemporaryDirectory()
    audit = AuditLog(Path(folder.name) / "audit.jsonl", key="a key of a benchmark")
    clients = {
        name: Client(apikey="key", url=URL, transport=Answering(), guards=None, observers=observers)
        for name, observers in (
            ("none", []),
            ("one", [Observer()]),
            ("otel", [telemetry()]),
            ("audit", [audit]),
            ("none again", []),
        )
    }
    best = await measure(clients, options.rounds, options.calls)
    for name, seconds in best.items():
        print(f"observers: {name:12}{seconds * 1e6:8.2f} us a call, {(seconds - best['none']) * 1e6:+.2f}")
    observing, operation = clients["none"]._caller.observing, Send(to=("+79991234567",), text="Hi")  # noqa: SLF001
    count = 200_000
    took = timeit.timeit(lambda: observing.start(operation), number=count) / count
    idle = timeit.timeit(lambda: None, number=count) / count
    print(f"looking whether there are observers: {(took - idle) * 1e6:.2f} us a call")
    await asyncio.gather(*(client.aclose() for client in clients.values()))


if __name__ == "__main__":
    asyncio.run(main())
