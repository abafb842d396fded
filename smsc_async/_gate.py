"""How many requests may be in flight: the service refuses the fifth status request at once, the fifteenth of all."""

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from ._exceptions import TooManyInFlight

__all__ = ["Gate"]


class Gate:
    """Places for requests in flight, first come, first served.

    Args:
        everything: Places in all.
        statuses: Places for status requests among them.
    """

    def __init__(self, everything: int, statuses: int) -> None:
        self._everything = anyio.Semaphore(everything)
        self._statuses = anyio.Semaphore(statuses)
        self.entered = 0

    @asynccontextmanager
    async def enter(self, *, is_status: bool, within: float = math.inf) -> AsyncIterator[None]:
        """Take a place, waiting for it at most so many seconds.

        Raises:
            TooManyInFlight: None became free in time.
        """
        async with AsyncExitStack() as places:
            with anyio.move_on_after(within) as waiting:
                # A status request waits for one of its own places first, and keeps no place of all meanwhile.
                if is_status:
                    await places.enter_async_context(self._statuses)
                await places.enter_async_context(self._everything)
            if waiting.cancelled_caught:
                raise TooManyInFlight("no place among the requests in flight became free before the deadline")
            self.entered += 1
            try:
                yield
            finally:
                self.entered -= 1
