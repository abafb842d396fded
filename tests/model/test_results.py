"""Answers become frozen values; unknown fields are kept in `extra`."""

import pickle
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pydantic import JsonValue

from smsc_async._model.codes import DeliveryError, MessageStatus
from smsc_async._model.refusals import RecipientError, Refusals, read_refusals
from smsc_async._model.reports import DeliveryReport
from smsc_async._model.result_base import Result
from smsc_async._model.results import (
    Balance,
    Cost,
    SentMessage,
)
from smsc_async._model.types import MessageRef

MOSCOW = ZoneInfo("Europe/Moscow")
REF = MessageRef("+79991234567", "7")

FULL_STATUS: dict[str, JsonValue] = {
    "status": "1",
    "last_date": "09.03.2024 10:05:59",
    "last_timestamp": "1709967959",
    "err": "0",
    "send_date": "09.03.2024 10:05:00",
    "send_timestamp": "1709967900",
    "phone": "79991234567",
    "cost": "1.44",
    "sender_id": "ivan",
    "status_name": "Доставлено",
    "message": " Hi ",
    "sms_cnt": "2",
    "operator": "Билайн",
    "region": "Москва",
}


def report(zone: tzinfo = MOSCOW, **fields: JsonValue) -> DeliveryReport:
    return DeliveryReport.from_wire({"status": "1", **fields}, ref=REF, timezone=zone)


def sent(*recipients: str, **fields: JsonValue) -> SentMessage:
    return SentMessage.from_wire({"id": "7", "cnt": "2", **fields}, id="7", recipients=recipients)


EVERY: list[Result] = [
    Balance.parse({"balance": "1871.62", "currency": "RUR"}),
    Cost.parse({"cost": "1.44", "cnt": "2"}),
    RecipientError.parse({"phone": "79991234567", "status": "7", "mcc": "250"}),
    sent("+79991234567", "79991234568", errors=[{"phone": "79991234568", "status": "8"}], balance="5.1", cost="2.88"),
    DeliveryReport.from_wire({**FULL_STATUS, "info": {"mcc": ["250", {"a": "b"}]}}, ref=REF, timezone=MOSCOW),
    report(status="77", err="-5", last_date="09.03.2024 10:05:59"),
]


@pytest.mark.parametrize("result", EVERY)
def test_result_survives_pickle_and_json(result: Result) -> None:
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301 - our own bytes
    assert type(result).model_validate_json(result.model_dump_json()) == result
    assert type(result).model_validate(result.model_dump()) == result


@pytest.mark.parametrize("result", EVERY)
def test_result_is_frozen(result: Result) -> None:
    with pytest.raises(AttributeError, match="is frozen"):
        result.extra = {}  # type: ignore[misc]  # that it's frozen is the point


def test_result_prints_what_the_service_said_only() -> None:
    assert repr(Cost.parse({"cost": "1.44"})) == "Cost(amount=Decimal('1.44'))"
    assert (
        repr(Balance.parse({"balance": "0", "new": "1"}))
        == "Balance(extra={'new': <1 character>}, amount=Decimal('0'))"
    )


@pytest.mark.parametrize(
    ("wire", "amount"), [("1871.62", "1871.62"), ("0", "0"), ("-3.5", "-3.5"), (" 7 ", "7"), ("0.10", "0.10")]
)
def test_money_is_exact(wire: str, amount: str) -> None:
    assert str(Balance.parse({"balance": wire}).amount) == amount
    if wire != "-3.5":  # a debt is possible, a price to be received is not
        assert Cost.parse({"cost": wire, "cnt": "2"}).amount == Decimal(amount)


def test_count_is_parts_times_recipients_as_the_service_says() -> None:
    assert Cost.parse({"cost": "1", "cnt": "6"}).sms_count == 6
    assert Cost.parse({"cost": "1"}).sms_count is None
    assert sent("+79991234567", cnt="6").sms_count == 6


def test_unknown_fields_are_kept_and_empty_ones_count_as_absent() -> None:
    result = Cost.parse({"cost": "1", "cnt": " ", "new": "2", "nested": {"a": ["b", {"c": "d"}]}, "nothing": None})
    assert result.sms_count is None
    assert result.extra == {"new": "2", "nested": {"a": ["b", {"c": "d"}]}, "nothing": None}


@pytest.mark.parametrize("text", [" Hi ", " \u2003", "a\r\n"])
def test_text_of_a_message_keeps_its_whitespace(text: str) -> None:
    assert report(MOSCOW, message=text).text == text


def test_known_field_of_an_unknown_shape_is_kept_in_extra() -> None:
    assert Cost.parse({"cost": "1", "cnt": ["1", "2"]}).extra == {"cnt": ["1", "2"]}


def test_field_of_an_answer_with_the_name_of_an_attribute_is_an_extra() -> None:
    """Only the service's own names count: no answer can set `refs` or `reconciled`."""
    wire: dict[str, JsonValue] = {
        "refs": "?",
        "reconciled": "1",
        "missing": "?",
        "sms_count": "9",
        "extra": "?",
        "None": "?",
    }
    assert sent("+79991234567", **wire) == sent("+79991234567").model_copy(update={"extra": wire})
    assert report(ref="?", error="1", text="?").extra == {"ref": "?", "error": "1", "text": "?"}


def test_sent_message_has_a_reference_for_each_accepted_recipient() -> None:
    result = sent("+79991234567", "89991234568", "G5", errors={"phone": "79991234568", "status": "7", "mcc": "1"})
    assert result.refs == (REF,)
    assert result.ref == REF
    assert result.errors == (RecipientError(phone="79991234568", code=7, extra={"mcc": "1"}),)
    assert result.extra == {}


@pytest.mark.parametrize(("recipients", "number"), [((), 0), (("G1",), 0), (("+79991234567", "+79991234568"), 2)])
def test_one_reference_is_demanded_in_vain_where_there_is_not_one(recipients: tuple[str, ...], number: int) -> None:
    with pytest.raises(ValueError, match=f"has {number} references, not one; use .refs"):
        _ = sent(*recipients).ref


def test_id_of_the_service_wins_and_ours_stands_in_for_a_missing_one() -> None:
    assert SentMessage.from_wire({"id": "9", "cnt": "1"}, id="7", recipients=["+79991234567"]).ref.id == "9"
    assert SentMessage.from_wire({"cnt": "1"}, id="7", recipients=["+79991234567"]).ref.id == "7"


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        (None, []),
        ("", []),
        ([], []),
        ({"phone": "1", "status": "7"}, [7]),
        ([{"phone": "1", "status": "7"}, "junk", {"phone": "2", "status": "77"}], [7, 77]),
    ],
)
def test_refused_recipients_come_as_none_one_or_many(value: JsonValue, codes: list[int]) -> None:
    assert [error.code for error in read_refusals(value)[0]] == codes


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("+79991234567", "79991234567"),
        ("89991234567", "79991234567"),
        ("9991234567", "79991234567"),
        ("80501234567", "380501234567"),
        ("Ivan@Example.com", "ivan@example.com"),
        ("1234", "1234"),
    ],
)
def test_refusal_is_found_however_the_service_spells_the_recipient(asked: str, answered: str) -> None:
    error = RecipientError(phone=answered, code=7)
    assert Refusals([error], [asked]).find(asked) == error


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("+79991234567", "79991234568"),
        ("anna@example.com", "ivan@example.com"),
        ("#1234567890", "234567890"),
        ("nickname_long", "other_nickname_long"),
        ("1234", "71234"),
        ("+79991234567", "1234567"),
    ],
)
def test_refusal_of_another_recipient_is_not_taken_for_this_one(asked: str, answered: str) -> None:
    assert Refusals([RecipientError(phone=answered, code=7)], [asked]).find(asked) is None


def test_refusal_of_one_of_two_that_end_alike_is_not_taken_for_the_other() -> None:
    """A caller that sees a message refused sends it again, and pays twice if it was accepted."""
    both = ["+79991234567", "+380991234567"]
    refusals = Refusals([RecipientError(phone="79991234567", code=7)], both)
    assert [refusals.find(phone) is not None for phone in both] == [True, False]
    neither = Refusals([RecipientError(phone="1991234567", code=7)], both)
    assert [neither.find(phone) for phone in both] == [None, None]


def test_accepted_send_is_no_failure_because_a_detail_of_its_answer_is_odd() -> None:
    """An id that can't be one, or a refusal of nobody: what was sent stays sent, and the oddity is kept."""
    wire: dict[str, JsonValue] = {"id": "9 9", "cnt": "1", "errors": [{"status": "7"}, "?"]}
    sent = SentMessage.from_wire(wire, id="abc", recipients=["+79991234567"])
    assert (sent.id, sent.ref.id, sent.errors) == ("abc", "abc", ())
    assert sent.extra == {"id": "9 9", "errors": [{"status": "7"}, "?"]}


def test_full_status_is_read_to_the_last_field() -> None:
    result = DeliveryReport.from_wire(FULL_STATUS, ref=REF, timezone=MOSCOW)
    assert result == DeliveryReport(
        ref=REF,
        status=MessageStatus.DELIVERED,
        error=DeliveryError.NONE,
        changed_at=datetime(2024, 3, 9, 7, 5, 59, tzinfo=UTC),
        sent_at=datetime(2024, 3, 9, 7, 5, tzinfo=UTC),
        phone="79991234567",
        cost=Decimal("1.44"),
        sender="ivan",
        status_name="Доставлено",
        text=" Hi ",
        parts=2,
        operator="Билайн",
        region="Москва",
    )
    assert (result.is_final, result.is_delivered) == (True, True)


@pytest.mark.parametrize(
    ("status", "final", "delivered"), [("-1", False, False), ("20", True, False), ("88", False, False)]
)
def test_report_shows_whether_its_status_is_final(status: str, *, final: bool, delivered: bool) -> None:
    assert (report(status=status).is_final, report(status=status).is_delivered) == (final, delivered)


@pytest.mark.parametrize("number", ["77", "-77", "+5"])
def test_undocumented_codes_are_kept(number: str) -> None:
    result = report(status=number, err=number)
    assert (result.status, result.error) == (int(number), int(number))


@pytest.mark.parametrize(
    ("fields", "moment"),
    [
        (
            {"last_timestamp": "1709967959", "last_date": "01.01.2000 00:00:00"},
            datetime(2024, 3, 9, 7, 5, 59, tzinfo=UTC),
        ),
        ({"last_date": "09.03.2024 10:05:59"}, datetime(2024, 3, 9, 7, 5, 59, tzinfo=UTC)),
        ({"last_timestamp": "0", "last_date": " 09.03.2024 10:05:59 "}, datetime(2024, 3, 9, 7, 5, 59, tzinfo=UTC)),
        ({"last_timestamp": "", "last_date": ""}, None),
        ({"last_timestamp": "99999999999"}, datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
        ({}, None),
    ],
)
def test_moment_comes_from_the_timestamp_else_from_local_text(
    fields: dict[str, JsonValue], moment: datetime | None
) -> None:
    result = report(MOSCOW, **fields)
    assert result.changed_at == moment
    assert result.extra == {}
    assert result.changed_at is None or result.changed_at.tzinfo is not None


@pytest.mark.parametrize("zone", [UTC, MOSCOW, timezone(timedelta(hours=7)), ZoneInfo("Asia/Almaty")])
def test_local_text_counts_in_the_accounts_zone(zone: tzinfo) -> None:
    assert report(zone, send_date="09.07.2024 10:05:59").sent_at == datetime(2024, 7, 9, 10, 5, 59, tzinfo=zone)


@pytest.mark.parametrize(
    "fields",
    [
        {"last_timestamp": "-5"},
        {"last_date": "yesterday"},
        {"last_date": "32.03.2024 10:05:59"},
        {"last_date": ["a", "b"]},
        {"last_timestamp": "1" * 12, "last_date": "0"},
    ],
)
def test_moment_that_cannot_be_read_stays_in_extra(fields: dict[str, JsonValue]) -> None:
    result = report(MOSCOW, **fields)
    assert result.changed_at is None
    assert result.extra == fields


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Balance, {"amount": "canary"}),
        (Cost, {"amount": "NaN canary"}),
        (DeliveryReport, {"ref": REF, "status": "canary"}),
        (DeliveryReport, {"ref": {"phone": "canary canary", "id": "canary canary"}, "status": 1}),
        (SentMessage, {"id": 7, "refs": "canary", "errors": ["canary"]}),
    ],
)
def test_answer_that_is_not_understood_is_not_repeated(kind: type[Result], fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|is ") as caught:
        kind.model_validate(fields)
    error = caught.value
    assert "canary" not in f"{error!s}{error!r}{error.args}"


def test_a_repr_shows_the_names_and_no_values_of_what_is_extra() -> None:
    balance = Balance.parse({"balance": "5", "note": "private", "list": ["private"]})
    assert repr(balance) == "Balance(extra={'note': <7 characters>, 'list': <1 item>}, amount=Decimal('5'))"
