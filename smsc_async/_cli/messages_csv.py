"""Read a CSV file of messages, and find its invalid rows; pure."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from smsc_async._journal import PlannedMessage
from smsc_async._model import Message, recipient_key

__all__ = ["BadRow", "MessageFile", "read_messages"]

_REQUIRED: Final = ("phone", "text")
_OPTIONAL: Final = ("id", "sender", "tz")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be sent.

    Attributes:
        row: Its number; the header is row 1, as in a spreadsheet.
        reason: Why, without the phone and the text.
        values: Its values by column.
    """

    row: int
    reason: str
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class MessageFile:
    """The content of a file.

    Attributes:
        columns: Its columns, in order.
        rows: All rows, in order; a row that can't be sent has a `fault`.
        bad: The rows that can't be sent.
    """

    columns: tuple[str, ...]
    rows: tuple[PlannedMessage, ...]
    bad: tuple[BadRow, ...]


def read_messages(content: bytes, check: Callable[[Message], object], *, allow_duplicates: bool = False) -> MessageFile:
    """Read the rows of a CSV file: UTF-8 with or without a byte order mark, commas, a header row.

    Args:
        content: The content of the file.
        check: Raises a `ValueError` for a message that can't be sent with the options of the job.
        allow_duplicates: Whether the same message may go to the same recipient twice.

    Raises:
        ValueError: The file is not in this format, or has no rows.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the CSV file is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    # Let csv split the lines: splitlines() would also end a row at a U+2028 inside a text.
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = _columns(next(lines, []))
        rows = list(_rows(lines, columns))
    except csv.Error as error:
        raise ValueError(f"line {lines.line_num} of the CSV file can't be read: {error}") from None
    if not rows:
        raise ValueError("the CSV file has a header and no rows")
    planned, bad = [], []
    seen = _Seen(allow_duplicates=allow_duplicates)
    for number, values in rows:
        message = _planned(number, values, columns, check, seen)
        planned.append(message)
        if message.fault is not None:
            bad.append(BadRow(number, message.fault, dict(zip(columns, values, strict=False))))
    return MessageFile(columns, tuple(planned), tuple(bad))


class _Seen:
    """Finds duplicate rows in a file.

    Args:
        allow_duplicates: Whether the same message may go to the same recipient twice.
    """

    def __init__(self, *, allow_duplicates: bool) -> None:
        self._allow_duplicates = allow_duplicates
        self._messages: dict[tuple[object, ...], int] = {}
        self._ids: dict[tuple[str, str], int] = {}

    def check(self, row: int, message: Message, id: str | None) -> None:  # noqa: A002 - the service's own word
        """Raise a `ValueError` if an earlier row is the same, or has the same phone and id."""
        phone = recipient_key(message.phone)
        if id is not None:
            first = self._ids.setdefault((phone, id), row)
            if first != row:
                raise ValueError(f"row {first} has the same phone and id")
        first = self._messages.setdefault((phone, message.text, message.sender, message.tz), row)
        if first != row and not self._allow_duplicates:
            raise ValueError(f"row {first} is the same message to the same phone; --allow-duplicates sends both")


def _columns(header: list[str]) -> tuple[str, ...]:
    columns = tuple(name.strip().casefold() for name in header)
    unknown = sorted({*columns} - {*_REQUIRED, *_OPTIONAL})
    if unknown:
        raise ValueError(
            f"the CSV file has unknown columns: {', '.join(unknown)}; the known ones are phone, text, id, sender, tz"
        )
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise ValueError(f"the header of the CSV file must name all columns; missing: {', '.join(missing)}")
    if len({*columns}) < len(columns):
        raise ValueError("the header of the CSV file contains a column twice")
    return columns


def _rows(lines: Iterable[list[str]], columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    for number, values in enumerate(lines, 2):
        # Many programs write an empty line at the end. Empty lines count, so that row numbers match a spreadsheet.
        if values and (len(values) > 1 or values[0].strip() or len(columns) == 1):
            yield number, values


def _planned(
    row: int, values: list[str], columns: tuple[str, ...], check: Callable[[Message], object], seen: _Seen
) -> PlannedMessage:
    given = {name: value for name, value in zip(columns, values, strict=False) if value != ""}
    phone = given.get("phone", "").strip()
    if len(values) != len(columns):
        fault = f"it has {len(values)} fields, but the header has {len(columns)}"
        return PlannedMessage(row=row, phone=phone, fault=fault)
    try:
        message = Message(phone, given.get("text", ""), given.get("sender"), _number(given.get("tz")))
        check(message)
        planned = PlannedMessage(message=message, id=given.get("id"), row=row)
        seen.check(row, message, planned.id)
    except ValueError as error:
        return PlannedMessage(row=row, phone=phone, fault=str(error))
    return planned


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError("tz must be a number of hours relative to Moscow") from None
