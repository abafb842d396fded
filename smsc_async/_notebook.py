"""What a notebook draws: tables as HTML and for rich, a progress bar, and a failed cell in a few lines.

It is imported when something is drawn for the first time, so that importing the package costs no more. The HTML has no
style sheet and no script: all colours work on a light and on a dark background, and nothing outside of it changes.
"""

import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

__all__ = ["Progress", "failed_cell", "to_html", "to_rich"]

Rows = Sequence[Mapping[str, object]]
Boxes = Sequence[tuple[str, str]]

_SHOWN: Final = 30
_LINE: Final = "1px solid rgba(128,128,128,.35)"
_CELL: Final = f"padding:.25em .9em .25em 0;text-align:left;vertical-align:top;border:0;border-bottom:{_LINE}"
_GOOD, _BAD, _WAITING = "#2da44e", "#e5534b", "#6e7f99"  # contrast of at least 3 on white and on black
_PHRASES: Final = {name: f"{name}_phrase" for name in ("status", "error", "delivery_error", "type")}
"""Columns of numbers, and those of their phrases, which are shown in their place."""
_HIDDEN: Final = frozenset({"is_final", "is_delivered", "failure_message", "outcome", *_PHRASES.values()})
"""Columns that another one shows too."""
_LONG: Final = frozenset({"text", "failure"})
"""Columns whose texts are wrapped, if they are longer than `_UNWRAPPED`."""
_UNWRAPPED: Final = 20
_WRAPPED: Final = "display:inline-block;min-width:14em;white-space:pre-wrap;overflow-wrap:anywhere"


def to_html(sentence: str, rows: Rows = (), boxes: Boxes = ()) -> str:
    """Return a fragment of HTML.

    Args:
        sentence: The sentence above everything else.
        rows: The rows of a table. A tuple of a share and a text is drawn as a bar.
        boxes: The captions and texts of boxes.
    """
    pieces = [f'<div style="line-height:1.5">{escape(sentence)}</div>']
    if rows:
        pieces.append(_html_table(_columns(rows), rows))
    pieces += [_html_box(caption, text) for caption, text in boxes]
    inside = "".join(pieces)
    return f'<div style="color:inherit;max-width:100%;overflow-x:auto">{inside}</div>'


def _html_table(columns: Mapping[str, str], rows: Rows) -> str:
    head = "".join(f'<th style="{_CELL};font-weight:600">{escape(title)}</th>' for title in columns.values())
    lines = "".join(f"<tr>{_html_cells(columns, row)}</tr>" for row in rows[:_SHOWN])
    table = f'<table style="border-collapse:collapse;border:0;margin:.5em 0"><tr>{head}</tr>{lines}</table>'
    return table + (f"<div>{escape(_left_out(rows))}</div>" if len(rows) > _SHOWN else "")


def _html_cells(columns: Iterable[str], row: Mapping[str, object]) -> str:
    return "".join(f'<td style="{_CELL}">{_html_cell(row, name)}</td>' for name in columns)


def _html_cell(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if isinstance(value, tuple):
        share, text = value
        width = round(100 * min(max(share, 0.0), 1.0))
        colour = _BAD if share >= 1 else _GOOD
        return (
            f'<span style="display:inline-block;width:8em;height:.7em;border:{_LINE};border-radius:.2em;'
            'overflow:hidden;vertical-align:middle;margin-right:.6em">'
            f'<span style="display:block;width:{width}%;height:100%;background:{colour}"></span></span>{escape(text)}'
        )
    shown = _text(row, name)
    style = _WRAPPED if name in _LONG and len(shown) > _UNWRAPPED else "white-space:pre"
    text = f'<bdi style="{style}">{escape(shown)}</bdi>'
    if name not in {"status", "failure"} or value is None:
        return text
    return f'<span style="color:{_colour(row)}" aria-hidden="true">&#9679;</span>&#160;{text}'


def _html_box(caption: str, text: str) -> str:
    return (
        f'<div style="margin:.5em 0;max-width:40em"><div style="opacity:.75;font-size:.9em">{escape(caption)}</div>'
        '<div style="border:1px solid rgba(128,128,128,.6);border-radius:.4em;padding:.4em .7em;'
        f'background:rgba(128,128,128,.1);white-space:pre-wrap;overflow-wrap:anywhere"><bdi>{escape(text)}</bdi></div></div>'
    )


def to_rich(sentence: str, rows: Rows = (), boxes: Boxes = ()) -> object:
    """Return a renderable of rich; the arguments are those of `to_html`."""
    from rich.console import Group  # noqa: PLC0415 - an extra; only rich itself asks for this
    from rich.panel import Panel  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    pieces: list[Any] = [Text(_printable(sentence))]
    if rows:
        columns = _columns(rows)
        table = Table(*columns.values())
        for row in rows[:_SHOWN]:
            table.add_row(*(Text(_printable(_text(row, name)), style=_rich_style(row, name)) for name in columns))
        pieces.append(table)
        if len(rows) > _SHOWN:
            pieces.append(Text(_left_out(rows)))
    pieces += [Panel(Text(_printable(text)), title=Text(caption), expand=False) for caption, text in boxes]
    return Group(*pieces)


def _rich_style(row: Mapping[str, object], name: str) -> str:
    colours = {_GOOD: "green", _BAD: "red", _WAITING: ""}
    return colours[_colour(row)] if name in {"status", "failure"} else ""


def _columns(rows: Rows) -> dict[str, str]:
    """Return the columns that have something to show, in the order in which they first come, with their titles."""
    found: dict[str, str] = {}
    for row in rows[:_SHOWN]:
        for name, value in row.items():
            zone = " (UTC)" if isinstance(value, datetime) else ""
            found[name] = found.get(name, "") or (value is not False and _text(row, name) and _title(name) + zone) or ""
    return {name: title for name, title in found.items() if title and name not in _HIDDEN}


def _title(name: str) -> str:
    return name.removeprefix("is_").replace("_", " ")


def _left_out(rows: Rows) -> str:
    return f"… and {len(rows) - _SHOWN:,} more; to_rows() returns all {len(rows):,}"


def _colour(row: Mapping[str, object]) -> str:
    if row.get("is_delivered"):
        return _GOOD
    return _BAD if row.get("is_final") or row.get("failure") else _WAITING


def _text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if value is None or (name in {"error", "delivery_error"} and value == 0):
        return ""
    if name in _PHRASES:
        return str(row.get(_PHRASES[name]) or value)
    if name == "failure":
        return f"{value}: {row.get('failure_message')}"
    return _plain_text(value)


def _plain_text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value:,.{max(2, len(f'{value:f}'.partition('.')[2]))}f}"
    if isinstance(value, tuple):
        share, text = value
        return f"{'█' * round(10 * min(share, 1)):░<10} {text}"
    return str(value)


def _printable(text: str) -> str:
    """Return a text without characters that would control the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)


class Progress:
    """A progress bar of tqdm: a widget in a notebook that has ipywidgets, otherwise a line of text.

    Args:
        unit: What is counted.
        total: How many there are, None if that is unknown.
        also: Is called with the same numbers.

    Raises:
        ValueError: tqdm is not installed.
    """

    def __init__(self, unit: str, total: int | None = None, also: Callable[[int, int], object] | None = None) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that ipywidgets is missing: the bar is then a line of text
                from tqdm.auto import tqdm  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ValueError(_NO_TQDM) from error
        self._make: Callable[..., Any] = tqdm
        self._unit = unit
        self._total = total
        self._also = also
        self._bar: Any = None

    def __enter__(self) -> Self:
        # A notebook shows stderr as if something had failed.
        in_notebook = type(sys.stderr).__module__.startswith("ipykernel")
        self._bar = self._make(total=self._total, unit=self._unit, file=sys.stdout if in_notebook else None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int | None = None) -> None:
        """Show that `done` of `total` are done."""
        if total is not None:
            self._bar.total = total
        self._bar.update(done - self._bar.n)
        if self._also is not None and total is not None:
            self._also(done, total)


_NO_TQDM: Final = "progress=True needs an extra package: pip install 'smsc-async[notebook]', or only tqdm"
_RED, _RESET = "\x1b[31m", "\x1b[0m"
_OURS: Final = f"{Path(__file__).parent}/"
_LIBRARIES: Final = tuple(sysconfig.get_paths()[name] + "/" for name in ("stdlib", "purelib", "platlib"))


def failed_cell(error: BaseException, advice: str) -> list[str]:
    """Return the lines that a notebook shows in place of a traceback: what failed, what to do, and the user's lines.

    Args:
        error: The error.
        advice: What to do next.
    """
    lines = [f"{_RED}{type(error).__name__}{_RESET}: {_printable(str(error))}"]
    lines += [advice] if advice else []
    lines += [_printable(note) for note in getattr(error, "__notes__", ())]
    return [*lines, "", *_own_lines(error.__traceback__)]


def _own_lines(trace: TracebackType | None) -> Iterator[str]:
    for frame in traceback.extract_tb(trace):
        if not frame.filename.startswith((_OURS, *_LIBRARIES)):
            yield f"{_place(frame.filename)}, line {frame.lineno}: {(frame.line or '').strip()}"


def _place(filename: str) -> str:
    """Return what the user knows a file as: `Cell In[3]` for a cell."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    named = None if shell is None else shell.compile.format_code_name(filename)
    return filename if named is None else " ".join(named)
