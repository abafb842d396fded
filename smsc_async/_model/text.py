"""How a text is split into SMS: the alphabet that it needs, and where it is cut.

The alphabet is the GSM 7 bit default alphabet of 3GPP TS 23.038 (section 6.2.1) with its extension table
(section 6.2.1.1); a text with any other character goes as UCS-2 (section 6.2.3). One SMS carries 140 octets
(3GPP TS 23.040), that is 160 septets or 70 16-bit units; in a text of several SMS each loses 6 octets to the
header that joins them, which leaves 153 septets or 67 units. The service states the same four numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from .frozen import wrong
from .shown import Shown, TableRow, View

__all__ = ["Encoding", "Parts", "parts"]

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Each of these takes two septets: the escape and one more.
_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM_7 = _BASIC | _EXTENSION
_LAST_BMP_CHARACTER = "\uffff"


class Encoding(StrEnum):
    """The alphabet in which a text is sent."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


# Units in a single SMS, and in each of several SMS.
_UNITS = {Encoding.GSM_7: "septets", Encoding.UCS_2: "16-bit units"}
_ROOM = {Encoding.GSM_7: (160, 153), Encoding.UCS_2: (70, 67)}


@dataclass(frozen=True, slots=True, repr=False)
class Parts(Shown):
    """A text split into SMS.

    Attributes:
        encoding: The alphabet of all its SMS.
        segments: The text of each SMS; joined they are the whole text.
        units: The length of the whole text in septets (GSM-7) or 16-bit units (UCS-2).
    """

    encoding: Encoding
    segments: tuple[str, ...]
    units: int

    @property
    def count(self) -> int:
        """How many SMS the text needs; the service charges each of them."""
        return len(self.segments)

    def __len__(self) -> int:
        return self.count

    def to_rows(self) -> list[TableRow]:
        """Return a row for each SMS, with its text and its units."""
        return [
            {"part": number, "text": text, "units": sum(_widths(text, self.encoding)), "encoding": str(self.encoding)}
            for number, text in enumerate(self.segments, 1)
        ]

    def _sentence(self) -> str:
        return f"{self.count:,} SMS in {self.encoding}: {self.units:,} {_UNITS[self.encoding]} in all."

    def _view(self) -> View:
        alone, joined = _ROOM[self.encoding]
        room = alone if self.count == 1 else joined
        return View(
            self._sentence(),
            boxes=[
                (f"{row['part']} of {self.count}: {row['units']} of {room} {_UNITS[self.encoding]}", row["text"])
                for row in self.to_rows()
            ],
        )

    def __repr__(self) -> str:
        return f"Parts(encoding={self.encoding!r}, segments=<{self.count} SMS>, units={self.units})"


def parts(text: str) -> Parts:
    r"""Split a text into SMS as the service counts and charges them.

    A character that takes two units (an escape pair of GSM-7, a surrogate pair of UCS-2) is never cut in two, so
    an SMS may end one unit early, and a text may need one SMS more than its units divided by the room.

    Args:
        text: The message; an empty one is one empty SMS.

    Returns:
        The encoding, the text of each SMS and the units in all.

    Raises:
        ValueError: The text is not a string.
    """
    given: object = text
    if not isinstance(given, str):
        raise wrong("text", "a string", given)
    encoding = Encoding.GSM_7 if _GSM_7.issuperset(text) else Encoding.UCS_2
    widths = list(_widths(text, encoding))
    units = sum(widths)
    alone, joined = _ROOM[encoding]
    segments = (text,) if units <= alone else tuple(_filled(text, widths, joined))
    return Parts(encoding, segments, units)


def _widths(text: str, encoding: Encoding) -> Iterator[int]:
    if encoding is Encoding.GSM_7:
        return (2 if character in _EXTENSION else 1 for character in text)
    return (2 if character > _LAST_BMP_CHARACTER else 1 for character in text)


def _filled(text: str, widths: list[int], room: int) -> Iterator[str]:
    start = used = 0
    for position, width in enumerate(widths):
        if used + width > room:
            yield text[start:position]
            start, used = position, 0
        used += width
    yield text[start:]
