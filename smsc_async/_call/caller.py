"""Execute one operation: reserve its slots, send the request, read the answer, retry where that is safe."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, tzinfo
from typing import Final, TypeVar

import anyio
from anyio.lowlevel import EventLoopToken, current_token

from smsc_async._clock import asyncio_loop, loop_time
from smsc_async._model import (
    ApiError,
    AuthenticationFailed,
    Balance,
    BreakerOpen,
    ConnectionLost,
    GetBalance,
    GuardError,
    MalformedEnvelope,
    Operation,
    Outcome,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    Result,
    SentMessage,
    SmscError,
    SoapFault,
    TooManyRequests,
    TransportError,
    WrongEventLoop,
)
from smsc_async._network import PooledTransport, Reply, Timeout, Transport
from smsc_async._protocol import Request, encode
from smsc_async.guards import Completion, Guards, Part, RequestArrival, Reservation

from .answer import read_answer
from .attempt import Attempt, Trace, may_repeat
from .closing import Closing
from .login import Identities, LoginProbe
from .namespaces import Namespaces

__all__ = ["Caller", "Trace"]

_log = logging.getLogger("smsc_async")
R = TypeVar("R", bound=Result)

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 8.0


class Caller:
    """Executes operations, on one event loop at a time.

    Args:
        identities: The account that calls.
        urls: The URLs of the service; each further attempt goes to the next one.
        namespaces: The namespace that each of them expects.
        transport: The transport that carries the requests.
        timezone: The zone in which the service writes local times.
        retries: How often a call may be repeated.
        guards: The guards that keep the requests inside the limits of the service, None for no guards.
        timeout: The timeout of the client's own requests.
    """

    def __init__(
        self,
        *,
        identities: Identities,
        urls: tuple[str, ...],
        namespaces: Namespaces,
        transport: Transport,
        timezone: tzinfo,
        retries: int,
        guards: Guards | None,
        timeout: Timeout,
    ) -> None:
        self._identities = identities
        self._urls = urls
        self._namespaces = namespaces
        self._transport = transport
        self._timezone = timezone
        self._retries = retries
        self._guards = guards
        self._timeout = timeout
        self._next_url = 0  # for calls with one attempt
        self._token: EventLoopToken | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.now: Callable[[], float] = anyio.current_time
        self.closing = Closing()
        self._probe = LoginProbe(self._ask_balance, self.closing)
        if guards is not None:
            guards.attach()

    async def call(
        self,
        operation: Operation[R],
        timeout: Timeout,
        end: float,
        *,
        allow_duplicate: bool = False,
        trace: Trace[R] | None = None,
    ) -> R:
        """Execute an operation; `end` is a time of the event loop, infinity for no deadline. See `Client.call`."""
        if not self.closed:
            self.bind()
        trace = Trace() if trace is None else trace
        self.closing.running += 1
        try:
            self.closing.check()
            return await self._attempts(operation, timeout, end, trace, allow_duplicate=allow_duplicate)
        except SmscError as error:
            if error.unresolved is not None:  # an error of `check` already holds more details
                raise
            raise error.replace(id=getattr(operation, "id", None), refs=operation.refs()) from error.__cause__
        finally:
            self.closing.leave()

    def reconciled(self, trace: Trace[R], sent: SentMessage | None, *, absent: bool = False) -> None:
        """Release what a lost send has held until it was reconciled; see `Completion.of_reconciled`."""
        if trace.held is not None and self._guards is not None:
            self._guards.release(trace.held, Completion.of_reconciled(sent, absent=absent))
        trace.held = None

    async def aclose(self, timeout: float) -> None:
        """Let no request leave any more, give those in flight some time, and close all connections."""
        # Calls of another event loop have ended with it.
        await self.closing.end(self._transport, self._guards, timeout, is_here=self._token in (None, current_token()))

    async def _attempts(
        self, operation: Operation[R], timeout: Timeout, end: float, trace: Trace[R], *, allow_duplicate: bool
    ) -> R:
        failure: SmscError | None = None
        number, first = 0, self._next_url if trace.once else 0
        while True:
            who = self._identities.known or await self._identities.read(end, self.closing)
            url, pause = self._urls[(first + number) % len(self._urls)], 0.0
            attempt = Attempt(who, url, timeout, end, trace)
            try:
                return await self._guarded(operation, attempt, allow_duplicate=allow_duplicate)
            except TransportError as error:
                self._next_url += trace.once
                trace.may_have_left = error.outcome is Outcome.UNKNOWN
                if not trace.may_have_left:
                    self.closing.check()
                pause = min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
                is_last = trace.once or number >= self._retries or end - self.now() <= pause
                if self.closing.is_begun or is_last or not may_repeat(operation, error):
                    raise
                failure = error if trace.may_have_left else failure
                _log.debug("%s: %s; again in %.2f s", operation.methods[0], type(error).__name__, pause)
            except (AuthenticationFailed, TooManyRequests) as error:
                if not await self._is_worth_repeating(operation, attempt, error) or number >= self._retries:
                    raise
                trace.may_have_left, failure = False, error
            except GuardError as error:
                raise failure or error from error.__cause__  # the attempt before says more
            number += 1
            await self.closing.sleep_until(self.now() + pause)

    async def _is_worth_repeating(self, operation: Operation[R], attempt: Attempt[R], error: ApiError) -> bool:
        if isinstance(error, AuthenticationFailed):
            return await self._identities.renew(attempt.who, is_pressing=False)
        return not attempt.trace.once and self._guards is not None and self._guards.awaits(operation)

    async def _guarded(self, operation: Operation[R], attempt: Attempt[R], *, allow_duplicate: bool) -> R:
        check = attempt.trace.check
        if check is None:
            return await self._hold(operation, attempt, Part.ALL, self._exchange, allow_duplicate=allow_duplicate)

        async def unless_done(operation: Operation[R], attempt: Attempt[R]) -> R:
            found = await check()
            attempt.trace.may_have_left = False
            if found is not None:
                return found
            return await self._hold(operation, attempt, Part.PASSAGE, self._exchange, allow_duplicate=allow_duplicate)

        # Slots in flight are reserved after the check: the check's own requests need some too, so many checks at once
        # could deadlock.
        return await self._hold(operation, attempt, Part.CLAIM, unless_done, allow_duplicate=allow_duplicate)

    async def _hold(
        self,
        operation: Operation[R],
        attempt: Attempt[R],
        part: Part,
        work: Callable[[Operation[R], Attempt[R]], Awaitable[R]],
        *,
        allow_duplicate: bool,
    ) -> R:
        """Run `work` while the slots of the request are reserved."""
        guards = self._guards
        if guards is None:
            return await work(operation, attempt)
        reservation = await self._reserve(guards, operation, attempt, part, allow_duplicate=allow_duplicate)
        attempt.end = min(attempt.end, reservation.expires)
        try:
            result = await work(operation, attempt)
        except BaseException as error:
            try:
                if isinstance(error, AuthenticationFailed):  # before others that wait use these credentials too
                    await self._identities.renew(attempt.who)
            finally:
                self._release_failed(guards, reservation, attempt, Completion.of_failure(error, posted=attempt.posted))
            if isinstance(error, ApiError):
                await guards.flush()
            raise
        guards.release(reservation, Completion.of_result(operation, result))
        return result

    async def _reserve(
        self, guards: Guards, operation: Operation[R], attempt: Attempt[R], part: Part, *, allow_duplicate: bool
    ) -> Reservation:
        while True:
            try:
                reservation = await guards.reserve(
                    attempt.who,
                    operation,
                    within=max(0.0, attempt.end - self.now()),
                    allow_duplicate=allow_duplicate,
                    part=part,
                    patient=not attempt.trace.once,
                    waiting=self.closing.waiting,
                )
            except BreakerOpen:
                if not await self._identities.renew(attempt.who, is_pressing=False):
                    raise
            else:
                is_old = self._identities.known not in {None, attempt.who}
                if not reservation.is_login or not (is_old or (self._probe.is_due and not attempt.is_probe)):
                    return reservation
                guards.release(reservation, Completion(RequestArrival.UNSENT))
                if not is_old:
                    await self._probe.wait(min(attempt.end, self.now() + guards.max_wait), guards.awaiting_proof)
            attempt.who = self._identities.known or attempt.who

    def _release_failed(
        self, guards: Guards, reservation: Reservation, attempt: Attempt[R], completion: Completion
    ) -> None:
        if reservation.is_login and completion.arrival is not RequestArrival.UNSENT:
            self._probe.is_due = completion.is_silent
        if completion.arrival is not RequestArrival.LOST or not attempt.trace.reconciles:
            guards.release(reservation, completion)
        elif guards.release_lost(reservation, completion):
            attempt.trace.held = reservation

    async def _ask_balance(self) -> None:
        end = self.now() + self._timeout.pool + self._timeout.connect + self._timeout.read
        who = self._identities.known or await self._identities.read(end, self.closing)
        url = self._urls[self._probe.tries % len(self._urls)]
        attempt: Attempt[Balance] = Attempt(who, url, self._timeout, end, is_probe=True)
        await self._hold(GetBalance(), attempt, Part.ALL, self._exchange, allow_duplicate=False)

    async def _exchange(self, operation: Operation[R], attempt: Attempt[R]) -> R:
        namespace = self._namespaces.of(attempt.url)
        try:
            return await self._post(operation, attempt, namespace)
        except SoapFault as fault:
            if not fault.procedure_missing:
                raise
            self.closing.check()
            left = max(0.0, attempt.end - self.now())
            with self.closing.cut_at(attempt.end) as scope:
                healed = await self._namespaces.heal(
                    fault, attempt.url, namespace, self._transport, attempt.timeout.within(left)
                )
            if scope.cancelled_caught:
                raise
        return await self._post(operation, attempt, healed)

    async def _post(self, operation: Operation[R], attempt: Attempt[R], namespace: str) -> R:
        sent = operation if self._guards is None else self._guards.prepared(operation)
        request = encode(sent, attempt.who.credentials, namespace)
        reply: Reply | None = None
        start = self.now()
        left = attempt.end - start
        if left <= 0:
            raise PoolTimeout("the deadline passed before the request could leave, nothing was sent")
        self.closing.check()
        attempt.posted = attempt.trace.may_have_left = True
        attempt.trace.began = attempt.trace.began or datetime.now(UTC)
        with self.closing.cut_at(attempt.end):
            reply = await self._carry(attempt.url, request, attempt.timeout.in_time(left))
        if reply is None and self.closing.is_begun:
            raise ConnectionLost("the request was sent and the client was closed before the answer came")
        if reply is None:
            raise ReadTimeout("the request was sent and no complete answer came before the deadline")
        if _log.isEnabledFor(logging.DEBUG):
            took = self.now() - start
            _log.debug("%s: HTTP %d, %d bytes, %.3f s", request.method, reply.status_code, len(reply.body), took)
        return await self._read(operation, request, reply)

    async def _carry(self, url: str, request: Request, timeout: Timeout) -> Reply:
        """Post a request; our transports raise our exceptions, those of a caller may raise any."""
        try:
            reply: object = await self._transport.post(url, request.headers, request.body, timeout)
            if isinstance(reply, Reply):
                return reply
            kind = f"it returned {type(reply).__name__}, not Reply"
        except SmscError:
            raise
        except Exception as error:  # noqa: BLE001 - no exception of another library leaves a call
            kind = type(error).__name__
        # Here, as the text of the exception may quote the request. Nobody knows what it means, so it proves nothing.
        raise TransportError(f"the transport failed ({kind}), and the request may have been sent")

    async def _read(self, operation: Operation[R], request: Request, reply: Reply) -> R:
        try:
            return await read_answer(operation, request, reply, self._timezone)
        except SmscError as error:
            if isinstance(error, ProtocolError) and not isinstance(error, SoapFault):
                self._distrust()
            raise
        except Exception as error:  # noqa: BLE001 - after a send it must not be taken for a wrong argument
            kind = type(error).__name__
        raise MalformedEnvelope(f"the answer can't be read ({kind})")

    def _distrust(self) -> None:
        if isinstance(self._transport, PooledTransport):
            self._transport.distrust()

    @property
    def closed(self) -> bool:
        """Whether no request may leave any more."""
        return self.closing.is_begun

    def bind(self) -> None:
        """Switch to the running event loop; slots and locks of another loop do not work here."""
        self.closing.check()
        loop = asyncio_loop()
        if loop is not None and loop is self._loop:
            return
        token = current_token()
        if token == self._token:
            return
        if self.closing.running:
            raise WrongEventLoop(
                "this client is in use on another event loop; make a client for each event loop or thread"
            )
        # Needed the first time too: the client may have been made on another loop.
        if self._guards is not None:
            self._guards.bind()
        self._namespaces.rebind()
        self._identities.rebind()
        self._probe.rebind()
        self.closing.rebind()
        self._token, self._loop, self.now = token, loop, loop_time()
