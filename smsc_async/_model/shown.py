"""How a value is shown to people: one sentence as text, and a table in a notebook or on a terminal with rich.

Both mask what a repr masks. What draws the table is imported when it is first needed.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from .codes import DeliveryError, MessageStatus, MessageType
from .masking import is_private, masked

__all__ = [
    "Bar",
    "Shown",
    "TableRow",
    "View",
    "about",
    "capitalized",
    "code_columns",
    "counted",
    "failure_columns",
    "in_utc",
    "masked_row",
    "money",
    "shown_phone",
    "shown_time",
]

TableRow: TypeAlias = dict[str, Any]
"""A flat row for a table: numbers, `Decimal`, aware datetimes in UTC, strings, booleans and None."""


class Bar(NamedTuple):
    """A value that is drawn as a bar.

    Attributes:
        share: How much of it is full, 0 to 1.
        text: The text beside it.
    """

    share: float
    text: str


class View(NamedTuple):
    """What is drawn of a value.

    Attributes:
        sentence: The sentence above everything else.
        rows: The rows of a table; what is None in all of them has no column.
        boxes: Texts in a border, each with a caption.
    """

    sentence: str
    rows: Sequence[Mapping[str, object]] = ()
    boxes: Sequence[tuple[str, str]] = ()


class Shown(ABC):
    """A value with a sentence and a table."""

    __slots__ = ()

    @abstractmethod
    def to_rows(self) -> list[TableRow]:
        """Return flat rows for `pandas.DataFrame` or `polars.DataFrame`, with the real phones and texts.

        Money is `Decimal`, times are aware datetimes in UTC, and a code is its number with its phrase beside it.
        """

    @abstractmethod
    def _sentence(self) -> str:
        """Return what the value says in one sentence, without a private value."""

    def _view(self) -> View:
        return View(self._sentence(), [masked_row(row) for row in self.to_rows()])

    def __str__(self) -> str:
        return self._sentence()

    def _repr_html_(self) -> str:
        from smsc_async._notebook import to_html  # noqa: PLC0415 - only notebooks need it

        return to_html(*self._view())

    def __rich__(self) -> object:
        from smsc_async._notebook import to_rich  # noqa: PLC0415 - only rich calls this, so it is there

        return to_rich(*self._view())


def masked_row(row: Mapping[str, object]) -> TableRow:
    """Return a row in which private values are masked as in a repr."""
    return {
        name: _plain(masked(name, value)) if is_private(name) and isinstance(value, str) else value
        for name, value in row.items()
    }


def _plain(value: object) -> str:
    return repr(value).strip("'")


def about(phone: str, id: str | None = None) -> str:  # noqa: A002 - the service's own word
    """Return the words for a message: its id and a part of its recipient."""
    return f"message{'' if id is None else f' {id}'} to {shown_phone(phone)}"


def capitalized(text: str) -> str:
    """Return a text with a capital first letter; the others stay as they are."""
    return text[:1].upper() + text[1:]


def shown_phone(phone: str) -> str:
    """Return a part of a phone, or the length of another recipient."""
    return _plain(masked("phone", phone))


def counted(number: int, word: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def money(amount: Decimal) -> str:
    """Return an amount with at least two decimals."""
    return f"{amount:,.{max(2, len(f'{amount:f}'.partition('.')[2]))}f}"


def shown_time(moment: datetime) -> str:
    """Return a moment for people, in UTC to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def code_columns(name: str, code: MessageStatus | DeliveryError | MessageType | None) -> TableRow:
    """Return the columns of a code: its number and its phrase."""
    return {name: None if code is None else int(code), f"{name}_phrase": None if code is None else code.phrase}


def in_utc(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC, so that all rows of a column have one time zone."""
    return None if moment is None else moment.astimezone(UTC)


def failure_columns(error: Exception | None) -> TableRow:
    """Return the columns about a failure: its class, its text and whether the request may have been executed."""
    outcome = getattr(error, "outcome", None)
    return {
        "failure": None if error is None else type(error).__name__,
        "failure_message": None if error is None else str(error),
        "outcome": None if outcome is None else str(outcome),
    }
