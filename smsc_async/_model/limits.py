"""The limits of the service in numbers, once; the guards and the sandbox read them here.

From the service's own page (soap-api: identical send, subscriber, status, balance) and its HTTP pages and FAQ 99 (the
others). At its limits the service answers with error 9, or with error 4 where it blocks the address.
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

# What the service allows: how many, in how many seconds.
IDENTICAL_SEND: Final = (1, 60.0)
IDENTICAL_COST: Final = (5, 60.0)
STATUS: Final = (5, 60.0)
BALANCE: Final = (10, 60.0)
SUBSCRIBER: Final = (50, 120.0)
IN_FLIGHT: Final = 14
STATUS_IN_FLIGHT: Final = 4
# What it answers with a block of the address: how many failures, in how many seconds, and how long it blocks.
LOGIN_FAILURES: Final = (5, 1800.0, 1800.0)
BAD_SENDS: Final = (100, 600.0, 600.0)

BAD_CODES: Final = frozenset({6, 7, 8})
"""The error numbers of bad sends: forbidden, wrong number, undeliverable."""
