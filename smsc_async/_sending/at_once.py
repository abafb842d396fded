"""Running several functions at once, where the first failure is raised as it is."""

from collections.abc import Awaitable, Callable, Iterable

import anyio
import anyio.lowlevel

__all__ = ["at_once"]


async def at_once(works: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Run all functions until each has returned; the first exception ends the others and is raised.

    It is not in an exception group. A cancellation that one of them raised by itself (on asyncio, from a future that
    somebody cancelled) is an exception too, although it does not end the others.
    """
    failures: list[BaseException] = []

    async def run(work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except anyio.get_cancelled_exc_class() as failure:
            failures.append(failure)
            raise
        except BaseException as failure:  # noqa: BLE001 - raised below
            failures.append(failure)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for work in works:
            group.start_soon(run, work)
            await anyio.lowlevel.checkpoint()  # on trio too, they begin in order
    if failures:
        raise failures[0]
