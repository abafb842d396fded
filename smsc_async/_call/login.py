"""The credentials of a client, and the probe that asks for the balance after a login that got no answer."""

import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import anyio

from smsc_async._clock import asyncio_loop
from smsc_async._model import (
    ApiKey,
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
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0


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
        self.rebind()

    def rebind(self) -> None:
        """Forget the lock of another event loop."""
        self._lock = anyio.Lock()
        self._read_at = -math.inf

    async def read(self, end: float, closing: Closing) -> Identity:
        """Return the identity, read from the source the first time.

        Raises:
            SmscError: The source failed, or did not return by `end`, a time of the event loop; nothing was sent.
        """
        with closing.waiting(), anyio.CancelScope(deadline=end):
            async with self._lock:
                if self.known is None:
                    self.known = Identity(await self._credentials(), self._account, self._egress)
                return self.known
        raise _failed("it did not return before the deadline")

    async def renew(self, refused: Identity, *, is_pressing: bool = True) -> bool:
        """Read the source again, because these credentials were refused; return whether there are others.

        It is not read again for ten seconds unless the service itself has just refused them.
        """
        if self._source is None:
            return False
        async with self._lock:
            now = anyio.current_time()
            if self.known is refused and (is_pressing or now >= self._read_at + _READ_EVERY):
                self._read_at = now
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


class LoginProbe:
    """Asks until the service answers, so that calls don't meet silence with many logins.

    Its task outlives the call that starts it; it ends with an answer, when no call waits, or with the client.

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
        self.rebind()

    def rebind(self) -> None:
        """Forget the task of another event loop."""
        self._over: anyio.Event | None = None
        self._task: object = None
        self._pause: anyio.CancelScope | None = None
        self._waiting = 0
        self._silent = 0
        self._next_at = 0.0

    async def wait(self, until: float, awaiting_proof: set[Callable[[], None]]) -> None:
        """Wait until the service has answered a login, here or elsewhere, or the guards refuse logins.

        Args:
            until: The time of the event loop at which the wait ends.
            awaiting_proof: What the guards call when any credentials are proved.

        Raises:
            TooManyInFlight: It has not by then.
            ClientClosed: The client is closed.
        """
        over = self._over
        if over is None:
            over = self._over = anyio.Event()
            self._task = _spawn(self._run)
        self._waiting += 1
        awaiting_proof.add(self._proved)
        try:
            with self._closing.waiting(), anyio.CancelScope(deadline=until):
                await over.wait()
        finally:
            self._waiting -= 1
            if not self._waiting:
                awaiting_proof.discard(self._proved)
                if self._pause is not None:
                    self._pause.cancel()
        self._closing.check()
        if not over.is_set():
            raise TooManyInFlight(
                "the last login got no answer, so the client asks for its balance until the service answers; nothing "
                "else is sent until then",
                retry_after=max(self._next_at - anyio.current_time(), _FIRST_PAUSE),
            )

    def _proved(self) -> None:
        if self._over is not None:
            self._over.set()
            self._over = anyio.Event()  # if other credentials were proved, the calls wait again

    async def _run(self) -> None:
        self._closing.running += 1
        try:
            with suppress(ClientClosed), self._closing.waiting():
                is_over = False
                while not is_over:
                    with anyio.CancelScope() as self._pause:
                        await anyio.sleep_until(self._next_at)
                    is_due = anyio.current_time() >= self._next_at  # one goes, however short the calls wait
                    is_over = (is_due and await self._is_answered()) or not self._waiting
        finally:
            self._closing.leave()
            over, self._over = self._over, None
            if over is not None:
                over.set()

    async def _is_answered(self) -> bool:
        pause = _FIRST_PAUSE
        self.tries += 1
        try:
            await self._ask()
        except (BreakerOpen, GuardStoreError):  # those that wait will see it themselves
            return True
        except SmscError as error:
            if error.outcome is Outcome.UNKNOWN:
                pause = min(_FIRST_PAUSE * 2**self._silent, _LONGEST_PAUSE)
                self._silent += 1
        else:
            self.is_due = False
        finally:
            self._next_at = anyio.current_time() + pause
        if not self.is_due:
            self._silent, self._next_at = 0, 0.0
        return not self.is_due


def _spawn(run: Callable[[], Coroutine[Any, Any, None]]) -> object:
    """Start a task that belongs to no call."""
    loop = asyncio_loop()
    if loop is not None:
        return loop.create_task(run(), name="smsc_async: probe of the login")
    import trio  # noqa: PLC0415 - the running event loop

    return trio.lowlevel.spawn_system_task(run)
