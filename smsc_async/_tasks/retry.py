"""The pause before the next attempt of a task; pure."""

import math
import random
from typing import Final

from smsc_async._model import AddressBlocked, BreakerOpen, GuardError, Outcome, SmscError, TooManyRequests

__all__ = ["pause_after"]

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
_GROWS: Final = 7
_WINDOW: Final = 61.2
_BLOCK: Final = 600.0


def pause_after(error: SmscError, tries: int) -> float | None:
    """Return the seconds until the next attempt, None if another attempt would be useless."""
    after = 0.0
    if isinstance(error, TooManyRequests):
        after = _WINDOW
    elif isinstance(error, AddressBlocked):
        after = _BLOCK
    elif isinstance(error, GuardError):
        # A breaker may close early: the next accepted send ends a series of failures.
        after = min(error.retry_after or 0.0, _LONGEST_PAUSE if isinstance(error, BreakerOpen) else math.inf)
    elif error.outcome is Outcome.REJECTED:
        return None
    own = min(_FIRST_PAUSE * 2.0 ** min(tries, _GROWS), _LONGEST_PAUSE)
    return max(after, own * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
