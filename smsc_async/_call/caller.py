"""Execute one operation: reserve its slots, send the request, read the answer, retry where that is safe."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from typing import Final, TypeVar

from smsc_async._clock import Clock, LoopBinding, RealClock, utc_now
from smsc_async._model import (
    AuthenticationFailed,
    Backoff,
    ConnectionLost,
    GetBalance,
    GuardError,
    Observer,
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
from smsc_async.guards import Completion, Guards, Part

from .answer import read_answer
from .attempt import Attempt, Trace, may_repeat
from .closing import Closing
from .login import Identities, LoginProbe
from .namespaces import Namespaces
from .observing import Observing
from .slots import Admission, Slots

__all__ = ["Caller", "Trace"]

R = TypeVar("R", bound=Result)

_BACKOFF: Final = Backoff(0.25, 8.0, jitter=0.5)


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
        clock: The clock by which the calls wait, None for that of the event loop.
        observers: Notified about the calls.
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
        clock: Clock | None,
        observers: tuple[Observer, ...],
    ) -> None:
        self._identities = identities
        self._urls = urls
        self._namespaces = namespaces
        self._transport = transport
        self._timezone = timezone
        self._retries = retries
        self._guards = guards
        self._timeout = timeout
        self._clock = clock
        self._next_url = 0  # for calls with one attempt
        self._binding = LoopBinding()
        self.closing = Closing(clock or RealClock())
        self.observing = Observing(observers, urls[0], self.closing)
        probe = LoginProbe(self._ask_balance, self.closing)
        self._admission = None if guards is None else Admission(guards, identities, probe, self.closing)
        self._probe = probe
        if guards is not None:
            guards.attach()

    async def call(
        self,
        operation: Operation[R],
        timeout: Timeout,
        end: float,
        *,
        allow_duplicate: bool = False,
        trace: Trace | None = None,
    ) -> R:
        """Execute an operation; `end` is a time of the clock, infinity for no deadline. See `Client.call`."""
        trace = trace or Trace()
        with self.running(operation, trace):
            attempt = await self.begin(timeout, end, trace, allow_duplicate=allow_duplicate)
            while True:
                try:
                    return await self.execute(operation, attempt)
                except SmscError as error:
                    await self.again(operation, attempt, error)

    @contextmanager
    def running(self, operation: Operation[Result], trace: Trace) -> Iterator[None]:
        """Count a call while it runs, and notify the observers unless it is part of another; its error has the id."""
        if not self.closed:
            self.bind()
        recording = None if trace.recording is not None else self.observing.start(operation)
        trace.recording = recording or trace.recording
        self.closing.running += 1
        try:
            self.closing.check()
            yield
        except BaseException as error:
            if recording is not None:
                recording.finished(error, may_have_left=trace.may_have_left)
            if isinstance(error, SmscError) and error.unresolved is None:  # else it already holds more details
                raise error.replace(id=getattr(operation, "id", None), refs=operation.refs()) from error.__cause__
            raise
        else:
            if recording is not None:
                recording.finished(None)
        finally:
            self.closing.leave()

    async def begin(self, timeout: Timeout, end: float, trace: Trace, *, allow_duplicate: bool = False) -> Attempt:
        """Return the first attempt of a call."""
        who = self._identities.known or await self._identities.read(end, self.closing)
        url = self._urls[self._next_url % len(self._urls) if trace.once else 0]
        return Attempt(who, url, timeout, end, end, allow_duplicate, trace)

    async def again(self, operation: Operation[Result], attempt: Attempt, error: SmscError) -> None:
        """Wait until a failed attempt may be repeated, and make it the next one; raise the error if it may not."""
        trace, pause = attempt.trace, 0.0
        if isinstance(error, TransportError):
            self._next_url += trace.once
            trace.may_have_left = error.outcome is Outcome.UNKNOWN
            if not trace.may_have_left:
                self.closing.check()
            pause = _BACKOFF.pause(attempt.number)
            is_last = trace.once or attempt.number >= self._retries or attempt.deadline - self.clock.now() <= pause
            if self.closing.is_begun or is_last or not may_repeat(operation, error):
                raise error
            attempt.failure = error if trace.may_have_left else attempt.failure
        elif isinstance(error, AuthenticationFailed | TooManyRequests):
            if not await self._is_worth_repeating(operation, attempt, error) or attempt.number >= self._retries:
                raise error
            trace.may_have_left, attempt.failure = False, error
        else:
            first = attempt.failure if isinstance(error, GuardError) else None
            raise first or error from error.__cause__  # the earlier failure is more informative
        attempt.number += 1
        if trace.recording is not None:
            trace.recording.retried(error, pause)
        await self.closing.sleep_until(self.clock.now() + pause)
        attempt.who = self._identities.known or attempt.who
        attempt.url = self._urls[attempt.number % len(self._urls)]
        attempt.end, attempt.posted, attempt.is_healed = attempt.deadline, False, False
        attempt.result = None

    async def _is_worth_repeating(self, operation: Operation[Result], attempt: Attempt, error: SmscError) -> bool:
        if isinstance(error, AuthenticationFailed):
            return await self._identities.renew(attempt.who, self.clock.now(), is_pressing=False)
        return not attempt.trace.once and self._guards is not None and self._guards.awaits(operation)

    def exclusive(self, operation: Operation[Result], attempt: Attempt) -> Slots:
        """Return a context in which no other call can send this message, and `execute` may be called for it.

        `execute` then reserves the other slots, those in flight too: requests before it in the context need some
        themselves, and many such contexts at once could deadlock if all held theirs.
        """
        attempt.part = Part.PASSAGE
        return Slots(self._admission, operation, attempt, Part.CLAIM)

    async def execute(self, operation: Operation[R], attempt: Attempt) -> R:
        """Make one attempt; after a wrong namespace it makes another request with the right one."""
        async with Slots(self._admission, operation, attempt, attempt.part):
            while True:
                request = self._request(operation, attempt)
                reply: Reply | None = None
                problem = ""
                try:
                    with self.closing.cut_at(attempt.end):
                        steps = attempt.timeout.in_time(attempt.end - attempt.start)
                        reply = await self._transport.post(attempt.url, request.headers, request.body, steps)
                        problem = f"it returned {type(reply).__name__}, not Reply"
                except SmscError:
                    raise
                except Exception as error:  # noqa: BLE001 - exceptions of other libraries must not leave a call
                    problem = type(error).__name__
                # Outside the handler, as the text of the exception may quote the request.
                result = await self._result(operation, attempt, request, reply, problem)
                if result is not None:
                    return result

    def _request(self, operation: Operation[Result], attempt: Attempt) -> Request:
        """Return the request of an attempt that may be sent now."""
        sent = operation if self._guards is None else self._guards.prepared(operation)
        namespace = self._namespaces.of(attempt.url)
        request = encode(sent, attempt.who.credentials, namespace)
        attempt.method, attempt.namespace, attempt.start = request.method, namespace, self.clock.now()
        attempt.status_code = None
        if attempt.end <= attempt.start:
            raise PoolTimeout("the deadline passed before the request could leave, nothing was sent")
        self.closing.check()
        attempt.posted = attempt.trace.may_have_left = True
        attempt.trace.began = attempt.trace.began or utc_now(self.clock)
        return request

    async def _result(
        self, operation: Operation[R], attempt: Attempt, request: Request, reply: object, problem: str
    ) -> R | None:
        """Return the result, None if the namespace was wrong and is known now; `problem` is empty if it was cut."""
        if not isinstance(reply, Reply):
            raise self._no_reply(problem)
        attempt.status_code, attempt.size = reply.status_code, len(reply.body)
        try:
            attempt.result = result = await read_answer(operation, request, reply, self._timezone)
        except SoapFault as fault:
            if not fault.procedure_missing or attempt.is_healed:
                raise
            await self._heal(fault, attempt)
            return None
        except ProtocolError:
            if isinstance(self._transport, PooledTransport):
                self._transport.distrust()
            raise
        return result

    async def _heal(self, fault: SoapFault, attempt: Attempt) -> None:
        """Find the namespace that the service expects."""
        self.closing.check()
        attempt.is_healed = True
        steps = attempt.timeout.within(max(0.0, attempt.end - self.clock.now()))
        with self.closing.cut_at(attempt.end):
            await self._namespaces.heal(fault, attempt.url, attempt.namespace, self._transport, steps)
            return
        raise fault

    def _no_reply(self, problem: str) -> TransportError:
        """Return the error of a request that the transport did not answer."""
        if problem:  # its meaning is unknown, so it proves nothing
            return TransportError(f"the transport failed ({problem}), and the request may have been sent")
        if self.closing.is_begun:
            return ConnectionLost("the request was sent and the client was closed before the answer came")
        return ReadTimeout("the request was sent and no complete answer came before the deadline")

    def reconciled(self, trace: Trace, sent: SentMessage | None, *, absent: bool = False) -> None:
        """Release what a lost send has held until it was reconciled; see `Completion.of_reconciled`."""
        if trace.held is not None and self._guards is not None:
            self._guards.release(trace.held, Completion.of_reconciled(sent, absent=absent))
        trace.held = None

    async def aclose(self, timeout: float) -> None:
        """Stop sending requests, give those in flight some time, and close all connections."""
        # Calls of another event loop have ended with it.
        is_here = not self._binding.is_bound or self._binding.is_here()
        await self.closing.end(self._transport, self._guards, timeout, is_here=is_here)

    async def _ask_balance(self) -> None:
        end = self.clock.now() + self._timeout.pool + self._timeout.connect + self._timeout.read
        attempt = await self.begin(self._timeout, end, Trace())
        attempt.url, attempt.is_probe = self._urls[self._probe.tries % len(self._urls)], True
        await self.execute(GetBalance(), attempt)

    @property
    def clock(self) -> Clock:
        """The clock by which the calls wait."""
        return self.closing.clock

    @property
    def closed(self) -> bool:
        """Whether no more requests may be sent."""
        return self.closing.is_begun

    def bind(self) -> None:
        """Switch to the running event loop; slots and locks of another loop do not work here."""
        self.closing.check()
        if self._binding.is_here():
            return
        if self.closing.running:
            raise WrongEventLoop(
                "this client is in use on another event loop; make a client for each event loop or thread"
            )
        # Also needed the first time: the client may have been made on another loop.
        if self._guards is not None:
            self._guards.bind()
        self._binding.bind()
        self.closing.rebind(self._clock or RealClock())
