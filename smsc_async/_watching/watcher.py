"""Watching messages until their status is final, as users see it: updates, and what they add, hint and notify."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import anyio
from anyio.lowlevel import checkpoint

from smsc_async._clock import unix_time
from smsc_async._frames import without_arguments
from smsc_async._model import AnyRef, DeliveryReport, StatusPush, refs_of

from .registry import Unfinished, Update, Watched
from .tasks import WatchTasks
from .updates import check_push

__all__ = ["Watcher", "last_report"]


class Watcher(WatchTasks):
    """A watch over the delivery of messages, created by `Client.watch`.

    Enter the watch with `async with` and take its updates with `async for`:

        async with client.watch(refs) as updates:
            async for update in updates:
                print(update.ref, update.status, update.is_last)

    There is one update for each change of a status, and a last one for each message: its status is final, it has
    expired, or an error occurred that repeating the request would not change. The loop ends after the last update of
    the last message. `add` watches further messages meanwhile.

    The watch makes a few requests at a time, each for the message whose status has most likely changed. An error about
    one message is an update about that message. An error about all of them (`Scope.ALL`), such as wrong credentials or
    an open breaker, ends the watch, and the loop raises it. A slow consumer slows polling.

    Leaving the block cancels all requests. Pass `unfinished` to another watch to continue, also in another process.

    Args:
        ask: Requests one status.
        source: See `Client.watch`; an async iterable may produce further messages during the watch.
        workers: The most requests at once.
        plan: Chooses the message to request next; must be empty.
        lost_lasts: The seconds for which a request whose answer was lost may still be in flight.
        timeout: See `Client.watch`.
        grace: The seconds for which the service may not know a message yet.
        clock: The clock by which it waits.
        entered: The watches of the client inside their blocks; it adds and removes itself.
        delivered: Called with the report of a final status that was pushed.
        confirm_pushes: See `Client.watch`.
        closed: Waits until no more requests can be made, and raises the error that ends the watch.
        progress: Entered with the watch, as `on_progress` of `Client.watch`.
    """

    @property
    def unfinished(self) -> list[Unfinished]:
        """The messages whose last update was not taken, for a later watch; plain data."""
        return self._registry.unfinished()

    @property
    def total(self) -> int:
        """How many messages have been watched so far."""
        return self._registry.entered

    @property
    def done(self) -> int:
        """How many of the watched messages have had their last update."""
        return self._registry.entered - len(self._registry)

    def add(self, *messages: Watched) -> None:
        """Watch more messages; a message that is watched already is ignored.

        Example:
            >>> async with client.watch([]) as updates:
            ...     sent = await client.send("+79991234567", "Your code is 4821")
            ...     updates.add(sent)
            ...     updates.hint(sent)  # without it, the first request comes after some seconds
            ...     async for update in updates:
            ...         print(update.status.phrase)
            delivered

        Args:
            *messages: The messages, in the forms that `Client.status` takes.

        Raises:
            RuntimeError: The watch has not been entered, or has been left.
        """
        if self._group is None or self._is_over:
            raise RuntimeError("messages can be added only inside the `async with` block of the watch")
        now = self._clock.now()
        for message in messages:
            self._enter(message, now)
        self._wake()

    @without_arguments
    def hint(self, message: AnyRef) -> None:
        """Request this message first, because it may have changed. A message that isn't watched is ignored.

        Example:
            >>> sent = await client.send("+79991234567", "Your code is 4821")
            >>> async with client.watch(sent) as updates:
            ...     updates.hint(sent)
            ...     async for update in updates:
            ...         print(update.status.phrase)
            delivered

        Args:
            message: The message, in one of the forms that `Client.status` takes.

        Raises:
            ValueError: It is not a message.
        """
        for each in refs_of(message):
            for key in self._registry.keys(each):
                self._plan.hint(key, self._clock.now())
                self._wake()

    @without_arguments
    def notify(self, push: StatusPush) -> None:
        """Hand over the status that a callback reported, without a request.

        Phones match by their digits. A push about another message is ignored, and so is one that is older than what is
        known. Only the message and its status are proved, so the report of the update has nothing else.

        Call it on the event loop of the watch.

        Example:
            >>> from smsc_async.callbacks import StatusPush
            >>> sent = await client.send("+79000001001", "Your code is 4821")  # the sandbox never delivers it
            >>> async with client.watch(sent) as updates:
            ...     async for update in updates:
            ...         print(update.status.phrase, update.source)
            ...         updates.notify(StatusPush(ref=sent.ref, status=1))
            waiting to be sent poll
            delivered push

        Args:
            push: What `Callbacks.unwrap` returned.

        Raises:
            ValueError: It is not a `StatusPush`.
        """
        check_push(push)
        now, is_last = self._clock.now(), push.is_final and not self._confirm_pushes
        for key in self._registry.keys(push.ref):
            if not self._updates.pushed(key, push.status, now, is_last=is_last):
                continue
            if is_last:
                self._late.discard(key)
                self._delivered(DeliveryReport(ref=self._registry.ref(key), status=push.status))
            elif push.is_final:
                self._plan.hint(key, now)
                self._wake()

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise RuntimeError("a watch can be entered only once; start another one with its `unfinished`")
        self._on_progress = self._progress.__enter__()
        self._offset = self._updates.offset = unix_time(self._clock) - self._clock.now()
        self._group = await anyio.create_task_group().__aenter__()
        self._group.start_soon(self._run)
        self._entered.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._group is not None  # noqa: S101 - entered
        self._is_over = True
        self._progress.__exit__(None, None, None)
        self._entered.discard(self)
        # Not the group's own scope: the task that leaves the block would be cancelled too, and debuggers and coverage
        # lose sight of tasks that are woken by an exception.
        self._scope.cancel()
        if error is None or isinstance(error, anyio.get_cancelled_exc_class()):
            return await self._group.__aexit__(kind, error, traceback)
        # An exception of the block is raised unchanged, not in an exception group.
        await self._group.__aexit__(None, None, None)
        return None

    def __aiter__(self) -> AsyncIterator[Update]:
        return self

    async def __anext__(self) -> Update:
        if self._group is None or self._is_over:
            raise RuntimeError("updates can be taken only inside the `async with` block of the watch")
        await checkpoint()
        self._expire()
        while not self._updates:
            if self._error is not None:
                raise self._error from None
            if self._fed and not len(self._registry):
                raise StopAsyncIteration
            await self._rest(self._expiries.next_at() - self._offset)
            self._expire()
        # No await from here on, so that no update is lost if the consumer is cancelled.
        if self._updates.first().is_last and self._on_progress is not None:
            self._on_progress(self.done + 1, self.total)  # if it raises, the update stays in the queue
        return self._updates.take()


async def last_report(watcher: Watcher) -> DeliveryReport:
    """Return the final report of the only message of a watch; see `Client.wait_delivered`."""
    async with watcher:
        async for update in watcher:
            if update.error is not None:
                raise update.error
            if update.report is not None and update.is_last:
                return update.report
    raise TimeoutError("the message is still pending")
