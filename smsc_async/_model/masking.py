"""What a repr shows in place of a private value; pure."""

from collections.abc import Mapping
from typing import Final

__all__ = ["is_private", "masked"]

_PRIVATE: Final = frozenset(
    {
        *("phone", "to", "text", "extra", "imgcode", "userip", "pp", "imsi", "msc"),
        *("data", "udh", "url", "title", "subject", "file_url", "code"),
    }
)
"""The names of the attributes of which a repr shows no value."""
_LONG: Final = 9  # digits; most of a shorter number would be shown


class _Masked:
    """What is shown in place of a value."""

    __slots__ = ("_shown",)

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown


def is_private(name: str | None) -> bool:
    """Return whether no value is shown of an attribute with this name."""
    return name in _PRIVATE


def masked(name: str | None, value: object) -> object:
    """Return an object that is shown in place of the value of an attribute: a part of a phone, the length of a text."""
    if isinstance(value, Mapping):
        return {key: masked(None, item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return _Masked(_counted(len(value), "recipient" if name == "to" else "item"))
    if name == "phone" and isinstance(value, str) and value.lstrip("+").isdecimal() and len(value) >= _LONG:
        return _Masked(f"'{value[:4]}*****{value[-2:]}'")
    if isinstance(value, (str, bytes)):
        return _Masked(_counted(len(value), "character" if isinstance(value, str) else "byte"))
    return value


def _counted(number: int, word: str) -> str:
    return f"<{number} {word}{'' if number == 1 else 's'}>"
