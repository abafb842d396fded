"""The thread with the event loop on which all clients and journals of this process run, also after a fork."""

import asyncio
import os
import selectors
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from itertools import count
from threading import Lock, Thread
from threading import enumerate as enumerate_threads
from typing import Any, Final, cast

import anyio
import anyio.to_thread
from anyio.lowlevel import EventLoopToken, current_token

from smsc_async._movable_clock import call_soon

__all__ = ["Close", "Portal", "PortalStopped"]

Close = Callable[[], Awaitable[object]]
"""Closes what a user of the portal has on its event loop."""

_CLOSE_WITHIN: Final = 2.0  # seconds


class PortalStopped(Exception):
    """The thread has ended."""


class _Loop(asyncio.SelectorEventLoop):
    """The loop of asyncio, whose connections `Portal.disarm` can find.

    It looks addresses up also after the end of the main thread, when asyncio's own threads take no more work.
    """

    async def getaddrinfo(self, *args: Any, **options: Any) -> list[Any]:
        """Look an address up on a thread of anyio."""
        return await anyio.to_thread.run_sync(partial(socket.getaddrinfo, *args, **options), abandon_on_cancel=True)


class Portal:
    """An event loop on a thread of its own.

    Args:
        leave: Is called on the event loop when an abandoned user is closed, with its key; returns whether the thread is
            to end.
    """

    def __init__(self, leave: Callable[["Portal", int], bool]) -> None:
        self._leave = leave
        self.users: dict[int, Close] = {}
        self._keys = count()
        self._work: deque[Callable[[], Coroutine[Any, Any, None]]] = deque()
        self._lock = Lock()
        self._is_stopping = False
        self.is_inherited: bool = False
        """Whether it is that of a parent process."""
        self.is_last: bool = False
        """Whether it ends with the interpreter, where the calls of other threads end without a result or an error."""
        ready: Future[None] = Future()
        # A daemon, because the interpreter waits for all other threads before it lets anybody close this one.
        self._thread = Thread(target=self._serve, args=(ready,), name="smsc_async.sync", daemon=True)
        self._thread.start()
        try:
            ready.result()
        except BaseException:  # Ctrl-C
            ready.add_done_callback(lambda _: self._stop_soon())
            raise

    def _serve(self, ready: "Future[None]") -> None:
        anyio.run(self._main, ready, backend="asyncio", backend_options={"loop_factory": _Loop})

    async def _main(self, ready: "Future[None]") -> None:
        async with anyio.create_task_group() as tasks:
            self.token: EventLoopToken = current_token()
            self._news = anyio.Event()
            ready.set_result(None)
            is_stopping = False
            while not is_stopping:
                await self._news.wait()
                self._news = anyio.Event()
                is_stopping = self._is_stopping  # before the work that was started before
                while self._work:
                    tasks.start_soon(self._work.popleft())
            if self.is_last:
                for close in list(self.users.values()):
                    await _close(close)
            tasks.cancel_scope.cancel()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task soon.

        Raises:
            PortalStopped: The thread has ended.
        """
        with self._lock:
            if self._is_stopping:
                raise PortalStopped
            self._work.append(work)
            call_soon(self.token, self._wake)

    def add(self, close: Close) -> int:
        """Add a user, and return its key."""
        key = next(self._keys)
        self.users[key] = close
        return key

    def abandon(self, key: int) -> None:
        """Close a user soon; the garbage collector calls it on any thread, so that it must not wait for a lock."""
        self._work.append(partial(self._close_abandoned, key))
        call_soon(self.token, self._wake)

    def end(self) -> None:
        """Close the users that are left, and stop; for the end of the interpreter."""
        self.is_last = True
        self.stop()

    def stop(self) -> None:
        """End all tasks and the thread."""
        workers = [each for each in enumerate_threads() if getattr(each, "loop", None) is self.token.native_token]
        self._stop_soon()
        self._thread.join()
        for worker in workers:  # they end a moment later, unless one waits for the address of a host
            worker.join(_CLOSE_WITHIN)

    def _stop_soon(self) -> None:
        with self._lock:  # what was started before is on the event loop already
            self._is_stopping = True
        call_soon(self.token, self._wake)

    def disarm(self) -> None:
        """In the child of a fork, take away the connections of the parent, into which destructors could write."""
        self._lock, self._is_stopping, self.is_inherited = Lock(), True, True
        loop = cast("Any", self.token.native_token)
        selector = loop._selector  # noqa: SLF001 - there is no public way
        loop._selector = selectors.SelectSelector()  # noqa: SLF001 - the other one would change the parent's
        with socket.socket() as dead:
            for descriptor in list(selector.get_map()):
                os.dup2(dead.fileno(), descriptor)
        selector.close()

    def _wake(self) -> None:
        self._news.set()

    async def _close_abandoned(self, key: int) -> None:
        await _close(self.users[key])
        if self._leave(self, key):
            self._stop_soon()


async def _close(close: Close) -> None:
    with anyio.move_on_after(_CLOSE_WITHIN):
        await close()
