"""One-time codes: who gets one and how often, how long it is valid, and how often one may guess."""

import hmac
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from time import time
from typing import NamedTuple

import phonenumbers

HOUR = 3600.0
DAY = 24 * HOUR
KEY = 32  # bytes, at least
DIGITS = 6
VALID = 300.0  # seconds
GUESSES = 5  # for one code
RESEND_AFTER = 60.0, 120.0, 300.0  # seconds after the first code of a day, the second, and each later one

_SCHEMA = """
CREATE TABLE IF NOT EXISTS code (
    phone TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    expires REAL NOT NULL,
    guesses INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS issued (key TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS issued_to ON issued (key, at);
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many codes in how many seconds."""

    count: int
    seconds: float


PER_PHONE = Limit(5, DAY)
PER_ADDRESS = Limit(20, HOUR)
PER_COUNTRY = {"RU": Limit(1_000, HOUR), "KZ": Limit(200, HOUR)}  # no other country gets codes


class Refused(Exception):
    """No code is issued."""


class CountryRefused(Refused):
    """No codes are sent to phones of this country."""


@dataclass
class TooManyCodes(Refused):
    """A code was issued a moment ago, or too many were.

    Attributes:
        retry_after: The seconds until a code may be issued.
    """

    retry_after: float


class Issued(NamedTuple):
    """A new code, and the seconds until another one may be issued."""

    code: str
    resend_in: float


class Codes:
    """The codes in an SQLite file, which several processes may share.

    Args:
        path: The file.
        key: A secret of this application. The file has no codes but only their HMACs under it: without the key, six
            digits could be found by trying all.
        now: Returns the Unix time.

    Raises:
        ValueError: The key is too short.
    """

    def __init__(self, path: Path, key: bytes, now: Callable[[], float] = time) -> None:
        if len(key) < KEY:
            raise ValueError(f"the key must have at least {KEY} bytes: secrets.token_hex() makes one")
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._key = key
        self._now = now

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def issue(self, phone: str, address: str) -> Issued:
        """Return a new code for a phone; an earlier one is no longer valid.

        Args:
            phone: The phone, in international form.
            address: The IP address of the user.

        Raises:
            Refused: No code may be issued now.
        """
        limits = _limits(phone, address)
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            now = self._now()
            database.execute("DELETE FROM issued WHERE at <= ?", (now - DAY,))
            waits = [self._wait(key, limit, now) for key, limit in limits.items()]
            wait = max(*waits, self._resend_wait(phone, now))
            if wait > 0:
                raise TooManyCodes(wait)
            database.executemany("INSERT INTO issued VALUES (?, ?)", [(key, now) for key in limits])
            row = (phone, self._digest(phone, code), now + VALID, GUESSES)
            database.execute("REPLACE INTO code VALUES (?, ?, ?, ?)", row)
            return Issued(code, self._resend_wait(phone, now))

    def redeem(self, phone: str, code: str) -> bool:
        """Return whether this is the code of a phone; it is valid once, and each call counts as a guess."""
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            row = database.execute(
                "UPDATE code SET guesses = guesses - 1 WHERE phone = ? AND guesses > 0 AND expires > ?"
                " RETURNING digest",
                (phone, self._now()),
            ).fetchone()
            is_right = self._is_digest(row, phone, code)
            if is_right:
                database.execute("DELETE FROM code WHERE phone = ?", (phone,))
        return is_right

    def is_current(self, phone: str, code: str) -> bool:
        """Return whether a code is still waiting to be redeemed: not replaced, not used, not expired."""
        row = self._database.execute(
            "SELECT digest FROM code WHERE phone = ? AND guesses > 0 AND expires > ?", (phone, self._now())
        ).fetchone()
        return self._is_digest(row, phone, code)

    def _digest(self, phone: str, code: str) -> bytes:
        return hmac.digest(self._key, f"{phone} {code}".encode(), "sha256")

    def _is_digest(self, row: tuple[bytes] | None, phone: str, code: str) -> bool:
        return hmac.compare_digest(b"" if row is None else row[0], self._digest(phone, code))

    def _wait(self, key: str, limit: Limit, now: float) -> float:
        """Return the seconds until a limit has room."""
        oldest = self._database.execute(
            "SELECT at FROM issued WHERE key = ? AND at > ? ORDER BY at DESC LIMIT 1 OFFSET ?",
            (key, now - limit.seconds, limit.count - 1),
        ).fetchone()
        return 0.0 if oldest is None else oldest[0] + limit.seconds - now

    def _resend_wait(self, phone: str, now: float) -> float:
        """Return the seconds until a phone may get another code."""
        row: tuple[int, float | None] = self._database.execute(
            "SELECT count(*), max(at) FROM issued WHERE key = ?", (f"phone {phone}",)
        ).fetchone()
        count, latest = row
        return 0.0 if latest is None else latest + RESEND_AFTER[min(count, len(RESEND_AFTER)) - 1] - now


def _limits(phone: str, address: str) -> dict[str, Limit]:
    """Return the limits that a code counts for.

    Raises:
        CountryRefused: The country of the phone gets no codes.
    """
    country = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    if country not in PER_COUNTRY:
        raise CountryRefused
    # A user with one IPv6 address usually has a /64 of them.
    network = ip_network((address, 64 if ip_address(address).version == 6 else 32), strict=False)  # noqa: PLR2004 - IPv6
    return {f"phone {phone}": PER_PHONE, f"address {network}": PER_ADDRESS, f"country {country}": PER_COUNTRY[country]}
