"""Envelopes carry every text that XML allows, are read in any shape, and can't harm their reader."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from smsc_async._model.exceptions import MalformedEnvelope, SmscError
from smsc_async._protocol.document import Node, build_document, parse_document
from smsc_async._protocol.envelope import (
    DoctypeRefused,
    ReceivedFault,
    SoapVersion,
    build,
    build_fault,
    parse,
)

SAMPLES: Final = sorted((Path(__file__).parent / "samples").glob("*.http"))
NAMESPACE: Final = "https://sms.example/sys/soap.php"
SOAP_11, SOAP_12 = (version.namespace for version in SoapVersion)
ANSWER: Final = "<n:answer xmlns:n='urn:n'><result><text>Привет</text></result></n:answer>"
FIELDS: Final = {"result": {"text": "Привет"}}

xml_texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r<&>]\"' ")
)


def _envelope(body: str = ANSWER, soap: str = SOAP_11, around: str = "") -> str:
    return f"<e:Envelope xmlns:e='{soap}'>{around}<e:Body>{body}</e:Body></e:Envelope>"


def _raises_nothing_foreign(read: Callable[[], object]) -> None:
    try:
        read()
    except SmscError:
        return


@given(text=xml_texts, version=st.sampled_from(SoapVersion))
@example(text="a\rb", version=SoapVersion.V11)  # with nothing else that needs an escape
@example(text="\r\n a ]]> \t&amp; <b/> '\" 😀\r", version=SoapVersion.V11)
def test_any_text_that_xml_allows_comes_back_unchanged(text: str, version: SoapVersion) -> None:
    envelope = parse(
        build("ask", {"text": text, "many": [text, "x"], "in": {"text": text}}, namespace="urn:n", version=version)
    )
    assert (envelope.version, envelope.namespace, envelope.element) == (version, "urn:n", "ask")
    assert envelope.fields == {"text": text, "many": [text, "x"], "in": {"text": text}}


@given(text=xml_texts, code=st.sampled_from(["Server", "Client", "MustUnderstand", "VersionMismatch"]))
def test_any_fault_comes_back_in_the_words_of_its_version(text: str, code: str) -> None:
    assert parse(build_fault(code, text)).fault == ReceivedFault(code, text.strip())
    code_12 = {"Server": "Receiver", "Client": "Sender"}.get(code, code)
    assert parse(build_fault(code, text, version=SoapVersion.V12)).fault == ReceivedFault(code_12, text.strip())


@pytest.mark.parametrize("character", ["\0", "\x08", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_what_xml_can_not_carry_is_refused_and_named(character: str) -> None:
    match = f"U\\+{ord(character):04X} at position 1"
    with pytest.raises(ValueError, match=match):
        build("ask", {"text": f"a{character}"}, namespace="urn:n")
    with pytest.raises(ValueError, match=match):
        build("ask", {}, namespace=f"u{character}")
    with pytest.raises(ValueError, match=match):
        build_fault("Server", f"a{character}")
    with pytest.raises(ValueError, match=match):
        build_document(Node("a", "", {"b": f"a{character}"}), {"": "p"})


def test_an_envelope_is_written_as_ext_soap_writes_it() -> None:
    fields: dict[str, JsonValue] = {
        "login": "a<b>&\"'",
        "all": None,
        "sender": "",
        "result": {},
        "errors": [{"phone": "1"}, {"phone": "2"}],
    }
    assert build("ask", fields, namespace='urn:"<&\t\n').decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<SOAP-ENV:Envelope xmlns:SOAP-ENV="{SOAP_11}" xmlns:ns1="urn:&quot;&lt;&amp;&#9;&#10;"><SOAP-ENV:Body>'
        "<ns1:ask><login>a&lt;b&gt;&amp;\"'</login><sender></sender><result/>"
        "<errors><phone>1</phone></errors><errors><phone>2</phone></errors></ns1:ask></SOAP-ENV:Body></SOAP-ENV:Envelope>\n"
    )


def test_a_fault_code_with_its_own_prefix_keeps_it() -> None:
    body = build_fault("rpc:ProcedureNotPresent", "Procedure not present", version=SoapVersion.V12)
    assert b"<env:Value>rpc:ProcedureNotPresent</env:Value>" in body
    assert parse(body).fault == ReceivedFault("ProcedureNotPresent", "Procedure not present")


@pytest.mark.parametrize(
    "document",
    [
        _envelope(),
        _envelope(soap=SOAP_12),
        _envelope().replace("e:", "").replace(":e=", "="),
        _envelope(around="<e:Header><h:x xmlns:h='urn:h'>1</h:x></e:Header><e:Strange/>"),
        _envelope(f"\n <!-- a -->\n {ANSWER} <?p q?>\n<more/>"),
        _envelope(ANSWER.replace("<result>", "<n:result a='1'>").replace("</result>", "</n:result>")),
        _envelope(ANSWER.replace("Привет", "При<!-- a -->в<![CDATA[ет]]>")),
        "\ufeff" + _envelope(),
        '<?xml version="1.0" standalone="yes"?>' + _envelope() + "\n<!-- end -->\n",
    ],
)
def test_the_same_answer_is_read_whatever_its_shape(document: str) -> None:
    envelope = parse(document.encode())
    assert (envelope.namespace, envelope.element, envelope.fields) == ("urn:n", "answer", FIELDS)
    assert envelope.fault is None


@pytest.mark.parametrize(
    ("inner", "fields"),
    [
        ("", {}),
        (" text ", {}),
        ("<a/><b></b>", {"a": "", "b": ""}),
        ("<a>1</a><b>2</b><a>3</a>", {"a": ["1", "3"], "b": "2"}),
        ("<a>1</a><a>2</a><a>3</a>", {"a": ["1", "2", "3"]}),
        ("<a><b>1</b></a><a><b>2</b><b>3</b></a>", {"a": [{"b": "1"}, {"b": ["2", "3"]}]}),
        ("<a> 1\n</a>", {"a": " 1\n"}),
        ("<a x:nil='true'/><b x:nil='1'>9</b><c x:nil='false'>1</c>", {"a": None, "b": None, "c": "1"}),
        ("<a>1</a>tail<q:b xmlns:q='urn:q'>2</q:b>", {"a": "1", "b": "2"}),
    ],
)
def test_fields_are_text_nil_mappings_and_lists(inner: str, fields: object) -> None:
    xsi = "xmlns:x='http://www.w3.org/2001/XMLSchema-instance'"
    assert parse(_envelope(f"<n:answer xmlns:n='urn:n' {xsi}>{inner}</n:answer>").encode()).fields == fields


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        (_envelope().encode(), None),
        (_envelope().encode(), "utf-8"),
        (_envelope().encode(), "UTF8"),
        (_envelope().encode("utf-16"), None),
        (_envelope().encode("utf-16"), "windows-1251"),
        (('<?xml version="1.0" encoding="utf-16"?>' + _envelope()).encode("utf-16-be"), None),
        (('<?xml version="1.0" encoding="windows-1251"?>' + _envelope()).encode("cp1251"), None),
        (('<?xml version="1.0" encoding="windows-1251"?>' + _envelope()).encode("cp1251"), "utf-8"),
        (('<?xml version="1.0"?>' + _envelope()).encode("cp1251"), "windows-1251"),
        (_envelope().encode("koi8-r"), "koi8-r"),
        (b"\xef\xbb\xbf" + _envelope().encode(), "windows-1251"),
        (_envelope().encode(), "utf8mb4"),
        (_envelope().encode(), "\0"),
        (_envelope().encode(), "hex"),
    ],
)
def test_any_encoding_is_read_and_the_document_outweighs_the_header(data: bytes, charset: str | None) -> None:
    assert parse(data, charset).fields == FIELDS


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        (('<?xml version="1.0" encoding="x-none"?>' + _envelope()).encode(), None),
        (_envelope().encode("cp1251"), None),
        (_envelope().encode("cp1251"), "utf-8"),
        (b"", None),
        (b" \n", None),
        (b"\0", None),
        (b"hello", None),
        (_envelope().encode()[:-4], None),
        (_envelope().encode() + b"junk", None),
        (_envelope("&unknown;").encode(), None),
        (_envelope("a\x01b").encode(), None),
        (("\n<?xml version='1.0'?>" + _envelope()).encode(), None),
    ],
)
def test_what_is_not_xml_is_refused_without_quoting_it(data: bytes, charset: str | None) -> None:
    with pytest.raises(MalformedEnvelope, match=r"^the answer is (empty|not well-formed XML)$") as raised:
        parse(data, charset)
    assert raised.value.__cause__ is raised.value.__context__ is None


@pytest.mark.parametrize("document", ["<html><body>502</body></html>", "<a/>", ANSWER, _envelope(soap="urn:other")])
def test_xml_that_is_not_an_envelope_is_told_apart(document: str) -> None:
    with pytest.raises(MalformedEnvelope, match="not a SOAP envelope"):
        parse(document.encode())


@pytest.mark.parametrize("version", SoapVersion)
def test_an_envelope_without_a_body_is_told_apart(version: SoapVersion) -> None:
    for inner in ("", "text", "<Body/>", "<e:Header/>"):
        with pytest.raises(MalformedEnvelope, match="no body"):
            parse(f"<e:Envelope xmlns:e='{version.namespace}'>{inner}</e:Envelope>".encode())


@pytest.mark.parametrize("inner", ["", " \n", "text", "<!-- a -->"])
def test_a_body_without_an_element_has_no_element(inner: str) -> None:
    envelope = parse(_envelope(inner).encode())
    assert (envelope.element, envelope.namespace, envelope.fields) == ("", "", {})


@pytest.mark.parametrize(
    ("inner", "fault"),
    [
        ("", ReceivedFault("", "")),
        ("<faultcode>Server</faultcode><faultstring> a\n</faultstring>", ReceivedFault("Server", "a")),
        ("<e:faultstring>a</e:faultstring><e:faultcode>x:Client.Auth</e:faultcode>", ReceivedFault("Client.Auth", "a")),
        (
            "<e:Reason><e:Text>a</e:Text><e:Text>b</e:Text></e:Reason><e:Code><e:Value>e:Sender</e:Value></e:Code>",
            ReceivedFault("Sender", "a"),
        ),
        ("<faultcode/><faultstring/><detail><faultstring>b</faultstring></detail>", ReceivedFault("", "")),
    ],
)
def test_a_fault_is_read_in_both_dialects(inner: str, fault: ReceivedFault) -> None:
    envelope = parse(_envelope(f"<e:Fault>{inner}</e:Fault>").encode())
    assert envelope.fault == fault
    assert envelope.fields == {}


def test_a_fault_of_another_namespace_is_an_ordinary_element() -> None:
    assert parse(_envelope("<Fault><faultstring>a</faultstring></Fault>").encode()).fault is None


_LAUGHS: Final = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))


@pytest.mark.parametrize(
    "document",
    [
        "<!DOCTYPE e:Envelope>" + _envelope(),
        "<?xml version='1.0'?><!-- c --><!DOCTYPE e:Envelope [<!ENTITY a 'b'>]>" + _envelope(),
        "<!DOCTYPE e:Envelope SYSTEM 'file:///etc/passwd'>" + _envelope(),
        "<!DOCTYPE e:Envelope [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>" + _envelope("<a>&a;</a>"),
        "<!DOCTYPE e:Envelope PUBLIC 'p' 'http://127.0.0.1:9/x.dtd'>" + _envelope(),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_doctype_is_refused_in_any_encoding(document: str, encoding: str) -> None:
    for read in (parse, parse_document):
        with pytest.raises(DoctypeRefused):
            read(document.encode(encoding))


@pytest.mark.parametrize(
    "document",
    [
        f'<!DOCTYPE a [<!ENTITY a0 "lol">{_LAUGHS}]>' + _envelope("<a>&a11;</a>"),
        f'<!DOCTYPE a [<!ENTITY a0 "lol">{_LAUGHS}]>' + _envelope("<a b='&a11;'/>"),
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x">%p;]>' + _envelope(),
        "<a>" * 10_000 + "</a>" * 10_000,
        _envelope("<a>" * 10_000 + "</a>" * 10_000),
        _envelope("<a>" * 100 + "</a>" * 100),
    ],
    ids=["laughs", "laughs-in-attribute", "parameter-entity", "deep", "deep-envelope", "rather-deep"],
)
def test_bombs_are_refused(document: str) -> None:
    for read in (parse, parse_document):
        with pytest.raises(MalformedEnvelope):
            read(document.encode())


@pytest.mark.parametrize(
    "inner",
    [
        "<a " + " ".join(f"b{i}='1'" for i in range(80_000)) + "/>",
        "<a " + " ".join(f"xmlns:b{i}='u{i}'" for i in range(40_000)) + "/>",
        "<a>" + "".join(f"<b{i}/>" for i in range(90_000)) + "</a>",
        "<a>" + "<b/>" * 250_000 + "</a>",
        "<a>" + "x" * (1 << 20) + "</a>",
        "<a>" + "&#65;" * 200_000 + "</a>",
        "<e:Fault>" + "<faultstring/>" * 70_000 + "</e:Fault>",
    ],
    ids=["attributes", "namespaces", "names", "repetitions", "text", "references", "fault"],
)
def test_a_megabyte_of_anything_is_read(inner: str) -> None:
    parse(_envelope(inner).encode())


@pytest.mark.parametrize("data", [b"<" * (1 << 20), b"<?xml " + b"x" * (1 << 20), b"<a>" + b"&" * (1 << 20)])
def test_a_megabyte_of_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        parse(data)


@settings(deadline=None)
@given(
    data=st.binary(max_size=300),
    charset=st.none() | st.sampled_from(["utf-8", "utf-16", "cp1251"]) | st.text(max_size=9),
)
def test_any_bytes_raise_nothing_but_our_errors(data: bytes, charset: str | None) -> None:
    _raises_nothing_foreign(lambda: parse(data, charset))
    _raises_nothing_foreign(lambda: parse_document(data, charset))


@settings(deadline=None)
@given(
    sample=st.sampled_from(SAMPLES),
    junk=st.binary(max_size=12) | st.sampled_from([b"<", b"&", b"</", b"<!--", b"<![CDATA[", b"<!DOCTYPE a>", b"\0"]),
    at=st.floats(0, 1),
    width=st.integers(0, 40),
)
def test_damaged_answers_raise_nothing_but_our_errors(sample: Path, junk: bytes, at: float, width: int) -> None:
    body = sample.read_bytes().partition(b"\r\n\r\n")[2]
    start = int(at * len(body))
    _raises_nothing_foreign(lambda: parse(body[:start] + junk + body[start + width :]))


def test_a_document_is_written_and_read_back() -> None:
    leaf = Node("leaf", "urn:b", {"text": "a<b>&\"'\r\n\t😀", "empty": ""})
    root = Node("root", "urn:a", {"name": "x"}, (Node("branch", "urn:a", {}, (leaf, leaf)), leaf))
    document = build_document(root, {"urn:a": "a", "urn:b": "b"})
    assert parse_document(document) == root
    assert parse_document(b"\n" + document) == root
    assert re.match(
        rb'<\?xml .*\?>\n<a:root name="x"\n    xmlns:a="urn:a"\n    xmlns:b="urn:b">\n  <a:branch>\n', document
    )
    assert list(root.all("leaf")) == [leaf]


def test_attributes_with_a_namespace_are_left_out_of_a_node() -> None:
    assert parse_document(b"<a xml:lang='en' b='1'><!-- c --><d/></a>") == Node(
        "a", "", {"b": "1"}, (Node("d", "", {}),)
    )
