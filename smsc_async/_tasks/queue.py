"""A taskiq stream whose tasks end only with a saved result: later again, handed back, or acknowledged.

What is relied on of taskiq-redis, and what has to be made up for, stands in `smsc_async.taskiq`.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn, TypeVar

from redis.asyncio import Redis
from redis.exceptions import LockError, RedisError
from taskiq import AsyncTaskiqTask, BrokerMessage, Context, TaskiqDepends, TaskiqMessage, TaskiqMiddleware, TaskiqResult
from taskiq.acks import AcknowledgeType
from taskiq.exceptions import NoResultError, SendTaskError
from taskiq_redis import RedisStreamBroker

__all__ = ["Delivery", "Queue", "check_broker"]

_log = logging.getLogger("smsc_async")
T = TypeVar("T")

_FROM_THE_BEGINNING: Final = frozenset({"0", "0-0"})
_LOOK_EVERY: Final = 1.0
_MOVES: Final = 100
_MOVES_WITHIN: Final = 5.0
# A task that has just been queued may have failed and wait again, in the same bytes, before this is said of it.
_NO_LONGER_DUE: Final = """
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if due and tonumber(due) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return 0
"""
# Of the delivery that the running asyncio task handles: what is to be done when its result is saved.
_when_saved: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("_when_saved", default=None)


def check_broker(broker: object, lease: float) -> None:
    """Check that the broker delivers each task until it is done, and no sooner again than its lease has ended.

    Raises:
        TypeError: Brokers of this kind lose tasks.
        ValueError: One with these settings does.
    """
    if not isinstance(broker, RedisStreamBroker):
        raise TypeError(
            f"{type(broker).__name__} loses the task of a killed worker; use taskiq_redis.RedisStreamBroker, which "
            "acknowledges and delivers again"
        )
    if broker.maxlen is not None:
        raise ValueError("maxlen drops the oldest tasks, done or not; leave it out, what is done is trimmed anyway")
    if broker.consumer_id not in _FROM_THE_BEGINNING:
        raise ValueError('what is queued before the group of workers exists would be lost; pass consumer_id="0"')
    if broker.idle_timeout / 1000 <= lease:
        raise ValueError(
            f"idle_timeout={broker.idle_timeout} ms has to be longer than the lease of a task, {lease:g} s: another "
            "worker would get it while the first may still send; raise it, or lower deadline or late_arrival"
        )


class _AcknowledgeWhenSaved(TaskiqMiddleware):
    """Acknowledges a task that is done when its result is saved.

    taskiq itself would acknowledge a task that was cancelled, and one whose result could not be saved.
    """

    async def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:  # noqa: ARG002 - taskiq's
        """Do it."""
        acknowledge = _when_saved.get()
        if acknowledge is not None:
            _when_saved.set(None)
            await acknowledge()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A task as a worker got it.

    Attributes:
        arguments: What was queued, as JSON has it.
        context: Of taskiq.
        postpone: Keeps a message for so many seconds outside of the stream.
    """

    arguments: Mapping[str, Any]
    context: Context
    postpone: Callable[[bytes, float], Awaitable[None]]

    @property
    def ticket(self) -> str:
        """What all copies of this task have in common."""
        return self.context.message.task_id

    def done(self, *then: Callable[[], Awaitable[object]]) -> None:
        """Let the task end when the result that is about to be returned is saved, and do these things in order.

        The last of them follows the acknowledgement, the others come before it.
        """
        *before, after = then or (_pass,)

        async def acknowledge() -> None:
            for each in (*before, self.context.ack, after):
                await each()

        _when_saved.set(acknowledge)

    async def drop(self) -> NoReturn:
        """Let go of a copy of a task that has ended."""
        await self.context.ack()
        raise NoResultError

    async def again(self, pause: float, **changes: Any) -> NoReturn:
        """Queue the task once more, for so many seconds later, with some of its arguments changed."""
        message = self.context.message
        message.kwargs["arguments"] = {**self.arguments, **changes}
        await self.postpone(self.context.broker.formatter.dumps(message).message, pause)
        # In this order: a worker that is killed in between leaves two of them, and the claims know which came first.
        await self.context.ack()
        raise NoResultError


class Queue:
    """The tasks in one stream.

    What has to wait does so in a sorted set beside the stream, so that it keeps no worker from other tasks.

    Args:
        broker: The stream; see `check_broker`.
        prefix: What the names of the tasks and keys start with.
    """

    def __init__(self, broker: RedisStreamBroker, prefix: str) -> None:
        self._broker = broker
        self._prefix = prefix
        self._redis = Redis(connection_pool=broker.connection_pool)
        self._keeper: asyncio.Task[None] | None = None
        self._wake = broker.register_task(_nothing, f"{prefix}:wake")
        self._later = f"{prefix}:later:{{{broker.queue_name}}}"
        self._mover = self._redis.lock(f"{self._later}:mover", timeout=_MOVES_WITHIN, blocking=False)
        self._no_longer_due = self._redis.register_script(_NO_LONGER_DUE)
        broker.add_middlewares(_AcknowledgeWhenSaved())

    def register(self, name: str, work: Callable[[Delivery], Awaitable[T]], result: type[T]) -> None:
        """Make a task of a function, under a name."""

        async def handle(arguments: dict[str, Any], context: Annotated[Context, TaskiqDepends()]) -> T:
            _when_saved.set(None)
            delivery = Delivery(arguments, context, self._postpone)
            try:
                return await work(delivery)
            except RedisError as error:
                _log.warning("a task is handed back to the queue: Redis failed (%s)", type(error).__name__)
            except asyncio.CancelledError:
                _log.warning("a task is handed back to the queue: the worker ends")
            # Without a result there is no acknowledgement, so that it is delivered again.
            raise NoResultError

        handle.__annotations__["return"] = result
        self._broker.register_task(handle, f"{self._prefix}:{name}", ack_type=AcknowledgeType.MANUAL.value)

    async def put(self, name: str, arguments: Mapping[str, Any]) -> AsyncTaskiqTask[Any]:
        """Queue a task.

        Raises:
            taskiq.exceptions.SendTaskError: Redis has not confirmed it.
        """
        task = self._broker.local_task_registry[f"{self._prefix}:{name}"]
        return await task.kiq(arguments=dict(arguments))

    def start(self) -> None:
        """Look after the stream from here on, in a worker."""
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="smsc_async: keep the queue")

    async def stop(self) -> None:
        """End that."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def tend(self) -> None:
        """Queue what is due, trim what is done, and wake a worker if a task waits to be delivered again."""
        await self._move()
        await self._trim()
        stream, group, idle = self._broker.queue_name, self._broker.consumer_group_name, self._broker.idle_timeout
        if await self._redis.xpending_range(stream, group, "-", "+", 1, idle=idle):
            await self._wake.kiq()

    async def _postpone(self, message: bytes, pause: float) -> None:
        await self._redis.zadd(self._later, {message: time.time() + pause})

    async def _move(self) -> None:
        """Queue the tasks that are due; two that do it at once make copies, which the claims tell apart."""
        if not await self._mover.acquire():
            return
        due: list[Any] = await self._redis.zrange(
            self._later, "-inf", time.time(), byscore=True, offset=0, num=_MOVES, withscores=True
        )
        for message, since in due:
            # Its name and labels are in the message; this broker sends nothing else.
            await self._broker.kick(BrokerMessage(task_id="", task_name="", message=message, labels={}))
            await self._no_longer_due([self._later], [message, repr(since)])
        with suppress(LockError):  # it took so long that another one does it
            await self._mover.release()

    async def _trim(self) -> None:
        """Drop what all groups have done with: it holds phones and texts, and Redis would keep it for ever."""
        bounds = []
        for group in await self._redis.xinfo_groups(self._broker.queue_name):
            pending = await self._redis.xpending(self._broker.queue_name, group["name"]) if group["pending"] else {}
            bounds.append(pending.get("min") or group["last-delivered-id"])
        if bounds:
            await self._redis.xtrim(self._broker.queue_name, minid=min(bounds, key=_entry), approximate=False)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            try:
                await self.tend()
            except RedisError as error:
                _log.warning("the queue could not be looked after (%s); later again", type(error).__name__)
            except SendTaskError:
                _log.warning("no worker could be woken; later again")


async def _pass() -> None:
    """Do nothing."""


async def _nothing() -> NoReturn:
    # That it was fetched is all: who fetches takes over what others have left.
    raise NoResultError


def _entry(id: bytes) -> tuple[int, int]:  # noqa: A002 - Redis's own word
    milliseconds, _, number = id.decode().partition("-")
    return int(milliseconds), int(number)
