"""The operations: their fields, their results, and which may be repeated."""

import pickle
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from smsc_async._model.channels import Binary, Channel, Email, Hlr, Sms, TelegramBot, Viber, Voice
from smsc_async._model.exceptions import MessageNotFound
from smsc_async._model.messages import Message
from smsc_async._model.operations import (
    BALANCE_ERRORS,
    SENDING_ERRORS,
    STATUS_ERRORS,
    GetBalance,
    GetCost,
    GetListCost,
    GetStatus,
    Send,
    SendList,
    is_own_id,
    new_id,
)
from smsc_async._model.reports import DeliveryReport
from smsc_async._model.results import Balance, Cost, SentMessage
from smsc_async._model.schedule import After, At, Between, LocalTime, Schedule
from smsc_async._model.types import MessageRef

PHONE = "+79991234567"
OTHER = "79991234568"
REF = MessageRef(PHONE, 7)
WALL = LocalTime(datetime(2024, 3, 9, 7, 5))  # noqa: DTZ001 - a wall clock time is the point
AnyOperation = Send | SendList | GetCost | GetListCost | GetStatus | GetBalance


def send(**fields: Any) -> Send:
    return Send.model_validate({"to": PHONE, "text": "Hi", "id": 7, **fields})


def send_list(*messages: Message, **fields: Any) -> SendList:
    return SendList.model_validate({"messages": messages or (Message(PHONE, "Hi"),), "id": 7, **fields})


EVERY: list[AnyOperation] = [
    send(),
    send(to=[PHONE, OTHER, "G5"], via=Voice(voice="w", language="en"), at=After(5), cost=3, extra={"nl": 1}),
    send(text=None, via=Binary(b"\xff\x00", udh="0100"), at=At(datetime(2024, 3, 9, tzinfo=UTC)), valid=5),
    send(to="a@b.c", via=Email("me@a.b", "S"), at=Between(9, 21)),
    send_list(Message(PHONE, "Hi", "ivan", 2), Message(OTHER, "Ho"), at=WALL, via=Viber()),
    GetCost(to=(PHONE,), text="Hi", via=TelegramBot("@abc")),
    GetListCost(messages=(Message(PHONE, "Hi"),)),
    GetStatus(ref=REF, detail=2, extra={"fmt": "1"}),
    GetBalance(),
]


@pytest.mark.parametrize("operation", EVERY)
def test_operation_survives_pickle_and_json(operation: AnyOperation) -> None:
    assert pickle.loads(pickle.dumps(operation)) == operation  # noqa: S301 - our own bytes
    again = type(operation).model_validate_json(operation.model_dump_json())
    assert again == operation
    assert (again.fields(), again.parameters()) == (operation.fields(), operation.parameters())
    assert type(operation).model_validate(operation.model_dump()) == operation


@pytest.mark.parametrize("described", [{"via": {}}, {"via": {"kind": "Pigeon"}}, {"at": {}}, {"at": {"kind": "Never"}}])
def test_description_without_a_known_kind_is_refused_not_guessed(described: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="`kind` must be one of"):
        send(**described)


@pytest.mark.parametrize(
    ("kind", "methods", "is_read", "errors", "result"),
    [
        (Send, ("send_sms", "send_sms2"), False, SENDING_ERRORS, SentMessage),
        (SendList, ("send_sms", "send_sms2"), False, SENDING_ERRORS, SentMessage),
        (GetCost, ("get_sms_cost", "get_sms_cost2"), True, SENDING_ERRORS, Cost),
        (GetListCost, ("get_sms_cost", "get_sms_cost2"), True, SENDING_ERRORS, Cost),
        (GetStatus, ("get_status", "get_status2"), True, STATUS_ERRORS, DeliveryReport),
        (GetBalance, ("get_balance", None), True, BALANCE_ERRORS, Balance),
    ],
)
def test_operation_knows_its_methods_its_errors_and_its_result(
    kind: type[AnyOperation], methods: object, errors: object, result: object, *, is_read: bool
) -> None:
    assert (kind.methods, kind.is_read, kind.errors, kind.result) == (methods, is_read, errors, result)


def test_id_is_made_where_there_is_none_and_differs_each_time() -> None:
    made = {send(id=None).id, Send(to=(PHONE,), text="Hi").id, new_id()}
    assert len(made) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in made)


def test_an_id_is_never_of_digits_alone_which_the_service_takes_for_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([UUID(int=0), UUID(int=10)])
    monkeypatch.setattr("smsc_async._model.operations.uuid.uuid4", lambda: next(drawn))
    assert new_id() == f"{10:032x}"
    assert is_own_id("20261127000140009012345678901abc")
    assert not is_own_id("20261127000140009012345678901123"), "an order number may belong to an older message too"


@pytest.mark.parametrize(
    ("given", "wire"), [(1, "1"), ("a.b-c_1", "a.b-c_1"), (2_147_483_647, "2147483647"), ("9" * 40, "9" * 40)]
)
def test_id_goes_as_given(given: int | str, wire: str) -> None:
    assert send(id=given).fields()["id"] == wire


@pytest.mark.parametrize("given", [0, 2_147_483_648, "canary id", "", b"1"])
def test_wrong_id_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match=r"^id") as caught:
        send(id=given)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("at", "wire"),
    [
        (datetime(2024, 3, 9, 7, 5, tzinfo=UTC), "01709967900"),
        (At(datetime(2024, 3, 9, 7, 5, tzinfo=UTC)), "01709967900"),
        (WALL, "0903240705"),
        (Between(9, 21), "9-21"),
        (After(minutes=30), "+30"),
    ],
)
def test_schedule_goes_in_time(at: Schedule | datetime, wire: str) -> None:
    assert send(at=at).fields()["time"] == wire


def test_datetime_without_a_zone_is_refused_and_the_way_out_named() -> None:
    with pytest.raises(ValueError, match=r"ambiguous; .* or pass LocalTime"):
        send(at=datetime(2024, 3, 9))  # noqa: DTZ001 - that it has no zone is the point


@pytest.mark.parametrize("at", ["canary", 30, At])
def test_what_is_no_schedule_is_refused(at: object) -> None:
    with pytest.raises(ValueError, match="at must be a datetime with a time zone, LocalTime") as caught:
        send(at=at)
    assert "canary" not in str(caught.value)


def test_fields_that_were_not_given_are_left_out() -> None:
    assert send().fields() == {"phones": PHONE, "mes": "Hi", "id": "7"}
    assert send(sender="ivan").fields()["sender"] == "ivan"


def test_senders_address_of_an_email_lives_on_the_channel() -> None:
    mail = Email("me@a.b", "S")
    assert send(to="a@b.c", via=mail).fields()["sender"] == "me@a.b"
    assert send_list(Message("a@b.c", "Hi"), via=mail).fields()["sender"] == "me@a.b"
    with pytest.raises(ValueError, match=r"Email\(sender=...\)"):
        send(to="a@b.c", via=mail, sender="ivan")
    with pytest.raises(ValueError, match=r"Email\(sender=...\)"):
        send_list(Message("a@b.c", "Hi"), Message("b@b.c", "Hi", sender="ivan"), via=mail)


def test_price_of_an_email_names_its_sender_in_query() -> None:
    mail = Email("me@a.b", "S")
    assert GetCost(to=("a@b.c",), text="Hi", via=mail).parameters() == {"mail": "1", "subj": "S", "sender": "me@a.b"}


@pytest.mark.parametrize("cost", [2, 3])
def test_cost_of_a_send_can_be_asked_for(cost: int) -> None:
    assert send(cost=cost).parameters() == {"cost": str(cost)}


@pytest.mark.parametrize(("cost", "why"), [(1, "use `Client.cost`"), (0, "must be 2 or 3"), (4, "2 or 3")])
def test_send_never_turns_into_a_price_request(cost: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        send(cost=cost)
    with pytest.raises(ValueError, match="has an argument of its own"):
        send(extra={"cost": cost})


@pytest.mark.parametrize(
    ("operation", "err"),
    [
        (send(), None),
        (send(to=[PHONE, OTHER]), "1"),
        (send(to="G5"), "1"),
        (send(to=[PHONE, OTHER], err=False), None),
        (send(err=True), "1"),
        (send_list(), "1"),
        (send_list(err=False), None),
    ],
)
def test_refused_recipients_are_asked_for_where_there_may_be_many(operation: Send | SendList, err: str | None) -> None:
    assert operation.parameters().get("err") == err


def test_line_may_have_its_own_zone_with_a_wall_clock_time_only() -> None:
    message = Message(PHONE, "Hi", "ivan", 2)
    assert send_list(message, at=WALL).lines() == (message,)
    for at in (None, After(5), Between(9, 21)):
        with pytest.raises(ValueError, match="needs at=LocalTime"):
            send_list(message, at=at)


def test_send_knows_the_references_that_it_would_make() -> None:
    assert send(to=[PHONE, "G5", OTHER]).refs() == (REF, MessageRef(OTHER, 7))
    assert send_list(Message(PHONE, "Hi"), Message(OTHER, "Ho")).refs() == (REF, MessageRef(OTHER, 7))


@pytest.mark.parametrize("via", [Sms(), Hlr()])
def test_send_reads_its_answer(via: Channel) -> None:
    operation = send(via=via, text=None if isinstance(via, Hlr) else "Hi")
    assert operation.read({"id": "7", "cnt": "1"}, UTC) == SentMessage(id="7", refs=(REF,), sms_count=1)
    assert send_list().read({"id": "7", "cnt": "1"}, UTC).refs == (REF,)


def test_price_and_balance_read_their_answers() -> None:
    assert GetCost(to=(PHONE,), text="Hi").read({"cost": "1.5", "cnt": "1"}, UTC) == Cost(
        amount=Decimal("1.5"), sms_count=1
    )
    assert GetListCost(messages=(Message(PHONE, "Hi"),)).read({"cost": "1.5"}, UTC).amount == Decimal("1.5")
    assert GetBalance().read({"balance": "1.5"}, UTC) == Balance(amount=Decimal("1.5"))


@pytest.mark.parametrize("detail", [0, 1, 2])
def test_status_asks_for_one_message(detail: int) -> None:
    operation = GetStatus.model_validate({"ref": REF, "detail": detail, "extra": None})
    assert operation.fields() == {"phone": PHONE, "id": "7", "all": str(detail)}
    assert operation.parameters() == {}
    assert operation.refs() == ()


def test_status_takes_extra_parameters_and_no_other_detail() -> None:
    assert GetStatus(ref=REF, extra={"a": "1"}).parameters() == {"a": "1"}
    with pytest.raises(ValueError, match="0, 1 or 2"):
        GetStatus.model_validate({"ref": REF, "detail": 3})


@pytest.mark.parametrize("status", ["-3", " -3 ", "-03"])
def test_status_minus_3_says_the_same_as_error_3(status: str) -> None:
    with pytest.raises(MessageNotFound) as caught:
        GetStatus(ref=REF).read({"status": status}, UTC)
    assert caught.value.code == 3


def test_status_reads_its_answer_in_the_accounts_zone() -> None:
    answer = GetStatus(ref=REF).read({"status": "1", "last_date": "09.03.2024 10:05:59"}, UTC)
    assert (answer.ref, answer.changed_at) == (REF, datetime(2024, 3, 9, 10, 5, 59, tzinfo=UTC))
