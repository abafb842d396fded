"""The limits of the service as numbers, shared by the guards and the sandbox.

From the service's own page (soap-api: identical send, subscriber, status, balance) and its HTTP pages and FAQ 99 (the
others). At its limits the service answers with error 9, or with error 4 where it blocks the IP address.
"""

from typing import Final

__all__ = [
    "BAD_CODES",
    "BAD_SENDS",
    "BALANCE",
    "IDENTICAL_COST",
    "IDENTICAL_SEND",
    "IN_FLIGHT",
    "LOGIN_FAILURES",
    "STATUS",
    "STATUS_IN_FLIGHT",
    "SUBSCRIBER",
]

# What the service allows: (count, seconds).
IDENTICAL_SEND: Final = (1, 60.0)
IDENTICAL_COST: Final = (5, 60.0)
STATUS: Final = (5, 60.0)
BALANCE: Final = (10, 60.0)
SUBSCRIBER: Final = (50, 120.0)
IN_FLIGHT: Final = 14
STATUS_IN_FLIGHT: Final = 4
# What makes it block the IP address: (failures, seconds, seconds of the block).
LOGIN_FAILURES: Final = (5, 1800.0, 1800.0)
BAD_SENDS: Final = (100, 600.0, 600.0)

BAD_CODES: Final = frozenset({6, 7, 8})
"""The error numbers of bad sends: forbidden, wrong number, undeliverable."""
