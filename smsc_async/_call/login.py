"""The credentials of a client, and the probe that asks for the balance after a login that got no answer."""

import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import anyio

from smsc_async._clock import PerLoop, asyncio_loop
from smsc_async._model import (
    ApiKey,
    Backoff,
    BreakerOpen,
    ClientClosed,
    Credentials,
    CredentialsSource,
    GuardStoreError,
    Login,
    Outcome,
    SmscError,
    TooManyInFlight,
)
from smsc_async.guards import Identity

from .closing import Closing

__all__ = ["Identities", "LoginProbe"]

_log = logging.getLogger("smsc_async")

_READ_EVERY: Final = 10.0
_BACKOFF: Final = Backoff(1.0, 30.0)


@dataclass(slots=True)
class _Reading:
    """The state of reading the source of the credentials, on one event loop."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    at: float = -math.inf


class Identities:
    """The caller's identity, whose credentials may be rotated.

    Args:
        source: The credentials, or what returns them.
        account: See `Identity`.
        egress: See `Identity`.
    """

    def __init__(self, source: Credentials | CredentialsSource, account: str | None, egress: str) -> None:
        self._source = None if isinstance(source, ApiKey | Login) else source
        self._account = account
        self._egress = egress
        self.known: Identity | None = None
        if isinstance(source, ApiKey | Login):
            self.known = Identity(source, account, egress)
        self._reading = PerLoop(_Reading)

    async def read(self, end: float, closing: Closing) -> Identity:
        """Return the identity, read from the source the first time.

        Raises:
            SmscError: The source failed, or did not return by `end`, a time of the clock; nothing was sent.
        """
        with closing.waiting(), closing.clock.deadline(end):
            async with self._reading().lock:
                if self.known is None:
                    self.known = Identity(await self._credentials(), self._account, self._egress)
                return self.known
        raise _failed("it did not return before the deadline")

    async def renew(self, refused: Identity, now: float, *, is_pressing: bool = True) -> bool:
        """Read the source again, because these credentials were refused; return whether there are others.

        It is not read again for ten seconds unless the service itself has just refused them.
        """
        if self._source is None:
            return False
        reading = self._reading()
        async with reading.lock:
            if self.known is refused and (is_pressing or now >= reading.at + _READ_EVERY):
                reading.at = now
                try:
                    credentials = await self._credentials()
                except SmscError as error:
                    _log.error("%s", error)
                    return False
                if credentials != refused.credentials:
                    self.known = Identity(credentials, self._account, self._egress)
            return self.known is not refused

    async def _credentials(self) -> Credentials:
        assert self._source is not None  # noqa: S101 - otherwise the identity is known
        try:
            found: object = self._source()
            found = await found if inspect.isawaitable(found) else found
        except Exception as error:  # noqa: BLE001 - the caller's own code
            kind = f"it raised {type(error).__name__}"
        else:
            if isinstance(found, ApiKey | Login):
                return found
            kind = f"it returned {type(found).__name__}, not ApiKey or Login"
        raise _failed(kind)


def _failed(why: str) -> SmscError:
    return SmscError(f"credentials() failed ({why}), nothing was sent").replace(outcome=Outcome.NOT_SENT)


@dataclass(slots=True)
class _Asking:
    """The requests of a probe and the calls that wait for it, on one event loop."""

    is_running: bool = False
    over: anyio.Event = field(init=False)
    task: object = None
    pause: anyio.CancelScope = field(init=False)
    waiting: int = 0
    silent: int = 0
    next_at: float = 0.0


class LoginProbe:
    """Retries until the service answers, so that calls don't send many logins to a service that is silent.

    Its task outlives the call that starts it; it ends after an answer, when no call waits, or when the client closes.

    Args:
        ask: Sends one request with the client's credentials. It sets `is_due`.
        closing: The end of the client.

    Attributes:
        is_due: Whether the last login got no answer.
        tries: The number of requests so far.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]], closing: Closing) -> None:
        self._ask = ask
        self._closing = closing
        self.is_due = False
        self.tries = 0
        self._asking = PerLoop(_Asking)

    async def wait(self, until: float, awaiting_proof: set[Callable[[], None]]) -> None:
        """Wait until the service has answered a login, here or elsewhere, or the guards refuse logins.

        Args:
            until: The time of the clock at which the wait ends.
            awaiting_proof: Called by the guards when any credentials are proved.

        Raises:
            TooManyInFlight: It has not by then.
            ClientClosed: The client is closed.
        """
        asking = self._asking()
        if not asking.is_running:
            asking.is_running, asking.over, asking.pause = True, anyio.Event(), anyio.CancelScope()
            asking.task = _spawn(partial(self._run, asking))
        over = asking.over
        asking.waiting += 1
        awaiting_proof.add(self._proved)
        try:
            with self._closing.waiting(), self._closing.clock.deadline(until):
                await over.wait()
        finally:
            asking.waiting -= 1
            if not asking.waiting:
                awaiting_proof.discard(self._proved)
                asking.pause.cancel()
        self._closing.check()
        if not over.is_set():
            raise TooManyInFlight(
                "the last login got no answer, so the client asks for its balance until the service answers; nothing "
                "else is sent until then",
                retry_after=max(asking.next_at - self._closing.clock.now(), _BACKOFF.first),
            )

    def _proved(self) -> None:
        asking = self._asking()
        asking.over.set()
        asking.over = anyio.Event()  # if other credentials were proved, the calls wait again

    async def _run(self, asking: _Asking) -> None:
        clock = self._closing.clock
        self._closing.running += 1
        try:
            with suppress(ClientClosed), self._closing.waiting():
                is_over = False
                while not is_over:
                    with anyio.CancelScope() as asking.pause:
                        await clock.sleep_until(asking.next_at)
                    is_due = clock.now() >= asking.next_at  # one is sent, however briefly the calls wait
                    is_over = (is_due and await self._is_answered(asking)) or not asking.waiting
        finally:
            self._closing.leave()
            asking.over.set()
            asking.is_running = False

    async def _is_answered(self, asking: _Asking) -> bool:
        pause = _BACKOFF.first
        self.tries += 1
        try:
            await self._ask()
        except (BreakerOpen, GuardStoreError):  # the waiting calls will detect it themselves
            return True
        except SmscError as error:
            if error.outcome is Outcome.UNKNOWN:
                pause = _BACKOFF.pause(asking.silent)
                asking.silent += 1
        else:
            self.is_due = False
        finally:
            asking.next_at = self._closing.clock.now() + pause
        if not self.is_due:
            asking.silent, asking.next_at = 0, 0.0
        return not self.is_due


def _spawn(run: Callable[[], Coroutine[Any, Any, None]]) -> object:
    """Start a task that belongs to no call."""
    loop = asyncio_loop()
    if loop is not None:
        return loop.create_task(run(), name="smsc_async: probe of the login")
    import trio  # noqa: PLC0415 - the running event loop

    return trio.lowlevel.spawn_system_task(run)
