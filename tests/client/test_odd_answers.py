"""Answers with details of an odd form, on the way through the whole client."""

from decimal import Decimal
from typing import Any

import pytest

from smsc_async import (
    Client,
    DeliveryReport,
    Guards,
    MessageStatus,
    Rules,
    SendOutcomeUnknown,
    Spend,
    SpendLimitReached,
)
from smsc_async._network.httpx import HttpxTransport
from smsc_async.sandbox import DeliveryPlan, Limits, Sandbox
from tests.doubles import URL
from tests.odd_answers import ODD, OddTransport
from tests.sending.lossy_service import Network
from tests.virtual import virtual_time

PHONE = "+79991234567"


def client_of(sandbox: Sandbox, elements: dict[str, str] = ODD, **options: Any) -> Client:
    return Client(**{"apikey": "demo", "url": URL, "transport": OddTransport(sandbox, elements), **options})


@pytest.mark.slow
async def test_a_send_with_odd_details_is_accepted_and_its_status_is_followed() -> None:
    sandbox = Sandbox(delivery=DeliveryPlan.instant(), limits=Limits.off())
    async with client_of(sandbox, guards=None) as client:
        sent = await client.send(PHONE, "Hi", cost=3)
        assert (sent.cost, sent.balance, sent.sms_count) == (None, None, None)
        assert sent.extra == {"cost": "3,50", "cnt": "x", "balance": "1 000"}
        report = await client.status(sent.ref, detail=2)
        assert report.status is MessageStatus.DELIVERED
        assert (report.error, report.cost, report.parts, report.changed_at, report.sent_at) == (None,) * 5
        assert report.extra.keys() >= {"err", "cost", "last_date", "last_timestamp", "send_timestamp"}
        (listed,) = await client.statuses([sent], detail=1)
        assert isinstance(listed, DeliveryReport)
        assert listed.status is MessageStatus.DELIVERED
        assert (await client.wait_delivered(sent)).changed_at is None
        assert (await client.cost(PHONE, "Hi")).amount == Decimal("4.5")
        assert (await client.balance()).amount == Decimal("9995.5")
    assert len(sandbox.messages) == 1


async def test_the_details_of_an_hlr_request_are_kept_as_they_are() -> None:
    hlr = "<err>0</err><imsi>x</imsi><msc/><mcc>250</mcc><mnc>1,5</mnc><cn>Россия</cn><net><a>1</a></net>"
    async with client_of(Sandbox(delivery=DeliveryPlan.instant()), {"err": hlr}, guards=None) as client:
        sent = await client.send(PHONE, "Hi")
        report = await client.status(sent.ref)
    assert report.error == 0
    assert report.extra == {"imsi": "x", "msc": "", "mcc": "250", "mnc": "1,5", "cn": "Россия", "net": {"a": "1"}}


@virtual_time
async def test_an_odd_report_proves_a_message() -> None:
    network = Network("lost")
    network._inner = HttpxTransport(OddTransport(network.sandbox, ODD))
    async with network.client() as client:
        sent = await client.send(PHONE, "Hi")
    assert (sent.reconciled, sent.cost, sent.sms_count) == (True, None, None)
    assert network.accepted == 1


@virtual_time
async def test_a_report_without_a_readable_date_does_not_prove_a_message_under_an_id_of_the_caller() -> None:
    """Such an id may belong to an older message; a date that can be read proves it."""
    network = Network("lost")
    odd = OddTransport(network.sandbox, ODD)
    network._inner = HttpxTransport(odd)
    async with network.client() as client:
        with pytest.raises(SendOutcomeUnknown) as raised:
            await client.send(PHONE, "Hi", id="order-7", deadline=60)
        odd.elements = {"send_timestamp": "", "cost": ODD["cost"]}
        sent = await client.resolve(raised.value)
    assert sent is not None
    assert sent.cost is None


@virtual_time
async def test_messages_of_unknown_cost_do_not_go_on_under_a_limit_for_money() -> None:
    sandbox = Sandbox(limits=Limits.off())
    guards = Guards(rules=Rules(spend=Spend(Decimal(1000))).with_policies(identical_send="off"))
    async with client_of(sandbox, {"cost": ODD["cost"]}, guards=guards) as client:
        for _ in range(10):
            assert (await client.send(PHONE, "Hi")).cost is None
        with pytest.raises(SpendLimitReached, match="or their cost is unknown"):
            await client.send(PHONE, "Hi")
    assert len(sandbox.messages) == 10


@virtual_time
async def test_messages_of_unknown_cost_count_as_the_dearest_of_the_day() -> None:
    sandbox = Sandbox(limits=Limits.off())
    guards = Guards(rules=Rules(spend=Spend(Decimal(45))).with_policies(identical_send="off"))
    odd = OddTransport(sandbox, {})
    async with client_of(sandbox, guards=guards, transport=odd) as client:
        assert (await client.send(PHONE, "Hi")).cost == Decimal("4.5")
        odd.elements = {"cost": ODD["cost"]}
        for _ in range(9):
            await client.send(PHONE, "Hi")
        with pytest.raises(SpendLimitReached):
            await client.send(PHONE, "Hi")
    assert len(sandbox.messages) == 10
