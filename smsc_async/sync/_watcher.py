"""A watch whose updates a thread takes."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar, cast

import anyio

from smsc_async import Unfinished, Update
from smsc_async import Watcher as AsyncWatcher
from smsc_async._movable_clock import call_soon
from smsc_async.callbacks import StatusPush

from ._call import PortalCall, check_no_event_loop
from ._iterating import soon, without_own_frames
from ._mirror import mirrors
from ._portal import Portal
from ._types import AnyRef, OnProgress

__all__ = ["Watcher"]

T = TypeVar("T")


class Watcher:
    """A watch over the delivery of messages, created by `Client.watch`.

    Enter the watch with `with` and take its updates with `for`:

        with client.watch(refs) as updates:
            for update in updates:
                print(update.ref, update.status, update.is_last)

    There is one update for each change of a status, and a last one for each message: its status is final, it has
    expired, or an error occurred that repeating the request would not change. The loop ends after the last update of
    the last message. Other threads may `add` further messages meanwhile.

    The watch makes a few requests at a time on the thread with the event loop, also while nobody takes an update. An
    error about one message is an update about that message. An error about all of them (`Scope.ALL`), such as wrong
    credentials or an open breaker, ends the watch, and the loop raises it. A slow consumer slows polling.

    Leaving the block cancels all requests. Pass `unfinished` to another watch to continue, also in another process.
    """

    def __init__(self, portal: Portal, watcher: AsyncWatcher, on_progress: OnProgress | None) -> None:
        self._portal = portal
        self._watcher = watcher
        self._on_progress = on_progress
        self._update: Update | None = None
        self._staying: PortalCall[None] | None = None
        self._leaving: anyio.Event | None = None

    def __enter__(self) -> Self:
        """Begin to watch.

        Raises:
            RuntimeError: The watch was entered before.
        """
        check_no_event_loop()
        entered: list[anyio.Event] = []

        async def stay() -> None:
            # The task that enters the watch has to leave it; others may take its updates.
            async with self._watcher:
                entered.append(anyio.Event())
                staying.pause()
                await entered[0].wait()

        staying: PortalCall[None] = PortalCall(self._portal, stay)
        staying.run()
        if not entered:
            staying.outcome()
        self._leaving, self._staying = entered[0], staying
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        staying, leaving, self._staying = self._staying, self._leaving, None
        if staying is not None and leaving is not None and not self._portal.is_inherited:
            call_soon(self._portal.token, leaving.set)
            staying.run()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Update:
        if self._staying is None:
            raise RuntimeError("updates can be taken only inside the `with` block of the watch")
        if self._update is None and not self._call(self._take):
            raise StopIteration
        update = cast("Update", self._update)
        if update.is_last and self._on_progress is not None:
            self._on_progress(self.done, self.total)  # if it raises, the update is the next one again
        self._update = None
        return update

    async def _take(self) -> bool:
        # Kept here, so that no update is lost if Ctrl-C is pressed before the thread has it.
        self._update = await anext(self._watcher, None)
        return self._update is not None

    @property
    @mirrors(AsyncWatcher.unfinished)
    def unfinished(self) -> list[Unfinished]:
        """The messages whose last update was not taken, for a later watch; plain data."""
        if self._staying is None:
            return self._watcher.unfinished
        return self._call(soon(lambda: self._watcher.unfinished))

    @property
    @mirrors(AsyncWatcher.total)
    def total(self) -> int:
        """How many messages have been watched so far."""
        return self._watcher.total

    @property
    @mirrors(AsyncWatcher.done)
    def done(self) -> int:
        """How many of the watched messages have had their last update."""
        return self._watcher.done

    @mirrors(AsyncWatcher.add)
    def add(self, *messages: AnyRef | Unfinished) -> None:
        """Watch more messages; a message that is watched already is ignored."""
        if self._staying is None:
            raise RuntimeError("messages can be added only inside the `with` block of the watch")
        self._call(soon(lambda: self._watcher.add(*messages)))

    @mirrors(AsyncWatcher.hint)
    def hint(self, message: AnyRef) -> None:
        """Request this message first, because it may have changed. A message that isn't watched is ignored."""
        self._call(soon(lambda: self._watcher.hint(message)))

    @mirrors(AsyncWatcher.notify)
    def notify(self, push: StatusPush) -> None:
        """Hand over the status that a callback reported, without a request."""
        self._call(soon(lambda: self._watcher.notify(push)))

    def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        check_no_event_loop()
        return without_own_frames(PortalCall(self._portal, work).result)
