"""How a sandbox is shown: a sentence, and its messages as a table; pure."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from smsc_async._model import MessageStatus, Shown, TableRow, View, code_columns, counted, masked_row

from ._messages import AcceptedMessage

__all__ = ["ShownMessages"]


class ShownMessages(Shown):
    """A sandbox whose messages are drawn as a table, the newest first, with their texts, as it is for tests."""

    @property
    @abstractmethod
    def messages(self) -> Sequence[AcceptedMessage]:
        """The messages accepted so far, in order."""

    @abstractmethod
    def now(self) -> float:
        """Return the sandbox's Unix time."""

    def to_rows(self) -> list[TableRow]:
        """Return a row for each message, in the order in which they were accepted, for pandas or polars."""
        now = self.now()
        return [_row(message, now) for message in self.messages]

    def _sentence(self) -> str:
        return _summary(self.to_rows())

    def _view(self) -> View:
        rows = self.to_rows()
        return View(_summary(rows), [{**masked_row(row), "text": row["text"], "key": None} for row in reversed(rows)])


def _summary(rows: Sequence[TableRow]) -> str:
    found = Counter(row["status_phrase"] for row in rows)
    each = ", ".join(f"{count:,} {phrase}" for phrase, count in found.most_common())
    return f"A sandbox with {counted(len(rows), 'message')}{': ' if each else ''}{each}."


def _row(message: AcceptedMessage, now: float) -> TableRow:
    status = MessageStatus(message.status_at(now))
    return {
        "phone": message.phone,
        "id": message.id,
        **code_columns("status", status),
        "is_final": status.is_final,
        "is_delivered": status.is_delivered,
        "text": message.text,
        "sender": message.sender,
        "channel": str(message.channel),
        "accepted_at": datetime.fromtimestamp(message.accepted_at, UTC),
        "parts": message.parts,
        "cost": message.cost,
        "key": message.key,
    }
