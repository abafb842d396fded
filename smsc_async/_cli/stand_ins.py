"""Stable names in place of secrets, phones and texts, so that a report can be shown to others."""

import hashlib
import html
import re
from collections import Counter
from typing import Final
from urllib.parse import quote

__all__ = ["StandIns"]

_LONG: Final = 6  # shorter values are replaced as whole words only, or a report could become unreadable
_PHONE: Final = re.compile(r"(?<![0-9A-Za-z.])\+?([0-9]{11,15})(?![0-9A-Za-z])")
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_MONEY: Final = re.compile(r"(<balance>)([^<]*)")


class StandIns:
    """The names: the same value has the same name in the whole report."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, value: str) -> str:
        """Replace a value from now on, wherever it is and however it is encoded, and return its name."""
        known = self._names.get(value.lower())
        if known is not None:
            return known
        self._counts[kind] += 1
        name = f"[{kind} {self._counts[kind]}]"
        digest = hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()
        for form in (value, html.escape(value), quote(value), quote(value, safe=""), digest):
            self._names.setdefault(form.lower(), name)
        return name

    def hide(self, text: str) -> str:
        """Return a text with names in place of all such values, of other phones and e-mail addresses, and of money."""
        for value in sorted(self._names, key=len, reverse=True):
            name, pattern = self._names[value], re.escape(value)
            whole = pattern if len(value) >= _LONG else rf"(?<!\w){pattern}(?!\w)"
            text = re.sub(whole, lambda _, name=name: name, text, flags=re.IGNORECASE)  # type: ignore[misc]
        text = _EMAIL.sub(lambda found: self.add("e-mail", found[0]), text)
        text = _PHONE.sub(lambda found: self.add("phone", found[1]), text)
        return _MONEY.sub(lambda found: found[1] + re.sub("[0-9]", "0", found[2]), text)
