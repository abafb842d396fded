"""Requests are read as ext-soap reads them (tests/interop compares both on each of these)."""

import pytest
from pydantic import JsonValue

from smsc_async._protocol.binding import RequestFault, receive
from smsc_async._protocol.envelope import SoapVersion

NS = "urn:n"
SOAP_11, SOAP_12 = (version.namespace for version in SoapVersion)
ENC_11, ENC_12 = "http://schemas.xmlsoap.org/soap/encoding/", "http://www.w3.org/2003/05/soap-encoding"
CALL = f"<n:status xmlns:n='{NS}'><id>5</id></n:status>"
XSI = "xmlns:i='http://www.w3.org/2001/XMLSchema-instance'"
VIOLATION = ("Server", "SOAP-ERROR: Encoding: Violation of encoding rules")


def _envelope(
    call: str = CALL, *, soap: str = SOAP_11, attributes: str = "", before: str = "", body: str = "", after: str = ""
) -> str:
    head = f"<e:Envelope xmlns:e='{soap}' xmlns:f='{SOAP_12}' {attributes}>"
    return f"{head}{before}<e:Body {body}>{call}</e:Body>{after}</e:Envelope>"


def _fields(inner: str, around: str = "") -> dict[str, JsonValue]:
    document = _envelope(f"<n:status xmlns:n='{NS}'>{inner}</n:status>{around}")
    return dict(receive(document.encode(), namespaces=(NS,)).fields)


def _refusal(document: str | bytes) -> tuple[str, str, SoapVersion]:
    data = document if isinstance(document, bytes) else document.encode()
    with pytest.raises(RequestFault) as raised:
        receive(data, namespaces=(NS, "urn:other"))
    return raised.value.code, raised.value.string, raised.value.version


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        ("a", "a"),
        ("", ""),
        ("  \n\t", ""),
        (" &#13;&#32;", ""),
        ("  a \t ", "  a \t "),
        ("&lt;&amp;&gt;&#13;\n", "<&>\r\n"),
        ("<![CDATA[a<b>&c]]>", "a<b>&c"),
        ("<![CDATA[]]>", ""),
        ("<![CDATA[ ]]>", " "),
        (" <![CDATA[a]]>\n", "a"),
        ("<![CDATA[a]]><![CDATA[b]]>", "ab"),
        ("<![CDATA[a]]> \n <![CDATA[ ]]>", "a "),
        ("<![CDATA[a]]><!-- c --><![CDATA[b]]>", "ab"),
        ("<![CDATA[a]]]]><![CDATA[>b]]>", "a]]>b"),
        ("<![CDATA[<?p?><!-- c -->]]>", "<?p?><!-- c -->"),
        ("a<!-- c -->b", "ab"),
        ("\n <!-- c -->a", "a"),
        ("a<!-- c --> ", "a "),
        ("a <!-- c --> <!-- c -->b", "a  b"),
        ("<?p q?>a", "a"),
        (" <?p q?> a", " a"),
        ("a<?p > ?> ", "a"),
        (" <!-- > --> ", ""),
    ],
)
def test_a_field_is_one_piece_of_text(inner: str, value: str) -> None:
    assert _fields(f"<id x='&gt;'>{inner}</id>") == {"id": value}


@pytest.mark.parametrize(
    "inner",
    [
        "a<![CDATA[b]]>",
        "<![CDATA[a]]>b",
        "<![CDATA[a]]> b",
        "<![CDATA[a]]><?p?><![CDATA[b]]>",
        "a<?p?>b",
        "a<b/>",
        "<b/>",
        " <b>c</b> ",
        "<![CDATA[a]]><b/>",
    ],
)
def test_a_field_of_several_pieces_is_refused(inner: str) -> None:
    assert _refusal(_envelope(f"<n:status xmlns:n='{NS}'><id>{inner}</id></n:status>"))[:2] == VIOLATION


@pytest.mark.parametrize(
    ("inner", "fields"),
    [
        ("<id>1</id><phone/><id>2</id>", {"phone": "", "id": ["1", "2"]}),
        ("<q:id xmlns:q='urn:q'>1</q:id><x>2</x>", {"id": "1"}),
        (f"<id {XSI} i:nil='true'>1</id>", {"id": None}),
        (f"<id {XSI} i:nil='false'>1</id>", {"id": None}),
        ("<id nil='x'>1</id>", {"id": None}),
        ("<id href='#a'/><x id='a'>1</x>", {"id": "1"}),
        ("<id href=''>1</id>", {"id": "1"}),
        ("<id q:href='#z' xmlns:q='urn:q'>1</id>", {"id": "1"}),
    ],
)
def test_children_are_found_by_their_local_name(inner: str, fields: dict[str, JsonValue]) -> None:
    assert _fields(inner) == fields
    assert list(_fields(inner)) == list(fields)


def test_a_reference_may_lead_anywhere_in_the_document() -> None:
    document = _envelope(
        f"<n:status xmlns:n='{NS}' href='#b'/>", before="<e:Header><h xmlns='' id='b'><id>3</id></h></e:Header>"
    )
    assert receive(document.encode(), namespaces=(NS,)).fields == {"id": "3"}


def test_a_call_that_is_nil_has_no_fields() -> None:
    assert receive(_envelope(CALL.replace(">", " nil='1'>", 1)).encode(), namespaces=(NS,)).fields == {}


@pytest.mark.parametrize(
    ("href", "words"),
    [("#z", "Unresolved reference '#z'"), ("http://x/", "External reference 'http://x/'")],
)
def test_a_reference_that_leads_nowhere_is_refused(href: str, words: str) -> None:
    refusal = ("Server", f"SOAP-ERROR: Encoding: {words}", SoapVersion.V11)
    assert _refusal(_envelope(f"<n:status xmlns:n='{NS}'><id href='{href}'/></n:status>")) == refusal
    assert _refusal(_envelope(before=f"<e:Header><x href='{href}'/></e:Header>")) == refusal


def test_a_request_in_any_of_the_namespaces_is_answered_in_its_own() -> None:
    for namespace in (NS, "urn:other"):
        document = _envelope(CALL.replace(NS, namespace)).encode()
        assert receive(document, namespaces=(NS, "urn:other")).namespace == namespace


QUALIFIED = "cannot have non Namespace qualified attributes"
UNKNOWN_STYLE = "Unknown data encoding style"
NO_BODY = "Body must be present in a SOAP envelope"
ONLY = "A SOAP 1.2 envelope can contain only Header and Body"
CASES: list[tuple[dict[str, str], str | None, str | None]] = [
    ({}, None, None),
    ({"attributes": "x='1'"}, f"A SOAP Envelope element {QUALIFIED}", f"A SOAP Envelope element {QUALIFIED}"),
    ({"attributes": "xml:lang='ru'"}, None, None),
    ({"attributes": f"f:encodingStyle='{ENC_11}'"}, None, "encodingStyle cannot be specified on the Envelope"),
    ({"attributes": "f:encodingStyle='urn:z'"}, UNKNOWN_STYLE, "encodingStyle cannot be specified on the Envelope"),
    ({"body": "x='1'"}, None, f"A SOAP Body element {QUALIFIED}"),
    ({"body": "f:encodingStyle='urn:z'"}, UNKNOWN_STYLE, "encodingStyle cannot be specified on the Body"),
    ({"before": "<x/>"}, NO_BODY, NO_BODY),
    ({"before": "<e:Header/><e:Header/>"}, NO_BODY, NO_BODY),
    ({"before": " text <!-- c --><?p?>"}, None, None),
    ({"after": "<x/>"}, None, ONLY),
    ({"after": "text"}, None, None),
    ({"call": "text"}, *('looks like we got "Body" without function call',) * 2),
    ({"call": CALL * 2}, *("Error cannot find parameter",) * 2),
    ({"call": f"{CALL}<x/>"}, *("Error cannot find parameter",) * 2),
    ({"before": "<e:Header x='1'/>"}, *(f"A SOAP Header element {QUALIFIED}",) * 2),
    ({"before": "<e:Header><x e:mustUnderstand='maybe'/></e:Header>"}, *("mustUnderstand value is not boolean",) * 2),
    ({"before": "<e:Header><x e:mustUnderstand='1'/></e:Header>"}, *("Header not understood",) * 2),
    ({"before": "<e:Header><e:x mustUnderstand='true'/></e:Header>"}, *("Header not understood",) * 2),
    ({"before": f"<e:Header><x xmlns='{SOAP_11}' mustUnderstand='1'/></e:Header>"}, "Header not understood", None),
    ({"before": "<e:Header><x mustUnderstand='1'/></e:Header>"}, None, None),
    ({"before": "<e:Header><x e:mustUnderstand='0'/><x e:mustUnderstand='false'/></e:Header>"}, None, None),
    (
        {"before": "<e:Header><x e:mustUnderstand='1' e:actor='urn:z' e:role='urn:z'/></e:Header>"},
        None,
        None,
    ),
    (
        {
            "before": "<e:Header><x e:mustUnderstand='1' e:actor='http://schemas.xmlsoap.org/soap/actor/next' "
            f"e:role='{SOAP_12}/role/next'/></e:Header>"
        },
        *("Header not understood",) * 2,
    ),
    ({"before": "<e:Header><x>a<![CDATA[b]]></x></e:Header>"}, *(VIOLATION[1],) * 2),
    ({"before": "<e:Header><x>a<b/></x></e:Header>"}, None, None),
    ({"before": "<e:Header><x e:encodingStyle='urn:z'/></e:Header>"}, *("Unknown Data Encoding Style",) * 2),
    ({"call": CALL.replace(">", " e:encodingStyle='urn:z'>", 1)}, *("Unknown Data Encoding Style",) * 2),
    ({"call": CALL.replace(">", f" e:encodingStyle='{ENC_11}'>", 1)}, None, "Unknown Data Encoding Style"),
    ({"call": CALL.replace(">", f" e:encodingStyle='{ENC_12}'>", 1)}, "Unknown Data Encoding Style", None),
]


@pytest.mark.parametrize(("parts", "in_11", "in_12"), CASES, ids=lambda value: str(value)[:60])
def test_what_stands_around_the_call_is_minded_by_the_version_of_soap(
    parts: dict[str, str], in_11: str | None, in_12: str | None
) -> None:
    for version, words in zip(SoapVersion, (in_11, in_12), strict=True):
        document = _envelope(soap=version.namespace, **parts)
        if words is None:
            assert receive(document.encode(), namespaces=(NS,)).fields == {"id": "5"}
        else:
            assert _refusal(document)[1:] == (words, version)


def test_an_unknown_encoding_style_has_a_code_of_its_own_in_soap_12() -> None:
    call = CALL.replace(">", " e:encodingStyle='urn:z'>", 1)
    assert _refusal(_envelope(call))[0] == "Client"
    assert _refusal(_envelope(call, soap=SOAP_12))[0] == "DataEncodingUnknown"


def test_a_doctype_is_refused_in_the_words_of_the_envelope() -> None:
    for version in SoapVersion:
        refusal = ("Server", "DTD are not supported by SOAP", version)
        assert _refusal("<!DOCTYPE x>" + _envelope(soap=version.namespace)) == refusal


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (_envelope("<n:status/>"), "Procedure 'n:status' not present"),
        (_envelope("<n:status xmlns:n=''/>"), "Procedure 'n:status' not present"),
        (_envelope("<n:status/>") + "<!-- c -->\n", "Procedure 'n:status' not present"),
        (_envelope("<n:status/>") + "junk", "Bad Request"),
        (_envelope("<n:status/>") + "</e:Envelope>", "Bad Request"),
        (_envelope("<n:status>&foo;</n:status>"), "Bad Request"),
        ("<?xml version='1.0' encoding='x-none'?>" + _envelope("<n:status/>"), "Bad Request"),
        (b"\xef\xbb\xbf \n" + b"<?xml version='1.0'?>" + _envelope().encode(), "Bad Request"),
        (" \n", "Bad Request"),
        ("", "Bad Request"),
    ],
)
def test_a_wrong_namespace_is_no_wrong_document_and_anything_else_is(document: str | bytes, words: str) -> None:
    assert _refusal(document)[1] == words
