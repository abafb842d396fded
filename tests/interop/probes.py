"""Unusual requests: those that some SOAP library sends, and those of an attacker."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

SOAP_11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12: Final = "http://www.w3.org/2003/05/soap-envelope"
_XSI: Final = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_FIELDS: Final = "<login>demo</login><psw>demo</psw><phone>79991234567</phone><id>5</id>"
_RESET: Final = re.sub(r"<(\w+)>", r'<\1 xmlns="">', _FIELDS)
# php -S needs a Content-Type to hand a body over; what nginx with php-fpm does without one can't be tried with it.
_TEXT_XML: Final = {"Content-Type": "text/xml; charset=utf-8"}


@dataclass(frozen=True)
class Probe:
    """A request for `get_status`.

    Attributes:
        name: What is odd about it.
        body: Makes the document for a server of this namespace.
        headers: The HTTP headers.
    """

    name: str
    body: Callable[[str], bytes]
    headers: Mapping[str, str] = field(default_factory=lambda: _TEXT_XML)


def _status(namespace: str, fields: str = _FIELDS, element: str = "status") -> str:
    return f'<n:{element} xmlns:n="{namespace}">{fields}</n:{element}>'


def _envelope(inner: str, soap: str = SOAP_11) -> str:
    return f'<e:Envelope xmlns:e="{soap}">{inner}</e:Envelope>'


def _fields(name: str, fields: str) -> Probe:
    return Probe(name, lambda namespace: _envelope(f"<e:Body>{_status(namespace, fields)}</e:Body>").encode())


def _around(name: str, template: str, soap: str = SOAP_11) -> Probe:
    """Make a probe of what stands in the envelope; `@` in the template is the request."""
    return Probe(name, lambda namespace: _envelope(template.replace("@", _status(namespace)), soap).encode())


def _document(name: str, template: str, encoding: str = "utf-8") -> Probe:
    """Make a probe of a whole document; `@` in the template is the request."""
    return Probe(name, lambda namespace: template.replace("@", _status(namespace)).encode(encoding))


def _phone(name: str, phone: str) -> Probe:
    return _fields(name, f"<login>demo</login><psw>demo</psw><phone>{phone}</phone><id>5</id>")


def _plain(namespace: str) -> bytes:
    return _envelope(f"<e:Body>{_status(namespace)}</e:Body>").encode()


def _headers(name: str, headers: Mapping[str, str], body: Callable[[bytes], bytes] = bytes) -> Probe:
    return Probe(name, lambda namespace: body(_plain(namespace)), {**_TEXT_XML, **headers})


def _named(namespaces: Iterable[tuple[str, str]]) -> Iterable[Probe]:
    for name, other in namespaces:
        yield Probe(name, lambda _, other=other: _plain(other))  # type: ignore[misc]


PROBES: Final = (
    Probe("ok", _plain),
    _document("declaration", f'<?xml version="1.0" encoding="UTF-8"?>\n{_envelope("<e:Body>@</e:Body>")}\n'),
    *_named(
        (
            ("wrong-namespace", "urn:other"),
            ("https-namespace", "https://127.0.0.1/sys/soap.php"),
            ("namespace-of-another-brand", "http://smsc.kz/sys/soap.php"),
        )
    ),
    _around("no-namespace", f"<e:Body><status>{_FIELDS}</status></e:Body>"),
    Probe(
        "operation-name-as-element",
        lambda namespace: _envelope(f"<e:Body>{_status(namespace, element='get_status')}</e:Body>").encode(),
    ),
    _fields("qualified-children", re.sub(r"<(/?)", r"<\1n:", _FIELDS)),
    Probe(
        "default-namespace",
        lambda namespace: _envelope(f'<e:Body><status xmlns="{namespace}">{_FIELDS}</status></e:Body>').encode(),
    ),
    Probe(
        "default-namespace-reset",
        lambda namespace: _envelope(f'<e:Body><status xmlns="{namespace}">{_RESET}</status></e:Body>').encode(),
    ),
    _fields("unknown-child-first", f"<brand>x</brand>{_FIELDS}"),
    _fields("unknown-child-last", f"{_FIELDS}<brand>x</brand>"),
    _fields("child-of-another-namespace", f'<q:all xmlns:q="urn:q">1</q:all>{_FIELDS}'),
    _fields("child-in-capitals", _FIELDS.replace("login>", "LOGIN>")),
    _fields("apikey-in-place-of-login", "<apikey>demo</apikey><phone>79991234567</phone><id>5</id>"),
    _fields("apikey-and-empty-login", "<login/><psw/><apikey>demo</apikey><phone>79991234567</phone><id>5</id>"),
    _fields("no-login", "<psw>demo</psw><phone>79991234567</phone><id>5</id>"),
    _fields("no-password", "<login>demo</login><phone>79991234567</phone><id>5</id>"),
    _fields("empty-login", "<login></login><psw>demo</psw><phone>79991234567</phone><id>5</id>"),
    _fields("no-id", "<login>demo</login><psw>demo</psw><phone>79991234567</phone>"),
    _fields("no-children", ""),
    _fields("other-order", "<id>5</id><phone>79991234567</phone><psw>demo</psw><login>demo</login>"),
    _fields("nil", f'{_FIELDS}<all {_XSI} xsi:nil="true"/>'),
    _fields("nil-1", f'{_FIELDS}<all {_XSI} xsi:nil="1"/>'),
    _fields("nil-with-content", f'{_FIELDS}<all {_XSI} xsi:nil="true">1</all>'),
    _fields("nil-false", f'{_FIELDS}<all {_XSI} xsi:nil="false">1</all>'),
    _fields("nil-without-namespace", f'{_FIELDS}<all nil="true">1</all>'),
    _fields("empty-optional", f"{_FIELDS}<all/>"),
    _fields("blank-optional", f"{_FIELDS}<all>  \n </all>"),
    _fields("child-twice", f"{_FIELDS}<phone>2</phone>"),
    _fields("child-thrice", f"{_FIELDS}<phone>2</phone><phone>3</phone>"),
    _fields("text-between-children", f"zzz{_FIELDS}zzz"),
    _fields("pretty-printed", "\n  ".join(_FIELDS.replace("><", ">\n<").splitlines())),
    _fields("comment-between-children", f"<!-- c -->{_FIELDS}"),
    _phone("raw-crlf", "a\r\nb\rc"),
    _phone("escaped-crlf", "a&#13;\nb&#xD;c&#10;d&#9;e"),
    _phone("cdata", "<![CDATA[a<b>&c]]>"),
    _phone("cdata-among-text", "a<![CDATA[&]]>b"),
    _phone("comment-in-text", "a<!-- c -->b"),
    _phone("instruction-in-text", "a<?p q?>b"),
    _phone("element-in-text", "a<b>c</b>d"),
    _phone("element-in-place-of-text", "<b>c</b>"),
    _phone("spaces-around-text", "  a \t "),
    _phone("markup-in-text", "&lt;&amp;&gt;&quot;&apos;]]&gt;"),
    _phone("emoji", "😀é"),
    _phone("control-character", "a\x01b"),
    _phone("escaped-control-character", "a&#1;b"),
    _phone("unknown-entity", "&foo;"),
    _phone("reference-to-elsewhere", 'x</phone><phone href="#q">y'),
    _document("cp1251", '<?xml version="1.0" encoding="windows-1251"?>' + _envelope("<e:Body>@</e:Body>"), "cp1251"),
    Probe(
        "cp1251-letters",
        lambda namespace: (
            '<?xml version="1.0" encoding="windows-1251"?>'
            + _envelope(f"<e:Body>{_status(namespace, '<phone>Тест</phone>')}</e:Body>")
        ).encode("cp1251"),
    ),
    Probe(
        "utf-16",
        lambda namespace: (
            '<?xml version="1.0" encoding="UTF-16"?>'
            + _envelope(f"<e:Body>{_status(namespace, '<phone>Тест</phone>')}</e:Body>")
        ).encode("utf-16"),
    ),
    _document("unknown-encoding", '<?xml version="1.0" encoding="x-none"?>' + _envelope("<e:Body>@</e:Body>")),
    Probe(
        "broken-utf-8",
        lambda namespace: (
            _envelope(f"<e:Body>{_status(namespace, '<phone>??</phone>')}</e:Body>")
            .encode()
            .replace(b"??", b"\xff\xfe")
        ),
    ),
    _document("byte-order-mark", '\ufeff<?xml version="1.0"?>' + _envelope("<e:Body>@</e:Body>")),
    _document("spaces-before-declaration", ' \n<?xml version="1.0"?>' + _envelope("<e:Body>@</e:Body>")),
    _document("spaces-before-envelope", " \n" + _envelope("<e:Body>@</e:Body>")),
    _document("comment-before-envelope", "<!-- c --><?p q?>" + _envelope("<e:Body>@</e:Body>")),
    _document("junk-after-envelope", _envelope("<e:Body>@</e:Body>") + "junk"),
    _document("malformed", _envelope("<e:Body>@</e:Body>")[:-5]),
    _document("empty", ""),
    _document("blank", " \n "),
    _document("not-xml", "hello"),
    _document("nul", "\0"),
    _document("doctype", "<!DOCTYPE e:Envelope>" + _envelope("<e:Body>@</e:Body>")),
    _document("doctype-with-entities", '<!DOCTYPE e:Envelope [<!ENTITY a "b">]>' + _envelope("<e:Body>@</e:Body>")),
    _document("doctype-cut-off", '<!DOCTYPE e:Envelope [<!ENTITY a "b">'),
    _around("unknown-header", '<e:Header><h:x xmlns:h="urn:h">1</h:x></e:Header><e:Body>@</e:Body>'),
    *(
        _around(
            f"must-understand-{value}",
            f'<e:Header><h:x xmlns:h="urn:h" e:mustUnderstand="{value}"/></e:Header><e:Body>@</e:Body>',
        )
        for value in ("0", "1", "false", "true", "maybe")
    ),
    _around("must-understand-without-namespace", '<e:Header><x mustUnderstand="1"/></e:Header><e:Body>@</e:Body>'),
    _around(
        "must-understand-for-another-actor",
        '<e:Header><h:x xmlns:h="urn:h" e:mustUnderstand="1" e:actor="urn:z"/></e:Header><e:Body>@</e:Body>',
    ),
    _around(
        "must-understand-of-an-unknown-procedure",
        '<e:Header><h:x xmlns:h="urn:h" e:mustUnderstand="1"/></e:Header><e:Body><x/></e:Body>',
    ),
    _around("soap-1.2", "<e:Body>@</e:Body>", SOAP_12),
    _around("soap-1.2-unknown-procedure", "<e:Body><x/></e:Body>", SOAP_12),
    _around("soap-1.2-no-body", "", SOAP_12),
    _around("soap-1.2-empty-body", "<e:Body/>", SOAP_12),
    _around(
        "soap-1.2-must-understand",
        '<e:Header><h:x xmlns:h="urn:h" e:mustUnderstand="true"/></e:Header><e:Body>@</e:Body>',
        SOAP_12,
    ),
    _headers("soap-1.1-as-1.2", {"Content-Type": "application/soap+xml; charset=utf-8"}),
    _around("wrong-envelope-namespace", "<e:Body>@</e:Body>", "urn:other"),
    _document("no-envelope-namespace", "<Envelope><Body>@</Body></Envelope>"),
    _document("not-soap", "<hello/>"),
    _document("html", "<html><body>x</body></html>"),
    _document("request-without-envelope", "@"),
    _around("no-body", ""),
    _around("header-but-no-body", "<e:Header/>"),
    _around("envelope-of-text", "hello"),
    _around("body-without-namespace", "<Body>@</Body>"),
    _around("stranger-before-body", "<x/><e:Body>@</e:Body>"),
    _around("stranger-after-body", "<e:Body>@</e:Body><x/>"),
    _around("two-bodies", "<e:Body>@</e:Body><e:Body>@</e:Body>"),
    _around("empty-body", "<e:Body></e:Body>"),
    _around("blank-body", "<e:Body> \n </e:Body>"),
    _around("body-of-text", "<e:Body>hello</e:Body>"),
    _around("text-in-body", "<e:Body>hello@</e:Body>"),
    _around("comment-in-body", "<e:Body><!-- c -->@<?p q?></e:Body>"),
    _around("two-requests", "<e:Body>@@</e:Body>"),
    _around("unknown-before-request", "<e:Body><x/>@</e:Body>"),
    _around("unknown-after-request", "<e:Body>@<x/></e:Body>"),
    _around("fault-as-request", "<e:Body><e:Fault><faultcode>x</faultcode></e:Fault></e:Body>"),
    _document("attribute-of-envelope", f'<e:Envelope xmlns:e="{SOAP_11}" x="1"><e:Body>@</e:Body></e:Envelope>'),
    _around("attribute-of-body", '<e:Body x="1">@</e:Body>'),
    _headers("no-soap-action", {}),
    _headers("empty-soap-action", {"SOAPAction": '""'}),
    _headers("unquoted-soap-action", {"SOAPAction": "http://smsc.ru/sys/soap.php"}),
    _headers("wrong-soap-action", {"SOAPAction": '"urn:other"'}),
    _headers("application-xml", {"Content-Type": "application/xml"}),
    _headers("text-plain", {"Content-Type": "text/plain"}),
    _headers("accept-gzip", {"Accept-Encoding": "gzip"}),
    _headers("gzip", {"Content-Encoding": "gzip"}, gzip.compress),
    _headers("x-gzip", {"Content-Encoding": "x-gzip"}, gzip.compress),
    _headers("deflate", {"Content-Encoding": "deflate"}, zlib.compress),
    _headers("not-really-gzip", {"Content-Encoding": "gzip"}),
    _headers("identity", {"Content-Encoding": "identity"}),
    _headers("brotli", {"Content-Encoding": "br"}),
)
