"""Which documents may be parsed at once: short ones that add few names to the parser's dictionary.

libxml2 keeps each name of an element, an attribute, a prefix or an entity, and each namespace, in a dictionary of the
thread that parses, as long as the thread lives. So only documents whose tags are known are parsed on the thread of an
event loop, and the number of tags that become known is limited; any other document is parsed on a thread that ends
with it.
"""

import codecs
import re
from typing import Final

__all__ = ["reads_at_once", "trimmed"]

_LONGEST: Final = 65_536
_MOST_NEW: Final = 256  # an answer has about 50 tags, closing ones included, and the service's WSDL 140
_MOST_BYTES: Final = 131_072

# Attribute values have no "<", so each "<" of a well-formed document opens a tag, a comment or a section.
_TAG: Final = re.compile(rb"""<(?:[^<>"']+|"[^"<]*+"|'[^'<]*+')*+>""")
_CHARSET: Final = rb"(?i:utf-8|us-ascii|iso-8859-1|windows-1251)"
_DECLARATION: Final = re.compile(
    rb"""<\?xml\s+version=["']1\.0["'](?:\s+encoding=["']%b["'])?(?:\s+standalone=["']\w+["'])?\s*\?>""" % _CHARSET
)
_HEADER: Final = re.compile(rb"""[^;]*(?:;(?!\s*(?i:charset))[^;]*|;\s*(?i:charset)=["']?%b["']?\s*)*""" % _CHARSET)
_OTHER_ENTITY: Final = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9a-fA-Fx]+);)")

_NARROW: Final = re.compile(rb"(?:\xef\xbb\xbf|[ \t\r\n\f\v])*")
_WIDE: Final = {
    codecs.BOM_UTF16_LE: re.compile(rb"(?:\xff\xfe|[ \t\r\n\f\v]\0)*"),
    codecs.BOM_UTF16_BE: re.compile(rb"(?:\xfe\xff|\0[ \t\r\n\f\v])*"),
}

_known: Final[set[bytes]] = set()


def trimmed(data: bytes) -> bytes:
    """Return a document without the whitespace and the byte order marks before it, which files of a PHP page leave."""
    start = data[:4]
    if start[:1] == b"<" and b"\0" not in start:
        return data
    if b"\0\0" in start:  # UTF-32
        return data
    if b"\0" in start[:2]:
        return _trimmed_wide(data, codecs.BOM_UTF16_BE if start[:1] == b"\0" else codecs.BOM_UTF16_LE)
    before = _before(_NARROW, data)
    rest = data[len(before) :]
    for mark in _WIDE:
        if rest.startswith(mark):
            return _trimmed_wide(rest, mark)
    if codecs.BOM_UTF8 in before and _is_utf8(rest):
        return codecs.BOM_UTF8 + rest
    return rest


def _trimmed_wide(data: bytes, mark: bytes) -> bytes:
    return mark + data[len(_before(_WIDE[mark], data)) :]


def _before(space: re.Pattern[bytes], data: bytes) -> bytes:
    return data[: next(space.finditer(data)).end()]  # the first match is at the start, if it is an empty one


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:  # so the encoding that the document declares is the right one
        return False
    return True


def reads_at_once(data: bytes, content_type: str = "") -> bool:
    """Return whether a document may be parsed on the thread of an event loop.

    Args:
        data: The document.
        content_type: The Content-Type header; tags can be recognized only in encodings that extend ASCII.
    """
    if len(data) > _LONGEST or b"\0" in data or not _HEADER.fullmatch(content_type.encode("ascii", "replace")):
        return False
    text = trimmed(data).removeprefix(codecs.BOM_UTF8)
    if not text.startswith(b"<"):
        return False
    declaration = _DECLARATION.match(text)
    start = declaration.end() if declaration else 0
    tags = _TAG.findall(text, start)
    if len(tags) != text.count(b"<", start) or (b"&" in text and _OTHER_ENTITY.search(text)):
        return False
    return _known.issuperset(tags) or _learn(set(tags) - _known)


def _learn(tags: set[bytes]) -> bool:
    if any(tag[1] in b"!?" for tag in tags) or len(tags) > _MOST_NEW:
        return False
    if sum(map(len, _known)) + sum(map(len, tags)) > _MOST_BYTES:
        return False
    _known.update(tags)
    return True
