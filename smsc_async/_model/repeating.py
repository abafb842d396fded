"""How long to wait before a request that failed is repeated; pure."""

import random
from dataclasses import dataclass
from typing import Final

from .exceptions import GuardError, TooManyRequests
from .outcome import SmscError

__all__ = ["Backoff", "least_pause"]

_GROWS: Final = 50  # with more failures a pause could overflow


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that grow with each failure in succession.

    Attributes:
        first: The seconds of the first pause.
        longest: The seconds of the longest pause.
        growth: How many times as long as the one before each pause is.
        jitter: The share of each pause that varies at random, so that clients that fail together spread.
    """

    first: float
    longest: float
    growth: float = 2.0
    jitter: float = 0.0

    def pause(self, failures: int) -> float:
        """Return the seconds of the pause after one more failure than this number."""
        pause = min(self.first * self.growth ** min(failures, _GROWS), self.longest)
        return pause * random.uniform(1.0 - self.jitter, 1.0) if self.jitter else pause  # noqa: S311 - jitter


def least_pause(error: SmscError, window: float) -> float:
    """Return the seconds for which repeating the request is useless; `window` is the one to which error 9 refers."""
    if isinstance(error, GuardError):
        return error.retry_after or 0.0
    return window if isinstance(error, TooManyRequests) else 0.0
