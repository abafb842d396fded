"""CSV files as spreadsheets write and read them: their encodings, delimiters, damage and formulas; pure."""

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TextIO

__all__ = ["Dialect", "Sheet", "damage", "in_dialect", "is_sheet", "lines_of", "quoted", "read_sheet", "unquoted"]

_DELIMITERS: Final = (",", ";", "\t", "|")
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST_LINE: Final = 8
"""Characters of Excel's line about the delimiter."""
_WIDE: Final = re.compile(r"utf[-_]?(16|32)", re.IGNORECASE)
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls
_EXCEL: Final = re.compile(r"sep=([^\w\r\n\"])(\r\n|\r|\n)", re.IGNORECASE)
# OWASP, "CSV injection": a spreadsheet runs a cell that begins with one of these characters.
_FORMULA: Final = re.compile(r"[\s']*[=+\-@＝＋－＠]|'*[\t\r]")  # noqa: RUF001 - full-width ones too
_NUMBER: Final = re.compile(r"[+-][\d\s().,\-]*\d[\s)]*([eE][+-]?\d+)?")  # or a phone
_SHORTENED: Final = re.compile(r"[+-]?\d+([.,]\d*)?[eE][+-]?\d+")
_HASHES: Final = re.compile(r"#{3,}")
_ERRORS: Final = frozenset(
    {
        *("#NAME?", "#VALUE!", "#REF!", "#N/A", "#NUM!", "#DIV/0!", "#NULL!", "Err:508", "Err:509", "Err:510"),
        *("#ИМЯ?", "#ЗНАЧ!", "#ССЫЛКА!", "#Н/Д", "#ЧИСЛО!", "#ДЕЛ/0!", "#ПУСТО!"),  # noqa: RUF001 - Cyrillic
    }
)
"""What Excel and LibreOffice, in English and Russian, show in place of the result of a formula that fails."""
_REASONS: Final = {
    "unexpected end of data": "a quotation mark is not closed",
    "expected after": "text follows a closing quotation mark; a quotation mark inside a cell has to be doubled",
    "field limit": f"a quotation mark is not closed, or a cell has more than {csv.field_size_limit():,} characters",
}
"""What the errors of csv mean."""
_AGAIN: Final = "format the column as text and enter it again"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        encoding: Its encoding, "utf-8-sig" if it is UTF-8 with a byte order mark.
        delimiter: The character between two cells.
        names_delimiter: Whether Excel's line `sep=;` precedes the header.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    names_delimiter: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """The content of a CSV file.

    Attributes:
        columns: The names in the header, in lower case.
        rows: Yields the rows after the header that are not empty, each with its number in the file and its cells; there
            may be more or fewer cells than columns. Raises a `ValueError` where the file can't be read.
        dialect: How the file is written.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]
    dialect: Dialect


def lines_of(content: bytes, encoding: str | None = None) -> list[str]:
    """Return the lines of a file.

    Raises:
        ValueError: It is not in this encoding.
    """
    return re.split(r"\r\n|\r|\n", _decoded(content, _encoding(content, encoding)))


def is_sheet(
    content: bytes, known: Collection[str], *, encoding: str | None = None, delimiter: str | None = None
) -> bool:
    """Return whether a file has a header with all of these columns.

    Raises:
        ValueError: The file can't be read.
    """
    skipped, dialect = _opened(content, known, encoding, delimiter)
    return {*known} <= {*_header(content, dialect.encoding, skipped, dialect.delimiter)}


def read_sheet(
    content: bytes, known: Collection[str], *, encoding: str | None = None, delimiter: str | None = None
) -> Sheet:
    """Read a CSV file.

    Args:
        content: The bytes of the file.
        known: The names of columns by which the delimiter is recognised.
        encoding: The encoding of a file without a byte order mark, None for UTF-8 or UTF-16.
        delimiter: The delimiter, None to recognise it.

    Raises:
        ValueError: The file can't be read.
    """
    skipped, dialect = _opened(content, known, encoding, delimiter)
    # Let csv split the lines: splitlines() would also end a row at a U+2028 inside a text.
    lines = csv.reader(_text(content, dialect.encoding, skipped), delimiter=dialect.delimiter, strict=True)
    with _explained(content, dialect, [0]):
        empty, header = _first(lines)
    columns = _names(header)
    return Sheet(columns, _rows(content, lines, empty + 2, len(columns), dialect), dialect)


def _rows(content: bytes, lines: Any, first: int, width: int, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    before = [lines.line_num]  # lines before the row that is read, which may have several
    with _explained(content, dialect, before):
        for number, cells in enumerate(lines, first):
            before[0] = lines.line_num
            # Empty rows count, so that the numbers are those of the spreadsheet.
            if any(map(str.strip, cells)):
                yield number, list(_cut([unquoted(cell) for cell in cells], width))


@contextmanager
def _explained(content: bytes, dialect: Dialect, before: list[int]) -> Iterator[None]:
    """Say where a file can't be read; `before` holds the number of lines that could be."""
    try:
        yield
    except csv.Error as error:
        line = before[0] + 1 + dialect.names_delimiter
        raise ValueError(f"line {line} of the CSV file can't be read: {_reason(str(error))}") from None
    except UnicodeError:
        raise _undecodable(content, dialect.encoding) from None


def in_dialect(dialect: Dialect, rows: Iterable[Sequence[str]]) -> bytes:
    """Return a CSV file; cells that a spreadsheet would run are quoted with an apostrophe."""
    text = io.StringIO()
    if dialect.names_delimiter:
        text.write(f"sep={dialect.delimiter}\n")
    for row in rows:
        line = io.StringIO()
        # With this line end csv also puts a lone carriage return in quotation marks.
        csv.writer(line, delimiter=dialect.delimiter, lineterminator="\r\n").writerow(map(quoted, row))
        text.write(f"{line.getvalue()[:-2]}\n")
    # Only words of the service can be outside the encoding of the file that its rows come from.
    return text.getvalue().encode(dialect.encoding, "backslashreplace")


def quoted(cell: str) -> str:
    """Return a cell with an apostrophe before it if a spreadsheet would run it; `unquoted` reverses it exactly."""
    return f"'{cell}" if _is_formula(cell) else cell


def unquoted(cell: str) -> str:
    """Return a cell without the apostrophe of `quoted`."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell


def damage(cell: str, *, is_number: bool = False) -> str:
    """Return what a spreadsheet did to a cell, "" for nothing.

    Args:
        cell: The cell.
        is_number: Whether it holds digits, of which none may be missing.
    """
    cell = cell.strip()
    if is_number and _SHORTENED.fullmatch(cell):
        return f"is shortened: a spreadsheet has written it like 7.99912E+10, and digits are lost; {_AGAIN}"
    if _HASHES.fullmatch(cell):
        return "is ###: the column was too narrow in the spreadsheet; make it wider and save the file again"
    if cell in _ERRORS:
        return f"is an error such as #NAME?: a spreadsheet took it for a formula; {_AGAIN}"
    return ""


def _is_formula(cell: str) -> bool:
    return _FORMULA.match(cell) is not None and not _NUMBER.fullmatch(cell)


def _opened(content: bytes, known: Collection[str], encoding: str | None, delimiter: str | None) -> tuple[int, Dialect]:
    """Return how many characters precede the header, which are Excel's line about the delimiter; and the dialect."""
    encoding = _encoding(content, encoding)
    try:
        codecs.lookup(encoding)  # refuses a word that only files know, such as "locale"
        start = _text(content, encoding, 0).read(_LONGEST_LINE)
    except (LookupError, UnicodeError):
        raise _undecodable(content, encoding) from None
    line = _EXCEL.match(start)  # Excel does not show it
    skipped = line.end() if line else 0
    delimiter = delimiter or (line[1] if line else None)
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=lambda each: len({*_header(content, encoding, skipped, each)} & {*known}))
    return skipped, Dialect(encoding, delimiter, names_delimiter=line is not None)


def _text(content: bytes, encoding: str, skipped: int) -> TextIO:
    """Return the text of a file after some characters; it is decoded as it is read."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding, newline="")
    text.read(skipped)
    return text


def _encoding(content: bytes, encoding: str | None) -> str:
    if content.startswith(_WORKBOOKS):
        raise ValueError('this is a workbook, not a CSV file; save it as "CSV UTF-8" in the spreadsheet')
    marked = next((name for mark, name in _BOMS if content.startswith(mark)), None)
    if marked is not None:
        return marked
    if encoding is None:  # in UTF-16, one of the two bytes of a Latin letter is zero
        zeros = [byte == 0 for byte in content[:2]]
        return "utf-16-be" if zeros == [True, False] else "utf-16-le" if zeros == [False, True] else "utf-8"
    wide = _WIDE.fullmatch(encoding)  # read piece by piece, it needs a mark or an order
    return f"utf-{wide[1]}-{'be' if content[:1] == bytes(1) else 'le'}" if wide else encoding


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except (LookupError, UnicodeError):
        raise _undecodable(content, encoding) from None


def _undecodable(content: bytes, encoding: str) -> ValueError:
    """Return the error of a file that is not in an encoding; only decoding all of it shows at which byte."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding.startswith("utf-8") else encoding
        return ValueError(
            f'the file is not {name} (byte {error.start}); save it as "CSV UTF-8", or pass its encoding, such as '
            "--encoding cp1251"
        )
    except (LookupError, UnicodeError):
        pass
    return ValueError("--encoding must be the name of an encoding, such as utf-8 or cp1251")


def _header(content: bytes, encoding: str, skipped: int, delimiter: str) -> tuple[str, ...]:
    text = _text(content, encoding, skipped)
    try:
        return _names(_first(csv.reader(text, delimiter=delimiter, strict=True))[1])
    except (csv.Error, UnicodeError):
        return ()


def _first(rows: Iterable[list[str]]) -> tuple[int, list[str]]:
    """Return how many empty rows are before the header, and the header."""
    return next(((empty, row) for empty, row in enumerate(rows) if any(map(str.strip, row))), (0, []))


def _names(header: list[str]) -> tuple[str, ...]:
    """Return the names of the columns; Excel writes empty ones at the end if a cell there was ever used."""
    return _cut([unquoted(name).strip().casefold() for name in header], 0)


def _cut(cells: list[str], width: int) -> tuple[str, ...]:
    """Return the cells without the empty ones at the end that are beyond the width of the header."""
    while len(cells) > width and not cells[-1]:
        cells.pop()
    return tuple(cells)


def _reason(words: str) -> str:
    """Return what is wrong with a line, in our words where those of csv need explanation."""
    return next((reason for part, reason in _REASONS.items() if part in words), words)
