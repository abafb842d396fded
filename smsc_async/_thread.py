"""Work on a separate thread, while the event loop continues."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

import anyio.to_thread
from anyio.lowlevel import RunVar

__all__ = ["in_own_thread", "is_thread_at_work", "waiting_for_thread"]

T = TypeVar("T")
_MOST: Final = 4
_limiter: RunVar[anyio.CapacityLimiter] = RunVar("smsc_async_threads")
_calls: Final[set[object]] = set()


async def in_own_thread(work: Callable[[], T]) -> T:
    """Run work on a new thread and return its result.

    libxml2 keeps each name it has read while the thread lives, so the memory of a reused thread would only grow. The
    number of threads has its own limit, as the caller's threads may all be busy. When the caller is cancelled it
    returns at once, and the result of the work is discarded.
    """
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(_MOST)
        _limiter.set(limiter)
    with waiting_for_thread():
        return await anyio.to_thread.run_sync(_alone, work, abandon_on_cancel=True, limiter=limiter)


@contextmanager
def waiting_for_thread() -> Iterator[None]:
    """Count a caller that waits for the work of a thread."""
    _calls.add(call := object())
    try:
        yield
    finally:
        _calls.discard(call)


def is_thread_at_work() -> bool:
    """Return whether a caller on any event loop waits for the work of a thread."""
    return bool(_calls)


def _alone(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()
