"""The codes in a text, such as one-time passwords, for tests that enter them."""

import re
from typing import Final

__all__ = ["find_codes"]

# 4 to 8 digits, or two groups of three, that are no part of a longer number, an amount, a date, a time or a link.
_CODE: Final = re.compile(r"(?<![\w+./:,-])(?:[A-Za-z]{1,3}-)?(\d{3}[- ]\d{3}|\d{4,8})(?![\w%/:]|[.,-]\w)")
_WORD: Final = re.compile(
    r"\b(?:code|otp|pin|pass(?:word|code)?|код\w*|пароль|пин\w*|құпия\w*|шифр\w*)\b", re.IGNORECASE
)
_NEAR: Final = 30  # characters


def find_codes(text: str) -> tuple[str, ...]:
    """Return the codes in a text without separators, first those beside a word such as "code" or "пароль"."""
    words = [(found.start(), found.end()) for found in _WORD.finditer(text)]
    found = [(_distance(match.start(1), match.end(1), words), match[1]) for match in _CODE.finditer(text)]
    near = sorted((each for each in found if each[0] <= _NEAR), key=lambda each: each[0])
    others = [each for each in found if each[0] > _NEAR]
    codes = (re.sub(r"\D", "", code) for _, code in (*near, *others))
    return tuple(dict.fromkeys(codes))


def _distance(start: int, end: int, words: list[tuple[int, int]]) -> int:
    """Return the number of characters between a code and the next such word."""
    return min((max(first - end, start - last) for first, last in words), default=_NEAR + 1)
