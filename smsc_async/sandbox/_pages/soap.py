"""How the pages show SOAP: indented and in colours, whatever it is."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["Token", "tokens_of"]

_PIECE: Final = re.compile(r"<[^<>]*>|[^<]+|<")
_TAG: Final = re.compile(r"(<[?/]?)([^\s<>/?]+)([^<>]*?)([?/]?>)")
_ATTRIBUTE: Final = re.compile(r"""(\s+)([^\s=]+)(=)("[^"]*"|'[^']*')""")
_MASK: Final = "***"


class Token(NamedTuple):
    """A piece of a document.

    Attributes:
        kind: Its class in the stylesheet: `p` for punctuation, `t` for a tag, `a` for an attribute, `s` for its value,
            `x` for text, `masked` for a credential, empty for space.
        text: The piece, not escaped.
    """

    kind: str
    text: str


def tokens_of(document: str) -> list[Token]:
    """Return the pieces of a document in order; what is no XML is text."""
    return list(_tokens(document)) if document.lstrip().startswith("<") else [Token("x", document)]


def _tokens(document: str) -> Iterator[Token]:
    depth, before = 0, ""
    for piece in _PIECE.findall(document):
        tag = _TAG.fullmatch(piece)
        if tag is None:
            if piece.strip() or before == "open":
                yield Token("masked" if piece == _MASK else "x", piece)
                before = "text"
            continue
        kind = _kind(tag)
        depth -= kind == "close"
        if before and not (kind == "close" and before in {"open", "text"}):
            yield Token("", "\n" + "  " * depth)
        depth += kind == "open"
        before = kind
        yield from _colored(tag)


def _kind(tag: re.Match[str]) -> str:
    if tag[1] == "</":
        return "close"
    return "alone" if tag[1] == "<?" or tag[4] == "/>" else "open"


def _colored(tag: re.Match[str]) -> Iterator[Token]:
    yield Token("p", tag[1])
    yield Token("t", tag[2])
    rest = tag[3]
    for found in _ATTRIBUTE.finditer(rest):
        yield from (Token("", " "), Token("a", found[2]), Token("p", "="), Token("s", found[4]))
    left = _ATTRIBUTE.sub("", rest).strip()
    if left:
        yield Token("a", f" {left}")
    yield Token("p", tag[4])
