"""Read a CSV file of messages, and find its invalid rows; pure."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from smsc_async._journal import PlannedMessage
from smsc_async._model import Message, Phone, recipient_key

from .spreadsheet import Dialect, Sheet, damage, read_sheet

__all__ = ["BadRow", "MessageFile", "Spelling", "bad_file", "dialect_of", "read_messages"]

_REQUIRED: Final = ("phone", "text")
_OPTIONAL: Final = ("id", "sender", "tz")
_NOTES: Final = ("row", "reason")
"""The columns that a file of bad rows has besides those of the messages; another run ignores them."""
_REPORT: Final = "result"
_FORMULA: Final = re.compile(r'="(.*)"')
_WITH_FRACTION: Final = re.compile(r"(\+?[0-9]{5,15})[.,]0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How a file spells its cells.

    Attributes:
        encoding: The encoding of a file without a byte order mark, None for UTF-8 or UTF-16.
        delimiter: The character between two cells, None to recognise it.
        region: The country of phones without a country code; None if all are in international form.
    """

    encoding: str | None = None
    delimiter: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be sent.

    Attributes:
        row: Its number, as in a spreadsheet; the header is row 1 unless empty rows precede it.
        reason: Why, without the phone and the text.
        cells: The cells of `bad_file`.
    """

    row: int
    reason: str
    cells: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class MessageFile:
    """The content of a file.

    Attributes:
        columns: Its columns, in order, without those of `bad_file`.
        rows: Yields all rows, in order; a row that can't be sent has a `fault`. Raises a `ValueError` where the file
            can't be read, or at its end if it has no rows.
        bad: The rows that can't be sent, of those that were read.
        dialect: How it is written.
    """

    columns: tuple[str, ...]
    rows: Iterator[PlannedMessage]
    bad: list[BadRow]
    dialect: Dialect


_SPELLING: Final = Spelling()


def read_messages(
    content: bytes,
    check: Callable[[Message], object],
    *,
    allow_duplicates: bool = False,
    spelling: Spelling = _SPELLING,
) -> MessageFile:
    """Read the rows of a CSV file with a header row.

    Args:
        content: The content of the file.
        check: Raises a `ValueError` for a message that can't be sent with the options of the job.
        allow_duplicates: Whether the same message may go to the same recipient twice.
        spelling: The encoding, the delimiter and the form of the phones.

    Raises:
        ValueError: The file is not in this format.
    """
    sheet = _sheet(content, spelling)
    _check_columns(sheet.columns)
    columns = tuple(name for name in sheet.columns if name not in _NOTES)
    bad: list[BadRow] = []
    seen = _Seen(allow_duplicates=allow_duplicates)

    def rows() -> Iterator[PlannedMessage]:
        notes = [sheet.columns.index(name) for name in _NOTES if name in sheet.columns]
        is_empty = True
        for number, cells in sheet.rows:
            is_empty = False
            own = [cell for place, cell in enumerate(cells) if place not in notes] if notes else cells
            message = _planned(number, own, columns, check, seen, region=spelling.region)
            if message.fault is not None:
                # A row that was bad before keeps the number that it had in the first file.
                first = dict(zip(sheet.columns, cells, strict=False)).get("row", "") or str(number)
                bad.append(BadRow(number, message.fault, (first, message.fault, *own)))
            yield message
        if is_empty:
            raise ValueError("the CSV file has a header and no rows")

    return MessageFile(columns, rows(), bad, sheet.dialect)


def dialect_of(content: bytes, spelling: Spelling) -> Dialect:
    """Return how a file is written.

    Raises:
        ValueError: It can't be read.
    """
    return _sheet(content, spelling).dialect


def bad_file(found: MessageFile) -> Iterator[Sequence[str]]:
    """Yield the rows of a file that holds the bad rows, with all their cells, their numbers and the reasons."""
    yield (*_NOTES, *found.columns)
    yield from (each.cells for each in found.bad)


def _sheet(content: bytes, spelling: Spelling) -> Sheet:
    return read_sheet(content, {*_REQUIRED, *_OPTIONAL}, encoding=spelling.encoding, delimiter=spelling.delimiter)


class _Seen:
    """Finds duplicate rows in a file.

    Args:
        allow_duplicates: Whether the same message may go to the same recipient twice.
    """

    def __init__(self, *, allow_duplicates: bool) -> None:
        self._allow_duplicates = allow_duplicates
        self._messages: dict[bytes, int] = {}
        self._ids: dict[tuple[str, str], int] = {}

    def check(self, row: int, message: Message, id: str | None) -> None:  # noqa: A002 - the service's own word
        """Raise a `ValueError` if an earlier row is the same, or has the same phone and id."""
        phone = recipient_key(message.phone)
        if id is not None:
            first = self._ids.setdefault((phone, id), row)
            if first != row:
                raise ValueError(f"row {first} has the same phone and id")
        content = repr((phone, message.text, message.sender, message.tz)).encode()
        first = self._messages.setdefault(blake2b(content, digest_size=16).digest(), row)
        if first != row and not self._allow_duplicates:
            raise ValueError(f"row {first} is the same message to the same phone; --allow-duplicates sends both")


def _check_columns(columns: tuple[str, ...]) -> None:
    known = {*_REQUIRED, *_OPTIONAL, *_NOTES}
    if _REPORT in columns and "text" not in columns:
        raise ValueError("this is a report, which has no texts; `smsc-async watch FILE` follows its messages")
    missing = [name for name in _REQUIRED if name not in columns]
    if columns and not known & {*columns}:
        raise ValueError("the first row of the CSV file must be a header with the columns phone and text")
    if "" in columns:
        raise ValueError(
            f"column {columns.index('') + 1} of the CSV file has no name; pandas writes one unless index=False"
        )
    unknown = sorted({*columns} - known)
    if unknown:
        raise ValueError(
            f"the CSV file has unknown columns: {', '.join(unknown)}; the known ones are phone, text, id, sender, tz"
        )
    if missing:
        raise ValueError(f"the header of the CSV file must name all columns; missing: {', '.join(missing)}")
    if len({*columns}) < len(columns):
        raise ValueError("the header of the CSV file contains a column twice")


def _planned(
    row: int,
    cells: list[str],
    columns: tuple[str, ...],
    check: Callable[[Message], object],
    seen: _Seen,
    *,
    region: str | None,
) -> PlannedMessage:
    given = {name: cell for name, cell in zip(columns, cells, strict=False) if cell != ""}
    phone = _plain(given.get("phone", ""))
    fault = _fault(cells, columns, given)
    if fault:
        return PlannedMessage(row=row, phone=phone, fault=fault)
    try:
        phone = phone if region is None else Phone.parse(phone, region)
        message = Message(phone, given.get("text", ""), given.get("sender"), _number(given.get("tz")))
        check(message)
        planned = PlannedMessage(message=message, id=given.get("id"), row=row)
        seen.check(row, message, planned.id)
    except ValueError as error:
        return PlannedMessage(row=row, phone=phone, fault=str(error))
    return planned


def _fault(cells: list[str], columns: tuple[str, ...], given: Mapping[str, str]) -> str:
    """Return what a program did to a row, "" for nothing."""
    if len(cells) != len(columns):
        wide = "; put quotation marks around a text that has the delimiter in it" if len(cells) > len(columns) else ""
        return f"it has {len(cells)} fields, but the header has {len(columns)}{wide}"
    faults = ((name, damage(cell, is_number=name in {"phone", "id"})) for name, cell in given.items())
    return next((f"{name} {fault}" for name, fault in faults if fault), "")


def _plain(phone: str) -> str:
    """Return a phone without what keeps a spreadsheet from changing it, or shows that a program took it for a number.

    These are the formula `="+79991234567"`, an apostrophe before it, and the `.0` that pandas writes.
    """
    phone = phone.strip()
    formula = _FORMULA.fullmatch(phone)
    phone = (formula[1] if formula else phone).lstrip("'").strip()
    number = _WITH_FRACTION.fullmatch(phone)
    return number[1] if number else phone


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text) + 0.0  # -0 is 0
    except ValueError:
        raise ValueError("tz must be a number of hours relative to Moscow") from None
