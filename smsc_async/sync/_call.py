"""One call of a thread on the event loop, which meanwhile lets that thread run the code of the user."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar, cast

import anyio
from anyio import NoEventLoopError
from anyio.lowlevel import current_token
from pydantic import BaseModel

from smsc_async import ClientClosed, DeliveryReport, GetStatus, WrongEventLoop
from smsc_async._movable_clock import call_soon

from ._portal import Portal, PortalStopped

__all__ = [
    "PortalCall",
    "asking_of",
    "check_no_event_loop",
    "closed",
    "in_caller",
    "is_in_event_loop",
    "items_of",
    "noted_by_caller",
]

T = TypeVar("T")

_END: Final = object()
_LISTEN_EVERY: Final = 0.25  # seconds


class PortalCall(Generic[T]):
    """A call that a thread makes and waits for.

    Args:
        portal: The portal.
        work: Does the work on its event loop.
    """

    def __init__(self, portal: Portal, work: Callable[[], Awaitable[T]]) -> None:
        self._portal = portal
        self._work = work
        self._for_caller: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._scope: anyio.CancelScope | None = None
        self._is_started = self._is_cancelled = self._is_over = False
        self._results: list[T] = []
        self._error: BaseException | None = None

    def result(self) -> T:
        """Wait until the work is done, and return its result.

        If Ctrl-C is pressed meanwhile, or the code of the user fails, the work is cancelled.
        """
        self.run()
        return self.outcome()

    def run(self) -> None:
        """Start the work, or let it continue if it has paused, and wait until it is done or pauses."""
        try:
            if not self._is_started:
                self._is_started = True
                self._start()
            while (work := self._next()) is not None:
                work()
        except BaseException:
            self._cancel()
            raise

    def _start(self) -> None:
        try:
            self._portal.start(self._run)
        except PortalStopped:
            raise ClientClosed(
                "this client is closed, or was used here for something that a parent process began; nothing was sent"
            ) from None

    def pause(self) -> None:
        """Let the thread continue before the work is done; called by the work."""
        self._for_caller.put(None)

    def outcome(self) -> T:
        """Return the result of the work, or raise its exception, once it is done."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # it would be in a cycle with its traceback
        if not self._results:
            raise closed()
        return self._results.pop()

    def _cancel(self) -> None:
        """Cancel the work, and wait until it has ended."""
        self._is_cancelled = True
        if self._scope is not None:  # else it is not going to begin
            call_soon(self._portal.token, self._scope.cancel)
            while not self._is_over:
                self._next()

    def _next(self) -> Callable[[], object] | None:
        """Wait for what the work wants from this thread; None once it is done or pauses.

        A signal that comes just before the wait begins does not end it, so that the wait is short.
        """
        while True:
            with suppress(Empty):
                return self._for_caller.get(timeout=_LISTEN_EVERY)

    async def ask(self, work: Callable[[], T]) -> T:
        """Let the thread that waits for this call run a function, and return its result."""
        done, here = anyio.Event(), current_token()
        results: list[T] = []
        errors: list[Exception] = []

        def run() -> None:
            try:
                results.append(work())
            except Exception as error:  # noqa: BLE001 - raised below
                errors.append(error)
            finally:
                call_soon(here, done.set)

        self._for_caller.put(run)
        await done.wait()
        if errors:
            raise errors.pop()
        return results.pop()

    def tell(self, work: Callable[[], object]) -> None:
        """Let the thread that waits for this call run a function, without waiting for it."""
        self._for_caller.put(work)

    async def _run(self) -> None:
        with anyio.CancelScope() as self._scope:
            try:
                if not self._is_cancelled:
                    _current.set(self)
                    self._results.append(await self._work())
            except anyio.get_cancelled_exc_class():
                pass  # the task ends with it, and it must not end the others
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                self._error = error
            finally:
                self._is_over = True
                if not self._portal.is_last:  # else the thread is a daemon, and stops where it is
                    self._for_caller.put(None)


_current: ContextVar[PortalCall[Any]] = ContextVar("smsc_async.sync")


def closed() -> ClientClosed:
    """Return the error of a call of a closed client."""
    return ClientClosed("this client is closed, nothing was sent; make a new one")


def is_in_event_loop() -> bool:
    """Return whether this thread runs an event loop."""
    try:
        current_token()
    except NoEventLoopError:
        return False
    return True


def check_no_event_loop() -> None:
    """Refuse a call that would block an event loop.

    Raises:
        WrongEventLoop: This thread runs an event loop.
    """
    if is_in_event_loop():
        raise WrongEventLoop(
            "smsc_async.sync blocks its thread, and this one runs an event loop, so nothing was sent; use "
            "`await` with smsc_async.Client here"
        )


async def in_caller(work: Callable[[], T]) -> T:
    """Let the thread that waits for the running call run a function, and return its result."""
    call = cast("PortalCall[T]", _current.get())
    return await call.ask(work)


def noted_by_caller(on_progress: Callable[[int, int], object] | None) -> Callable[[int, int], object] | None:
    """Return a function that lets the thread that waits call `on_progress`."""

    def note(done: int, total: int) -> None:
        _current.get().tell(partial(cast("Callable[[int, int], object]", on_progress), done, total))

    return note if callable(on_progress) else on_progress


def asking_of(
    ask: Callable[[GetStatus], DeliveryReport] | None,
) -> Callable[[GetStatus], Awaitable[DeliveryReport]] | None:
    """Return a function that lets the thread that waits call `ask`."""

    async def asking(operation: GetStatus) -> DeliveryReport:
        return await in_caller(lambda: cast("Callable[[GetStatus], DeliveryReport]", ask)(operation))

    return asking if callable(ask) else ask


def items_of(items: Any) -> Any:
    """Return the items so that the thread that waits iterates over them: they may read a database, or block.

    A list runs no code of the user, and what the client refuses is left to the client.
    """
    is_plain = isinstance(items, AsyncIterable | BaseModel | Mapping | list | tuple | str | bytes)
    return _Items(items) if isinstance(items, Iterable) and not is_plain else items


class _Items(AsyncIterator[T]):
    """The items of an iterable, each of which the thread that waits for the running call takes from it."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._source: Iterator[T] | None = None

    async def __anext__(self) -> T:
        item: Any = await in_caller(self._next)
        if item is _END:
            raise StopAsyncIteration
        return cast("T", item)

    def _next(self) -> object:
        if self._source is None:
            self._source = iter(self._items)
        return next(self._source, _END)
