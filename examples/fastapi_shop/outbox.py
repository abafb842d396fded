"""Orders and the messages about them, in one SQLite file."""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import time

import anyio

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY,
    phone TEXT NOT NULL,
    item TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
    id TEXT PRIMARY KEY,
    number INTEGER NOT NULL REFERENCES orders,
    text TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    due REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT '',
    is_final INTEGER NOT NULL DEFAULT FALSE
);
CREATE INDEX IF NOT EXISTS to_send ON outbox (due) WHERE state = 'waiting';
"""


class State(StrEnum):
    """Where a message is on its way to the service."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Order:
    """An order and the state of the message about it."""

    number: int
    phone: str
    item: str
    message_id: str
    state: State
    status: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A message to send now; `attempt` is 1 if no process has tried to send it before."""

    id: str
    phone: str
    text: str
    attempt: int


class Outbox:
    """The database of the shop.

    Each method is one short transaction, which is on the disk when the method returns.

    Args:
        path: The file. One process at a time can open it: an sqlite3.OperationalError says that it is locked.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=1.0)
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.executescript(_SCHEMA)
        with self._database as database:  # a process that was killed may have sent these
            database.execute("UPDATE outbox SET state = 'waiting' WHERE state = 'sending'")
        self._added = anyio.Event()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, number: int, phone: str, item: str) -> Order:
        """Store an order and the message about it; an order that is there already stays as it is."""
        with self._database as database:
            order = (number, phone, item)
            if database.execute("INSERT INTO orders VALUES (?, ?, ?) ON CONFLICT DO NOTHING", order).rowcount:
                message = (f"order-{number}-placed", number, f"Thank you! Order {number}: {item}.")
                database.execute("INSERT INTO outbox (id, number, text) VALUES (?, ?, ?)", message)
        self._added.set()
        self._added = anyio.Event()
        found = self.order(number)
        assert found is not None  # noqa: S101 - it was stored above
        return found

    def order(self, number: int) -> Order | None:
        """Return an order."""
        row = self._database.execute(
            "SELECT number, phone, item, id, state, status, is_final FROM orders JOIN outbox USING (number)"
            " WHERE number = ?",
            (number,),
        ).fetchone()
        if row is None:
            return None
        number, phone, item, message_id, state, status, is_final = row
        return Order(number, phone, item, message_id, State(state), status, bool(is_final))

    def unsent(self) -> int:
        """Return the number of messages that are still to be sent."""
        query = "SELECT count(*) FROM outbox WHERE state IN ('waiting', 'sending')"
        return int(self._database.execute(query).fetchone()[0])

    def claim(self) -> Claim | None:
        """Take a message that is due, and count the attempt."""
        with self._database as database:
            row = database.execute(
                "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = ("
                "  SELECT id FROM outbox WHERE state = 'waiting' AND due <= ? ORDER BY due LIMIT 1)"
                " RETURNING id, (SELECT phone FROM orders WHERE number = outbox.number), text, attempts",
                (time(),),
            ).fetchone()
        return row and Claim(*row)

    async def wait(self, seconds: float) -> None:
        """Wait until an order is added, at most these seconds."""
        with anyio.move_on_after(seconds):
            await self._added.wait()

    def sent(self, message_id: str) -> None:
        """Record that the service has a message."""
        self._set(message_id, State.SENT)

    def refused(self, message_id: str, why: str) -> None:
        """Record that a message can't be sent."""
        self._set(message_id, State.REFUSED, why)

    def later(self, message_id: str, seconds: float) -> None:
        """Make a message due again in some seconds."""
        with self._database as database:
            database.execute(
                "UPDATE outbox SET state = 'waiting', due = ? WHERE id = ? AND state = 'sending'",
                (time() + seconds, message_id),
            )

    def report(self, message_id: str, status: str, *, is_final: bool) -> None:
        """Record a status of a message; an older one that arrives after the final one changes nothing."""
        with self._database as database:
            database.execute(
                "UPDATE outbox SET state = 'sent', status = ?, is_final = ? WHERE id = ? AND NOT is_final",
                (status, is_final, message_id),
            )

    def _set(self, message_id: str, state: State, status: str = "") -> None:
        with self._database as database:
            database.execute(
                "UPDATE outbox SET state = ?, status = ? WHERE id = ? AND state = 'sending'",
                (state, status, message_id),
            )
