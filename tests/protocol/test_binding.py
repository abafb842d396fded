"""The client's half asks as the contract says and reads every answer; the server's half reacts as ext-soap does."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, SecretStr

from smsc_async._model.codes import DeliveryError, MessageStatus
from smsc_async._model.credentials import ApiKey, Credentials, Login
from smsc_async._model.exceptions import (
    AddressBlocked,
    ApiError,
    AuthenticationFailed,
    HTTPStatusError,
    InsufficientFunds,
    InvalidDate,
    InvalidParameters,
    InvalidPhone,
    MalformedEnvelope,
    MessageForbidden,
    MessageNotFound,
    Outcome,
    SmscError,
    SoapFault,
    TooManyRequests,
    Undeliverable,
)
from smsc_async._model.operations import GetBalance, GetCost, GetListCost, GetStatus, Operation, Send, SendList
from smsc_async._model.types import Message, MessageRef
from smsc_async._protocol.binding import (
    RequestFault,
    decode,
    encode,
    encode_answer,
    encode_fault,
    namespace_of,
    receive,
)
from smsc_async._protocol.contract import CONTRACT
from smsc_async._protocol.envelope import Fault, SoapVersion, build, build_fault, parse

NAMESPACE: Final = "https://sms.example/sys/soap.php"
SAMPLES: Final = Path(__file__).parent / "samples"
XML: Final = "text/xml; charset=utf-8"
MOSCOW: Final = timezone(timedelta(hours=3))
LOGIN: Final = Login(login=SecretStr("alex"), password=SecretStr("pa<&>ss"))
KEY: Final = ApiKey(key=SecretStr("5ecre7key"))
PHONES: Final = ("+79215550101", "+79215550102", "+79215550103")
REF: Final = MessageRef(PHONES[0], 7)

BALANCE: Final = GetBalance()
STATUS: Final = GetStatus.model_validate({"ref": REF})
FULL_STATUS: Final = GetStatus.model_validate({"ref": REF, "detail": 2, "extra": {"nl": "1"}})
SEND: Final = Send.model_validate({"to": PHONES[0], "text": "Table 7 is yours", "id": 41})
SEND_MANY: Final = Send.model_validate({"to": PHONES, "text": "Table 7 is yours", "id": 42})
SEND_LIST: Final = SendList.model_validate(
    {"messages": (Message(PHONES[0], "One\nmore"), Message(PHONES[1], "Two", sender="IVAN")), "id": 43}
)
COST: Final = GetCost.model_validate({"to": PHONES[0], "text": "Table 7 is yours"})
COST_TWO: Final = GetCost.model_validate({"to": PHONES[0], "text": "Table 7 is yours", "tinyurl": True})
COST_LIST: Final = GetListCost.model_validate({"messages": (Message(PHONES[0], "One"),)})
EVERY: Final[tuple[Operation[Any], ...]] = (
    BALANCE, STATUS, FULL_STATUS, SEND, SEND_MANY, SEND_LIST, COST, COST_TWO, COST_LIST,
)  # fmt: skip


def _decode(
    operation: Operation[Any],
    body: bytes,
    *,
    status_code: int = 200,
    content_type: str = XML,
    credentials: Credentials = LOGIN,
) -> Any:
    request = encode(operation, credentials, NAMESPACE)
    return decode(operation, request, status_code=status_code, content_type=content_type, body=body, timezone=MOSCOW)


def _sample(name: str, operation: Operation[Any]) -> Any:
    head, _, body = (SAMPLES / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert int(headers["Content-Length"]) == len(body)
    return _decode(operation, body, status_code=int(lines[0].split()[1]), content_type=headers["Content-Type"])


def _answer(
    operation: Operation[Any], fields: Mapping[str, JsonValue], version: SoapVersion = SoapVersion.V11
) -> bytes:
    contract = CONTRACT.operations[operation.methods[0]]
    return build(contract.response, {contract.result: dict(fields)}, namespace=NAMESPACE, version=version)


def test_samples_of_answers_read_as_the_right_results() -> None:
    assert _sample("get_balance", BALANCE).amount == Decimal("812.40")
    assert _sample("get_sms_cost", COST).sms_count == 1
    assert _sample("get_sms_cost2", COST_TWO).amount == Decimal("12.6")
    sent = _sample("send_sms", SEND)
    assert (sent.ref, sent.cost, sent.balance, sent.sms_count) == (
        MessageRef(PHONES[0], 41), Decimal("6.3"), Decimal("806.10"), 2,
    )  # fmt: skip
    many = _sample("send_sms2", SEND_MANY)
    assert many.refs == (MessageRef(PHONES[0], 42),)
    assert [(error.phone, error.code) for error in many.errors] == [("79215550102", 7), ("79215550103", 8)]


@pytest.mark.parametrize("name", ["get_status", "get_status2", "get_status_soap12"])
def test_samples_of_statuses_read_as_the_right_results(name: str) -> None:
    report = _sample(name, FULL_STATUS if name == "get_status2" else STATUS)
    moment = datetime(2031, 2, 3, 7, 20, 30, tzinfo=UTC)
    assert report.status is {"get_status": MessageStatus.DELIVERED, "get_status2": MessageStatus.UNDELIVERABLE}.get(
        name, MessageStatus.SENT
    )
    assert report.changed_at == (None if name == "get_status_soap12" else moment)
    if name == "get_status2":
        assert report.text == 'Стол <7> &amp; "окно"\r\nв 19:00 ]]> 😀'
        assert (report.error, report.sender, report.cost) == (DeliveryError.OFFLINE, "IVAN", Decimal("3.15"))
        assert (report.operator, report.region) == ("Оператор", "Псков")
        assert report.sent_at == moment - timedelta(seconds=30)
    assert report.extra == {}


def test_samples_of_failures_raise_the_right_errors() -> None:
    with pytest.raises(AuthenticationFailed):
        _sample("api_error", STATUS)
    with pytest.raises(HTTPStatusError, match="HTTP 500 Internal Server Error without") as crash:
        _sample("crash", STATUS)
    assert (crash.value.status_code, crash.value.outcome) == (500, Outcome.UNKNOWN)
    for name, code, outcome, missing in (
        ("fault_server", "Server", Outcome.UNKNOWN, False),
        ("fault_client", "Client", Outcome.REJECTED, False),
        ("fault_procedure", "Server", Outcome.REJECTED, True),
        ("fault_procedure_soap12", "ProcedureNotPresent", Outcome.REJECTED, True),
    ):
        with pytest.raises(SoapFault) as fault:
            _sample(name, STATUS)
        error = fault.value
        assert (error.fault_code, error.outcome, error.procedure_missing) == (code, outcome, missing)


@pytest.mark.parametrize("operation", EVERY, ids=lambda operation: type(operation).__name__)
@pytest.mark.parametrize("credentials", [LOGIN, KEY], ids=["login", "apikey"])
def test_server_receives_what_the_client_asked(operation: Operation[Any], credentials: Credentials) -> None:
    request = encode(operation, credentials, NAMESPACE)
    assert request.headers == {"Content-Type": XML, "SOAPAction": f'"{NAMESPACE}"'}
    incoming = receive(request.body, namespace=NAMESPACE)
    expected = {**credentials.fields(), **operation.fields()}
    plain, with_query = operation.methods
    assert incoming.method == request.method == (with_query if "query" in incoming.fields else plain)
    assert {name: value for name, value in incoming.fields.items() if name != "query"} == expected
    assert ("query" in incoming.fields) == bool(operation.parameters() or operation.lines())
    assert next(iter(incoming.fields)) in {"login", "apikey"}, "credentials come first"
    assert incoming.version is SoapVersion.V11


def test_a_request_does_not_print_what_is_private() -> None:
    request = encode(SEND, LOGIN, NAMESPACE)
    incoming = receive(request.body, namespace=NAMESPACE)
    for shown in (repr(request), repr(incoming)):
        assert not any(private in shown for private in ("alex", "pa<&>ss", "Table", "79215550101"))


def test_list_lines_travel_in_query() -> None:
    query = receive(encode(SEND_LIST, KEY, NAMESPACE).body, namespace=NAMESPACE).fields["query"]
    assert isinstance(query, str)
    assert "list=%2B79215550101%3AOne%5Cnmore%0AIVAN%7C%2B79215550102%3ATwo" in query.split("&")


@pytest.mark.parametrize("suffix", ["", "?wsdl", "?wsdl#x", "#x"])
def test_namespace_is_the_address_without_its_query(suffix: str) -> None:
    assert namespace_of(f"http://127.0.0.1:8/sys/soap.php{suffix}") == "http://127.0.0.1:8/sys/soap.php"


@pytest.mark.parametrize("version", SoapVersion)
def test_client_reads_what_the_server_answers(version: SoapVersion) -> None:
    request = encode(SEND_MANY, KEY, NAMESPACE)
    incoming = receive(build("send2", {"phones": "1"}, namespace=NAMESPACE, version=version), namespace=NAMESPACE)
    errors: list[JsonValue] = [{"phone": "79215550102", "status": "7"}]
    body = encode_answer(incoming, {"id": "42", "cnt": "1", "errors": errors}, NAMESPACE)
    sent = decode(SEND_MANY, request, status_code=200, content_type=XML, body=body, timezone=MOSCOW)
    assert (sent.id, len(sent.refs), sent.errors[0].code) == ("42", 2, 7)
    assert parse(body).element == "Send2Response"


def test_an_empty_answer_is_one_empty_element() -> None:
    incoming = receive(encode(BALANCE, KEY, NAMESPACE).body, namespace=NAMESPACE)
    assert b"<ns1:BalanceResponse><balanceresult/></ns1:BalanceResponse>" in encode_answer(incoming, {}, NAMESPACE)


@pytest.mark.parametrize(
    ("before", "content_type", "encoding"),
    [
        ("", XML, "utf-8"),
        ("\n", XML, "utf-8"),
        ("", "", "utf-8"),
        ("", "text/xml", "utf-8"),
        ("", "text/xml; charset", "utf-8"),
        ("", "text/xml; boundary=x; charset=", "utf-8"),
        ("", 'text/xml; boundary=x; Charset="Windows-1251"', "cp1251"),
        ("", "text/html; charset=no-such", "utf-8"),
    ],
)
def test_answer_is_read_in_the_encoding_of_the_header(before: str, content_type: str, encoding: str) -> None:
    answer = _answer(FULL_STATUS, {"status": "1", "status_name": "Доставлено"}).decode().partition("\n")[2]
    body = f"{before}{answer}".encode(encoding)
    report = _decode(FULL_STATUS, body, content_type=content_type)
    assert report.status_name == "Доставлено"


def test_a_blank_line_before_the_answer_is_forgiven_to_a_server_and_not_to_a_client() -> None:
    assert _decode(BALANCE, b"\r\n" + _answer(BALANCE, {"balance": "1"})).amount == 1
    with pytest.raises(RequestFault, match="Bad Request"):
        receive(b"\r\n" + encode(BALANCE, KEY, NAMESPACE).body, namespace=NAMESPACE)


@pytest.mark.parametrize("error", [None, "0", "", "00"])
def test_error_0_means_none(error: str | None) -> None:
    balance = _decode(BALANCE, _answer(BALANCE, {"balance": "1.5", "error": error}))
    assert (balance.amount, balance.extra) == (Decimal("1.5"), {})


_SENDING: Final = {
    3: InsufficientFunds,
    5: InvalidDate,
    6: MessageForbidden,
    7: InvalidPhone,
    8: Undeliverable,
}
_ANY: Final = {1: InvalidParameters, 2: AuthenticationFailed, 4: AddressBlocked, 9: TooManyRequests}


@pytest.mark.parametrize(
    ("operations", "errors"),
    [
        ((SEND, SEND_LIST, COST, COST_LIST), _ANY | _SENDING),
        ((STATUS, FULL_STATUS), {**_ANY, 3: MessageNotFound}),
        ((BALANCE,), _ANY),
    ],
    ids=["sending", "status", "balance"],
)
def test_an_error_code_is_read_by_the_table_of_its_operation(
    operations: Sequence[Operation[Any]], errors: Mapping[int, type[ApiError]]
) -> None:
    for operation in operations:
        for code in (-1, *range(1, 11), 77):
            with pytest.raises(ApiError) as raised:
                _decode(operation, _answer(operation, {"id": "7", "error": str(code)}))
            assert type(raised.value) is errors.get(code, ApiError)
            assert (raised.value.code, raised.value.outcome) == (code, Outcome.REJECTED)


def test_status_minus_3_says_the_same_as_error_3() -> None:
    for fields in ({"status": "-3"}, {"error": "3"}):
        with pytest.raises(MessageNotFound) as raised:
            _decode(STATUS, _answer(STATUS, fields))
        assert raised.value.code == 3


def test_answer_may_have_another_order_unknown_and_missing_fields() -> None:
    fields: dict[str, JsonValue] = {"future": {"a": ["1", "2"]}, "err": "0", "status": "77", "phone": ""}
    report = _decode(FULL_STATUS, _answer(STATUS, fields, SoapVersion.V12))
    assert (report.status.value, report.error, report.phone) == (77, DeliveryError.NONE, None)
    assert report.extra == {"future": {"a": ["1", "2"]}}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (STATUS, build("StatusResponse", {}, namespace=NAMESPACE)),
        (STATUS, build("StatusResponse", {"sendresult": {"status": "1"}}, namespace=NAMESPACE)),
        (STATUS, build("StatusResponse", {"statusresult": ""}, namespace=NAMESPACE)),
        (STATUS, build("StatusResponse", {"statusresult": "1"}, namespace=NAMESPACE)),
        (STATUS, _answer(BALANCE, {"balance": "1"})),
        (BALANCE, _answer(STATUS, {"status": "1"})),
        (STATUS, encode(STATUS, KEY, NAMESPACE).body),
        (STATUS, _answer(STATUS, {"err": "0"})),
        (STATUS, _answer(STATUS, {"status": "delivered"})),
        (STATUS, _answer(STATUS, {"status": ["1", "2"]})),
        (STATUS, _answer(STATUS, {"status": "1", "error": "no"})),
        (STATUS, _answer(STATUS, {"status": "1", "error": "9" * 5000})),
        (STATUS, _answer(STATUS, {"status": "1", "error": ["0", "0"]})),
        (STATUS, b""),
        (STATUS, b"<html><body>Please wait</body></html>"),
        (STATUS, b"<!DOCTYPE html><html><br></html>"),
        (BALANCE, _answer(BALANCE, {"balance": "much"})),
        (SEND, _answer(SEND, {"cnt": ""})),
        (SEND, _answer(SEND, {"id": "41", "cnt": "some"})),
    ],
)
def test_what_is_no_answer_to_the_question_is_malformed_and_leaves_doubt(
    operation: Operation[Any], body: bytes
) -> None:
    with pytest.raises(MalformedEnvelope) as raised:
        _decode(operation, body)
    assert raised.value.outcome is Outcome.UNKNOWN
    assert not any(private in str(raised.value) for private in ("79215550101", "delivered", "much", "some"))


@pytest.mark.parametrize(
    ("status_code", "outcome", "words"),
    [
        (301, Outcome.REJECTED, "HTTP 301 Moved Permanently without"),
        (404, Outcome.REJECTED, "HTTP 404 Not Found without"),
        (413, Outcome.REJECTED, "HTTP 413 "),
        (502, Outcome.UNKNOWN, "HTTP 502 Bad Gateway without"),
        (599, Outcome.UNKNOWN, "HTTP 599 without"),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>oops", _answer(STATUS, {"status": "1"})], ids=["empty", "html", "answer"]
)
def test_an_http_error_without_a_fault_is_told_by_its_status(
    status_code: int, outcome: Outcome, words: str, body: bytes
) -> None:
    with pytest.raises(HTTPStatusError, match=words) as raised:
        _decode(STATUS, body, status_code=status_code, content_type="text/html")
    assert (raised.value.status_code, raised.value.outcome) == (status_code, outcome)


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
def test_a_fault_leaves_doubt_unless_it_is_about_the_envelope(
    status_code: int, version: SoapVersion, code: str, outcome: Outcome
) -> None:
    with pytest.raises(SoapFault, match="no luck") as raised:
        _decode(SEND, build_fault(code, "no luck", version=version), status_code=status_code)
    assert raised.value.outcome is outcome
    assert not raised.value.procedure_missing


def test_a_fault_without_a_code_is_still_a_fault() -> None:
    body = b"<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault/></e:Body></e:Envelope>"
    with pytest.raises(SoapFault, match=r"^Fault: $"):
        _decode(BALANCE, body, status_code=500)


def test_a_missing_procedure_is_recognised_even_when_its_words_are_private() -> None:
    send = Send.model_validate({"to": PHONES[0], "text": "present", "id": "not"})
    login = Login(login=SecretStr("Procedure"), password=SecretStr("send"))
    for string in ("Procedure 'send' not present", "Procedure not present"):
        with pytest.raises(SoapFault) as raised:
            _decode(send, build_fault("Server", string), status_code=500, credentials=login)
        assert raised.value.procedure_missing
        assert raised.value.outcome is Outcome.REJECTED


def test_a_fault_hides_parts_of_what_was_private_and_keeps_the_rest() -> None:
    said = "login alex: can't send to 79215550101 (Table 7 is...), 41 times; query err%3D1; bad luck"
    with pytest.raises(SoapFault) as raised:
        _decode(SEND, build_fault("Server", said), status_code=500)
    assert raised.value.fault_string == "login ***: can't send to *** (***...), *** times; query err%3D1; bad luck"
    assert str(raised.value) == f"Server: {raised.value.fault_string}"


def test_a_long_fault_is_cut() -> None:
    with pytest.raises(SoapFault) as raised:
        _decode(SEND, build_fault("x" * 9999, "y" * 9999), status_code=500)
    assert len(str(raised.value)) < 700


private_texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff*") | st.sampled_from("\t\n\r &<>"),
    min_size=2,
    max_size=80,
).filter(lambda text: len(text.strip()) > 1)


@settings(deadline=None)
@given(
    text=private_texts,
    login=private_texts,
    password=private_texts,
    around=st.text(st.sampled_from("abc -:'\""), max_size=20),
    version=st.sampled_from(SoapVersion),
)
def test_a_fault_never_repeats_what_was_private(
    text: str, login: str, password: str, around: str, version: SoapVersion
) -> None:
    credentials = Login(login=SecretStr(login), password=SecretStr(password))
    send = Send.model_validate({"to": PHONES[:2], "text": text, "id": "order-55", "pp": text})
    request = encode(send, credentials, NAMESPACE)
    fields = receive(request.body, namespace=NAMESPACE).fields
    quoted = (text, login, password, *PHONES[:2], PHONES[0][1:], str(fields["query"]))
    said = f"\u2620{around}\u2620".join(("", *quoted, ""))
    with pytest.raises(SoapFault) as raised:
        _decode(send, build_fault("Server", said, version=version), status_code=500, credentials=credentials)
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
        receive(_envelope(element, header=header, version=version), namespace=NAMESPACE)
    assert refusal.value.version is version
    with pytest.raises(SoapFault) as fault:
        _decode(STATUS, encode_fault(refusal.value), status_code=500)
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
        receive(body, namespace=NAMESPACE)
    refusal = raised.value
    assert (refusal.code, refusal.string, refusal.version) == (code, string, SoapVersion.V11)
    assert parse(encode_fault(refusal)).fault == Fault(code, string)


def test_a_server_drops_unknown_fields_and_keeps_repeated_and_nil_ones() -> None:
    body = build("status", {"x": {"y": "1"}, "phone": ["1", "2"], "id": "<&>\r"}, namespace=NAMESPACE)
    nil = b'<all xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/></ns1:status>'
    incoming = receive(body.replace(b"</ns1:status>", nil), namespace=NAMESPACE)
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
        _decode(operation, _answer(operation, fields), status_code=status_code)


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
        _decode(operation, body, content_type=content_type)
    with suppress(RequestFault):
        receive(body, namespace=NAMESPACE)
