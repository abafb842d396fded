"""Texts that an incorrect codec would change."""

from typing import Final

__all__ = ["TEXTS"]

TEXTS: Final = {
    "markup": "& < > \" ' ]]> &amp; &lt; <![CDATA[x]]> <?pi?> <!-- c -->",
    "emoji": "😀 family 👩\u200d👩\u200d👧 flag 🇰🇿 astral \U0001d518",
    "right-to-left": "שלום \u202bعالم\u202c \u200f!",  # noqa: RUF001 - Arabic is what is meant
    "cyrillic": "Привет, мир! Ё ё № «»",
    "crlf": "one\r\ntwo\n\rthree",
    "lone-cr": "one\rtwo\r",
    "line-feeds": "\none\n\ntwo\n",
    "tabs": "\ta\tb\t",
    "spaces": "  leading and trailing \u00a0 ",
    "only-spaces": " \u2003",
    "line-separators": "a\u0085b\u2028c\u2029d",
    "url-like": "a=1&b=2+3%20%2B#4?",
    "edges-of-xml": "\u0020\ud7ff\ue000\ufffd\U00010000\U0010ffff",
    "1000-latin": "Ab3 " * 250,
    "1000-cyrillic": "Ж" * 1000,
    "1000-emoji": "😀" * 1000,
    "1000-escapes": "<&>\r" * 250,
}
