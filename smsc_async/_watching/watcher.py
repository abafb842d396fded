"""Watching messages until their status is final: the task group that makes the requests a `Plan` chooses."""

import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Final, Self, TypeAlias

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from smsc_async._clock import Clock, unix_time
from smsc_async._frames import forget_own_frames, without_arguments
from smsc_async._model import (
    AnyRef,
    ClientClosed,
    DeliveryReport,
    GetStatus,
    OnProgress,
    Scope,
    SmscError,
    StatusPush,
    refs_of,
)

from .plan import Plan
from .registry import Expiries, Registry, Source, Unfinished, Update, Watched, source_of, watched
from .updates import Updates, check_push

__all__ = ["Watcher", "last_report"]

_FED_AT_ONCE: Final = 100
# A shorter pause may be lost to rounding when it is added to a time.
_SHORTEST_PAUSE: Final = 0.001
_NO_PROGRESS: Final = nullcontext[OnProgress | None](None)

Ask: TypeAlias = Callable[[GetStatus], Awaitable[DeliveryReport]]
"""Requests one status, once."""


class Watcher:
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

    def __init__(
        self,
        ask: Ask,
        source: Source,
        *,
        workers: int,
        plan: Plan,
        lost_lasts: float,
        timeout: float | None,
        grace: float,
        clock: Clock,
        entered: "set[Watcher]",
        delivered: Callable[[DeliveryReport], object],
        confirm_pushes: bool = False,
        closed: Callable[[], Awaitable[None]] = anyio.sleep_forever,
        progress: AbstractContextManager[OnProgress | None] = _NO_PROGRESS,
    ) -> None:
        self._ask = ask
        self._source = source_of(source)
        self._workers = workers
        self._clock = clock
        self._confirm_pushes = confirm_pushes
        self._entered = entered
        self._delivered = delivered
        self._closed = closed
        self._progress = progress
        self._on_progress: OnProgress | None = None
        self._registry = Registry()
        self._plan = plan
        self._updates = Updates(
            self._registry, plan, workers=workers, lost_lasts=lost_lasts, grace=grace, wake=self._wake
        )
        self._expiries = Expiries(self._registry, timeout)
        self._late: set[int] = set()  # expired before this watch began: each is requested once before it expires
        self._news = anyio.Event()
        self._group: TaskGroup | None = None
        self._scope = anyio.CancelScope()
        self._worker_count = 1
        self._error: Exception | None = None
        self._fed = False
        self._is_over = False
        self._offset = 0.0

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
        """Request this message first, because it may have changed. A message that isn't watched is ignored."""
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

    async def _run(self) -> None:
        with self._scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._feed)
                tasks.start_soon(self._work, tasks)
                try:
                    await self._closed()
                except ClientClosed as error:
                    self._end(error)

    async def _feed(self) -> None:
        """Add the messages of the source, which may still be producing them."""
        try:
            if isinstance(self._source, AsyncIterable):
                async for message in self._source:
                    self._enter(message, self._clock.now())
                    self._wake()
            else:
                for number, message in enumerate(self._source, 1):
                    self._enter(message, self._clock.now())
                    if not number % _FED_AT_ONCE:  # a long list must not block the event loop
                        self._wake()
                        await checkpoint()
        except Exception as error:  # noqa: BLE001 - raised to the consumer
            self._end(forget_own_frames(error))
        self._fed = True
        self._wake()

    def _enter(self, message: Watched, now: float) -> None:
        for ref, since, status in watched(message, now + self._offset):
            key = self._registry.add(ref, since, status)
            if key is None:
                continue
            self._plan.add(key, now, sent_at=min(since - self._offset, now))
            if self._expiries.is_over(key, now + self._offset):
                self._late.add(key)
            else:
                self._expiries.add(key)

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    def _end(self, error: Exception) -> None:
        """Stop requesting; the first error is the one that is raised."""
        self._error = self._error or error
        self._wake()

    async def _work(self, tasks: TaskGroup) -> None:
        """Request one message at a time, as long as the watch lasts."""
        try:
            while self._error is None:
                now, has_room = self._clock.now(), self._updates.has_room
                key = self._plan.pick(now) if has_room else None
                if key is None:
                    await self._rest(self._plan.next_at(now) if has_room else math.inf)
                else:
                    pause = await self._ask_for(key)
                    if pause:
                        await self._clock.sleep_until(self._clock.now() + pause)
                    else:
                        self._add_worker(tasks)
        except Exception as error:  # noqa: BLE001 - raised to the consumer
            self._end(error)

    def _add_worker(self, tasks: TaskGroup) -> None:
        """Add a worker, if there is a message for it.

        The first worker is alone until it has an answer: with wrong credentials all would fail at once, and five
        failures block the IP address.
        """
        if self._error is None and self._worker_count < min(self._workers, len(self._plan)):
            self._worker_count += 1
            tasks.start_soon(self._work, tasks)

    async def _rest(self, until: float) -> None:
        """Wait until this time, or until something has happened."""
        with self._clock.deadline(max(until, self._clock.now() + _SHORTEST_PAUSE)):
            await self._news.wait()

    async def _ask_for(self, key: int) -> float:
        """Request a status; return the seconds for which the request may still occupy its worker's slot."""
        start, ref = self._clock.now(), self._registry.ref(key)
        self._registry.hold(key)
        self._updates.asked(key)
        try:
            report = await self._ask(GetStatus(ref=ref))
        except SmscError as error:
            lost = self._updates.failed(key, ref, error, self._clock.now())
            if error.scope is Scope.ALL:
                self._end(error)
            return lost
        else:
            self._updates.answered(key, report, start, self._clock.now())
            return 0.0
        finally:
            if key in self._late and self._error is None:  # if the watch has ended, the next one requests it
                self._late.remove(key)
                self._expiries.add(key)
                self._wake()
            self._registry.release(key)

    def _expire(self) -> None:
        """Hand over an update for each expired message, while there is room."""
        while self._updates.has_room:
            key = self._expiries.pop(self._clock.now() + self._offset)
            if key is None:
                return
            self._updates.expired(key)


async def last_report(watcher: Watcher) -> DeliveryReport:
    """Return the final report of the only message of a watch; see `Client.wait_delivered`."""
    async with watcher:
        async for update in watcher:
            if update.error is not None:
                raise update.error
            if update.report is not None and update.is_last:
                return update.report
    raise TimeoutError("the message is still pending")
