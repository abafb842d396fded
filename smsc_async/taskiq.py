"""Sends as tasks of taskiq: a worker may be killed at any moment, and each message is still accepted exactly once.

    broker = RedisStreamBroker(url, consumer_id="0", idle_timeout=60_000).with_result_backend(...)
    tasks = SmscTasks(broker, lambda guards: Client(guards=guards))
    await tasks.send("+79991234567", "Hello")

For asyncio only, as taskiq and redis-py are. The guards of all workers share the broker's Redis.

A message gets its id when it is queued, and all deliveries of its task bear it. A worker notes the time, then claims
the task in Redis: for `lease` seconds it is the only one, and it learns whether another one may have sent the message
before. If so, the service is asked first (`attempt=2`). It never posts later than `deadline` seconds after the noted
time, however long it was held up in between, so: idle time-out of the engine > lease > deadline + margin. A task is
acknowledged when its result is saved and no sooner, whatever the worker was told; else it is delivered again.

Of taskiq-redis (1.2.4) this relies on: a stream entry that was delivered and not acknowledged stays pending, and who
fetches entries also takes over those that have been pending for `idle_timeout`, in one transaction. That happens only
after new entries were fetched, so each worker looks for stale ones itself and queues an empty task to wake the others.
`maxlen` drops entries that nobody has read, and a group that begins at `$` never sees what was queued before it: both
are refused. A worker that doesn't know a task acknowledges and drops it: let no other workers read this queue.

What remains assumed:

* A process that is stopped exactly between its last look at the clock and the write of the request is stopped for less
  than `2 * late_arrival + 5` seconds, and machines are not suspended: their monotonic clocks stand still meanwhile.
* Redis loses neither the stream nor the claims: `appendonly yes`, `appendfsync always`, `maxmemory-policy noeviction`.
  If it loses the claims alone, a task that is delivered again may be sent again.
* Nobody else uses the ids.
"""

import math
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal, Unpack

import anyio
from pydantic import SecretStr, TypeAdapter
from pydantic_core import to_jsonable_python

from ._client import Client
from ._model import (
    Channel,
    Message,
    MessageRef,
    Outcome,
    QueryOptions,
    Schedule,
    Send,
    SendList,
    Sms,
    SmscError,
    UnresolvedSend,
    is_group,
)
from ._sending import Chunker, goes_with, to_send
from .guards import Guards, Rules

try:
    from redis.asyncio import Redis
    from taskiq import AsyncTaskiqTask, TaskiqEvents, TaskiqState
    from taskiq_redis import RedisStreamBroker

    from ._tasks import (
        Busy,
        Claim,
        Claims,
        Delivery,
        Failure,
        Followed,
        FollowResult,
        Over,
        Queue,
        SendResult,
        check_broker,
        end_of,
        pause_after,
    )
    from .guards import RedisStore
except ModuleNotFoundError as error:  # pragma: no cover - tested in a process of its own, without the extra
    if error.name is None or error.name.partition(".")[0] not in {"redis", "taskiq", "taskiq_redis"}:
        raise
    raise ModuleNotFoundError(
        "tasks need an extra package: pip install 'smsc-async[taskiq]'", name=error.name
    ) from None

__all__ = ["Failure", "FollowResult", "Followed", "SendResult", "SmscTasks"]

_DAY: Final = 86_400.0
_SLACK: Final = 5.0
"""Seconds that a lease in the guards' Redis lasts beside deadline and `late_arrival`; see `RedisStore`."""
_RULES: Final = Rules()
_SMS: Final = Sms()
_OPERATION: Final[TypeAdapter[Send | SendList]] = TypeAdapter(Send | SendList)
_MOST_REFS: Final = 100
_GRACE: Final = 30.0
"""Seconds for which the service may not know a message yet."""
_PACE: Final = 0.1
"""Which part of a message's age passes between two questions, so that no answer is much older than it has to be."""
_SHORTEST_DEADLINE: Final = 0.001
_SHORTEST_ROUND: Final = 15.0
_LONGEST_ROUND: Final = 600.0


def _plain_client(guards: Guards) -> Client:
    return Client(guards=guards)


class SmscTasks:
    """The tasks send, batch and follow of one broker; make it in the module that your workers import.

    Each worker process makes one client when it starts. A task that can't be done yet (a guard refuses it, the network
    is down, its answer is lost) is queued again for later, at most `tries` times, and then ends with a result that
    says why. A message whose fate is unknown is never sent again before the service was asked.

    Args:
        broker: A `RedisStreamBroker` with `consumer_id="0"`, without `maxlen`, with an `idle_timeout` longer than the
            lease: `deadline` + `late_arrival` + 5 s. Acknowledged tasks are trimmed from its stream.
        client: Makes the client of a worker, over these guards.
        deadline: Seconds in which a worker does a send, or gives it up for the moment.
        tries: How often a task is taken up before it ends without success.
        rules: Of the guards.
        margin: Of the guards.
        late_arrival: Of the guards.
        salt: A secret of the deployment for the keys of the guards; see `RedisStore`.
        prefix: What the names of the tasks and of all keys in Redis start with.
        batch_size: The most messages in one request of `send_batch`. Those of a killed worker count as bad ones until
            another send is accepted, and 100 bad ones in a row block an address: so several have to fit.

    Raises:
        TypeError: The broker is of a kind that loses the task of a killed worker.
        ValueError: Its settings lose tasks or could send twice, or a number is out of range.
    """

    def __init__(
        self,
        broker: RedisStreamBroker,
        client: Callable[[Guards], Client] = _plain_client,
        *,
        deadline: float = 30.0,
        tries: int = 50,
        rules: Rules = _RULES,
        margin: float = 1.2,
        late_arrival: float = 5.0,
        salt: str | bytes | SecretStr | None = None,
        prefix: str = "smsc",
        batch_size: int = 24,
    ) -> None:
        if not 0 < deadline < math.inf or tries < 1 or batch_size < 1:
            raise ValueError("deadline is more than 0, tries and batch_size are 1 or more")
        if not margin < late_arrival + _SLACK:
            raise ValueError(
                "the lease of a task has to outlast deadline + margin: margin is less than late_arrival + 5"
            )
        lease = deadline + late_arrival + _SLACK
        check_broker(broker, lease)
        self._make_client = client
        self._deadline = deadline
        self._tries = tries
        # To settle a doubt takes up to two statuses of one message, and the service allows so many in so many seconds.
        self._reconciling_pause = 2 * (rules.status.seconds + margin) / rules.status.count
        self._batch_size = batch_size
        redis = Redis(connection_pool=broker.connection_pool)
        store = RedisStore(redis, prefix=prefix, salt=salt, max_hold=deadline, late_arrival=late_arrival)
        self._guards = Guards(store, rules=rules, margin=margin, late_arrival=late_arrival)
        self._client: Client | None = None
        self._claims = Claims(redis, prefix, lease)
        self._queue = Queue(broker, prefix)
        self._queue.register("send", self._send, SendResult)
        self._queue.register("follow", self._follow, FollowResult)
        broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, self._start)
        broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, self._stop)

    async def send(
        self,
        to: str | Iterable[str],
        text: str | None = None,
        *,
        id: str | int | None = None,  # noqa: A002 - the service's own word
        sender: str | None = None,
        at: Schedule | datetime | None = None,
        via: Channel = _SMS,
        cost: Literal[2, 3] | None = None,
        **options: Unpack[QueryOptions],
    ) -> AsyncTaskiqTask[SendResult]:
        """Queue one text to one or many recipients; the arguments are those of `Client.send`.

        Queued twice with the same `id` it is sent once, so give one if you may have to repeat this call. It is a
        promise that nobody else uses that id.

        Raises:
            ValueError: An argument is wrong; nothing was queued.
            taskiq.exceptions.SendTaskError: Redis has not confirmed it, so nobody knows whether it was queued.
        """
        arguments = {"to": to, "text": text, "id": id, "sender": sender, "at": at, "via": via, "cost": cost, **options}
        return await self._put(Send.model_validate(arguments))

    async def send_batch(
        self,
        messages: Iterable[Message],
        *,
        sender: str | None = None,
        at: Schedule | datetime | None = None,
        via: Channel = _SMS,
        cost: Literal[2, 3] | None = None,
        **options: Unpack[QueryOptions],
    ) -> AsyncGenerator[AsyncTaskiqTask[SendResult], None]:
        """Queue a message of its own to each recipient; yield one task for each request, when it is queued.

        The arguments are those of `Client.send_batch`.

        Raises:
            ValueError: An argument or a message is wrong; earlier tasks are queued.
            taskiq.exceptions.SendTaskError: Redis has not confirmed one, so nobody knows whether it was queued.
        """
        arguments = {"sender": sender, "at": at, "via": via, "cost": cost, **options}
        chunker = Chunker(self._batch_size, partial(goes_with, to_send, options=arguments))
        for message in messages:
            for chunk in chunker.add(message):
                yield await self._put(to_send(chunk, arguments))
        for chunk in chunker.rest():
            yield await self._put(to_send(chunk, arguments))

    async def follow(
        self, refs: Iterable[MessageRef], *, timeout: float | None = _DAY
    ) -> AsyncTaskiqTask[FollowResult]:
        """Queue the following of up to 100 messages until the delivery of each is decided, or for so many seconds.

        Raises:
            ValueError: There are more.
            taskiq.exceptions.SendTaskError: Redis has not confirmed it.
        """
        names = [str(ref) for ref in refs]
        if len(names) > _MOST_REFS:
            raise ValueError(f"one task follows at most {_MOST_REFS} messages; divide them")
        return await self._queue.put("follow", {"refs": names, "ended": [], "since": time.time(), "timeout": timeout})

    async def _put(self, operation: Send | SendList) -> AsyncTaskiqTask[SendResult]:
        # The id is queued with the rest, so that each delivery of the task bears the same.
        fields = {**operation.model_dump(mode="json", exclude_unset=True), "id": operation.id}
        return await self._queue.put("send", fields)

    async def _start(self, _: TaskiqState) -> None:
        if self._client is None:  # taskiq starts a worker again that has lost Redis
            client = self._make_client(self._guards)
            if client.guards is not self._guards:
                await client.aclose()
                raise ValueError("the client has to be made over the guards it is given: Client(guards=guards)")
            self._client = client
        self._queue.start()

    async def _stop(self, _: TaskiqState) -> None:
        await self._queue.stop()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _send(self, delivery: Delivery) -> SendResult:
        """Take up a send once."""
        start = anyio.current_time()  # before the claim, or a worker held up in between could post after its lease
        try:
            operation = _OPERATION.validate_python(delivery.arguments)
        except ValueError:  # queued by another version of this package
            delivery.done()
            raise
        claim = await self._claims.take(operation.id, delivery.ticket)
        if isinstance(claim, Over):
            await delivery.drop()
        if isinstance(claim, Busy):
            await delivery.again(claim.retry_after)
        result = await self._take_up(delivery, operation, claim, start + self._deadline)
        end, forget = self._claims.end, self._claims.forget
        delivery.done(partial(end, operation.id, delivery.ticket), partial(forget, operation.id))
        return result

    async def _take_up(self, delivery: Delivery, operation: Send | SendList, claim: Claim, end: float) -> SendResult:
        client = self._worker_client()
        try:
            # `end` counts from before the claim, the deadline of a call from here.
            left = max(end - anyio.current_time(), _SHORTEST_DEADLINE)
            sent = await client.call(operation, deadline=left, attempt=1 + claim.unresolved, unique_id=True)
        except SmscError as error:
            pause = pause_after(error, claim.tries)
            if pause is not None and claim.tries < self._tries:
                unsent = not claim.unresolved and error.outcome is not Outcome.UNKNOWN
                await self._claims.give_back(claim, unsent=unsent)
                await delivery.again(pause if unsent else max(pause, self._reconciling_pause))
            # That this attempt has not sent it says nothing of the one before.
            known = error.outcome is Outcome.REJECTED or (error.outcome is Outcome.NOT_SENT and not claim.unresolved)
            unresolved = None if known else _unresolved(operation)
            return SendResult(id=operation.id, failure=Failure.of(error, unresolved), tries=claim.tries)
        except Exception as error:
            # A value that can't travel in XML won't by the next attempt either; the rest may be a passing defect.
            if isinstance(error, ValueError) or claim.tries >= self._tries:
                delivery.done()
            raise
        return SendResult(id=operation.id, sent=sent, tries=claim.tries)

    async def _follow(self, delivery: Delivery) -> FollowResult:
        """Ask once for each message whose delivery is undecided."""
        refs = [MessageRef.parse(each) for each in delivery.arguments["refs"]]
        ended = [Followed.model_validate(each) for each in delivery.arguments["ended"]]
        age = time.time() - delivery.arguments["since"]
        is_over = age >= (delivery.arguments["timeout"] or math.inf)
        left = []
        for ref, answer in zip(refs, await self._worker_client().statuses(refs), strict=True):
            end = end_of(ref, answer, is_young=age < _GRACE, is_over=is_over)
            if end is None:
                left.append(str(ref))
            else:
                ended.append(end)
        if left:
            pause = min(max(age * _PACE, _SHORTEST_ROUND), _LONGEST_ROUND)
            await delivery.again(pause, refs=left, ended=to_jsonable_python(ended))
        delivery.done()
        return FollowResult(messages=tuple(ended))

    def _worker_client(self) -> Client:
        assert self._client is not None  # noqa: S101 - taskiq starts a worker before it hands out tasks
        return self._client


def _unresolved(operation: Send | SendList) -> UnresolvedSend:
    groups = sum(map(is_group, operation.to)) if isinstance(operation, Send) else 0
    now = datetime.now(UTC)
    return UnresolvedSend(id=operation.id, refs=operation.refs(), groups=groups, is_own_id=True, began=now, failed=now)
