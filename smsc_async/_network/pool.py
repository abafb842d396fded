"""A pool of httpx transports with one connection each, so that the cost of a call does not grow with their number.

httpx's own pool searches all its connections and waiting requests whenever a request starts or ends: with 50 in flight
that is most of the time of a call. Here each connection is an httpx transport of its own, and the one that became idle
last is used first.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress

import anyio
import httpx

from smsc_async._model import PoolTimeout

from .transport import failure

__all__ = ["ConnectionPool"]


class _Waiter:
    __slots__ = ("connection", "woken")

    def __init__(self) -> None:
        self.connection: httpx.AsyncBaseTransport | None = None
        self.woken = anyio.Event()


class ConnectionPool:
    """The connections of one route, direct or through a proxy, on one event loop.

    Args:
        make: Makes a connection.
        most: The largest number of connections at once.
        expiry: Seconds after which an idle connection is closed, the next time one is taken.
    """

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport], *, most: int, expiry: float) -> None:
        self._make = make
        self._most = most
        self._expiry = expiry
        self._connections: set[httpx.AsyncBaseTransport] = set()
        self._idle: deque[tuple[float, httpx.AsyncBaseTransport]] = deque()
        self._waiters: deque[_Waiter] = deque()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._connections)

    async def take(self, within: float) -> httpx.AsyncBaseTransport:
        """Return a connection for exclusive use until it is given back or dropped.

        Raises:
            PoolTimeout: None became free in `within` seconds, or before the pool was closed.
        """
        if self._idle and self._idle[0][0] < anyio.current_time() - self._expiry:
            # Close one per call, before anything is sent, so that no call has to close all that a busy hour left idle.
            stale = self._idle.popleft()[1]
            self._connections.remove(stale)
            await stale.aclose()
        if self._idle:
            return self._idle.pop()[1]
        if len(self._connections) < self._most:
            return self._new()
        return await self._wait(within)

    def give(self, connection: httpx.AsyncBaseTransport) -> bool:
        """Take back a connection whose answer was read completely; return False if the caller must drop it instead."""
        if self._waiters:
            self._hand_over(connection)
            return True
        if connection not in self._connections:  # since `aclose`
            return False
        self._idle.append((anyio.current_time(), connection))
        return True

    async def drop(self, connection: httpx.AsyncBaseTransport) -> None:
        """Close a connection that failed: part of an answer may be left in it, so it is not used again."""
        self._connections.discard(connection)
        if self._waiters:
            self._hand_over(self._new())
        with anyio.CancelScope(shield=True):
            await connection.aclose()

    async def aclose(self) -> None:
        """Close the idle connections and fail the callers that wait for one.

        One in use is closed by its caller in `drop`: an httpx transport closed while it connects leaks the connection.
        """
        self._is_closed = True
        self._connections.clear()
        while self._waiters:
            self._waiters.popleft().woken.set()
        while self._idle:
            await self._idle.pop()[1].aclose()

    def _new(self) -> httpx.AsyncBaseTransport:
        connection = self._make()
        if not self._is_closed:
            self._connections.add(connection)
        return connection

    def _hand_over(self, connection: httpx.AsyncBaseTransport) -> None:
        waiter = self._waiters.popleft()
        waiter.connection = connection
        waiter.woken.set()

    async def _wait(self, within: float) -> httpx.AsyncBaseTransport:
        waiter = _Waiter()
        self._waiters.append(waiter)
        try:
            with anyio.move_on_after(within):
                await waiter.woken.wait()
        except BaseException:
            # A connection may have been handed over just before the cancellation.
            if waiter.connection is not None and not self.give(waiter.connection):
                await self.drop(waiter.connection)
            raise
        finally:
            if waiter.connection is None:
                with suppress(ValueError):  # `aclose` has emptied the queue
                    self._waiters.remove(waiter)
        if waiter.connection is None:
            raise failure(PoolTimeout)
        return waiter.connection
