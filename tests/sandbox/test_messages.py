from dataclasses import replace
from datetime import timedelta, timezone
from decimal import Decimal

import pytest

from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._delivery import Change
from smsc_async.sandbox._messages import AcceptedMessage, report
from smsc_async.sandbox._outbox import Outbox

MOSCOW = timezone(timedelta(hours=3))
START = 1_577_550_010.5
MESSAGE = AcceptedMessage(
    id="5",
    phone="79991234567",
    text="Тест",
    sender="ivan",
    channel=ServiceChannel.SMS,
    accepted_at=START,
    send_at=START,
    parts=1,
    cost=Decimal("4.50"),
    login="canary",
    life=(Change(START, -1), Change(START + 2, 0), Change(START + 12, 20, 6)),
)


@pytest.mark.parametrize(("after", "status"), [(-5, -1), (0, -1), (1.9, -1), (2, 0), (11.9, 0), (12, 20), (9999, 20)])
def test_status_is_the_last_change_so_far(after: float, status: int) -> None:
    assert MESSAGE.status_at(START + after) == status


def test_short_report_has_the_status_and_when_it_changed() -> None:
    assert list(report(MESSAGE, now=START + 60, detail=0, zone=MOSCOW).items()) == [
        ("status", "20"),
        ("last_date", "28.12.2019 19:20:22"),
        ("last_timestamp", "1577550022"),
        ("err", "6"),
    ]


def test_full_report_has_the_message_in_the_order_of_the_type() -> None:
    full = report(MESSAGE, now=START + 3, detail=1, zone=MOSCOW)
    assert list(full.items())[4:] == [
        ("send_date", "28.12.2019 19:20:10"),
        ("send_timestamp", "1577550010"),
        ("phone", "79991234567"),
        ("cost", "4.5"),
        ("sender_id", "ivan"),
        ("status_name", "Передано оператору"),
        ("message", "Тест"),
        ("sms_cnt", "1"),
    ]


def test_fullest_report_ends_with_operator_and_region() -> None:
    fullest = report(MESSAGE, now=START, detail=2, zone=MOSCOW)
    assert list(fullest)[-3:] == ["sms_cnt", "operator", "region"]
    assert fullest["operator"]
    assert fullest["region"]
    assert report(MESSAGE, now=START, detail=2, zone=MOSCOW) == fullest


def test_address_that_is_no_number_has_no_operator() -> None:
    mail = replace(MESSAGE, phone="a@b.c", channel=ServiceChannel.MAIL)
    assert "operator" not in report(mail, now=START, detail=2, zone=MOSCOW)


def test_report_of_no_such_message_has_the_status_only() -> None:
    lost = replace(MESSAGE, life=(Change(START, -1), Change(START, -3)))
    assert report(lost, now=START, detail=2, zone=MOSCOW) == {"status": "-3"}


def test_undocumented_status_has_its_number_for_a_name() -> None:
    odd = replace(MESSAGE, life=(Change(START, 77, 5),))
    assert report(odd, now=START, detail=1, zone=MOSCOW)["status_name"] == "77"


def test_newest_message_with_an_id_is_found_by_any_spelling_of_its_number() -> None:
    outbox = Outbox()
    newer = replace(MESSAGE, text="newer")
    outbox.add(MESSAGE)
    outbox.add(newer)
    assert outbox.find("canary", "8 999 123-45-67", "5") is newer
    assert outbox.messages == (MESSAGE, newer)


@pytest.mark.parametrize(
    ("login", "phone", "id_"),
    [("other", "79991234567", "5"), ("canary", "79991234568", "5"), ("canary", "79991234567", "6")],
)
def test_nothing_else_is_found(login: str, phone: str, id_: str) -> None:
    outbox = Outbox()
    outbox.add(MESSAGE)
    assert outbox.find(login, phone, id_) is None


def test_login_is_not_in_the_repr() -> None:
    assert "canary" not in repr(MESSAGE)
