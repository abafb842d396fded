"""A call and its attempts, while they run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from smsc_async._model import Operation, Outcome, Result, TransportError
from smsc_async._network import Timeout
from smsc_async.guards import Identity, Reservation

__all__ = ["Attempt", "Trace", "may_repeat"]

R = TypeVar("R", bound=Result)


@dataclass(slots=True)
class Trace(Generic[R]):
    """The record of a call, so that callers can tell whether the request may have been executed.

    Attributes:
        check: Returns the result if an earlier call has already executed the operation, else None. It is called while
            this call holds its claim to the message, so that no other call can send it meanwhile.
        began: When the first attempt that may have left began, aware; None if none has.
        may_have_left: Whether the last attempt, or an earlier call that `check` has not disproved, may have left
            without an answer that reports its outcome.
        once: Whether there is one attempt, and no wait for a window: for a loop that asks again itself.
        reconciles: Whether the caller reconciles a lost answer, and then calls `Caller.reconciled`.
        held: The slots that a lost request holds until then.
    """

    check: Callable[[], Awaitable[R | None]] | None = None
    began: datetime | None = None
    may_have_left: bool = False
    once: bool = False
    reconciles: bool = False
    held: Reservation | None = None


@dataclass(slots=True)
class Attempt(Generic[R]):
    """One attempt of a call.

    Attributes:
        who: The account that calls.
        url: The URL of the service.
        timeout: The timeout of each step.
        end: The time of the event loop at which the attempt is given up.
        trace: The record of the call.
        posted: Whether any of the request may have left.
        is_probe: Whether it asks whether the service answers a login.
    """

    who: Identity
    url: str
    timeout: Timeout
    end: float
    trace: Trace[R] = field(default_factory=Trace)
    posted: bool = False
    is_probe: bool = False


def may_repeat(operation: Operation[R], error: TransportError) -> bool:
    """Return whether a request may be repeated after this failure."""
    return error.outcome is Outcome.NOT_SENT or (operation.is_read and error.outcome is Outcome.UNKNOWN)
