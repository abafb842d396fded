"""Callbacks: when each is sent, by the clock of the sandbox, and again if the application has not accepted it."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from threading import Lock
from types import TracebackType
from typing import Final, Self

import anyio
from anyio.abc import TaskGroup
from anyio.from_thread import start_blocking_portal
from anyio.lowlevel import checkpoint
from pydantic import SecretStr

from smsc_async._model import wrong
from smsc_async._protocol import CallbackCharset, encode_callback
from smsc_async.sandbox._changes import Changes
from smsc_async.sandbox._connection import Traffic
from smsc_async.sandbox._fault import FaultKind
from smsc_async.sandbox._faults import Faults
from smsc_async.sandbox._messages import AcceptedMessage
from smsc_async.sandbox._outbox import MessageFilter
from smsc_async.sandbox._sandbox_clock import SandboxClock
from smsc_async.sandbox._service import Service

from .callback import (
    Callback,
    CallbackAttempt,
    CallbackHash,
    CallbackKind,
    CallbackMethod,
    CallbackSettings,
    CallbackState,
    settings_of,
)
from .fields import call_fields, incoming_fields, status_fields
from .poster import CallbackPoster, HttpxPoster
from .queue import MOST_WAITING, CallbackQueue

__all__ = ["SandboxCallbacks"]

_log = logging.getLogger("smsc_async.sandbox")
_RETRIES: Final = (10.0, 60.0, 300.0, 1_800.0, 7_200.0)  # seconds of the sandbox
_PATIENCE: Final = 10.0  # real seconds
_SHOWN: Final = 1_000  # characters
_NOT_FOUND: Final = -3
_NUMBER: Final = "70000000000"
_FORGED: Final = "not the secret of the account"  # with which a forger signs


class SandboxCallbacks:
    """What the service reports to the URL of an application: changes of status, incoming messages, calls.

        sandbox.callbacks.set("http://127.0.0.1:8000/sms", secret="...")
        async with sandbox.callbacks: ...  # sends them while the block runs; a served sandbox does it by itself

    They are sent one after another, when they are due by the sandbox's clock. One that is not answered with HTTP status
    200 to 299 within 10 real seconds is sent again after 10 s, 1 min, 5 min, 30 min and 2 h of the sandbox: how often
    the service does it is not published.

    Args:
        service: The service whose messages are reported.
        clock: The clock.
        changes: What is notified of new messages and changed ones.
        faults: The faults that affect callbacks.
        traffic: Counts a callback that is being sent, so that the clock waits for its answer.
    """

    def __init__(
        self,
        service: Service,
        clock: SandboxClock,
        changes: Changes,
        faults: Faults,
        traffic: Traffic,
    ) -> None:
        self._service = service
        self._clock = clock
        self._changes = changes
        self._faults = faults
        self._traffic = traffic
        # A sandbox that continues from a file also reports what has changed while it did not run.
        self._since = service.now or None
        self._queue = CallbackQueue()
        self._choosing = Lock()
        self._settings: CallbackSettings | None = None
        self._poster: CallbackPoster = HttpxPoster()
        self._groups: list[tuple[int, TaskGroup]] = []  # each with the task that has entered it

    @property
    def settings(self) -> CallbackSettings | None:
        """Where they are sent, None for nowhere."""
        return self._settings

    @property
    def all(self) -> Sequence[Callback]:
        """The last 10,000, in order, with the answers of the application."""
        return self._queue.all()

    @property
    def revision(self) -> int:
        """A number that grows whenever a callback is added, changed or forgotten."""
        return self._queue.revision

    def set(
        self,
        url: str,
        *,
        secret: str | SecretStr,
        hash: CallbackHash = "md5",  # noqa: A002 - the word of the API
        charset: CallbackCharset | None = None,
        method: CallbackMethod = "POST",
        poster: CallbackPoster | None = None,
    ) -> CallbackSettings:
        """Send callbacks to this URL from now on.

        Args:
            url: The URL of the application, http or https.
            secret: The secret with which they are signed.
            hash: The signature: `md5`, `sha1` or `crc32`.
            charset: The charset of the fields: `windows-1251`, `utf-8` or `koi8-r`; None for that in the URL
                (`?charset=utf-8`), or windows-1251. Characters that it lacks become question marks.
            method: `POST` for a form, `GET` for a query.
            poster: Sends them; None for HTTP. See `HttpxPoster`.

        Raises:
            ValueError: An argument is wrong.
        """
        made = settings_of(url, secret, digest=hash, charset=charset, method=method)
        if poster is not None and not callable(getattr(poster, "post", None)):
            raise wrong("poster", "an object with `async def post(method, url, data)`", poster)
        since = self._clock.now() if self._since is None else self._since
        self._settings, self._poster, self._since = made, poster or HttpxPoster(), None
        self._service.schedule.start(since, lambda: self._service.messages)
        self._changes.notify()
        return made

    def remove(self) -> None:
        """Send no callbacks any more; those that wait are given up."""
        self._settings, self._since = None, None
        self._service.schedule.stop()
        self._queue.give_up()
        self._changes.notify()

    def incoming(self, phone: str, text: str, *, to: str = _NUMBER) -> Callback:
        """Report a message that a subscriber has sent to the account.

        Args:
            phone: The subscriber.
            text: The text.
            to: The number of the account to which it was sent.

        Raises:
            ValueError: An argument is wrong, or no URL is set.
        """
        now = self._clock.now()
        fields = incoming_fields(phone, text, to, self._queue.last_id + 1, now)
        return self._report("incoming", now, fields)

    def call(self, phone: str) -> Callback:
        """Report a call by which a subscriber confirms a phone number.

        Raises:
            ValueError: The phone is none, or no URL is set.
        """
        now = self._clock.now()
        return self._report("call", now, call_fields(phone, now))

    def get(self, number: int) -> Callback:
        """Return the callback with this id.

        Raises:
            LookupError: It is not among the last ones.
        """
        callback = self._queue.get(number)
        if callback is None:
            raise LookupError("there is no callback with this id among the last ones")
        return callback

    def again(self, number: int) -> Callback:
        """Send a callback again now, whatever became of it.

        Raises:
            LookupError: It is not among the last ones.
            ValueError: No URL is set.
        """
        callback = self.get(number)
        self._check()
        self._queue.again(callback, self._clock.now())
        self._changes.notify()
        return callback

    def clear(self) -> None:
        """Forget all callbacks; the settings stay."""
        self._queue.clear()

    async def __aenter__(self) -> Self:
        """Send callbacks on this event loop, in place of an earlier block or server, until the block ends."""
        group = await anyio.create_task_group().__aenter__()
        self._groups.append((anyio.get_current_task().id, group))
        group.start_soon(self._run, group)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task = anyio.get_current_task().id
        entry = next(each for each in reversed(self._groups) if each[0] == task)
        self._groups.remove(entry)
        group = entry[1]
        group.cancel_scope.cancel()
        await group.__aexit__(None, None, None)
        self._changes.notify()

    @contextmanager
    def in_thread(self) -> Iterator[None]:
        """Return a context in which they are sent on a thread of its own, as those of a served sandbox are."""
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(self):
            yield

    async def _run(self, group: TaskGroup) -> None:
        while True:
            with self._changes.listen() as changed:
                is_mine = bool(self._groups) and self._groups[-1][1] is group
                settings = self._settings if is_mine else None
                callback = None if settings is None else self._next()
                if callback is None or settings is None:
                    with self._clock.deadline(inf if settings is None else self._next_at()):
                        await changed.wait()
                    continue
            with self._traffic.request():
                await self._send(callback, settings)
            await checkpoint()  # a poster may never wait

    def _next_at(self) -> float:
        return min(self._queue.next_at, self._next_change_at())

    def _next_change_at(self) -> float:
        return self._service.schedule.next_at if len(self._queue) < MOST_WAITING else inf

    def _next(self) -> Callback | None:
        now = self._clock.now()
        if self._next_change_at() <= min(now, self._queue.next_at):
            due = self._service.schedule.take(now, self._message)
            if due is not None and due[1].status != _NOT_FOUND:  # the answer to a status request, and no status
                message, change = due
                zone = self._service.accounts.named(message.login).timezone()
                self._add("status", change.at, status_fields(message, change, zone), message.key)
        return self._queue.take(now)

    def _message(self, key: int) -> AcceptedMessage | None:
        found = self._service.search(MessageFilter(key=key), self._clock.now())
        return found[0] if found else None

    def _report(self, kind: CallbackKind, at: float, fields: dict[str, str]) -> Callback:
        self._check()
        if len(self._queue) >= MOST_WAITING:
            raise ValueError(f"{MOST_WAITING:,} callbacks wait; let the application accept them, or reset the sandbox")
        callback = self._add(kind, at, fields)
        self._changes.notify()
        return callback

    def _check(self) -> None:
        if self._settings is None:
            raise ValueError(
                "no callback URL is set: sandbox.callbacks.set(url, secret=...), or PUT /_sandbox/api/callback"
            )

    def _add(self, kind: CallbackKind, at: float, fields: dict[str, str], message: int | None = None) -> Callback:
        with self._choosing:  # the API has threads
            fault = self._faults.strike_callback(fields["phone"])
        delay = fault.seconds or 0.0 if fault is not None else 0.0
        return self._queue.add(
            kind, at, fields, message=message, fault=None if fault is None else fault.kind, delay=delay
        )

    async def _send(self, callback: Callback, settings: CallbackSettings) -> None:
        is_first = not callback.attempts
        try:
            if is_first and callback.fault is FaultKind.FORGE_CALLBACK:
                await self._attempt(callback, settings, is_forged=True)
            is_accepted = await self._attempt(callback, settings)
            if is_first and callback.fault is FaultKind.DUPLICATE_CALLBACK:
                await self._attempt(callback, settings)
        except anyio.get_cancelled_exc_class():
            self._queue.retry(callback, self._clock.now())
            raise
        if is_accepted:
            self._queue.end(callback, CallbackState.ACCEPTED)
        elif callback.failures < len(_RETRIES):
            delay = _RETRIES[callback.failures]
            callback.failures += 1
            self._queue.retry(callback, self._clock.now() + delay)
        else:
            self._queue.end(callback, CallbackState.GIVEN_UP)

    async def _attempt(self, callback: Callback, settings: CallbackSettings, *, is_forged: bool = False) -> bool:
        """Send a callback once, keep the answer, and return whether the application has accepted it."""
        at, started = self._clock.now(), time.perf_counter()
        status, answer, error = None, "", ""
        try:
            with anyio.fail_after(_PATIENCE):
                status, body = await self._poster.post(
                    settings.method, settings.url, _encoded(callback, settings, is_forged=is_forged)
                )
            answer = body.decode(errors="replace")[:_SHOWN]
        except Exception as failure:  # noqa: BLE001 - a poster of the user's own, or the application in this process
            error = type(failure).__name__
        seconds = time.perf_counter() - started
        attempt = CallbackAttempt(at, status, answer, error, seconds, is_forged)
        self._queue.note(callback, attempt)
        _log.debug("callback %s: %s, %.0f ms", callback.kind, error or f"HTTP {status}", seconds * 1000)
        return attempt.is_accepted


def _encoded(callback: Callback, settings: CallbackSettings, *, is_forged: bool) -> bytes:
    """Return a callback with its signature; no frame that waits holds the secret."""
    charset, secret = settings.charset, _FORGED if is_forged else settings.secret.get_secret_value()
    fields = {name: value.encode(charset, "replace").decode(charset) for name, value in callback.fields.items()}
    return encode_callback(fields, secret, charset=charset, digest=settings.hash)
