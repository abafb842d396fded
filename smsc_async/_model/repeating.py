"""How long to wait before a request that failed is repeated; pure."""

from .exceptions import GuardError, TooManyRequests
from .outcome import SmscError

__all__ = ["least_pause"]


def least_pause(error: SmscError, window: float) -> float:
    """Return the seconds for which repeating the request is useless; `window` is the one to which error 9 refers."""
    if isinstance(error, GuardError):
        return error.retry_after or 0.0
    return window if isinstance(error, TooManyRequests) else 0.0
