"""How the server reads `phones`: numbers, groups, e-mail addresses and Telegram names."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ._channels import ServiceChannel

__all__ = ["Addressee", "as_stored", "canonical", "digits_of", "read_recipients", "split"]

_ENTRY = re.compile(r"[^,;]+")
_GROUP = re.compile(r"[Gg]([0-9]{1,20})")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_TELEGRAM = re.compile(r"#[0-9]{1,20}|@?[A-Za-z][A-Za-z0-9_]{3,31}")
# E.164 allows 15 digits; 7 is Russia and Kazakhstan, whose numbers have 11.
_NUMBER = re.compile(r"7[0-9]{10}|[1-689][0-9]{7,14}")
_PUNCTUATION = str.maketrans("", "", " ()-\t\u00a0")
# What people write around the digits of a number, with hyphens and dashes of all lengths.
_NOTATION = re.compile(r"\s*(?:tel:)?\+?[0-9\s()./\-\u2010-\u2015]+")
_TRUNK_LENGTH = 11
_SHORT_LENGTH = 10


class Addressee(NamedTuple):
    """One address of a request.

    Attributes:
        address: As the server stores it (digits for a number), or as it was written when the format is wrong.
        is_wrong: Whether the format is wrong (error 7).
    """

    address: str
    is_wrong: bool = False


def split(phones: str) -> Iterator[str]:
    """Yield the entries of a list separated by commas or semicolons, without the empty ones."""
    return (entry for found in _ENTRY.finditer(phones) if (entry := found[0].strip()))


def canonical(address: str) -> str:
    """Return the form that the server stores: a number's digits, or the address in lower case.

    Look-ups and comparisons use it, so that `+7...`, `7...` and `8...` are one subscriber.
    """
    return _digits(address) or address.strip().lower()


def as_stored(address: str) -> str:
    """Return the canonical form of an address, of which a number may be in any notation, also with a `+`.

    Tests search by it; the service itself reads a number with a `+` only if digits follow.
    """
    if not _NOTATION.fullmatch(address):
        return canonical(address)
    return canonical("".join(each for each in address if each in "+0123456789"))


def digits_of(address: str) -> str:
    """Return a part of an address as it is found in stored ones: of a number in any notation, the digits."""
    if not _NOTATION.fullmatch(address):
        return address.strip().lower()
    stored = as_stored(address)
    digits = stored if stored.isdecimal() else "".join(each for each in address if each in "0123456789")
    return digits or address.strip()


def read_recipients(
    phones: str, channel: ServiceChannel, groups: Mapping[int, tuple[str, ...]]
) -> tuple[Addressee, ...]:
    """Return the recipients in order, each once, with groups replaced by their members.

    An unknown or empty group is a wrong number, since it has no recipients.
    """
    found = (recipient for entry in split(phones) for recipient in _read(entry, channel, groups))
    return tuple(dict.fromkeys(found))


def _read(entry: str, channel: ServiceChannel, groups: Mapping[int, tuple[str, ...]]) -> Iterator[Addressee]:
    group = _GROUP.fullmatch(entry)
    members = groups.get(int(group[1]), ()) if group else ()
    for address in members or (entry,):
        if _fits(address, channel):
            yield Addressee(canonical(address))
        else:
            yield Addressee(address.removeprefix("+"), is_wrong=True)


def _fits(address: str, channel: ServiceChannel) -> bool:
    if channel is ServiceChannel.MAIL:
        return _EMAIL.fullmatch(address) is not None
    if channel.is_telegram and _TELEGRAM.fullmatch(address) and not _GROUP.fullmatch(address):
        return True
    return bool(_digits(address))


def _digits(text: str) -> str:
    # "If the number is passed without the "+" sign, it can be corrected by automatic formatting".
    digits = text.strip()
    if digits.startswith("+"):
        digits = digits[1:]
    else:
        digits = digits.translate(_PUNCTUATION)
        if len(digits) == _TRUNK_LENGTH and digits.startswith("8"):
            digits = "7" + digits[1:]
        elif len(digits) == _SHORT_LENGTH and digits.startswith("9"):
            digits = "7" + digits
    return digits if _NUMBER.fullmatch(digits) else ""
