"""Faults, requests read by the server, and corrupted answers."""

from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, SecretStr

from smsc_async._model.credentials import Login
from smsc_async._model.exceptions import (
    Outcome,
    SmscError,
    SoapFault,
)
from smsc_async._model.operations import Operation, Send
from smsc_async._protocol.binding import (
    RequestFault,
    encode,
    encode_fault,
    receive,
)
from smsc_async._protocol.contract import CONTRACT
from smsc_async._protocol.envelope import ReceivedFault, SoapVersion, build, build_fault, parse
from tests.protocol.recorded import BALANCE, EVERY, NAMESPACE, PHONES, SAMPLES, SEND, STATUS, XML, answer_to, decoded


@pytest.mark.parametrize("status_code", [200, 500])
@pytest.mark.parametrize("version", SoapVersion)
@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("Client", Outcome.REJECTED),
        ("VersionMismatch", Outcome.REJECTED),
        ("MustUnderstand", Outcome.REJECTED),
        ("Server", Outcome.UNKNOWN),
        ("Other", Outcome.UNKNOWN),
    ],
)
def test_a_fault_leaves_the_outcome_unknown_unless_it_is_about_the_envelope(
    status_code: int, version: SoapVersion, code: str, outcome: Outcome
) -> None:
    with pytest.raises(SoapFault, match="no luck") as raised:
        decoded(SEND, build_fault(code, "no luck", version=version), status_code=status_code)
    assert raised.value.outcome is outcome
    assert not raised.value.procedure_missing


def test_a_fault_without_a_code_is_still_a_fault() -> None:
    body = b"<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault/></e:Body></e:Envelope>"
    with pytest.raises(SoapFault, match=r"^Fault: $"):
        decoded(BALANCE, body, status_code=500)


def test_a_missing_procedure_is_recognised_even_when_its_words_are_private() -> None:
    send = Send.model_validate({"to": PHONES[0], "text": "present", "id": "not"})
    login = Login(login=SecretStr("Procedure"), password=SecretStr("send"))
    for string in ("Procedure 'send' not present", "Procedure not present"):
        with pytest.raises(SoapFault) as raised:
            decoded(send, build_fault("Server", string), status_code=500, credentials=login)
        assert raised.value.procedure_missing
        assert raised.value.outcome is Outcome.REJECTED


def test_a_fault_hides_parts_of_what_was_private_and_keeps_the_rest() -> None:
    said = "login alex: can't send to 79215550101 (Table 7 is...), 41 times; query err%3D1; bad luck"
    with pytest.raises(SoapFault) as raised:
        decoded(SEND, build_fault("Server", said), status_code=500)
    assert raised.value.fault_string == "login ***: can't send to *** (***...), *** times; query err%3D1; bad luck"
    assert str(raised.value) == f"Server: {raised.value.fault_string}"


def test_a_long_fault_is_cut() -> None:
    with pytest.raises(SoapFault) as raised:
        decoded(SEND, build_fault("x" * 9999, "y" * 9999), status_code=500)
    assert len(str(raised.value)) < 700


private_texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff*") | st.sampled_from("\t\n\r &<>"),
    min_size=2,
    max_size=80,
).filter(lambda text: len(text.strip()) > 1)


@settings(deadline=None)
@given(
    text=private_texts,
    login=private_texts.map(str.strip),
    password=private_texts.map(str.strip),
    around=st.text(st.sampled_from("abc -:'\""), max_size=20),
    version=st.sampled_from(SoapVersion),
)
def test_a_fault_never_repeats_what_was_private(
    text: str, login: str, password: str, around: str, version: SoapVersion
) -> None:
    credentials = Login(login=SecretStr(login), password=SecretStr(password))
    send = Send.model_validate({"to": PHONES[:2], "text": text, "id": "order-55", "pp": text})
    request = encode(send, credentials, NAMESPACE)
    fields = receive(request.body, namespaces=(NAMESPACE,)).fields
    quoted = (text, login, password, *PHONES[:2], PHONES[0][1:], str(fields["query"]))
    said = f"\u2620{around}\u2620".join(("", *quoted, ""))
    with pytest.raises(SoapFault) as raised:
        decoded(send, build_fault("Server", said, version=version), status_code=500, credentials=credentials)
    shown = raised.value.fault_string
    assert not any(private in shown for private in quoted)
    assert not any(private in str(raised.value.args) + repr(raised.value) for private in PHONES)


def _envelope(body: str, *, header: str = "", version: SoapVersion = SoapVersion.V11) -> bytes:
    soap = f"xmlns:e='{version.namespace}' xmlns:n='{NAMESPACE}'"
    return f"<e:Envelope {soap}>{header}<e:Body>{body}</e:Body></e:Envelope>".encode()


_MUST: Final = "<e:Header><x e:mustUnderstand='1'/></e:Header>"


@pytest.mark.parametrize("version", SoapVersion)
@pytest.mark.parametrize("element", ["<n:get_status/>", "<status xmlns='urn:other'/>", "<status/>", "<e:Fault/>"])
@pytest.mark.parametrize("header", ["", _MUST], ids=["plain", "must-understand"])
def test_a_server_says_that_a_procedure_is_missing(element: str, header: str, version: SoapVersion) -> None:
    with pytest.raises(RequestFault) as refusal:
        receive(_envelope(element, header=header, version=version), namespaces=(NAMESPACE,))
    assert refusal.value.version is version
    with pytest.raises(SoapFault) as fault:
        decoded(STATUS, encode_fault(refusal.value), status_code=500)
    assert fault.value.procedure_missing


@pytest.mark.parametrize(
    ("body", "code", "string"),
    [
        (b"", "Client", "Bad Request"),
        (b"<a", "Client", "Bad Request"),
        (b"<!DOCTYPE a [", "Client", "Bad Request"),
        (b"<!DOCTYPE a><a/>", "Server", "DTD are not supported by SOAP"),
        (b"<html/>", "VersionMismatch", "Wrong Version"),
        (b"<Envelope><Body/></Envelope>", "VersionMismatch", "Wrong Version"),
        (_envelope("").replace(b"Body", b"Void"), "Client", "Body must be present in a SOAP envelope"),
        (_envelope("a"), "Client", 'looks like we got "Body" without function call'),
        (_envelope("", header=_MUST), "Client", 'looks like we got "Body" without function call'),
        (_envelope("<x/>"), "Server", "Procedure 'x' not present"),
        (_envelope("<n:status/>", header=_MUST), "MustUnderstand", "Header not understood"),
        *(
            (_envelope(f"<n:status>{fields}</n:status>"), "Server", "SOAP-ERROR: Encoding: Violation of encoding rules")
            for fields in ("<id><b>1</b></id>", "<id>1</id><id><b>1</b></id>")
        ),
    ],
)
def test_a_server_refuses_as_ext_soap_does(body: bytes, code: str, string: str) -> None:
    with pytest.raises(RequestFault) as raised:
        receive(body, namespaces=(NAMESPACE,))
    refusal = raised.value
    assert (refusal.code, refusal.string, refusal.version) == (code, string, SoapVersion.V11)
    assert parse(encode_fault(refusal)).fault == ReceivedFault(code, string)


def test_a_server_drops_unknown_fields_and_keeps_repeated_and_nil_ones() -> None:
    body = build("status", {"x": {"y": "1"}, "phone": ["1", "2"], "id": "<&>\r"}, namespace=NAMESPACE)
    nil = b'<all xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/></ns1:status>'
    incoming = receive(body.replace(b"</ns1:status>", nil), namespaces=(NAMESPACE,))
    assert incoming.fields == {"phone": ["1", "2"], "id": "<&>\r", "all": None}


values = st.recursive(
    st.none() | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12) | st.integers().map(str),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["phone", "status", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


field_names = st.sampled_from(
    sorted({field.name for fields in CONTRACT.types.values() for field in fields} | {"future"})
)


@settings(deadline=None)
@given(
    operation=st.sampled_from(EVERY),
    fields=st.dictionaries(field_names, values, max_size=6),
    status_code=st.sampled_from([200, 500]),
)
def test_any_fields_of_an_answer_raise_nothing_but_our_errors(
    operation: Operation[Any], fields: dict[str, JsonValue], status_code: int
) -> None:
    with suppress(SmscError):
        decoded(operation, answer_to(operation, fields), status_code=status_code)


@st.composite
def damaged_samples(draw: st.DrawFn) -> bytes:
    """A sample's body where something is put in place of up to 40 bytes."""
    body = draw(st.sampled_from(sorted(SAMPLES.glob("*.http")))).read_bytes().partition(b"\r\n\r\n")[2]
    start = draw(st.integers(0, len(body)))
    junk = draw(st.binary(max_size=8) | st.sampled_from([b"<", b"9" * 30, b"-3", b"<error>3</error>", b"NaN"]))
    return body[:start] + junk + body[start + draw(st.integers(0, 40)) :]


@settings(deadline=None)
@given(
    operation=st.sampled_from(EVERY),
    body=damaged_samples() | st.binary(max_size=200),
    content_type=st.sampled_from(["", XML, "text/xml; charset=utf-16"]) | st.text(max_size=30),
)
def test_any_bytes_raise_nothing_but_our_errors(operation: Operation[Any], body: bytes, content_type: str) -> None:
    with suppress(SmscError):
        decoded(operation, body, content_type=content_type)
    with suppress(RequestFault):
        receive(body, namespaces=(NAMESPACE,))
