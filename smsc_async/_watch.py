"""Following messages to their end: the task group that does what the plan of `_polling` says."""

import math
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from heapq import heappop, heappush
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from ._exceptions import (
    AddressBlocked,
    AuthenticationFailed,
    BreakerOpen,
    InvalidParameters,
    MessageNotFound,
    SmscError,
)
from ._followed import Book, Pending, Update, utc
from ._operations import GetStatus
from ._polling import Plan
from ._results import DeliveryReport
from ._types import MessageRef

__all__ = ["Source", "Watcher", "last_report"]

_BUFFER: Final = 64
_FED_AT_ONCE: Final = 1_000
_PACE: Final = 0.05
# Below this the sum of an instant and a pause may be the instant itself.
_SHORTEST_PAUSE: Final = 0.001
# With these, nothing that is asked later would be answered.
_ENDS_ALL: Final = (AuthenticationFailed, AddressBlocked, BreakerOpen)
# These will be answered the same next time.
_NO_USE_ASKING: Final = (MessageNotFound, InvalidParameters)


Followed: TypeAlias = MessageRef | Pending
Source: TypeAlias = Iterable[Followed] | AsyncIterable[Followed]


class Ask(Protocol):
    """Asks for one status."""

    async def __call__(self, operation: GetStatus, /) -> DeliveryReport:
        """Do it."""


class Watcher:
    """A watch over the delivery of messages: `async with` it, and take its updates with `async for`.

    Asks a few at a time, each message when its answer is most likely new. One update for each change of a status, and
    a last one for each message: decided, expired, or an error that will not go away. Errors about one message are
    updates about it; wrong credentials or an open breaker end the watch with that error. Whoever takes the updates
    slowly slows the asking. Leaving the block ends everything.

    Args:
        ask: Asks for one status.
        source: The messages, and what an earlier watch left in `pending`; may go on while watching.
        workers: How many are asked for at once.
        timeout: Seconds after which an undecided message has expired, None for never.
        grace: Seconds in which a message may be unknown to the service.
        price: How many seconds of delay between a decision and its update a request is worth.
    """

    def __init__(
        self,
        ask: Ask,
        source: Source,
        *,
        workers: int,
        timeout: float | None,
        grace: float,
        price: float,
    ) -> None:
        self._ask = ask
        self._source = source
        self._workers = workers
        self._timeout = math.inf if timeout is None else timeout
        self._grace = grace
        self._book = Book()
        self._plan = Plan(price=price)
        self._expiries: list[tuple[float, int]] = []
        self._group: TaskGroup | None = None
        self._news = anyio.Event()
        self._error: Exception | None = None
        self._took = 0.0
        self._fed = False
        self._offset = 0.0
        self._send: MemoryObjectSendStream[tuple[int, Update]] | None = None
        self._receive: MemoryObjectReceiveStream[tuple[int, Update]] | None = None
        self._done = 0

    @property
    def pending(self) -> list[Pending]:
        """The messages whose last update was not taken, for a later watch; plain data."""
        return self._book.pending()

    @property
    def total(self) -> int:
        """How many messages have been watched so far."""
        return len(self._book)

    @property
    def done(self) -> int:
        """How many of them have had their last update."""
        return self._done

    def add(self, *messages: Followed) -> None:
        """Watch more messages; one that is watched already is not watched twice.

        Raises:
            RuntimeError: The watch has not begun or has ended.
        """
        if self._group is None:
            raise RuntimeError("a watch takes messages inside its `async with`")
        now = anyio.current_time()
        for message in messages:
            self._enter(message, now)
        self._wake()

    def hint(self, ref: MessageRef) -> None:
        """Ask for this message first: somebody has heard that it has changed. One that isn't watched is ignored."""
        key = self._book.key(ref)
        if key is not None:
            self._plan.hint(key, anyio.current_time())
            self._wake()

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise RuntimeError("a watch is entered once; make another one of its `pending`")
        self._send, self._receive = anyio.create_memory_object_stream[tuple[int, Update]](_BUFFER)
        self._offset = time.time() - anyio.current_time()
        self._group = await anyio.create_task_group().__aenter__()
        self._group.start_soon(self._feed)
        self._group.start_soon(self._watch_over)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._group is not None  # noqa: S101 - entered
        assert self._receive is not None  # noqa: S101 - entered
        self._group.cancel_scope.cancel()
        self._receive.close()
        if error is None or isinstance(error, anyio.get_cancelled_exc_class()):
            return await self._group.__aexit__(kind, error, traceback)
        # What was raised inside the block comes out as it is, not in a group.
        await self._group.__aexit__(None, None, None)
        return None

    def __aiter__(self) -> AsyncIterator[Update]:
        return self

    async def __anext__(self) -> Update:
        if self._receive is None:
            raise RuntimeError("a watch gives updates inside its `async with`")
        try:
            key, update = await self._receive.receive()
        except anyio.EndOfStream:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None
        self._book.take(key, update)
        self._done += update.is_last
        return update

    async def _feed(self) -> None:
        """Take the messages of the source, which may take its time."""
        try:
            if isinstance(self._source, AsyncIterable):
                async for message in self._source:
                    self._enter(message, anyio.current_time())
                    self._wake()
            else:
                for number, message in enumerate(self._source, 1):
                    self._enter(message, anyio.current_time())
                    if not number % _FED_AT_ONCE:  # a long list must not keep the event loop
                        self._wake()
                        await anyio.lowlevel.checkpoint()
        except Exception as error:  # noqa: BLE001 - whoever takes the updates gets it
            self._error = error
        self._fed = True
        self._wake()

    def _enter(self, message: Followed, now: float) -> None:
        pending = message if isinstance(message, Pending) else Pending(ref=message, since=utc(now + self._offset))
        since = pending.since.timestamp()
        key = self._book.add(pending.ref, since, pending.status)
        if key is not None:
            self._plan.add(key, now, sent_at=min(since - self._offset, now))
            heappush(self._expiries, (since - self._offset + self._timeout, key))

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def _watch_over(self) -> None:
        """Let the workers ask until nothing is left to ask."""
        assert self._send is not None  # noqa: S101 - entered
        async with self._send, anyio.create_task_group() as workers:
            for _ in range(self._workers):
                workers.start_soon(self._work, workers.cancel_scope)

    async def _work(self, everything: anyio.CancelScope) -> None:
        while True:
            await self._expire()
            if self._error is not None:
                everything.cancel()
                return
            if self._fed and not len(self._plan):
                self._wake()  # the others have nothing to do either
                return
            now = anyio.current_time()
            key = self._plan.pick(now)
            if key is None:
                news = self._news
                until = min(self._plan.next_at(now), self._expiries[0][0] if self._expiries else math.inf)
                with anyio.move_on_after(max(until - now, _SHORTEST_PAUSE)):
                    await news.wait()
                continue
            await self._ask_for(key)

    async def _ask_for(self, key: int) -> None:
        start = anyio.current_time()
        ref = self._book.ref(key)
        try:
            report = await self._ask(GetStatus(ref=ref))
        except _ENDS_ALL as error:
            self._plan.failed(key, anyio.current_time())
            self._error = error
            self._wake()
        except _NO_USE_ASKING as error:
            now = anyio.current_time()
            young = isinstance(error, MessageNotFound) and now + self._offset < self._book.since(key) + self._grace
            self._plan.answered(key, now, decided=not young)
            if not young:
                await self._tell(key, Update(ref, error=error, is_last=True))
        except SmscError:
            self._plan.failed(key, anyio.current_time())
        else:
            now = anyio.current_time()
            # As many at once, each as long as lately, is what can be had in a second.
            self._took += (now - start - self._took) * (_PACE if self._took else 1.0)
            self._plan.capacity(self._workers / self._took if self._took else 0.0)
            changed = self._book.is_news(key, int(report.status))
            at = None if report.changed_at is None else report.changed_at.timestamp() - self._offset
            self._plan.answered(key, now, decided=report.is_decided, changed=changed, decided_at=at)
            if changed or report.is_decided:
                await self._tell(key, Update(ref, report, is_last=report.is_decided))

    async def _expire(self) -> None:
        """Tell of the messages whose time is over."""
        while self._expiries and self._expiries[0][0] <= anyio.current_time():
            _, key = heappop(self._expiries)
            self._plan.remove(key)
            await self._tell(key, Update(self._book.ref(key), expired=True, is_last=True))

    async def _tell(self, key: int, update: Update) -> None:
        """Hand an update on, when there is room; a message that has had its last one gets no more."""
        assert self._send is not None  # noqa: S101 - entered
        if self._book.tell(key, update):
            await self._send.send((key, update))


async def last_report(watcher: Watcher) -> DeliveryReport:
    """Return how the delivery of the one message of a watch was decided; see `Client.wait_delivered`."""
    async with watcher:
        async for update in watcher:
            if update.error is not None:
                raise update.error
            if update.report is not None and update.is_last:
                return update.report
    raise TimeoutError("the delivery is not decided yet")
