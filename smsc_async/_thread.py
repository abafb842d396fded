"""Work on a thread of its own, while the event loop goes on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import anyio.to_thread
from anyio.lowlevel import RunVar

__all__ = ["in_own_thread"]

T = TypeVar("T")
_MOST: Final = 4
_limiter: RunVar[anyio.CapacityLimiter] = RunVar("smsc_async_threads")


async def in_own_thread(work: Callable[[], T]) -> T:
    """Return the result of work on a thread that ends with it.

    libxml2 keeps each name it has read as long as the thread lives, so a thread that is used again would only grow. The
    number of threads is limited apart from the caller's own, which may all be busy. When the caller is cancelled it
    leaves at once, and nobody hears what becomes of the work.
    """
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(_MOST)
        _limiter.set(limiter)
    return await anyio.to_thread.run_sync(_alone, work, abandon_on_cancel=True, limiter=limiter)


def _alone(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()
