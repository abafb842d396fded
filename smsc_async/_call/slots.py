"""The slots of an attempt: reserved before its request is sent, and released according to its result."""

from types import TracebackType

from smsc_async._model import ApiError, AuthenticationFailed, BreakerOpen, Operation, Result
from smsc_async.guards import Completion, Guards, Part, RequestArrival, Reservation

from .attempt import Attempt
from .closing import Closing
from .login import Identities, LoginProbe

__all__ = ["Admission", "Slots"]


class Admission:
    """Reserves slots with the credentials that are known to be right, or are the only ones that are being tried.

    Args:
        guards: The guards.
        identities: The account that calls.
        probe: Asks whether the service answers a login.
        closing: The end of the client.
    """

    def __init__(self, guards: Guards, identities: Identities, probe: LoginProbe, closing: Closing) -> None:
        self.guards = guards
        self._identities = identities
        self._probe = probe
        self._closing = closing

    async def reserve(self, operation: Operation[Result], attempt: Attempt, part: Part) -> Reservation:
        """Reserve the slots of an attempt, with other credentials if better ones are available by then."""
        clock = self._closing.clock
        while True:
            who = attempt.who
            try:
                reservation = await self.guards.reserve(
                    who,
                    operation,
                    within=max(0.0, attempt.end - clock.now()),
                    allow_duplicate=attempt.allow_duplicate,
                    part=part,
                    patient=not attempt.trace.once,
                    waiting=(attempt.trace.recording or self._closing).waiting,
                )
            except BreakerOpen:
                if not await self._identities.renew(who, clock.now(), is_pressing=False):
                    raise
            else:
                is_old = self._identities.known not in {None, who}
                if not reservation.is_login or not (is_old or (self._probe.is_due and not attempt.is_probe)):
                    return reservation
                self.guards.release(reservation, Completion(RequestArrival.UNSENT))
                if not is_old:
                    until = min(attempt.end, clock.now() + self.guards.max_wait)
                    await self._probe.wait(until, self.guards.awaiting_proof)
            attempt.who = self._identities.known or who

    async def failed(self, reservation: Reservation, attempt: Attempt, error: BaseException) -> None:
        """Release the slots of an attempt that failed."""
        completion = Completion.of_failure(error, posted=attempt.posted)
        try:
            if isinstance(error, AuthenticationFailed):  # before waiting calls use these credentials too
                await self._identities.renew(attempt.who, self._closing.clock.now())
        finally:
            if reservation.is_login and completion.arrival is not RequestArrival.UNSENT:
                self._probe.is_due = completion.is_silent
            if completion.arrival is not RequestArrival.LOST or not attempt.trace.reconciles:
                self.guards.release(reservation, completion)
            elif self.guards.release_lost(reservation, completion):
                attempt.trace.held = reservation
        if isinstance(error, ApiError):
            await self.guards.flush()


class Slots:
    """An asynchronous context in which an attempt holds its slots; without guards there are none.

    Args:
        admission: Reserves them, None for no guards.
        operation: The operation.
        attempt: The attempt.
        part: The slots to reserve.
    """

    __slots__ = ("_admission", "_attempt", "_operation", "_part", "_reservation")

    def __init__(self, admission: Admission | None, operation: Operation[Result], attempt: Attempt, part: Part) -> None:
        self._admission = admission
        self._operation = operation
        self._attempt = attempt
        self._part = part
        self._reservation: Reservation | None = None

    async def __aenter__(self) -> None:
        if self._admission is not None:
            attempt = self._attempt
            self._reservation = await self._admission.reserve(self._operation, attempt, self._part)
            attempt.end = min(attempt.end, self._reservation.expires)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        recording = self._attempt.trace.recording
        try:
            if recording is not None and self._attempt.posted and self._part is not Part.CLAIM:
                recording.attempted(self._attempt, error)
        finally:  # an observer may be interrupted
            await self._release(error)

    async def _release(self, error: BaseException | None) -> None:
        if self._admission is None or self._reservation is None:
            return
        if error is not None:
            await self._admission.failed(self._reservation, self._attempt, error)
        elif self._attempt.result is None:
            self._admission.guards.release(self._reservation, Completion(RequestArrival.UNSENT))
        else:
            completion = Completion.of_result(self._operation, self._attempt.result)
            self._admission.guards.release(self._reservation, completion)
