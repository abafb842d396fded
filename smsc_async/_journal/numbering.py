"""The messages of a job that is planned, in the order of their rows."""

import marshal
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from heapq import merge
from itertools import pairwise
from operator import lt
from pathlib import Path
from typing import Final, TypeAlias

from smsc_async._model import Message, has_one_phone, recipient_key, wrong
from smsc_async._sending import check_made

from .file import JOURNAL
from .rows import ONE_PHONE, PlannedMessage, RowPlan

__all__ = ["Numbering"]


class Numbering:
    """The messages of a job in the order of their rows; they are in a temporary file, and take a few bytes each here.

    Iterate over it as often as needed, after `arrange`; close it in the end.

    Args:
        journal: The file of the journal; the temporary one is in its folder, and has no name.

    Attributes:
        faulty: The messages that can't be sent, in the order in which they were added.

    Raises:
        JournalError: The file can't be made or written; also while it is used.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        with JOURNAL.explained(journal):
            self._file = tempfile.TemporaryFile(dir=journal.parent)  # noqa: SIM115 - `close` closes it
        self.faulty: list[RowPlan] = []
        self._unwritten = bytearray()
        self._ends = array("q", [0])  # where each message ends
        self._numbers = array("q")  # of their rows
        self._order: Iterable[int] = ()
        self._ids: set[tuple[str, str]] = set()

    def __iter__(self) -> Iterator[PlannedMessage]:
        self._write()
        with JOURNAL.explained(self._journal):
            for place in self._order:
                start, end = self._ends[place : place + 2]
                self._file.seek(start)
                yield _planned(self._numbers[place], marshal.loads(self._file.read(end - start)))  # noqa: S302 - it is ours

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):  # on a full disk it fails to write what nobody needs any more
            self._file.close()

    def add(self, item: Message | PlannedMessage) -> None:
        """Add a message; its row is its position unless it has one.

        Raises:
            ValueError: It is no valid message, or an earlier one has the same phone and id.
        """
        number = len(self._ends)
        if isinstance(item, Message):
            check_made(item)
            if not has_one_phone(item):
                raise ValueError(f"message {number}: {ONE_PHONE}")
            self._store(number, (*_columns(item), None, None))
            return
        if not isinstance(item, PlannedMessage):
            raise wrong(f"item {number} of messages", "a Message or PlannedMessage", item)
        row, message = number if item.row is None else item.row, item.message
        if message is None:
            self.faulty.append(RowPlan(row, item.phone, item.fault))
            self._store(row, (item.phone, None, None, None, item.id, item.fault))
            return
        check_made(message)
        if item.id is not None:
            known = len(self._ids)
            self._ids.add((recipient_key(message.phone), item.id))
            if len(self._ids) == known:
                raise ValueError(f"message {number} has the same phone and id as an earlier one")
        self._store(row, (*_columns(message), item.id, None))

    def arrange(self) -> None:
        """Sort the messages by their rows; blocks, but in pieces, so that other threads can run.

        Raises:
            ValueError: Two messages have the same row.
        """
        places = range(len(self._numbers))
        self._order = places
        if all(map(lt, self._numbers, self._numbers[1:])):
            return
        pieces = [
            sorted(places[start : start + _SORTED_AT_ONCE], key=self._numbers.__getitem__)
            for start in places[::_SORTED_AT_ONCE]
        ]
        self._order = array("q", merge(*pieces, key=self._numbers.__getitem__))
        twice = [second for first, second in pairwise(self._order) if self._numbers[first] == self._numbers[second]]
        if twice:
            raise ValueError(f"message {min(twice) + 1} has the same row number as an earlier one")

    def _store(self, row: int, values: "_Values") -> None:
        content = marshal.dumps(values)
        self._unwritten += content
        self._ends.append(self._ends[-1] + len(content))
        self._numbers.append(row)
        if len(self._unwritten) > _WRITTEN_AT_ONCE:
            self._write()

    def _write(self) -> None:
        with JOURNAL.explained(self._journal):
            self._file.write(self._unwritten)
        self._unwritten.clear()


# phone, text, sender, tz, id, fault
_Values: TypeAlias = tuple[str, str | None, str | None, float | None, str | None, str | None]
_SORTED_AT_ONCE: Final = 2_000
_WRITTEN_AT_ONCE: Final = 65_536


def _columns(message: Message) -> tuple[str, str, str | None, float | None]:
    sender, tz = message.sender, message.tz
    # Of these very types, not of derived ones: marshal knows no others.
    return (
        str(message.phone),
        str(message.text),
        None if sender is None else str(sender),
        None if tz is None else float(tz),
    )


def _planned(row: int, values: _Values) -> PlannedMessage:
    phone, text, sender, tz, id_, fault = values
    # Not validated: these are the values of valid messages.
    if text is None:
        return PlannedMessage.model_construct(id=id_, row=row, phone=phone, fault=fault)
    message = Message.model_construct(phone=phone, text=text, sender=sender, tz=tz)
    return PlannedMessage.model_construct(message=message, id=id_, row=row)
