"""Receives the callbacks of the service: verifies them, passes them on, and keeps a bounded queue of statuses."""

import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from inspect import isawaitable
from typing import Any, Final, TypeAlias, cast

import anyio

from smsc_async._model import wrong
from smsc_async.callbacks import Callbacks, CallConfirmed, IncomingMessage, InvalidCallbackSignature, StatusPush

__all__ = ["CallbackReceiver", "OnCall", "OnIncoming", "OnStatus", "read_body"]

OnStatus: TypeAlias = Callable[[StatusPush], Awaitable[object] | object]
OnIncoming: TypeAlias = Callable[[IncomingMessage], Awaitable[object] | object]
OnCall: TypeAlias = Callable[[CallConfirmed], Awaitable[object] | object]

_log = logging.getLogger("smsc_async")

_MOST_QUEUED: Final = 1_000
_DRAIN_SECONDS: Final = 10.0


async def read_body(chunks: AsyncIterable[bytes]) -> bytes | None:
    """Return a body, None if it is larger than a callback; then the rest is not read."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > Callbacks.max_bytes:
            return None
    return bytes(body)


class StatusQueue:
    """Statuses that are answered before they are passed on, in the order of their arrival.

    Args:
        on_status: Called with each of them by `work`.
    """

    def __init__(self, on_status: OnStatus | None) -> None:
        self._on_status = on_status
        self._entry, self._exit = anyio.create_memory_object_stream[StatusPush](_MOST_QUEUED)
        self._working = anyio.CancelScope()
        self._is_passing_on = False
        self._ended = anyio.Event()
        self.is_closed = False

    def put(self, push: StatusPush) -> bool:
        """Queue a status; return False if the queue is full."""
        try:
            self._entry.send_nowait(push)
        except anyio.WouldBlock:
            _log.warning("%d statuses wait for on_status; further ones are answered 503", _MOST_QUEUED)
            return False
        return True

    async def work(self) -> None:
        """Pass the statuses on, until the queue is closed and empty."""
        try:
            with self._working:
                async for push in self._exit:
                    self._is_passing_on = True
                    await _passed_on("on_status", self._on_status, push)
                    self._is_passing_on = False
        finally:
            self._end()

    def close(self) -> None:
        """Accept no further callbacks; what is queued is passed on, for at most 10 seconds."""
        if not self.is_closed:
            self.is_closed = True
            self._entry.close()
            self._working.deadline = anyio.current_time() + _DRAIN_SECONDS

    async def drain(self) -> None:
        """Close the queue, and wait until it is empty."""
        self.close()
        await self._ended.wait()

    def _end(self) -> None:
        left = self._exit.statistics().current_buffer_used + self._is_passing_on
        if left:
            _log.error("statuses that were answered 200, and not passed on to on_status before the end: %d", left)
        self.is_closed = True
        self._entry.close()
        self._exit.close()
        self._ended.set()


class CallbackReceiver:
    """Passes callbacks on to the functions of an application.

    Args:
        callbacks: Verifies and reads them.
        on_status: Called with each status.
        on_incoming: Called with each incoming message.
        on_call: Called with each confirmation call.

    Raises:
        ValueError: An argument is wrong.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        *,
        on_status: OnStatus | None,
        on_incoming: OnIncoming | None,
        on_call: OnCall | None,
    ) -> None:
        if not isinstance(cast("object", callbacks), Callbacks):
            raise wrong("callbacks", "a smsc_async.callbacks.Callbacks", callbacks)
        for name, function in (("on_status", on_status), ("on_incoming", on_incoming), ("on_call", on_call)):
            if function is not None and not callable(function):
                raise wrong(name, "a function, or None", function)
        self._callbacks = callbacks
        self._on_status = on_status
        self._on_incoming = on_incoming
        self._on_call = on_call
        self._queue: StatusQueue | None = None

    @contextmanager
    def queueing(self) -> Generator[StatusQueue, None, None]:
        """Queue the statuses meanwhile; the caller runs the `work` of the queue. Otherwise none is queued.

        Raises:
            RuntimeError: Another application does so already.
        """
        if self._queue is not None:
            raise RuntimeError("the route of the callbacks is in use by another application; make one for each")
        self._queue = StatusQueue(self._on_status)
        try:
            yield self._queue
        finally:
            self._queue = None

    async def drain(self) -> None:
        """Accept no further callbacks, and wait until those that are queued were passed on."""
        if self._queue is not None:
            await self._queue.drain()

    async def receive(
        self, query: bytes, body: bytes, content_type: str, notify: Callable[[StatusPush], None] | None
    ) -> HTTPStatus:
        """Return the HTTP status for a callback, after it was passed on or queued.

        Args:
            query: The query of the request.
            body: Its body.
            content_type: The header of this name.
            notify: Called with each status at once: `Client.notify`, None if there is no client.
        """
        if self._queue is not None and self._queue.is_closed:
            return HTTPStatus.SERVICE_UNAVAILABLE
        try:
            push = self._callbacks.unwrap(query, body, content_type)
        except InvalidCallbackSignature as error:
            _log.info("a callback was refused: %s", error)
            return HTTPStatus.FORBIDDEN
        if isinstance(push, StatusPush):
            if notify is not None:
                notify(push)
            return await self._status(push)
        if isinstance(push, IncomingMessage):
            return await _passed_on("on_incoming", self._on_incoming, push)
        return await _passed_on("on_call", self._on_call, push)

    async def _status(self, push: StatusPush) -> HTTPStatus:
        if self._on_status is None:  # a status can be requested, so none is lost
            return HTTPStatus.OK
        if self._queue is None:
            return await _passed_on("on_status", self._on_status, push)
        return HTTPStatus.OK if self._queue.put(push) else HTTPStatus.SERVICE_UNAVAILABLE


async def _passed_on(
    name: str, function: Callable[[Any], Awaitable[object] | object] | None, push: object
) -> HTTPStatus:
    """Call a function with a callback; if it fails, the service has to repeat the callback."""
    if function is None:
        _log.warning("a callback was answered 503, because there is no %s", name)
        return HTTPStatus.SERVICE_UNAVAILABLE
    try:
        found = function(push)
        if isawaitable(found):
            await found
    except Exception as error:  # noqa: BLE001 - whatever the application raises
        _log.error("%s failed", name, exc_info=error)
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.OK
