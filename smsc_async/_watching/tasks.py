"""The requests of a watch: the tasks that ask for the messages that a `Plan` chooses, and take new ones in."""

import math
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Self, TypeAlias

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from smsc_async._clock import Clock
from smsc_async._frames import forget_own_frames
from smsc_async._model import ClientClosed, DeliveryReport, GetStatus, OnProgress, Scope, SmscError

from .plan import Plan
from .registry import Expiries, Registry, Source, Watched, source_of, watched
from .updates import Updates

__all__ = ["WatchTasks"]

_FED_AT_ONCE: Final = 100
# A shorter pause may be lost to rounding when it is added to a time.
_SHORTEST_PAUSE: Final = 0.001
_NO_PROGRESS: Final = nullcontext[OnProgress | None](None)

Ask: TypeAlias = Callable[[GetStatus], Awaitable[DeliveryReport]]
"""Requests one status, once."""


class WatchTasks:
    """A watch without what its users call; see `Watcher` for the arguments."""

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
        entered: "set[Self]",
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
