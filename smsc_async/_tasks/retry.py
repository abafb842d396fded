"""The pause before the next attempt of a task; pure."""

from typing import Final

from smsc_async._model import (
    AddressBlocked,
    Backoff,
    GuardStoreError,
    Outcome,
    Scope,
    SendingPaused,
    SmscError,
    least_pause,
)

__all__ = ["pause_after"]

_BACKOFF: Final = Backoff(0.5, 60.0, jitter=0.5)
_BLOCK: Final = 600.0
_PAUSED: Final = Backoff(10.0, 10.0, jitter=0.5)
"""Seconds after which a paused task asks again, so that tasks go on soon after a pause."""


def pause_after(error: SmscError, tries: int, window: float) -> float | None:
    """Return the seconds until the next attempt, None if another attempt would be useless.

    Args:
        error: Why the last attempt failed.
        tries: The number of attempts so far.
        window: The seconds of the limit to which error 9 refers.
    """
    if isinstance(error, SendingPaused):
        return _PAUSED.pause(0)
    after = least_pause(error, window)
    if isinstance(error, AddressBlocked):
        after = _BLOCK
    elif error.scope is Scope.ALL:
        # Wrong credentials and too little money do not pass by themselves, so the result of the task must name them.
        if error.outcome is Outcome.REJECTED:
            return None
        # A breaker may close early: the next accepted send ends a series of failures.
        after = min(after, _BACKOFF.longest)
    elif isinstance(error, GuardStoreError):
        # So may the wait after a loss of histories, which for a list of messages is ten minutes otherwise.
        after = min(after, _BACKOFF.longest)
    elif error.scope is Scope.MESSAGE:
        return None
    return max(after, _BACKOFF.pause(tries))
