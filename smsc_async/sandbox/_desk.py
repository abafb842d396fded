"""How requests, some of which are executed by threads, use the service one after another."""

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import anyio

from smsc_async._thread import in_own_thread

from ._fields import Answer
from ._service import Service

__all__ = ["Desk", "Run", "at_once"]

T = TypeVar("T")


async def at_once(work: Callable[[], T]) -> T:
    """Run work on the event loop."""
    return work()


class Run(Protocol):
    """`at_once` or `in_own_thread`."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class Desk:
    """Lets one thread at a time use the service; the event loop's own thread never waits for another.

    Args:
        service: The emulator.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    @asynccontextmanager
    async def request(self, run: Run, arrive: Callable[[], Answer]) -> AsyncIterator[Answer]:
        """Execute a request, and let it leave at the end."""
        arrived: Future[Answer] = Future()
        try:
            await self._use(run, lambda: arrived.set_result(arrive()))
            yield arrived.result()
        finally:
            if arrived.done():
                with anyio.CancelScope(shield=True):
                    await self._use(at_once, lambda: self._service.leave(arrived.result()))
            else:  # the client disconnected while a thread was executing its request
                arrived.add_done_callback(lambda done: self._service.leave(done.result()))

    async def _use(self, run: Run, work: Callable[[], None]) -> None:
        def alone() -> None:
            with self._service.lock:
                work()

        await (in_own_thread if self._service.lock.locked() else run)(alone)
