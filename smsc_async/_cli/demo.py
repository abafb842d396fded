"""The sandbox as a server, and a demonstration that sends messages to it and follows them until they are final."""

import asyncio
import contextlib
import importlib
import os
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from importlib.util import find_spec
from typing import Any, Final, TypeVar

import anyio
import uvicorn

from smsc_async._client import Client
from smsc_async._model import Message, MessageRef, MessageStatus, OnProgress
from smsc_async.sandbox import Account, DeliveryPlan, Fault, Sandbox

from .output import DemoReport
from .progress import Stages

__all__ = ["PATH", "Fault", "Sandbox", "demonstrate", "listen", "serve_while"]

T = TypeVar("T")

PATH: Final = "/sys/soap.php"
# 0.3 % of the messages take longer than 9 s, less than 0.01 % longer than about 15 s.
PLAN = DeliveryPlan(to_operator=0.4, to_decision=3.5, spread=0.35)
TIMEOUT = 600.0  # seconds
DELAY_PER_REQUEST = 0.3  # seconds of delay that one status request is worth; much less would use up the limit by 15 s
BALANCE = Decimal(10)  # for each message, more than twice what it costs
_TOO_OFTEN: Final = 9
_NAMES: Final = ("Anna", "Boris", "Clara", "Daniil", "Elena", "Fjodor", "Galina", "Ivan")


class _Server(uvicorn.Server):
    """A server that leaves the signals to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do not capture signals."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """Open the socket of a server; clients can connect from now on, and wait until they are served.

    Args:
        host: The host name or IP address to listen on.
        port: The port, 0 for any free port.

    Raises:
        OSError: The port is in use, or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With an explicit IPPROTO_TCP asyncio disables Nagle's algorithm, which would delay each answer by 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # On Windows this option would let two servers share a port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
        listener.bind((host, port))
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


async def serve_while(app: Any, listener: socket.socket, work: Callable[[str], Awaitable[T]]) -> T:
    """Serve an ASGI application until `work` is done, and return its result.

    Args:
        app: The application.
        listener: The listening socket, closed at the end.
        work: Called with the URL of the SOAP service.
    """
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
    server = _Server(
        uvicorn.Config(
            app,
            http="smsc_async.sandbox._server:ServedProtocol",  # on which faults can cut a connection
            lifespan="off",
            ws="none",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )
    with listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            return await work(url)
        finally:
            server.should_exit = True
            await serving


async def demonstrate(count: int, stages: Stages) -> DemoReport:
    """Send messages to a new sandbox over HTTP, and follow each until its status is final.

    Args:
        count: The number of messages, 1 to 100,000.
        stages: Called with the progress, for the stages "sent" and "final".
    """
    account = Account(login="demo", password="demo", apikey="demo", balance=BALANCE * count)  # noqa: S106 - opens nothing
    sandbox = Sandbox(accounts=[account], delivery=PLAN)

    async def work(url: str) -> DemoReport:
        async with Client(apikey="demo", url=url) as client:
            return await _demonstrate(client, sandbox, count, stages)

    return await serve_while(sandbox.app, listen("127.0.0.1", 0), work)


async def _demonstrate(client: Client, sandbox: Sandbox, count: int, stages: Stages) -> DemoReport:
    start = anyio.current_time()
    before = await client.balance()
    refs, cost = await _send(client, count, stages["sent"])
    outcomes = await _follow(client, refs, stages["final"])
    after = await client.balance()
    answered = sandbox.counts
    requests: Counter[str] = Counter()
    for (method, _), number in answered.items():
        requests[method] += number
    return DemoReport(
        messages=count,
        outcomes=outcomes,
        refused=count - len(refs),
        pending=len(refs) - outcomes.total(),
        cost=cost,
        balance_before=before.amount,
        balance_after=after.amount,
        requests=requests,
        too_often=sum(number for (_, error), number in answered.items() if error == _TOO_OFTEN),
        seconds=anyio.current_time() - start,
        peak_memory=_peak_memory(),
    )


def _peak_memory() -> float | None:
    """Return the peak memory of this process in MB, None if the system does not report it."""
    if find_spec("resource") is None:  # Windows
        return None
    resource = importlib.import_module("resource")
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _messages(count: int) -> Iterator[Message]:
    for number in range(count):
        name = _NAMES[number % len(_NAMES)]
        yield Message(f"+7916{number:07}", f"Hello {name}, your order {1000 + number} has arrived.")


async def _send(client: Client, count: int, on_progress: OnProgress) -> tuple[list[MessageRef], Decimal]:
    refs: list[MessageRef] = []
    costs: dict[str, Decimal] = {}
    async for outcome in client.send_batch(_messages(count)):
        if outcome.sent is not None:
            costs[outcome.sent.id] = outcome.sent.cost or Decimal()
        if outcome.ref is not None:
            refs.append(outcome.ref)
            on_progress(len(refs), count)
    return refs, sum(costs.values(), Decimal())


async def _follow(client: Client, refs: list[MessageRef], on_progress: OnProgress) -> Counter[MessageStatus]:
    outcomes: Counter[MessageStatus] = Counter()
    watcher = client.watch(refs, timeout=TIMEOUT, delay_per_request=DELAY_PER_REQUEST, on_progress=on_progress)
    async with watcher as updates:
        async for update in updates:
            if update.is_last and update.status is not None:
                outcomes[update.status] += 1
    return outcomes
