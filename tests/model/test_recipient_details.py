"""The details of each recipient, which `op=True` asks for: read where they are well-formed, and kept where not."""

from decimal import Decimal

import pytest
from pydantic import JsonValue

from smsc_async import InvalidPhone, Message, MessageStatus, RecipientDetails, SentMessage
from smsc_async.sandbox import Account, DeliveryPlan, Sandbox
from tests.doubles import make_client
from tests.sending.lossy_service import BAD, OTHER, PHONE

FULL: dict[str, JsonValue] = {
    "phone": "79991234567",
    "mccmnc": "25001",
    "cost": "1.44",
    "status": "-1",
    "error": "0",
}


def read(phones: JsonValue) -> SentMessage:
    return SentMessage.from_wire({"id": "7", "cnt": "1", "phones": phones}, id="7", recipients=[PHONE])


@pytest.mark.parametrize("phones", [FULL, [FULL]])
def test_details_are_typed(phones: JsonValue) -> None:
    sent = read(phones)
    assert sent.details == (
        RecipientDetails(
            phone="79991234567", status=MessageStatus.WAITING, cost=Decimal("1.44"), mccmnc="25001", error=None
        ),
    )
    assert sent.extra == {}
    assert SentMessage.model_validate_json(sent.model_dump_json()) == sent
    assert "9991234567" not in repr(sent)


def test_a_refused_recipient_has_its_error_number() -> None:
    (details,) = read({"phone": "12", "error": "7"}).details
    assert (details.error, details.status, details.cost, details.mccmnc) == (7, None, None, None)


def test_country_and_network_may_come_apart() -> None:
    assert read({"phone": "7999", "mcc": "250", "mnc": "01"}).details[0].mccmnc == "25001"
    assert read({"phone": "7999", "mcc": "250"}).details[0].mccmnc is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cost", "3,50"),
        ("cost", "NaN"),
        ("cost", "-1"),
        ("status", "sent"),
        ("error", "none"),
        ("mccmnc", "MTS"),
        ("status", ["1", "2"]),
        ("country", "Россия"),
    ],
)
def test_an_odd_or_unknown_detail_is_kept_and_the_others_are_read(name: str, value: JsonValue) -> None:
    (details,) = read({**FULL, name: value}).details
    assert details.extra == {name: value}
    assert getattr(details, name, None) is None
    assert details.status is MessageStatus.WAITING or details.cost == Decimal("1.44")


def test_an_empty_detail_is_absent() -> None:
    (details,) = read({"phone": " 7999 ", "cost": "", "status": " ", "error": "", "mccmnc": ""}).details
    assert details == RecipientDetails(phone="7999")


def test_an_undocumented_status_is_kept() -> None:
    assert read({"phone": "7999", "status": "77"}).details[0].status == 77


@pytest.mark.parametrize("entry", ["79991234567", {"cost": "1"}, {"phone": ""}, {"phone": ["1", "2"]}, ["7"]])
def test_an_entry_without_a_phone_is_kept_apart(entry: JsonValue) -> None:
    sent = read([FULL, entry])
    assert [details.phone for details in sent.details] == ["79991234567"]
    assert sent.extra == {"phones": [entry]}


@pytest.mark.parametrize("phones", [None, "", []])
def test_without_them_there_are_none(phones: JsonValue) -> None:
    sent = read(phones)
    assert (sent.details, sent.extra) == ((), {})


async def test_the_sandbox_returns_them_where_they_are_asked_for() -> None:
    sandbox = Sandbox(accounts=[Account.demo()], delivery=DeliveryPlan.instant())
    async with make_client(sandbox.transport(), apikey="demo") as client:
        assert (await client.send([PHONE, BAD], "Hi")).details == ()
        sent = await client.send([PHONE, BAD, OTHER, "+79000009008"], "Ho", op=True)
    assert [(each.phone, each.cost, each.error) for each in sent.details] == [
        (PHONE[1:], Decimal("4.5"), None),
        (BAD[1:], None, 7),
        (OTHER[1:], Decimal("4.5"), None),
        ("79000009008", None, 8),
    ]
    assert [each.status is not None and bool(each.mccmnc) for each in sent.details] == [True, False, True, False]
    assert [ref.phone for ref in sent.refs] == [PHONE, OTHER]
    assert sum(each.cost or 0 for each in sent.details) == sent.cost


async def test_a_recipient_that_only_the_details_show_as_refused_is_no_accepted_one() -> None:
    sandbox = Sandbox(accounts=[Account.demo()], delivery=DeliveryPlan.instant())
    async with make_client(sandbox.transport(), apikey="demo") as client:
        sent = await client.send([PHONE, BAD], "Hi", op=True, err=False)
        outcomes = [
            each async for each in client.send_batch([Message(PHONE, "1"), Message(BAD, "2")], op=True, err=False)
        ]
    assert [ref.phone for ref in sent.refs] == [PHONE]
    assert [(error.phone, error.code) for error in sent.errors] == [(BAD[1:], 7)]
    assert outcomes[0].ref is not None
    assert isinstance(outcomes[1].error, InvalidPhone)


def test_a_recipient_that_is_in_errors_and_in_the_details_is_refused_once() -> None:
    wire: dict[str, JsonValue] = {
        "id": "7",
        "errors": {"phone": "79991234567", "status": "8"},
        "phones": {"phone": "79991234567", "error": "8"},
    }
    sent = SentMessage.from_wire(wire, id="7", recipients=[PHONE, OTHER])
    assert [error.code for error in sent.errors] == [8]
    assert [ref.phone for ref in sent.refs] == [OTHER]
