"""The connection to Redis: on the running event loop, with scripts, and with errors of this package."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from smsc_async._model import GuardStoreError

from .scripts import ScriptCall

__all__ = ["Link", "connecting"]

_CONNECTIONS: Final = 32
_CODE: Final = re.compile(r"[A-Z]{2,}")
T = TypeVar("T")


def connecting(url: str, timeout: float) -> Redis:
    """Create a client for a URL.

    Raises:
        ValueError: The URL isn't a Redis URL.
    """
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
        raise ValueError("invalid Redis URL; write special characters of its password as %XX") from None
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

    def __init__(self, client: Redis, make: Callable[[], Redis] | None, timeout: float) -> None:
        self.client = client
        self._make = make
        self._timeout = timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def take_up(self) -> asyncio.AbstractEventLoop:
        """Return the running event loop; drop the connections of another one.

        Raises:
            GuardStoreError: The event loop isn't asyncio's.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise GuardStoreError(
                "the Redis store works on asyncio only, like redis-py; on trio use Guards with a MemoryStore"
            ) from None
        if loop is not self._loop:
            if self._loop is not None:
                self._drop()
            self._loop = loop
        return loop

    async def run(self, *calls: ScriptCall) -> str:
        """Run scripts one after the other, in one round trip unless Redis has forgotten them; return the last answer.

        They may run twice: if the answer is lost with its connection, they are run again.

        Raises:
            GuardStoreError: There is no answer, or one of them is an error.
        """
        return await self.reach(partial(self._run, calls))

    async def reach(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Send a request to Redis and wait for its answer until the timeout.

        A caller that is cancelled meanwhile returns at once, and its request continues in the background: a client of
        redis-py that is cancelled more than once may lose a connection of its pool.

        Raises:
            GuardStoreError: There is no answer, or it is an error.
        """
        task = self.take_up().create_task(self._reach(ask))
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        await asyncio.wait([task])  # a shield would leave the exception of a cancelled caller's request unretrieved
        return task.result()

    async def aclose(self) -> None:
        """Close the connections, unless the client belongs to the user."""
        if self._make is not None:
            with suppress(GuardStoreError, RedisError, OSError):
                self.take_up()
                if self._tasks:
                    await asyncio.wait(self._tasks)
                await self.client.connection_pool.disconnect()

    async def _reach(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await ask()
        except (TimeoutError, RedisTimeoutError):
            words = f"Redis didn't answer within {self._timeout:g} s"
        except ResponseError as error:
            words = f"Redis refused the request ({_code(error)})"
        except (RedisError, OSError) as error:
            raise GuardStoreError(f"Redis can't be reached ({type(error).__name__})") from error
        except Exception as error:  # noqa: BLE001 - no exception of another library leaves a call
            words = f"Redis can't be reached ({type(error).__name__})"
        raise GuardStoreError(words)  # here: the text of the exception may quote what was sent

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
        if len(calls) == 1 and not load:
            execute: Callable[..., Awaitable[Any]] = self.client.execute_command
            return await execute(*_command(calls[0]))
        pipe = self.client.pipeline(transaction=False)
        for call in calls:
            if load:
                pipe.execute_command("SCRIPT LOAD", call.script.text)
            pipe.execute_command(*_command(call))
        answers: list[Any] = await pipe.execute()
        return answers[-1]

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have been cancelled, and asyncio reports what nobody retrieves

    def _drop(self) -> None:
        # Sockets of an event loop that may be closed can't be closed; they are freed with their objects.
        self._tasks.clear()
        if self._make is not None:
            self.client = self._make()
        else:
            reset: Callable[[], None] = self.client.connection_pool.reset
            reset()


def _code(error: ResponseError) -> str:
    match = _CODE.match(str(error))
    return type(error).__name__ if match is None else match.group()


def _command(call: ScriptCall) -> tuple[str | int, ...]:
    return ("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.arguments)
