"""Closing a client: no more requests are sent, waiting calls fail, and requests in flight get some time to finish."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakSet

import anyio
from anyio.lowlevel import checkpoint

from smsc_async._clock import Clock
from smsc_async._model import ClientClosed
from smsc_async._network import PooledTransport, Transport
from smsc_async.guards import Guards

__all__ = ["Closing"]

_UNWIND_WITHIN: Final = 1.0


class Closing:
    """The running calls of a client, for closing it.

    Attributes:
        clock: The clock by which the calls wait.
        running: The number of calls.
        is_begun: Whether no more requests may be sent.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.running = 0
        self._in_flight: WeakSet[anyio.CancelScope] = WeakSet()
        self.is_begun = False
        self._waiting: set[anyio.CancelScope] = set()
        self._forget()

    def rebind(self, clock: Clock) -> None:
        """Forget the events of another event loop, and use this clock from now on."""
        self.clock = clock
        self._forget()

    def _forget(self) -> None:
        self._begun = anyio.Event()
        self._idle = anyio.Event()
        self._done = anyio.Event()

    def check(self) -> None:
        """Raise `ClientClosed` if no more requests may be sent."""
        if self.is_begun:
            raise ClientClosed("this client is closed, nothing was sent; make a new one")

    async def end(self, transport: Transport, guards: Guards | None, timeout: float, *, is_here: bool) -> None:
        """Stop sending requests, end the calls, and close the connections.

        Args:
            transport: The transport of the client.
            guards: Its guards.
            timeout: Seconds after which the requests in flight are cancelled.
            is_here: Whether the calls are on this event loop.
        """
        is_first, self.is_begun = not self.is_begun, True
        try:
            if is_here:
                self._begun.set()
                if isinstance(transport, PooledTransport):
                    transport.stop()
                await self._end_calls(timeout)
        finally:
            with anyio.CancelScope(shield=True):
                if is_first:
                    await self._close(transport, guards)
        await self._done.wait()

    async def _close(self, transport: Transport, guards: Guards | None) -> None:
        try:
            await transport.aclose()
            if guards is not None:
                await guards.detach()
        finally:
            self._done.set()

    async def _end_calls(self, timeout: float) -> None:
        for scope in self._waiting:
            scope.cancel()
        try:
            with anyio.move_on_after(timeout):
                await self._until_idle()
        finally:
            for scope in self._in_flight:
                scope.cancel()
            with anyio.move_on_after(_UNWIND_WITHIN, shield=True):
                await self._until_idle()

    def leave(self) -> None:
        """Decrement the number of running calls."""
        self.running -= 1
        if not self.running and self.is_begun:
            self._idle.set()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Raise `ClientClosed` if the client is closed while the context waits."""
        self.check()
        with anyio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                yield
            finally:
                self._waiting.discard(scope)
        if scope.cancelled_caught:
            self.check()

    def cut_at(self, deadline: float) -> anyio.CancelScope:
        """Return the scope of a request, cancelled at a time of the clock, or earlier if the client is closed."""
        scope = self.clock.deadline(deadline)
        self._in_flight.add(scope)
        return scope

    async def wait(self) -> None:
        """Wait until the client is closed, and raise `ClientClosed`."""
        await self._begun.wait()
        self.check()

    async def sleep_until(self, time: float) -> None:
        """Sleep until a time of the clock.

        Raises:
            ClientClosed: The client is closed.
        """
        with self.waiting():
            await self.clock.sleep_until(time)

    async def _until_idle(self) -> None:
        if self.running:
            await self._idle.wait()
        else:
            await checkpoint()
