"""A request without its credentials, to be stored and shown."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from smsc_async._model import MalformedEnvelope

from .envelope import child_elements, read_root, split_tag, write_root

__all__ = ["mask_credentials", "mask_query"]

_MASK: Final = "***"
_SHORTEST: Final = 6  # characters; a shorter one is a part of too many words
_SECRET: Final = {"psw", "password", "apikey", "pass", "passwd", "pwd", "token", "secret"}
# The name of a parameter as PHP's parse_str reads it: each character may be encoded, and an index may follow.
_NAME: Final = "|".join("".join(f"(?:{each}|%{ord(each):x}|%{ord(each) - 32:x})" for each in name) for name in _SECRET)
_SPACE: Final = r"(?:\s|\+|%20)*"
_ASSIGNED: Final = rf"(?:{_NAME})(?:(?:\[|%5b)\w*(?:\]|%5d))?{_SPACE}="
_IN_TEXT: Final = re.compile(rf"(?<![a-z_])({_ASSIGNED})[^&]*", re.IGNORECASE)
_IN_QUERY: Final = re.compile(rf"((?:^|&){_SPACE}{_ASSIGNED})[^&]*", re.IGNORECASE)


def mask_credentials(data: bytes, secrets: Iterable[str] = ()) -> str:
    """Return the XML of a request with each password and apikey replaced, empty if it can't be read.

    What PHP's SoapServer would read as a password is replaced wherever it is: in an element, in the one that it refers
    to, in an attribute and in `query`; so is all text of the header. Comments and processing instructions are removed.
    Where one of them, or of the `secrets`, is elsewhere too, it is replaced there if it has at least 6 characters.
    """
    try:
        root = read_root(data)
    except MalformedEnvelope:
        return ""
    elements = list(root.iter("*"))
    secret = [element for element in elements if _is_secret(element.tag)]
    targets = {element.get("href", "").removeprefix("#") for element in secret} - {""}
    secret += [element for element in elements if targets.intersection(element.attrib.values())]
    known = {text for text in (*secrets, *_given(elements, secret)) if len(text) >= _SHORTEST}
    for element in dict.fromkeys(secret):
        _mask(element)
    for element in root.iter("*"):
        _mask_parts(element)
        _mask_known(element, sorted(known, key=len, reverse=True))
    for header in (child for child in child_elements(root) if split_tag(child.tag)[1] == "Header"):
        for leaf in _leaves(header):
            leaf.text = _MASK
    return write_root(root)


def mask_query(query: str) -> str:
    """Return the parameter `query` with each password and apikey in it replaced, and all others as they were."""
    return _IN_QUERY.sub(rf"\1{_MASK}", query)


def _is_secret(tag: str) -> bool:
    return split_tag(tag)[1].lower() in _SECRET


def _mask(element: Any) -> None:
    for child in list(element):
        element.remove(child)
    if element.text:
        element.text = _MASK


def _mask_parts(element: Any) -> None:
    for name in element.attrib:
        if _is_secret(name):
            element.set(name, _MASK)
    if element.text and "=" in element.text:
        element.text = _IN_TEXT.sub(rf"\1{_MASK}", element.text)


def _given(elements: Iterable[Any], secret: Iterable[Any]) -> Iterator[str]:
    """Yield what is in the places of credentials."""
    for element in secret:
        yield from map(str.strip, element.itertext())
    for element in elements:
        yield from (value.strip() for name, value in element.attrib.items() if _is_secret(name))


def _mask_known(element: Any, known: Iterable[str]) -> None:
    for secret in known:
        for name, value in element.attrib.items():
            element.set(name, value.replace(secret, _MASK))
        if element.text:
            element.text = element.text.replace(secret, _MASK)
        if element.tail:
            element.tail = element.tail.replace(secret, _MASK)


def _leaves(element: Any) -> Iterator[Any]:
    return (each for each in element.iter("*") if not len(each) and each.text)
