"""A list of results that is drawn as a table."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, SupportsIndex, TypeVar, overload

from .outcome import SmscError
from .shown import Shown, TableRow, View, counted, failure_columns, masked_row

__all__ = ["Reports"]

T = TypeVar("T")
_CAPITAL: Final = re.compile("(?<=[a-z])(?=[A-Z])")


class Reports(Shown, list[T]):
    """A list of results, as `Client.statuses` returns it: a notebook draws it as a table.

    Any results of this package may be in it, such as the updates of a watch: `Reports(updates)`. A slice is a `Reports`
    too.
    """

    __slots__ = ()

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> T: ...
    @overload
    def __getitem__(self, index: "slice[Any, Any, Any]", /) -> "Reports[T]": ...
    def __getitem__(self, index: "SupportsIndex | slice[Any, Any, Any]", /) -> "T | Reports[T]":
        if isinstance(index, slice):
            return Reports(super().__getitem__(index))
        return super().__getitem__(index)

    def to_rows(self) -> list[TableRow]:
        """Return flat rows, all with the same columns, for `pandas.DataFrame` or `polars.DataFrame`.

        What a result does not have is None in its row. An error in the list has its class in `failure`, its text in
        `failure_message` and its `outcome`; the other rows have None there.
        """
        rows = [{**row, **{name: row.get(name) for name in failure_columns(None)}} for row in self._each()]
        columns = dict.fromkeys(name for row in rows for name in row)
        return [{name: row.get(name) for name in columns} for row in rows]

    def _each(self) -> Iterator[TableRow]:
        for item in self:
            if isinstance(item, Shown):
                yield from item.to_rows()
            elif isinstance(item, Exception):
                refs = item.refs if isinstance(item, SmscError) else ()
                ref = refs[0] if len(refs) == 1 else None
                about = {"phone": None if ref is None else ref.phone, "id": None if ref is None else ref.id}
                yield {**about, **failure_columns(item)}
            else:
                yield {"value": repr(item)}

    def _sentence(self) -> str:
        return self._summary(self.to_rows())

    def _view(self) -> View:
        rows = self.to_rows()
        return View(self._summary(rows), [masked_row(row) for row in rows])

    def _summary(self, rows: list[TableRow]) -> str:
        found = Counter(filter(None, map(_result, rows)))
        each = ", ".join(f"{count:,} {name}" for name, count in found.most_common())
        return f"{counted(len(self), self._noun())}{': ' if each else ''}{each}."

    def _noun(self) -> str:
        kinds = {type(item).__name__ for item in self if not isinstance(item, Exception)}
        return _CAPITAL.sub(" ", kinds.pop()).lower() if len(kinds) == 1 else "result"


def _result(row: TableRow) -> str | None:
    return row["failure"] or row.get("status_phrase") or ("accepted" if row.get("accepted") else None)
