"""A taskiq stream whose tasks are acknowledged when their result is saved, and otherwise postponed or redelivered.

`smsc_async.taskiq` documents which behaviour of taskiq-redis this relies on and what it works around.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NoReturn, TypeVar

from redis.asyncio import Redis
from redis.exceptions import LockError, RedisError
from taskiq import (
    AckableMessage,
    AsyncTaskiqTask,
    BrokerMessage,
    Context,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
)
from taskiq.acks import AcknowledgeType
from taskiq.exceptions import NoResultError, SendTaskError
from taskiq_redis import RedisStreamBroker

from smsc_async._frames import PrivateBytes, PrivateDict
from smsc_async._model import wrong

from .private import PrivateFormatter
from .tracing import continued, trace_labels

__all__ = ["Delivery", "Queue", "check_broker"]

_log = logging.getLogger("smsc_async")
T = TypeVar("T")

_FROM_THE_BEGINNING: Final = frozenset({"0", "0-0"})
_LOOK_EVERY: Final = 1.0
_MOVES: Final = 100
_MOVES_WITHIN: Final = 5.0
# Bytes of the arguments of a task when it is queued, and of an entry of the stream, which also holds names and labels.
_LARGEST_TASK: Final = 4_000_000
_LARGEST_ENTRY: Final = 2 * _LARGEST_TASK
# A task that has just been queued may fail and be postponed again, as the same bytes, before this script runs.
_NO_LONGER_DUE: Final = """
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if due and tonumber(due) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return 0
"""
# The callback of the current delivery, per asyncio task, that runs when its result is saved.
_when_saved: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("_when_saved", default=None)


def check_broker(broker: object, lease: float) -> None:
    """Check that the broker delivers each task until it is done, and not again before its lease has ended.

    Raises:
        ValueError: Brokers of this class or with these settings lose tasks, or could send twice.
    """
    if not isinstance(broker, RedisStreamBroker):
        raise wrong("broker", "a taskiq_redis.RedisStreamBroker, which keeps the task of a killed worker", broker)
    if broker.maxlen is not None:
        raise ValueError(
            "maxlen drops the oldest tasks even if they are not done; leave it out, completed tasks are trimmed anyway"
        )
    if broker.consumer_id not in _FROM_THE_BEGINNING:
        raise ValueError('tasks queued before the consumer group exists would be lost; pass consumer_id="0"')
    if broker.idle_timeout / 1000 <= lease:
        raise ValueError(
            f"idle_timeout={broker.idle_timeout} ms must be longer than the lease of a task, {lease:g} s, or another "
            "worker gets the task while the first may still send; raise it, or lower deadline or late_arrival"
        )


class _AcknowledgeWhenSaved(TaskiqMiddleware):
    """Acknowledges a completed task when its result is saved.

    taskiq itself would also acknowledge a task that was cancelled or whose result could not be saved.
    """

    async def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:  # noqa: ARG002 - taskiq's
        """Run the callback of the delivery, if there is one."""
        acknowledge = _when_saved.get()
        if acknowledge is not None:
            _when_saved.set(None)
            await acknowledge()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A task as a worker received it.

    Attributes:
        arguments: The queued arguments as plain JSON data.
        context: taskiq's context of the task.
        postpone: Keeps a message outside of the stream for a number of seconds.
    """

    arguments: Mapping[str, Any] = field(repr=False)
    context: Context
    postpone: Callable[[bytes, float], Awaitable[None]]

    @property
    def ticket(self) -> str:
        """The identifier that all copies of this task share."""
        return self.context.message.task_id

    def done(self, *then: Callable[[], Awaitable[object]]) -> None:
        """End the task when its result, which the caller returns next, is saved.

        Then all callbacks in `then` but the last run in order, the task is acknowledged, and the last one runs.
        """
        *before, after = then or (_pass,)

        async def acknowledge() -> None:
            for each in (*before, self.context.ack, after):
                await each()

        _when_saved.set(acknowledge)

    async def drop(self) -> NoReturn:
        """Acknowledge a copy of a task that has ended, without a result."""
        await self.context.ack()
        raise NoResultError

    async def again(self, pause: float, **changes: Any) -> NoReturn:
        """Queue the task again after `pause` seconds, with some of its arguments changed."""
        message = self.context.message
        message.kwargs["arguments"] = PrivateDict({**self.arguments, **changes})
        await self.postpone(self.context.broker.formatter.dumps(message).message, pause)
        # In this order: a worker killed in between leaves two copies, of which the claims let only one end.
        await self.context.ack()
        raise NoResultError


class Queue:
    """The tasks in one stream.

    Postponed tasks wait in a sorted set beside the stream, so that they do not occupy a worker.

    Args:
        broker: The stream; see `check_broker`.
        prefix: The prefix of the names of the tasks and keys.
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
        self._names: set[str] = set()
        broker.formatter = PrivateFormatter(broker.formatter)
        broker.add_middlewares(_AcknowledgeWhenSaved())
        broker.listen = self._listen  # type: ignore[method-assign]  # its own ends at an entry without data

    def register(self, name: str, work: Callable[[Delivery], Awaitable[T]], result: type[T]) -> None:
        """Register a function as a task under a name."""

        # taskiq would make a plain dict of `arguments` for any other annotation.
        async def handle(arguments: Any, context: Annotated[Context, TaskiqDepends()]) -> T:
            _when_saved.set(None)
            delivery = Delivery(arguments, context, self._postpone)
            try:
                with continued(context.message.labels):
                    return await work(delivery)
            except RedisError as error:
                _log.warning("a task is returned to the queue: Redis failed (%s)", type(error).__name__)
            except asyncio.CancelledError:
                _log.warning("a task is returned to the queue: the worker is shutting down")
            # Without a result the task is not acknowledged, so it is delivered again.
            raise NoResultError

        handle.__annotations__["return"] = result
        self._names.add(f"{self._prefix}:{name}")
        self._broker.register_task(handle, f"{self._prefix}:{name}", ack_type=AcknowledgeType.MANUAL.value)

    async def put(self, name: str, arguments: Mapping[str, Any], *, dated: bool = False) -> AsyncTaskiqTask[Any]:
        """Queue a task; a dated one gets the argument `since`, the time by the clock of Redis.

        Raises:
            ValueError: The arguments are too large.
            taskiq.exceptions.SendTaskError: Redis did not confirm it.
        """
        size = len(json.dumps(arguments))
        if size > _LARGEST_TASK:
            raise ValueError(
                f"a task of {size} bytes is too large, at most {_LARGEST_TASK} are allowed; nothing was queued: split "
                "its recipients or messages into several tasks"
            )
        task = self._broker.local_task_registry[f"{self._prefix}:{name}"]
        try:
            date = {"since": await self.now()} if dated else {}
        except RedisError as error:
            raise SendTaskError from error
        kicker = task.kicker().with_labels(**trace_labels())
        return await kicker.kiq(arguments=PrivateDict({**arguments, **date}))

    def start(self) -> None:
        """Start maintaining the stream in the background; for workers."""
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="smsc_async: keep the queue")

    async def stop(self) -> None:
        """Stop maintaining the stream."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def now(self) -> float:
        """Return the Unix time by the clock of Redis: those of the machines may differ, or be set."""
        whole, micro = await self._redis.time()
        return float(whole) + micro / 1e6

    async def tend(self) -> None:
        """Queue the tasks that are due, trim the completed ones, and wake a worker if a task is stale."""
        await self._move()
        await self._trim()
        stream, group, idle = self._broker.queue_name, self._broker.consumer_group_name, self._broker.idle_timeout
        if await self._redis.xpending_range(stream, group, "-", "+", 1, idle=idle):
            await self._wake.kiq()

    async def _listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Yield tasks as the broker's own `listen` does, without the entries that no worker can execute."""
        broker, group, name = self._broker, self._broker.consumer_group_name, self._broker.consumer_name
        new: Any = {broker.queue_name: ">", **broker.additional_streams}
        idle, most = broker.idle_timeout, broker.unacknowledged_batch_size
        while True:
            fetched: Any = await self._redis.xreadgroup(group, name, new, block=broker.block, count=broker.count)
            for stream, entries in fetched:
                for entry in entries:
                    if message := await self._read(stream, *entry):
                        yield message
            for stream in new if fetched else ():
                stale: Any = await self._redis.xautoclaim(stream, group, name, min_idle_time=idle, count=most)
                for entry in stale[1]:
                    if message := await self._read(stream, *entry):
                        yield message

    async def _read(self, stream: str, number: str, fields: Mapping[bytes, bytes] | None) -> AckableMessage | None:
        """Return the task of an entry; acknowledge an entry without a task, or it would be redelivered forever."""

        async def acknowledge() -> None:
            await self._redis.xack(stream, self._broker.consumer_group_name, number)

        data = (fields or {}).get(b"data", b"")
        fault = self._fault(data)
        if not fault:
            return AckableMessage(data=PrivateBytes(data), ack=acknowledge)
        _log.error("an entry of the queue was dropped: %s", fault)
        await acknowledge()
        return None

    def _fault(self, data: bytes) -> str:
        """Return why the data of an entry is not a task, in words that quote nothing of it; "" if it is one."""
        if not data:
            return "it has no data"
        if len(data) > _LARGEST_ENTRY:
            return f"it holds {len(data)} bytes, more than the {_LARGEST_ENTRY} of the largest task"
        try:
            message = self._broker.formatter.loads(data)
            message.parse_labels()
        except Exception as error:  # noqa: BLE001 - the entry may contain anything
            return f"it is not a task of taskiq ({type(error).__name__})"
        is_ours = message.task_name in self._names
        is_manual = message.labels.get("ack_type") == AcknowledgeType.MANUAL.value
        arguments = message.kwargs.get("arguments")
        if is_ours and not (
            is_manual and not message.args and len(message.kwargs) == 1 and isinstance(arguments, dict)
        ):
            return "it is a task of another version of this package"
        return ""

    async def _postpone(self, message: bytes, pause: float) -> None:
        await self._redis.zadd(self._later, {message: await self.now() + pause})

    async def _move(self) -> None:
        """Queue the tasks that are due; if two workers do this at once, the claims let only one copy run."""
        if not await self._mover.acquire():
            return
        due: list[Any] = await self._redis.zrange(
            self._later, "-inf", await self.now(), byscore=True, offset=0, num=_MOVES, withscores=True
        )
        for message, since in due:
            # The message contains its name and labels; this broker sends nothing else.
            await self._broker.kick(BrokerMessage(task_id="", task_name="", message=message, labels={}))
            await self._no_longer_due([self._later], [message, repr(since)])
        with suppress(LockError):  # it took so long that the lock expired and another worker took over
            await self._mover.release()

    async def _trim(self) -> None:
        """Delete the entries that all groups have completed, because they contain phones and texts."""
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
                _log.warning("the queue could not be maintained (%s); trying again later", type(error).__name__)
            except SendTaskError:
                _log.warning("no worker could be woken; trying again later")
            except Exception as error:  # noqa: BLE001 - without its keeper the queue would stall
                _log.error("the queue could not be maintained (%s); trying again later", type(error).__name__)


async def _pass() -> None:
    """Do nothing."""


async def _nothing() -> NoReturn:
    # Fetching it is enough: a worker that fetches entries also takes over stale ones.
    raise NoResultError


def _entry(id: bytes) -> tuple[int, int]:  # noqa: A002 - Redis's own word
    milliseconds, _, number = id.decode().partition("-")
    return int(milliseconds), int(number)
