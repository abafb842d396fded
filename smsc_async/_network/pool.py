"""Connections side by side, each with a pool to itself, so that no call pays for the number of the others.

One pool for all looks through its connections and its waiting requests whenever a request comes or goes: at 50 in
flight that is most of a call. A lane is a pool of one, and the last that became free is the first to be taken.
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
    """The lanes on one way, direct or through a proxy, on one event loop.

    Args:
        make: Makes a lane.
        most: How many there may be at once.
        expiry: Seconds after which an idle one is closed, when somebody comes for a lane.
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
        """Return a lane that nobody else uses until it is given back or dropped.

        Raises:
            PoolTimeout: None became free within so many seconds, or before all were closed.
        """
        if self._idle and self._idle[0][0] < anyio.current_time() - self._expiry:
            # One each time, before anything is sent: no call pays for all that a busy hour has left behind.
            stale = self._idle.popleft()[1]
            self._connections.remove(stale)
            await stale.aclose()
        if self._idle:
            return self._idle.pop()[1]
        if len(self._connections) < self._most:
            return self._new()
        return await self._wait(within)

    def give(self, connection: httpx.AsyncBaseTransport) -> bool:
        """Take back a lane whose answer has been read to its end; return False if it must be dropped after all."""
        if self._waiters:
            self._hand_over(connection)
            return True
        if connection not in self._connections:  # since `aclose`
            return False
        self._idle.append((anyio.current_time(), connection))
        return True

    async def drop(self, connection: httpx.AsyncBaseTransport) -> None:
        """Take back a lane on which something failed: half an answer may be left in it, so nobody gets it again."""
        self._connections.discard(connection)
        if self._waiters:
            self._hand_over(self._new())
        with anyio.CancelScope(shield=True):
            await connection.aclose()

    async def aclose(self) -> None:
        """Close the idle lanes, and let whoever uses or still takes one drop it at the end; who waits gets none.

        One in use is not closed here: a pool that is closed while it connects forgets the connection.
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
            if waiter.connection is not None and not self.give(
                waiter.connection
            ):  # handed over in the moment of the cancellation
                await self.drop(waiter.connection)
            raise
        finally:
            if waiter.connection is None:
                with suppress(ValueError):  # `aclose` has emptied the queue
                    self._waiters.remove(waiter)
        if waiter.connection is None:
            raise failure(PoolTimeout)
        return waiter.connection
