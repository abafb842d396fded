"""A call and its attempts, while they run."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from smsc_async._model import Operation, Outcome, Result, SmscError, TransportError
from smsc_async._network import Timeout
from smsc_async.guards import Identity, Part, Reservation

if TYPE_CHECKING:
    from .observing import Recording

__all__ = ["Attempt", "Trace", "may_repeat"]

R = TypeVar("R", bound=Result)


@dataclass(slots=True)
class Trace:
    """The record of a call, so that callers can tell whether the request may have been executed.

    Attributes:
        began: When the first attempt that may have left began, aware; None if none has.
        may_have_left: Whether the last attempt, or an earlier call that has not been disproved, may have left without
            an answer that reports its outcome.
        once: Whether there is one attempt, and no wait for a window: for a loop that does its own polling.
        reconciles: Whether the caller reconciles a lost answer, and then calls `Caller.reconciled`.
        held: The slots that a lost request holds until then.
        recording: Notifies the observers, None if there are none.
    """

    began: datetime | None = None
    may_have_left: bool = False
    once: bool = False
    reconciles: bool = False
    held: Reservation | None = None
    recording: "Recording | None" = None


@dataclass(slots=True)
class Attempt:
    """The current attempt of a call.

    Attributes:
        who: The account that calls.
        url: The URL of the service.
        timeout: The timeout of each step.
        deadline: The time of the clock at which the call is given up.
        end: The time of the clock at which this attempt is given up.
        allow_duplicate: Whether the same message may have been sent in the last minute.
        trace: The record of the call.
        part: The slots that its request needs.
        number: The number of attempts before this one.
        failure: The previous failure, which is more informative than a refusal by the guards.
        posted: Whether any of the request may have left.
        method: The method of the request.
        namespace: The namespace of the request.
        is_healed: Whether a wrong namespace was corrected.
        start: When it left.
        status_code: The HTTP status of the answer, None if there is none.
        size: The bytes of the answer.
        result: The result of the request, None if there is none.
        is_probe: Whether it asks whether the service answers a login.
    """

    who: Identity
    url: str
    timeout: Timeout
    deadline: float
    end: float
    allow_duplicate: bool = False
    trace: Trace = field(default_factory=Trace)
    part: Part = Part.ALL
    number: int = 0
    failure: SmscError | None = None
    posted: bool = False
    method: str = ""
    namespace: str = ""
    is_healed: bool = False
    start: float = 0.0
    status_code: int | None = None
    size: int = 0
    result: Result | None = None
    is_probe: bool = False


def may_repeat(operation: Operation[R], error: TransportError) -> bool:
    """Return whether a request may be repeated after this failure."""
    return error.outcome is Outcome.NOT_SENT or (operation.is_read and error.outcome is Outcome.UNKNOWN)
