"""SOAP XML to and from plain values: the only module that reads or writes XML.

Envelopes are built from strings, in the form that PHP's ext-soap writes, because there are only seven and each is a
flat list of strings. The reader is strict about safety (no DTD, no entities, no network, bounded depth) and otherwise
lenient: any prefix, any order, SOAP 1.1 and 1.2, any encoding that the document declares.
"""

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from html import unescape
from typing import Any, Final, NamedTuple
from xml.parsers import expat

from lxml import etree
from pydantic import JsonValue

from smsc_async._model import MalformedEnvelope, check_xml_text

__all__ = [
    "ATTRIBUTE_ESCAPES",
    "DECLARATION",
    "MAX_DEPTH",
    "DoctypeRefused",
    "Envelope",
    "ReceivedFault",
    "SoapVersion",
    "build",
    "build_fault",
    "child_elements",
    "parse",
    "read_root",
    "split_tag",
    "text_nodes",
    "write_root",
]

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
MAX_DEPTH: Final = 32  # a real answer has 6 levels
_XSI_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
# A literal carriage return is read as a line feed (XML 1.0, 2.11), so it is written as a character reference.
ATTRIBUTE_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;", '"': "&quot;", "\n": "&#10;", "\t": "&#9;"}
)
_PLAIN: Final = re.compile("[\n\x20-%'-;=?-\ud7ff]*")
"""Text that needs no escaping and has no character that XML can't carry."""


class SoapVersion(Enum):
    """A version of SOAP: its prefix, its namespace and its media type, as ext-soap writes them."""

    V11 = ("SOAP-ENV", "http://schemas.xmlsoap.org/soap/envelope/", "text/xml; charset=utf-8")
    V12 = ("env", "http://www.w3.org/2003/05/soap-envelope", "application/soap+xml; charset=utf-8")

    def __init__(self, prefix: str, namespace: str, content_type: str) -> None:
        self.prefix = prefix
        self.namespace = namespace
        self.content_type = content_type
        self.envelope, self.header, self.body, self.fault = (
            f"{{{namespace}}}{name}" for name in ("Envelope", "Header", "Body", "Fault")
        )


class DoctypeRefused(MalformedEnvelope):
    """The document has a DTD, which SOAP forbids and which is used to attack XML parsers.

    Attributes:
        version: The version of SOAP, 1.1 if the document is no envelope.
    """

    def __init__(self, message: str, /, *, version: SoapVersion = SoapVersion.V11) -> None:
        super().__init__(message)
        self.version = version


@dataclass(frozen=True, slots=True)
class ReceivedFault:
    """A SOAP Fault.

    Attributes:
        code: The code without its prefix.
        string: The reason.
    """

    code: str
    string: str


class Envelope(NamedTuple):
    """The content of an envelope.

    Attributes:
        version: The version of SOAP.
        namespace: The namespace of the body element, "" for none.
        element: Its local name; "" if the body is empty.
        fields: Its children: text, None for nil, a mapping for one with children, a list for a repeated name.
        fault: The Fault, if the body holds one.
    """

    version: SoapVersion
    namespace: str
    element: str
    fields: Mapping[str, JsonValue]
    fault: ReceivedFault | None = None


def _escape(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    # Four searches take a fortieth of the time that `str.translate` takes for the long `query` of a batch.
    text = check_xml_text(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#13;")


def _elements(fields: Mapping[str, JsonValue]) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, str):
            yield f"<{name}>{_escape(value)}</{name}>"
            continue
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, Mapping):
                inner = "".join(_elements(item))
                yield f"<{name}>{inner}</{name}>" if inner else f"<{name}/>"
            elif item is not None:
                yield f"<{name}>{_escape(str(item))}</{name}>"


def build(
    element: str, fields: Mapping[str, JsonValue], *, namespace: str, version: SoapVersion = SoapVersion.V11
) -> bytes:
    """Return an envelope whose body is `element` in `namespace`; its children have no namespace.

    Raises:
        ValueError: A value or the namespace has a character that XML can't carry.
    """
    before, after = _frame(element, namespace, version)
    return f"{before}{''.join(_elements(fields))}{after}".encode()


@lru_cache(maxsize=64)
def _frame(element: str, namespace: str, version: SoapVersion) -> tuple[str, str]:
    """Return the parts before and after the fields, which are the same for every request of a method to one service."""
    env, name = version.prefix, check_xml_text(namespace).translate(ATTRIBUTE_ESCAPES)
    head = f'{DECLARATION}<{env}:Envelope xmlns:{env}="{version.namespace}" xmlns:ns1="{name}"><{env}:Body>'
    return f"{head}<ns1:{element}>", f"</ns1:{element}></{env}:Body></{env}:Envelope>\n"


def build_fault(code: str, string: str, *, version: SoapVersion = SoapVersion.V11) -> bytes:
    """Return an envelope with a Fault, as ext-soap writes it; a code that has a prefix is kept."""
    env, text = version.prefix, _escape(string)
    if version is SoapVersion.V11:
        fault = f"<faultcode>{env}:{code}</faultcode><faultstring>{text}</faultstring>"
    else:
        code = {"Client": "Sender", "Server": "Receiver"}.get(code, code)
        value = code if ":" in code else f"{env}:{code}"
        fault = (
            f"<{env}:Code><{env}:Value>{value}</{env}:Value></{env}:Code>"
            f"<{env}:Reason><{env}:Text>{text}</{env}:Text></{env}:Reason>"
        )
    return (
        f'{DECLARATION}<{env}:Envelope xmlns:{env}="{version.namespace}"><{env}:Body>'
        f"<{env}:Fault>{fault}</{env}:Fault></{env}:Body></{env}:Envelope>\n"
    ).encode()


def parse(data: bytes, charset: str | None = None) -> Envelope:
    """Read an envelope.

    Args:
        data: The document.
        charset: The encoding that the HTTP header names; used where the document itself names none.

    Raises:
        MalformedEnvelope: It isn't a SOAP envelope, or isn't safe to read.
    """
    root = read_root(data, charset)
    version = _VERSION_OF.get(root.tag)
    if version is None:
        raise MalformedEnvelope("the answer is XML, but not a SOAP envelope")
    body = _child(root, version.body)
    if body is None:
        raise MalformedEnvelope("the envelope has no body")
    element = next(child_elements(body), None)
    if element is None:
        return Envelope(version, "", "", {})
    namespace, name = split_tag(element.tag)
    if element.tag == version.fault:
        return Envelope(version, namespace, name, {}, _fault(element))
    fields = _value(element)
    known = fields if isinstance(fields, dict) else {}
    return Envelope(version, namespace, name, known)


_VERSION_OF: Final = {version.envelope: version for version in SoapVersion}


def read_root(data: bytes, charset: str | None = None, *, exact: bool = False) -> Any:
    """Parse a document and return its root.

    Args:
        data: The document.
        charset: The encoding that the HTTP header names.
        exact: Read it as PHP does: keep CDATA sections and processing instructions, and let a prefix without a
            namespace be part of the name.

    Raises:
        MalformedEnvelope: It isn't well-formed, or isn't safe to read.
    """
    charset = None if charset is None or _names_its_encoding(data) else charset
    if not data or data.isspace():
        raise MalformedEnvelope("the answer is empty")
    parser = _parser(charset, exact=exact)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, UnicodeError, ValueError):
        # The parser's message quotes the document, which may quote the request, so it is left out.
        root = None
    if root is None or (exact and parser.error_log and not _is_well_formed(data, parser.error_log)):
        raise MalformedEnvelope("the answer is not well-formed XML")
    document: Any = root.getroottree().docinfo
    if document.doctype:
        version = _VERSION_OF.get(root.tag, SoapVersion.V11)
        raise DoctypeRefused("the answer has a DTD, which SOAP forbids", version=version)
    return root


def write_root(root: Any) -> str:
    """Return the document of a root."""
    written: str = etree.tostring(root, encoding="unicode")
    return written


def _is_well_formed(data: bytes, errors: Any) -> bool:
    """Return whether only namespaces are wrong; after such an error libxml2 looks no further than the root's end."""
    if any(
        entry.level > etree.ErrorLevels.WARNING and entry.domain != etree.ErrorDomains.NAMESPACE for entry in errors
    ):
        return False
    try:
        expat.ParserCreate().Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError):  # the last two: an encoding that it doesn't know
        return False
    return True


def _parser(charset: str | None, *, exact: bool) -> Any:
    # A parser that threads share would be locked by a long document, and its names would go from thread to thread.
    safe: dict[str, Any] = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
    plain: dict[str, Any] = dict.fromkeys(("remove_comments", "remove_pis", "strip_cdata"), not exact)
    plain["recover"] = exact  # what can't be forgiven is in the parser's error log
    try:
        return etree.XMLParser(encoding=charset, **safe, **plain)
    except (LookupError, ValueError):
        # An unknown encoding is no reason to lose an answer that is plain UTF-8.
        return etree.XMLParser(**safe, **plain)


_ENCODED: Final = (DECLARATION.strip().encode(), codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _names_its_encoding(data: bytes) -> bool:
    """Return whether the document itself names its encoding, which overrides the HTTP header."""
    return data.startswith(_ENCODED) or b"\0" in data[:4] or re.match(rb"<\?xml[^>]*encoding", data) is not None


def child_elements(element: Any) -> Iterator[Any]:
    """Return the children that are elements."""
    return (child for child in element if isinstance(child.tag, str))


def _child(element: Any, tag: str) -> Any:
    return next((child for child in element if child.tag == tag), None)


def split_tag(tag: str) -> tuple[str, str]:
    """Return the namespace, "" for none, and the local name."""
    namespace, _, name = tag.rpartition("}")
    return namespace[1:], name


_SPACE: Final = " \t\n\r"
_NODE: Final = re.compile(r"<!\[CDATA\[(?P<section>.*?)\]\]>|<!--.*?-->|(?P<instruction><\?.*?\?>)|[^<]+", re.DOTALL)


def text_nodes(element: Any) -> list[str]:
    """Return the text nodes and CDATA sections of an element that was read `exact`, as PHP's parser makes them.

    It drops comments, and whitespace on its own; sections with only whitespace between them are one. lxml joins all
    text, so what lxml writes is read.
    """
    written = etree.tostring(element, encoding="unicode", with_tail=False)
    nodes: list[tuple[str, str]] = []
    for found in _NODE.finditer(written, written.index(">") + 1, max(written.rfind("</"), 0)):
        kind = found.lastgroup or ("" if found[0].startswith("<") else "text")
        if kind != "text" and nodes and nodes[-1][0] == "text" and not nodes[-1][1].strip(_SPACE):
            nodes.pop()
        value = unescape(found[0]) if kind == "text" else found["section"] or ""
        if kind and nodes and nodes[-1][0] == kind:
            value = nodes.pop()[1] + value
        if kind:
            nodes.append((kind, value))
    return [value for kind, value in nodes if kind == "section" or value.strip(_SPACE)]


def _value(element: Any, depth: int = 0) -> JsonValue:
    if depth > MAX_DEPTH:
        raise MalformedEnvelope("the answer is nested too deeply")
    if element.get(_XSI_NIL) in {"1", "true"}:
        return None
    if not len(element):
        return element.text or ""
    fields: dict[str, JsonValue] = {}
    for child in element:  # only elements: the parser drops comments and processing instructions, and a DTD is refused
        name = child.tag
        value = _value(child, depth + 1) if len(child) or child.attrib else child.text or ""
        if name[0] == "{":
            name = split_tag(name)[1]
        if name not in fields:
            fields[name] = value
        elif isinstance(found := fields[name], list):
            found.append(value)
        else:
            fields[name] = [found, value]
    return fields or element.text or ""


def _fault(element: Any) -> ReceivedFault:
    texts: Iterable[tuple[str, str]] = ((split_tag(each.tag)[1], (each.text or "").strip()) for each in element.iter())
    found: dict[str, str] = {}
    for name, text in texts:
        found.setdefault(name, text)
    code = found.get("faultcode") or found.get("Value") or ""
    return ReceivedFault(code.rpartition(":")[2], found.get("faultstring") or found.get("Text") or "")
