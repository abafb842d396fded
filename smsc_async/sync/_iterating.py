"""Iterators of the thread that calls over asynchronous iterators, and arguments that are read on that thread."""

import sys
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from smsc_async import Client as AsyncClient
from smsc_async import ClientClosed
from smsc_async._frames import forget_own_frames

from ._call import PortalCall, is_in_event_loop
from ._owned import AsyncSide
from ._portal import Portal

__all__ = ["each", "list_of", "soon", "without_own_frames"]

T = TypeVar("T")

_END: Final = object()


def soon(work: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    """Return an asynchronous function that calls a function."""

    async def call() -> T:
        return work()

    return call


def list_of(messages: Any) -> Any:
    """Return the messages in a list, so that the thread that calls has iterated over them."""
    is_other = isinstance(messages, AsyncIterable | BaseModel | Mapping | str | bytes)
    return list(messages) if isinstance(messages, Iterable) and not is_other else messages


def each(behind: AsyncSide, make: Callable[[AsyncClient], AsyncGenerator[T, None]]) -> Generator[T, None, None]:
    """Yield what an asynchronous generator yields; leaving the loop early closes it."""
    portal, client = behind.use()
    items = make(client)
    while True:
        item: Any = without_own_frames(PortalCall(portal, lambda: anext(items, _END)).result)
        if item is _END:
            return
        try:
            yield item
        except GeneratorExit:
            _close(portal, items)
            raise


def without_own_frames(work: Callable[[], T]) -> T:
    """Call a function whose exceptions keep no frames, unless the code of the user raised them."""
    handled = sys.exception()
    try:
        return work()
    except BaseException as error:
        forget_own_frames(error, handled)
        raise


def _close(portal: Portal, items: AsyncGenerator[Any, None]) -> None:
    # In an event loop the garbage collector is closing the generator, and will close the asynchronous one too.
    if not is_in_event_loop():
        with suppress(ClientClosed):
            PortalCall(portal, items.aclose).result()
