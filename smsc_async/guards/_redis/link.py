"""The connection to Redis: it follows the running event loop, runs scripts, and raises errors of this package."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from smsc_async._clock import LoopBinding
from smsc_async._frames import forget_frames, without_arguments
from smsc_async._model import Backoff, GuardStoreError, is_seconds, wrong

from .scripts import ScriptCall

__all__ = ["Link", "connecting"]

_CONNECTIONS: Final = 32
_CODE: Final = re.compile(r"[A-Z]{2,}")
# redis-py removes the code from the text of some errors; pipelines and scripts of Redis 6 put a prefix in front of it.
_FAILOVER_CODE: Final = re.compile(
    r"(?:^|: |-)(READONLY|NOREPLICAS|MOVED|ASK|TRYAGAIN|LOADING|MASTERDOWN|CLUSTERDOWN)\b(?= )"
)
_FAILOVER_ERRORS: Final[Mapping[type[Exception], str]] = {
    ReadOnlyError: "READONLY",
    MovedError: "MOVED",
    AskError: "ASK",
    TryAgainError: "TRYAGAIN",
    BusyLoadingError: "LOADING",
    MasterDownError: "MASTERDOWN",
    ClusterDownError: "CLUSTERDOWN",
    SlotNotCoveredError: "CLUSTERDOWN",
}
# Seconds between two attempts during a failover.
_BACKOFF: Final = Backoff(0.05, 0.5)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Failure:
    """A request to Redis that failed.

    Attributes:
        words: What happened.
        failover: The code of an answer that a failover causes, "" for other failures.
        is_answered: Whether Redis answered.
        cause: The exception, unless its text may quote what was sent.
    """

    words: str
    failover: str = ""
    is_answered: bool = False
    cause: Exception | None = None


@without_arguments
def connecting(url: str, timeout: float) -> Redis:
    """Create a client for a URL.

    Raises:
        ValueError: The URL isn't a Redis URL.
    """
    given: object = url
    if not isinstance(given, str):
        raise wrong("url", "a Redis URL, such as redis://localhost:6379/0", given)
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
        )
    except (ValueError, TypeError):  # their text may quote the password
        pool = None
    if pool is None:
        raise ValueError("invalid Redis URL; write special characters of its password as %XX")
    return Redis(connection_pool=pool)


class Link:
    """The connection to one Redis, on one event loop at a time.

    Args:
        client: The client.
        make: Creates another client, None if the client belongs to the user.
        timeout: Seconds for each answer.

    Attributes:
        client: The client for the running event loop.
    """

    def __init__(self, client: Redis | RedisCluster, make: Callable[[], Redis] | None, timeout: float) -> None:
        given: object = client
        if isinstance(given, type) or not hasattr(given, "execute_command"):
            raise wrong("client", "a Redis or RedisCluster of redis.asyncio; use from_url for a URL", given)
        if not is_seconds(timeout) or not timeout:
            raise wrong("timeout", "a number of seconds, more than 0", timeout)
        self.client = client
        self._make = make
        self._timeout = timeout
        self._binding = LoopBinding()
        self._tasks: set[asyncio.Task[Any]] = set()

    def take_up(self) -> asyncio.AbstractEventLoop:
        """Return the running event loop; drop the connections of another one.

        Raises:
            GuardStoreError: The event loop isn't asyncio's, or a cluster client is used on another one.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise GuardStoreError(
                "the Redis store works on asyncio only, like redis-py; on trio use Guards with a MemoryStore"
            ) from None
        if not self._binding.is_here():
            if self._binding.is_bound:
                self._drop()
            self._binding.bind()
        return loop

    async def run(self, *calls: ScriptCall, within: float = 0.0) -> str:
        """Run scripts one after the other, in one round trip unless Redis has forgotten them; return the last answer.

        They may run twice: if the answer is lost with its connection, they are run again.

        Raises:
            GuardStoreError: There is no answer, or one of them is an error.
        """
        return await self.reach(partial(self._run, calls), within)

    async def reach(self, ask: Callable[[], Awaitable[T]], within: float = 0.0) -> T:
        """Send a request to Redis and wait for its answer until the timeout.

        If a failover causes the answer, the connections are dropped, so that new ones reach the new primary, and the
        request is repeated for `within` seconds. A caller that is cancelled meanwhile returns at once, and its request
        continues in the background: a client of redis-py that is cancelled more than once may lose a connection of its
        pool.

        Raises:
            GuardStoreError: There is no answer, or it is an error.
        """
        loop = self.take_up()
        began = loop.time()
        failover, timeout, failures = "", self._timeout, 0
        while True:
            answer = await self._await(self._attempt(ask, timeout))
            if not isinstance(answer, _Failure):
                return answer
            failover = answer.failover or failover
            left = began + within - loop.time()
            # During a failover the server may also refuse connections or not answer for a while.
            if not failover or left <= 0 or (answer.is_answered and not answer.failover):
                raise GuardStoreError(_words(answer, failover, loop.time() - began)) from answer.cause
            await self._await(self._disconnect())
            pause = _BACKOFF.pause(failures)
            await asyncio.sleep(min(pause, left))
            timeout = min(self._timeout, max(left - pause, _BACKOFF.first))
            failures += 1

    async def aclose(self) -> None:
        """Close the connections, unless the client belongs to the user."""
        if self._make is not None:
            with suppress(GuardStoreError):
                self.take_up()
                if self._tasks:
                    await asyncio.wait(self._tasks)
                await self._disconnect(in_use=True)

    async def _await(self, asking: Coroutine[Any, Any, T]) -> T:
        """Wait for a request that continues in the background if the caller is cancelled."""
        task = self.take_up().create_task(asking)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        await asyncio.wait([task])  # a shield would leave the exception of a cancelled caller's request unretrieved
        return task.result()

    async def _attempt(self, ask: Callable[[], Awaitable[T]], timeout: float) -> T | _Failure:
        try:
            async with asyncio.timeout(timeout):
                return await ask()
        except (TimeoutError, RedisTimeoutError):
            return _Failure(f"Redis didn't answer within {timeout:.3g} s")
        except Exception as error:  # noqa: BLE001 - no exception of another library leaves a call
            return _failure(error)

    async def _disconnect(self, *, in_use: bool = False) -> None:
        """Drop the idle connections, or all; a cluster client follows its cluster itself."""
        if not isinstance(self.client, RedisCluster):
            with suppress(RedisError, OSError):
                await self.client.connection_pool.disconnect(inuse_connections=in_use)

    async def _run(self, calls: Sequence[ScriptCall]) -> str:
        loaded = fresh = False
        while True:
            try:
                reply = await self._send(calls, load=loaded)
            except NoScriptError:
                if loaded:
                    raise
                loaded = True
            except RedisConnectionError:  # the server may have closed an idle connection
                if fresh:
                    raise
                fresh = True
            else:
                return reply if isinstance(reply, str) else reply.decode()

    async def _send(self, calls: Sequence[ScriptCall], *, load: bool) -> Any:
        if len(calls) == 1:
            execute: Callable[..., Awaitable[Any]] = self.client.execute_command
            return await execute(*_command(calls[0], load=load))
        pipe: Any = self.client.pipeline(transaction=False)
        for call in calls:
            pipe.execute_command(*_command(call, load=load))
        answers: list[Any] = await pipe.execute()
        return answers[-1]

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        with suppress(asyncio.CancelledError):
            task.exception()  # its caller may have been cancelled, and asyncio logs unretrieved exceptions

    def _drop(self) -> None:
        # Sockets of an event loop that may be closed can't be closed; they are freed with their objects.
        if isinstance(self.client, RedisCluster):
            raise GuardStoreError(
                "a RedisCluster works on one event loop only, so nothing was sent; create a RedisStore for each"
            )
        self._tasks.clear()
        if self._make is not None:
            self.client = self._make()
        else:
            reset: Callable[[], None] = self.client.connection_pool.reset
            reset()


def _failure(error: Exception) -> _Failure:
    """Return what an exception of redis-py means; the text of an answer may quote what was sent."""
    failover = next((code for kind, code in _FAILOVER_ERRORS.items() if type(error) is kind), "")
    if not failover and isinstance(error, ResponseError):
        found = _FAILOVER_CODE.search(str(error))
        failover = "" if found is None else found.group(1)
    if failover:
        return _Failure("", failover, is_answered=True)
    if isinstance(error, ResponseError):
        match = _CODE.match(str(error))
        code = type(error).__name__ if match is None else match.group()
        return _Failure(f"Redis refused the request ({code})", is_answered=True)
    cause = error if isinstance(error, RedisError | OSError) else None
    forget_frames(error)  # they hold the password
    return _Failure(f"Redis can't be reached ({type(error).__name__})", cause=cause)


def _words(failure: _Failure, failover: str, lasted: float) -> str:
    if failover in {"MOVED", "ASK"}:
        return (
            f"this Redis is a node of a cluster and refers to another one ({failover}), so nothing was sent; pass "
            "redis.asyncio.RedisCluster to RedisStore, or the address of the primary"
        )
    if failover:
        last = f"; in the end {failure.words}" if failure.words else ""
        return (
            f"Redis is failing over, loading or without replicas ({failover}): it accepted no request for "
            f"{lasted:.1f} s, so nothing was sent{last}"
        )
    wait = "" if failure.is_answered else "; requests are refused until it answers again"
    return f"{failure.words}, so nothing was sent{wait}"


def _command(call: ScriptCall, *, load: bool) -> tuple[str | int, ...]:
    # EVAL also stores the script, on the node of its keys.
    script = ("EVAL", call.script.text) if load else ("EVALSHA", call.script.sha)
    return (*script, len(call.keys), *call.keys, *call.arguments)
