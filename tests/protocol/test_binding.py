"""Operations to requests, and answers to results."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from pydantic import JsonValue, SecretStr

from smsc_async._model.codes import DeliveryError, MessageStatus
from smsc_async._model.credentials import ApiKey, Credentials
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
    ProtocolError,
    SoapFault,
    TooManyRequests,
    Undeliverable,
)
from smsc_async._model.operations import Operation, Send
from smsc_async._model.types import MessageRef
from smsc_async._protocol.binding import (
    RequestFault,
    decode,
    encode,
    encode_answer,
    namespace_of,
    receive,
)
from smsc_async._protocol.envelope import SoapVersion, build, parse
from tests.protocol.recorded import (
    BALANCE,
    COST,
    COST_LIST,
    COST_TWO,
    EVERY,
    FULL_STATUS,
    LOGIN,
    MOSCOW,
    NAMESPACE,
    PHONES,
    SAMPLES,
    SEND,
    SEND_LIST,
    SEND_MANY,
    STATUS,
    XML,
    answer_to,
    decoded,
)

KEY: Final = ApiKey(key=SecretStr("5ecre7key"))


def _sample(name: str, operation: Operation[Any]) -> Any:
    head, _, body = (SAMPLES / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert int(headers["Content-Length"]) == len(body)
    return decoded(operation, body, status_code=int(lines[0].split()[1]), content_type=headers["Content-Type"])


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
    incoming = receive(request.body, namespaces=(NAMESPACE,))
    expected = {**credentials.fields(), **operation.fields()}
    plain, with_query = operation.methods
    assert incoming.method == request.method == (with_query if "query" in incoming.fields else plain)
    assert {name: value for name, value in incoming.fields.items() if name != "query"} == expected
    assert ("query" in incoming.fields) == bool(operation.parameters() or operation.lines())
    assert next(iter(incoming.fields)) in {"login", "apikey"}, "credentials come first"
    assert incoming.version is SoapVersion.V11


def test_a_request_does_not_print_what_is_private() -> None:
    request = encode(SEND, LOGIN, NAMESPACE)
    incoming = receive(request.body, namespaces=(NAMESPACE,))
    for shown in (repr(request), repr(request.body), repr(incoming)):
        assert not any(private in shown for private in ("alex", "pa<&>ss", "Table", "79215550101"))


def test_list_lines_travel_in_query() -> None:
    query = receive(encode(SEND_LIST, KEY, NAMESPACE).body, namespaces=(NAMESPACE,)).fields["query"]
    assert isinstance(query, str)
    assert "list=%2B79215550101%3AOne%5Cnmore%0AIVAN%7C%2B79215550102%3ATwo" in query.split("&")


@pytest.mark.parametrize("suffix", ["", "?wsdl", "?wsdl#x", "#x"])
def test_namespace_is_the_address_without_its_query(suffix: str) -> None:
    assert namespace_of(f"http://127.0.0.1:8/sys/soap.php{suffix}") == "http://127.0.0.1:8/sys/soap.php"


@pytest.mark.parametrize("version", SoapVersion)
def test_client_reads_what_the_server_answers(version: SoapVersion) -> None:
    request = encode(SEND_MANY, KEY, NAMESPACE)
    incoming = receive(build("send2", {"phones": "1"}, namespace=NAMESPACE, version=version), namespaces=(NAMESPACE,))
    errors: list[JsonValue] = [{"phone": "79215550102", "status": "7"}]
    body = encode_answer(incoming, {"id": "42", "cnt": "1", "errors": errors}, NAMESPACE)
    sent = decode(SEND_MANY, request, status_code=200, content_type=XML, body=body, timezone=MOSCOW)
    assert (sent.id, len(sent.refs), sent.errors[0].code) == ("42", 2, 7)
    assert parse(body).element == "Send2Response"


def test_an_empty_answer_is_one_empty_element() -> None:
    incoming = receive(encode(BALANCE, KEY, NAMESPACE).body, namespaces=(NAMESPACE,))
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
    answer = answer_to(FULL_STATUS, {"status": "1", "status_name": "Доставлено"}).decode().partition("\n")[2]
    body = f"{before}{answer}".encode(encoding)
    report = decoded(FULL_STATUS, body, content_type=content_type)
    assert report.status_name == "Доставлено"


def test_whitespace_and_marks_before_the_document_are_accepted_in_an_answer_and_not_in_a_request() -> None:
    for before in (b"\r\n", b"\xef\xbb\xbf", b"\n \xef\xbb\xbf\r\n\xef\xbb\xbf\t"):
        assert decoded(BALANCE, before + answer_to(BALANCE, {"balance": "1"})).amount == 1
    with pytest.raises(RequestFault, match="Bad Request"):
        receive(b"\r\n" + encode(BALANCE, KEY, NAMESPACE).body, namespaces=(NAMESPACE,))


@pytest.mark.parametrize("error", [None, "0", "", "00", " ", " 0\n"])
def test_error_0_means_none(error: str | None) -> None:
    balance = decoded(BALANCE, answer_to(BALANCE, {"balance": "1.5", "error": error}))
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
                decoded(operation, answer_to(operation, {"error": str(code)}))
            assert type(raised.value) is errors.get(code, ApiError)
            assert (raised.value.code, raised.value.outcome) == (code, Outcome.REJECTED)


def test_status_minus_3_says_the_same_as_error_3() -> None:
    for fields in ({"status": "-3"}, {"error": "3"}):
        with pytest.raises(MessageNotFound) as raised:
            decoded(STATUS, answer_to(STATUS, fields))
        assert raised.value.code == 3


def test_answer_may_have_another_order_unknown_and_missing_fields() -> None:
    fields: dict[str, JsonValue] = {"future": {"a": ["1", "2"]}, "err": "0", "status": "77", "phone": ""}
    report = decoded(FULL_STATUS, answer_to(STATUS, fields, SoapVersion.V12))
    assert (report.status.value, report.error, report.phone) == (77, DeliveryError.NONE, None)
    assert report.extra == {"future": {"a": ["1", "2"]}}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (STATUS, build("StatusResponse", {}, namespace=NAMESPACE)),
        (STATUS, build("StatusResponse", {"sendresult": {"status": "1"}}, namespace=NAMESPACE)),
        (STATUS, build("StatusResponse", {"statusresult": ""}, namespace=NAMESPACE)),
        (STATUS, build("StatusResponse", {"statusresult": "1"}, namespace=NAMESPACE)),
        (STATUS, answer_to(BALANCE, {"balance": "1"})),
        (BALANCE, answer_to(STATUS, {"status": "1"})),
        (STATUS, encode(STATUS, KEY, NAMESPACE).body),
        (STATUS, answer_to(STATUS, {"err": "0"})),
        (STATUS, answer_to(STATUS, {"status": "delivered"})),
        (STATUS, answer_to(STATUS, {"status": ["1", "2"]})),
        (STATUS, answer_to(STATUS, {"status": "1", "error": "no"})),
        (STATUS, answer_to(STATUS, {"status": "1", "error": "9" * 5000})),
        (STATUS, answer_to(STATUS, {"status": "1", "error": ["0", "0"]})),
        (STATUS, b""),
        (STATUS, b"<html><body>Please wait</body></html>"),
        (STATUS, b"<!DOCTYPE html><html><br></html>"),
        (BALANCE, answer_to(BALANCE, {"balance": "much"})),
        (SEND, answer_to(SEND, {"cnt": ""})),
        (SEND, answer_to(SEND, {"cnt": "some"})),
        (SEND, answer_to(SEND, {"cnt": "0"})),
        (SEND, answer_to(SEND, {"id": "0"})),
        (SEND, answer_to(SEND, {"id": " ", "cost": "1"})),
        (SEND, answer_to(SEND, {"id": "41", "error": "\u0661"})),
        (SEND, answer_to(SEND, {"id": "41", "error": "1_0"})),
        (SEND, answer_to(SEND, {"id": "41", "error": "1.0"})),
        (SEND, answer_to(SEND, {"id": "41", "error": {"code": "1"}})),
        (BALANCE, answer_to(BALANCE, {"balance": "3,50"})),
        (BALANCE, answer_to(BALANCE, {"balance": ["3", "3"]})),
        (COST, answer_to(COST, {"cost": "3,50", "cnt": "1"})),
        (COST, answer_to(COST, {"cost": "-1", "cnt": "1"})),
    ],
)
def test_what_is_no_answer_to_the_question_is_malformed_and_leaves_the_outcome_unknown(
    operation: Operation[Any], body: bytes
) -> None:
    with pytest.raises(MalformedEnvelope) as raised:
        decoded(operation, body)
    assert raised.value.outcome is Outcome.UNKNOWN
    assert not any(private in str(raised.value) for private in ("79215550101", "delivered", "much", "some"))


@pytest.mark.parametrize("operation", [SEND, SEND_MANY, SEND_LIST], ids=["one", "many", "list"])
@pytest.mark.parametrize("fields", [{"cnt": "1"}, *({"error": str(code)} for code in (2, 3, 6, 7, 8, 77))], ids=str)
def test_answer_with_the_id_of_another_message_is_nobodys_answer(
    operation: Operation[Any], fields: dict[str, str]
) -> None:
    own = operation.fields()["id"]
    others: tuple[JsonValue, ...] = (
        "7",
        f"{own}0",
        "4821-a",
        "no id at all",
        "9" * 5000,
        ["7", "8"],
        [own, "7"],
        {"b": own},
    )
    for other in others:
        with pytest.raises(ProtocolError, match="belongs to another request") as raised:
            decoded(operation, answer_to(operation, {"id": other, **fields}))
        assert raised.value.outcome is Outcome.UNKNOWN
        assert "4821-a" not in str(raised.value)


@pytest.mark.parametrize("operation", [SEND, SEND_MANY, SEND_LIST], ids=["one", "many", "list"])
def test_missing_id_is_not_another_one_and_the_service_may_write_a_number_in_its_way(operation: Operation[Any]) -> None:
    own = operation.fields()["id"]
    wire: tuple[JsonValue, ...] = (own, f" {own}\n", f"0{own}", "", " ", "0", None, [own, own])
    for same in wire:
        assert decoded(operation, answer_to(operation, {"id": same, "cnt": "1"})).sms_count == 1
        with pytest.raises(InvalidPhone):
            decoded(operation, answer_to(operation, {"id": same, "error": "7"}))


def test_id_of_letters_is_compared_exactly() -> None:
    operation = Send.model_validate({"to": PHONES[0], "text": "Hi", "id": "0a"})
    assert decoded(operation, answer_to(operation, {"id": "0a", "cnt": "1"})).id == "0a"
    for other in ("a", "0A", "00a"):
        with pytest.raises(ProtocolError):
            decoded(operation, answer_to(operation, {"id": other, "cnt": "1"}))


def test_reads_carry_no_id_and_one_that_does_is_checked() -> None:
    assert decoded(COST, answer_to(COST, {"id": "7", "cost": "1"})).amount == 1
    assert decoded(STATUS, answer_to(STATUS, {"id": STATUS.ref.id, "status": "1"})).ref == STATUS.ref
    with pytest.raises(ProtocolError):
        decoded(STATUS, answer_to(STATUS, {"id": f"{STATUS.ref.id}0", "status": "1"}))


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
    "body", [b"", b"<html>oops", answer_to(STATUS, {"status": "1"})], ids=["empty", "html", "answer"]
)
def test_an_http_error_without_a_fault_is_told_by_its_status(
    status_code: int, outcome: Outcome, words: str, body: bytes
) -> None:
    with pytest.raises(HTTPStatusError, match=words) as raised:
        decoded(STATUS, body, status_code=status_code, content_type="text/html")
    assert (raised.value.status_code, raised.value.outcome) == (status_code, outcome)
