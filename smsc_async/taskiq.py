"""Sending as taskiq tasks: a worker may be killed at any moment, and each message is still accepted exactly once.

    broker = RedisStreamBroker(url, consumer_id="0", idle_timeout=60_000).with_result_backend(...)
    tasks = SmscTasks(broker, lambda guards: Client(guards=guards))
    await tasks.send("+79991234567", "Hello")

For asyncio only, as taskiq and redis-py are. The guards of all workers share the broker's Redis.

A message gets its id when it is queued, and all deliveries of its task use that id. A worker reads the clock, then
claims the task in Redis: it has exclusive access for `lease` seconds, and the claim shows whether another worker may
have sent the message before. If so, the worker asks the service first (`attempt=2`). It never posts later than
`deadline` seconds after that clock reading, however long it was held up in between, so: idle timeout of the broker >
lease > deadline + margin. A task is acknowledged only when its result is saved; otherwise it is delivered again.

This relies on the following behaviour of taskiq-redis (1.2.4). A stream entry that was delivered but not acknowledged
stays pending, and a worker that fetches entries also takes over those that have been pending for `idle_timeout`. It
does so only after fetching new entries, so each worker looks for stale entries itself and queues an empty task to wake
the others. Its `listen` ends at an entry that is not a task, so it is replaced by one that acknowledges and logs it.
`maxlen` drops unread entries, and a group that begins at `$` never receives entries that were queued before it was
created: both settings are refused. A worker that does not know a task acknowledges and drops it: no other workers may
read this queue.

Assumptions:

* A process that is stopped exactly between its last reading of the clock and the write of the request is stopped for
  less than `2 * late_arrival + 5` seconds, and machines are not suspended, because their monotonic clocks stop
  meanwhile.
* Redis loses neither the stream nor the claims: `appendonly yes`, `appendfsync always`, `maxmemory-policy noeviction`.
  If it loses only the claims, a task that is delivered again may be sent again.
* No other program uses the ids.
"""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal, Unpack

import anyio
from pydantic import SecretStr, TypeAdapter
from pydantic_core import to_jsonable_python

from ._call import checked
from ._client import Client
from ._clock import disk_time
from ._frames import PrivateDict, each_without_frames, without_frames
from ._model import (
    Channel,
    Many,
    Message,
    MessageRef,
    Outcome,
    QueryOptions,
    Schedule,
    Send,
    SendingPaused,
    SendList,
    Sms,
    SmscError,
    UnresolvedSend,
    is_group,
    ref_of,
)
from ._sending import Divider, SendTerms, each_item, requests_of, to_send
from .guards import Guards, LimitsInForce, Rules

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
        FollowTask,
        Over,
        Queue,
        SendResult,
        check_broker,
        end_of,
        pause_after,
    )
    from .guards import RedisStore
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a process of its own, without the extra
    if _error.name is None or _error.name.partition(".")[0] not in {"redis", "taskiq", "taskiq_redis"}:
        raise
    raise ModuleNotFoundError(
        "tasks need an extra package: pip install 'smsc-async[taskiq]'", name=_error.name
    ) from None

__all__ = ["Failure", "FollowResult", "Followed", "SendResult", "SmscTasks"]

_DAY: Final = 86_400.0
_SLACK: Final = 5.0
"""Seconds added to `deadline` and `late_arrival` for the lease; see `RedisStore`."""
_RULES: Final = Rules()
_SMS: Final = Sms()
_OPERATION: Final[TypeAdapter[Send | SendList]] = TypeAdapter(Send | SendList)
_MOST_REFS: Final = 100
_NOT_UNDERSTOOD: Final = "this task was queued by another version of this package or is damaged; nothing was sent"
_GRACE: Final = 30.0
"""Seconds for which the service may not know a message yet."""
_PACE: Final = 0.1
"""The polling interval as a fraction of the age of a message."""
_SHORTEST_DEADLINE: Final = 0.001
_SHORTEST_ROUND: Final = 15.0
_LONGEST_ROUND: Final = 600.0


def _plain_client(guards: Guards) -> Client:
    return Client(guards=guards)


class SmscTasks:
    """The tasks `send`, `send_batch` and `follow` of one broker; create it in the module that your workers import.

    Each worker process creates one client when it starts. A task that can't be completed yet (a guard refuses it, the
    network is down, its answer is lost) is queued again for later, at most `tries` times, and then ends with a result
    that says why. A message whose outcome is unknown is never sent again before the service was asked for its status.

    Args:
        broker: A `RedisStreamBroker` with `consumer_id="0"`, without `maxlen`, with an `idle_timeout` longer than the
            lease: `deadline` + `late_arrival` + 5 s. Acknowledged tasks are trimmed from its stream.
        client: Creates the client of a worker with the guards that it is called with.
        deadline: Seconds in which a worker completes a send, or postpones it.
        tries: The maximum number of attempts before a task ends without success.
        rules: The rules of the guards.
        margin: The margin of the guards.
        late_arrival: The `late_arrival` of the guards.
        salt: A secret of the deployment for the keys of the guards, None for SMSC_GUARD_SALT; see `RedisStore`.
        prefix: The prefix of the names of the tasks and of all keys in Redis.
        batch_size: The maximum number of messages in one request of `send_batch`. Four requests of 22 fit at once and
            leave room for other calls. Those of a killed worker count as refused until another send is accepted, and
            100 consecutive refused messages block an IP address, so several such requests must stay below 100.

    Raises:
        ValueError: The settings of the broker lose tasks or could send twice, or a number is out of range.
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
        batch_size: int = 22,
    ) -> None:
        checked(client=client)
        checked(deadline=deadline, tries=tries, batch_size=batch_size, margin=margin, late_arrival=late_arrival)
        if not margin < late_arrival + _SLACK:
            raise ValueError(
                "margin must be less than late_arrival + 5, so that the lease of a task outlasts deadline + margin"
            )
        lease = deadline + late_arrival + _SLACK
        check_broker(broker, lease)
        self._make_client = client
        self._deadline = deadline
        self._tries = tries
        self._batch_size = batch_size
        redis = Redis(connection_pool=broker.connection_pool)
        store = RedisStore(redis, prefix=prefix, salt=salt, max_hold=deadline, late_arrival=late_arrival)
        self._guards = Guards(store, rules=rules, margin=margin, late_arrival=late_arrival)
        self._limits = LimitsInForce.of(self._guards)
        # The shortest interval between two status requests for one message.
        self._status_pause = self._limits.status[1] / self._limits.status[0]
        self._client: Client | None = None
        self._claims = Claims(redis, prefix, lease)
        self._queue = Queue(broker, prefix)
        self._queue.register("send", self._send, SendResult)
        self._queue.register("follow", self._follow, FollowResult)
        broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, self._start)
        broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, self._stop)

    @without_frames
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

        A message queued twice with the same `id` is sent once, so pass an `id` if you may have to repeat this call. No
        other program may use that id.

        Raises:
            ValueError: An argument is wrong, or the task too large; nothing was queued.
            taskiq.exceptions.SendTaskError: Redis did not confirm it, so it may or may not be queued.
        """
        arguments = {"to": to, "text": text, "id": id, "sender": sender, "at": at, "via": via, "cost": cost, **options}
        return await self._put(Send.model_validate(arguments))

    @each_without_frames
    async def send_batch(
        self,
        messages: Many[Message],
        *,
        sender: str | None = None,
        at: Schedule | datetime | None = None,
        via: Channel = _SMS,
        cost: Literal[2, 3] | None = None,
        **options: Unpack[QueryOptions],
    ) -> AsyncGenerator[AsyncTaskiqTask[SendResult], None]:
        """Queue messages as `Client.send_batch` sends them; yield one task for each request when it is queued.

        Raises:
            ValueError: An argument or a message is wrong; earlier tasks are queued.
            Exception: The source of the messages failed; what it returned before is queued.
            taskiq.exceptions.SendTaskError: Redis did not confirm a task, so it may or may not be queued.
        """
        arguments = PrivateDict({"sender": sender, "at": at, "via": via, "cost": cost, **options})
        SendTerms.model_validate(arguments)
        async with aclosing(requests_of(messages, Divider(self._batch_size, to_send, arguments))) as requests:
            async for request in requests:
                yield await self._put(request.operation())

    @without_frames
    async def follow(self, refs: Many[MessageRef], *, timeout: float | None = _DAY) -> AsyncTaskiqTask[FollowResult]:
        """Queue a task that follows up to 100 messages until their status is final, or for `timeout` seconds.

        Raises:
            ValueError: There are more than 100 messages, or the timeout is wrong.
            taskiq.exceptions.SendTaskError: Redis has not confirmed it.
        """
        names = [str(ref_of(ref)) async for ref in each_item(refs, "messages", name="refs")]
        if len(names) > _MOST_REFS:
            raise ValueError(f"one task follows at most {_MOST_REFS} messages; split them into several tasks")
        checked(timeout=timeout)
        return await self._queue.put("follow", {"refs": names, "ended": [], "timeout": timeout}, dated=True)

    @without_frames
    async def _put(self, operation: Send | SendList) -> AsyncTaskiqTask[SendResult]:
        # The id is queued with the other fields, so that each delivery of the task uses the same one.
        fields = {**operation.model_dump(mode="json", exclude_unset=True), "id": operation.id}
        return await self._queue.put("send", fields)

    async def _start(self, _: TaskiqState) -> None:
        if self._client is None:  # taskiq calls this again when a worker has lost Redis
            client = self._make_client(self._guards)
            if getattr(client, "guards", None) is not self._guards:
                await client.aclose()
                raise ValueError("the factory must use the guards that it is called with: Client(guards=guards)")
            self._client = client
        self._queue.start()

    async def _stop(self, _: TaskiqState) -> None:
        await self._queue.stop()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _send(self, delivery: Delivery) -> SendResult:
        """Make one attempt at a send."""
        # Read before the claim, or a worker that is held up in between could post after its lease.
        start = anyio.current_time()
        operation = None
        with suppress(ValueError):
            operation = _OPERATION.validate_python(delivery.arguments)
        if operation is None:
            delivery.done()
            raise ValueError(_NOT_UNDERSTOOD)  # raised here, because the original exception may quote the message
        claim = await self._claims.take(operation.id, delivery.ticket)
        if isinstance(claim, Over):
            await delivery.drop()
        if isinstance(claim, Busy):
            await delivery.again(claim.retry_after)
        result = await self._attempt(delivery, operation, claim, start + self._deadline)
        end, forget = self._claims.end, self._claims.forget
        delivery.done(partial(end, operation.id, delivery.ticket), partial(forget, operation.id))
        return result

    async def _attempt(self, delivery: Delivery, operation: Send | SendList, claim: Claim, end: float) -> SendResult:
        client = self._worker_client()
        try:
            # `end` was computed before the claim; the deadline of the call starts now.
            left = max(end - anyio.current_time(), _SHORTEST_DEADLINE)
            sent = await client.call(operation, deadline=left, attempt=1 + claim.unresolved, unique_id=True)
        except SmscError as error:
            pause = pause_after(error, claim.tries, self._limits.identical_send)
            if pause is not None and (isinstance(error, SendingPaused) or claim.tries < self._tries):
                unsent = not claim.unresolved and error.outcome is not Outcome.UNKNOWN
                await self._claims.give_back(claim, unsent=unsent, counted=not isinstance(error, SendingPaused))
                # Reconciling takes up to two status requests for one message.
                await delivery.again(pause if unsent else max(pause, 2 * self._status_pause))
            # This attempt was not sent, but an earlier one may have been.
            known = error.outcome is Outcome.REJECTED or (error.outcome is Outcome.NOT_SENT and not claim.unresolved)
            unresolved = None if known else _unresolved(operation)
            return SendResult(id=operation.id, failure=Failure.of(error, unresolved), tries=claim.tries)
        except Exception as error:
            # A value that XML can't represent fails in every attempt; other errors may be temporary.
            if isinstance(error, ValueError) or claim.tries >= self._tries:
                delivery.done()
            raise
        return SendResult(id=operation.id, sent=sent, tries=claim.tries)

    async def _follow(self, delivery: Delivery) -> FollowResult:
        """Ask once for the status of each pending message."""
        refs = None
        with suppress(ValueError):
            task = FollowTask.model_validate(delivery.arguments)
            refs = [MessageRef.parse(each) for each in task.refs]
        if refs is None:
            delivery.done()
            raise ValueError(_NOT_UNDERSTOOD)
        ended = list(task.ended)
        age = await self._queue.now() - task.since
        is_over = task.timeout is not None and age >= task.timeout
        left = []
        for ref, answer in zip(refs, await self._worker_client().statuses(refs), strict=True):
            end = end_of(ref, answer, is_young=age < _GRACE, is_over=is_over)
            if end is None:
                left.append(str(ref))
            else:
                ended.append(end)
        if left:
            pause = max(min(max(age * _PACE, _SHORTEST_ROUND), _LONGEST_ROUND), self._status_pause)
            await delivery.again(pause, refs=left, ended=to_jsonable_python(ended))
        delivery.done()
        return FollowResult(messages=tuple(ended))

    def _worker_client(self) -> Client:
        assert self._client is not None  # noqa: S101 - taskiq starts a worker before it hands out tasks
        return self._client


def _unresolved(operation: Send | SendList) -> UnresolvedSend:
    id, refs, now = operation.id, operation.refs(), datetime.now(UTC)  # noqa: A001 - the service's own word
    groups = sum(map(is_group, operation.to)) if isinstance(operation, Send) else 0
    return UnresolvedSend(id=id, refs=refs, groups=groups, is_own_id=True, began=now, failed=now, clocks=disk_time())
