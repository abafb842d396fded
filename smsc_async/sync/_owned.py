"""The asynchronous client behind a synchronous one, which is made anew in the child of a fork."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from smsc_async import UNSET, Guards, Unset
from smsc_async import Client as AsyncClient

from ._call import PortalCall, check_no_event_loop, closed
from ._portal import Portal
from ._process import Lease, process

__all__ = ["AsyncSide", "Derived", "Owned"]

Make: TypeAlias = Callable[[Guards | Unset | None], AsyncClient]
"""Makes a client with these guards; unset for those of the arguments."""


class AsyncSide(Protocol):
    """What is behind a client."""

    @property
    def client(self) -> AsyncClient:
        """The asynchronous client, which may be that of a parent process."""
        ...

    def use(self) -> tuple[Portal, AsyncClient]:
        """Return the portal, which is started if need be, and the client of this process.

        Raises:
            ClientClosed: The client is closed.
            WrongEventLoop: This thread runs an event loop.
        """
        ...

    def close(self, timeout: float) -> None:
        """Close the client."""


class Owned:
    """A client with connections of its own.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._client = make(UNSET)
        self._process = process.number
        self._lease: Lease | None = None
        self._is_closed = False

    @property
    def client(self) -> AsyncClient:
        """See `AsyncSide.client`."""
        return self._client

    def use(self) -> tuple[Portal, AsyncClient]:
        """See `AsyncSide.use`."""
        check_no_event_loop()
        lease = self._lease
        if lease is None or self._is_closed or self._process != process.number:
            lease = self._begin()
        return lease.portal, self._client

    def _begin(self) -> Lease:
        with process.lock:
            if self._is_closed:
                raise closed()
            if self._process != process.number:
                process.warn(self._client)
                guards: Guards | None = getattr(self._client, "guards", None)
                self._client = self._make(guards and process.guards(guards))
                self._process, self._lease = process.number, None
            if self._lease is None:
                self._lease = process.lease(self, self._client.aclose)
            return self._lease

    def close(self, timeout: float) -> None:
        """Close the client; the last one ends the thread."""
        if self._is_closed:
            return
        if self._process == process.number:
            portal, client = self.use()
            try:
                PortalCall(portal, lambda: client.aclose(timeout)).result()
            except ValueError:
                raise
            except BaseException:  # Ctrl-C: the thread of the event loop closes it
                self._end(Lease.abandon)
                raise
        self._end(Lease.release)

    def _end(self, leave: Callable[[Lease], None]) -> None:
        with process.lock:
            self._is_closed = True
            lease, self._lease = self._lease, None
        if lease is not None and self._process == process.number:
            leave(lease)


class Derived:
    """A client with other options that shares all else with another one.

    Args:
        base: The other one.
        derive: Makes the client with other options of the other one's.
    """

    def __init__(self, base: AsyncSide, derive: Callable[[AsyncClient], AsyncClient]) -> None:
        self._base = base
        self._derive = derive
        self._of = base.client
        self._client = derive(self._of)

    @property
    def client(self) -> AsyncClient:
        """See `AsyncSide.client`."""
        return self._client

    def use(self) -> tuple[Portal, AsyncClient]:
        """See `AsyncSide.use`."""
        portal, base = self._base.use()
        if base is not self._of:
            self._client, self._of = self._derive(base), base
        return portal, self._client

    def close(self, timeout: float) -> None:
        """Do nothing: closing the other one closes both."""
