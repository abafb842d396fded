"""A detail of an odd form makes no answer a failure, and is never read as another value.

Each detail of the recorded answers takes the place of each odd text. What is read is in the tables of this module, not
derived with the package's code.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async import (
    DeliveryError,
    DeliveryReport,
    InvalidPhone,
    MalformedEnvelope,
    MessageStatus,
    Operation,
    Outcome,
    SentMessage,
)
from smsc_async._protocol.envelope import build
from tests.protocol.recorded import (
    BALANCE,
    COST,
    FULL_STATUS,
    NAMESPACE,
    SAMPLES,
    SEND,
    SEND_LIST,
    SEND_MANY,
    STATUS,
    answer_to,
    decoded,
)

TEXTS: Final = (
    *(
        "x",
        "3,50",
        "1 234.50",
        "1,234.50",
        "3.50 RUB",
        "1e5",
        "1e400",
        "NaN",
        "Infinity",
        "-Infinity",
        "-1",
        "+2",
        "1.5",
    ),
    *(
        "\u0661",
        "1",
        "\u00b2",
        "1_0",
        "0x10",
        "0b1",
        "--1",
        "1.2.3",
        ".",
        "e5",
        "null",
        "None",
        "true",
        "9" * 10,
        "9" * 5000,
    ),
    *(
        "00.00.0000 00:00:00",
        "01.01.0001 00:00:00",
        "31.12.9999 23:59:59",
        "01.01.1970 03:00:00",
        "32.01.2031 10:20:30",
    ),
    *("2031-02-03 10:20:30", "02/03/2031 10:20:30", "03.02.2031", "03.02.2031 25:20:30", "03.02.2031 10:20:60"),
    *("0302311020", "03.02.2031T10:20:30", "yesterday", "03.02.203 10:20:30", "\u0660\u0663.02.2031 10:20:30"),
)
"""Texts that are in the place of a detail. They are read as the tables below say, and else not at all."""
NOWHERE: Final = ("", " ", "\n\t")
"""What counts as an absent element."""
SHAPES: Final = (
    "<{0}><deep>1</deep></{0}>",
    "<{0}><{0}>1</{0}></{0}>",
    "<{0}>1</{0}><{0}>2</{0}>",
    "<{0}>1</{0}><{0}>1</{0}>",
    "<{0}/><{0}/>",
    '<{0} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>',
    '<{0} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="1">3</{0}>',
)
"""What is in its place and is no text."""

Details: TypeAlias = Mapping[str, tuple[str, Mapping[str, object]]]

AMOUNTS: Final = {
    "1e5": Decimal(100_000),
    "-1": Decimal(-1),
    "+2": Decimal(2),
    "1.5": Decimal("1.5"),
    "1": Decimal(1),
    "9" * 10: Decimal(9_999_999_999),
    "0302311020": Decimal(302_311_020),
}
PRICES: Final = {text: value for text, value in AMOUNTS.items() if text != "-1"}
COUNTS: Final = {"+2": 2, "1": 1}
CODES: Final = {**COUNTS, "-1": -1}
STAMPS: Final = {
    "1": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    "9" * 10: datetime(2286, 11, 20, 17, 46, 39, tzinfo=UTC),
}
"""What is read although it is unusual."""

SEND_DETAILS: Final[Details] = {"cost": ("cost", PRICES), "balance": ("balance", AMOUNTS), "cnt": ("sms_count", COUNTS)}
STATUS_DETAILS: Final[Details] = {
    "err": ("error", CODES),
    "cost": ("cost", PRICES),
    "sms_cnt": ("parts", COUNTS),
    "last_date": ("changed_at", {}),
    "send_date": ("sent_at", {}),
    "last_timestamp": ("changed_at", STAMPS),
    "send_timestamp": ("sent_at", STAMPS),
}
FULL: Final = {
    "status": "20",
    "last_date": "03.02.2031 10:20:30",
    "err": "6",
    "send_date": "03.02.2031 10:20:00",
    "phone": "79215550101",
    "cost": "3.15",
    "sender_id": "IVAN",
    "message": "Hi",
    "sms_cnt": "1",
}


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.http").read_bytes().partition(b"\r\n\r\n")[2]


def replaced(body: bytes, name: str, element: str) -> bytes:
    """Put an element in the place of the first one with this name."""
    new, count = re.subn(f"<{name}>[^<]*</{name}>".encode(), lambda _: element.encode(), body, count=1)
    assert count == 1, name
    return new


def text_of(name: str, text: str) -> str:
    return f"<{name}>{text}</{name}>"


def without(result: SentMessage | DeliveryReport, *names: str) -> dict[str, Any]:
    return {name: value for name, value in dict(result).items() if name not in names}


def report_without(wire: str) -> bytes:
    """Return a full report in which only this one of a date's two fields is left."""
    twin = {"last_timestamp": "last_date", "send_timestamp": "send_date"}.get(wire)
    fields = {name: value for name, value in FULL.items() if name != twin}
    return answer_to(STATUS, {**fields, wire: "1"})


ACCEPTED: Final = [
    (SEND, answer_to(SEND, {"id": "41", "balance": "806.10", "cost": "6.3", "cnt": "2"})),
    (SEND_MANY, sample("send_sms2")),
    (SEND_LIST, answer_to(SEND_LIST, {"id": "43", "balance": "806.10", "cost": "6.3", "cnt": "2"})),
]


@pytest.mark.parametrize(("operation", "body"), ACCEPTED, ids=["one", "many", "list"])
@pytest.mark.parametrize("name", SEND_DETAILS)
def test_an_accepted_send_is_accepted_whatever_its_details_are(
    operation: Operation[SentMessage], body: bytes, name: str
) -> None:
    attribute, values = SEND_DETAILS[name]
    usual = decoded(operation, body)
    for text in TEXTS:
        sent = decoded(operation, replaced(body, name, text_of(name, text)))
        assert getattr(sent, attribute) == values.get(text), text
        assert sent.extra == ({} if text in values else {name: text})
        assert without(sent, attribute, "extra") == without(usual, attribute, "extra")
    for element in (*(text_of(name, text) for text in NOWHERE), ""):
        sent = decoded(operation, replaced(body, name, element))
        assert getattr(sent, attribute) is None
        assert sent.extra == {}
    for shape in SHAPES:
        sent = decoded(operation, replaced(body, name, shape.format(name)))
        assert getattr(sent, attribute) is None
        assert list(sent.extra) == [name]
        assert without(sent, attribute, "extra") == without(usual, attribute, "extra")


@pytest.mark.parametrize("name", STATUS_DETAILS)
def test_a_report_keeps_its_status_whatever_its_details_are(name: str) -> None:
    attribute, values = STATUS_DETAILS[name]
    body = report_without(name)
    usual = decoded(FULL_STATUS, replaced(body, name, ""))
    assert getattr(usual, attribute) is None
    for text in TEXTS:
        report = decoded(FULL_STATUS, replaced(body, name, text_of(name, text)))
        assert getattr(report, attribute) == values.get(text), text
        assert report.extra == ({} if text in values else {name: text})
        assert without(report, attribute, "extra") == without(usual, attribute, "extra")
    for text in NOWHERE:
        assert decoded(FULL_STATUS, replaced(body, name, text_of(name, text))) == usual
    for shape in SHAPES:
        report = decoded(FULL_STATUS, replaced(body, name, shape.format(name)))
        assert list(report.extra) == [name]
        assert without(report, "extra") == without(usual, "extra")


@pytest.mark.parametrize("name", ["get_status", "get_status2"])
def test_all_details_of_a_recorded_report_may_be_odd_at_once(name: str) -> None:
    body = sample(name)
    status = decoded(FULL_STATUS, body).status
    details = [each for each in STATUS_DETAILS if f"<{each}>".encode() in body]
    for text in TEXTS:
        odd = body
        for each in details:
            odd = replaced(odd, each, text_of(each, text))
        assert decoded(FULL_STATUS, odd).status is status


SHOWN: Final = {"phone": "phone", "sender_id": "sender", "status_name": "status_name", "message": "text"}


@pytest.mark.parametrize("name", [*SHOWN, "operator", "region"])
def test_a_text_of_a_report_is_any_text_and_else_in_extra(name: str) -> None:
    body = answer_to(STATUS, {**FULL, "status_name": "?", "operator": "?", "region": "?"})
    attribute = SHOWN.get(name, name)
    for text in TEXTS:
        assert getattr(decoded(FULL_STATUS, replaced(body, name, text_of(name, text))), attribute) == text
    for shape in SHAPES:
        report = decoded(FULL_STATUS, replaced(body, name, shape.format(name)))
        assert getattr(report, attribute) is None
        assert list(report.extra) == [name]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("1", MessageStatus.DELIVERED), ("+2", MessageStatus.READ), ("-1", MessageStatus.WAITING), ("9" * 9, 999_999_999)],
)
def test_a_status_is_a_number(status: str, expected: int) -> None:
    assert decoded(STATUS, answer_to(STATUS, {"status": status})).status == expected


@pytest.mark.parametrize(
    ("operation", "name", "values", "fields"),
    [
        (STATUS, "status", CODES, FULL),
        (BALANCE, "balance", AMOUNTS, {"balance": "1"}),
        (COST, "cost", PRICES, {"cost": "1", "cnt": "1"}),
    ],
    ids=["status", "balance", "price"],
)
def test_what_an_answer_is_about_is_not_guessed(
    operation: Operation[Any], name: str, values: dict[str, Any], fields: dict[str, str]
) -> None:
    """A status, a price or a balance that can't be read is an error of unknown outcome, as it is without it."""
    body = answer_to(operation, dict(fields))
    odd = [text_of(name, text) for text in (*TEXTS, *NOWHERE) if text not in values]
    for element in (*odd, *(shape.format(name) for shape in SHAPES), ""):
        with pytest.raises(MalformedEnvelope) as raised:
            decoded(operation, replaced(body, name, element))
        assert raised.value.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("operation", [SEND, STATUS, COST, BALANCE], ids=["send", "status", "price", "balance"])
def test_whether_there_is_an_error_is_not_guessed(operation: Operation[Any]) -> None:
    fields = {"id": "41"} if operation is SEND else {}
    body = answer_to(operation, {**fields, "error": "7", "status": "1", "cost": "1", "balance": "1", "cnt": "1"})
    for text in TEXTS:
        if text in CODES:
            continue
        with pytest.raises(MalformedEnvelope, match="error is not a number") as raised:
            decoded(operation, replaced(body, "error", text_of("error", text)))
        assert raised.value.outcome is Outcome.UNKNOWN
    for text in (*NOWHERE, "0", " 0 "):
        decoded(operation, replaced(body, "error", text_of("error", text)))


def test_the_count_of_a_price_is_a_detail() -> None:
    quote = decoded(COST, answer_to(COST, {"cost": "1.44", "cnt": "x"}))
    assert (quote.amount, quote.sms_count, quote.extra) == (Decimal("1.44"), None, {"cnt": "x"})


ODD_REFUSALS: Final = {
    "<errors><phone>79215550102</phone></errors>": [("79215550102", None)],
    "<errors><phone>79215550102</phone><status>x</status></errors>": [("79215550102", None)],
    "<errors><phone>79215550102</phone><status>7</status><status>8</status></errors>": [("79215550102", None)],
    "<errors><phone>79215550102</phone><status>77</status></errors>": [("79215550102", 77)],
    "<errors><status>7</status></errors>": [],
    "<errors><phone>1</phone><phone>2</phone><status>7</status></errors>": [],
    "<errors>7</errors>": [],
    "<errors/>": [],
    "<errors/><errors><phone>79215550102</phone><status>7</status></errors>": [("79215550102", 7)],
}


@pytest.mark.parametrize("element", ODD_REFUSALS)
def test_a_refusal_of_an_odd_form_is_no_failure_and_refuses_nobody_else(element: str) -> None:
    body = answer_to(SEND_MANY, {"id": "42", "cnt": "2", "errors": "?"})
    sent = decoded(SEND_MANY, replaced(body, "errors", element))
    assert [(error.phone, error.code) for error in sent.errors] == ODD_REFUSALS[element]
    assert len(sent.refs) == len(SEND_MANY.to) - len(sent.errors)
    refused = answer_to(SEND_MANY, {"id": "42", "error": "7", "errors": "?"})
    with pytest.raises(InvalidPhone) as raised:
        decoded(SEND_MANY, replaced(refused, "errors", element))
    assert [(error.phone, error.code) for error in raised.value.errors] == ODD_REFUSALS[element]


def elements() -> Iterator[st.SearchStrategy[str]]:
    yield st.sampled_from([text_of("{0}", text) for text in (*TEXTS, *NOWHERE)])
    yield st.sampled_from(SHAPES)
    yield st.text(st.characters(codec="utf-8", exclude_characters="<>&{}\r", min_codepoint=32), max_size=12).map(
        lambda text: f"<{{0}}>{text}</{{0}}>"
    )


@given(st.dictionaries(st.sampled_from(sorted({*SEND_DETAILS, *STATUS_DETAILS, "new"})), st.one_of(*elements())))
def test_any_details_in_any_mix_leave_the_id_and_the_status(details: dict[str, str]) -> None:
    odd = "".join(element.format(name) for name, element in details.items())
    for operation, start in ((SEND, "<id>41</id>"), (STATUS, "<status>1</status>")):
        body = answer_to(operation, {"x": "?"})
        result = decoded(operation, body.replace(b"<x>?</x>", f"{start}{odd}".encode()))
        if isinstance(result, SentMessage):
            assert (result.id, len(result.refs), result.errors) == ("41", 1, ())
        else:
            assert (result.ref, result.status) == (STATUS.ref, MessageStatus.DELIVERED)
        assert type(result).model_validate_json(result.model_dump_json()) == result


def test_a_report_without_a_reason_differs_from_one_without_an_error() -> None:
    """0 says "no error", and None says nothing."""
    assert decoded(STATUS, answer_to(STATUS, {"status": "20", "err": "0"})).error is DeliveryError.NONE
    report = decoded(STATUS, answer_to(STATUS, {"status": "20", "err": "?"}))
    assert (report.error, report.extra) == (None, {"err": "?"})


def test_a_second_result_is_no_answer() -> None:
    body = build("SendResponse", {"sendresult": [{"id": "41"}, {"id": "41"}]}, namespace=NAMESPACE)
    with pytest.raises(MalformedEnvelope):
        decoded(SEND, body)
