"""A client with the rule `spend` before a sandbox, on virtual time: it stops SMS pumping and no one else."""

from decimal import Decimal
from typing import Any

import anyio
import pytest

from smsc_async import (
    Client,
    Guards,
    InvalidPhone,
    Message,
    MessageOutcome,
    Outcome,
    Rules,
    SentMessage,
    SmscError,
    Spend,
    SpendLimitReached,
)
from smsc_async.sandbox import Limits
from tests.doubles import FakeService, make_client, query_of
from tests.sending.lossy_service import BAD, PHONE, Network
from tests.virtual import virtual_time

DAY = 86_400.0
PRICE = Decimal("4.5")
DEAR = Decimal(9)


def number(index: int, country: str = "+7999") -> str:
    return f"{country}{index:07}"


def client_of(network: Network, amount: str | int, **options: Any) -> Client:
    return network.client(guards=Guards(rules=Rules(spend=Spend(Decimal(amount)))), **options)


def spent(network: Network) -> Decimal:
    """Return what the service has charged."""
    return sum((message.cost or Decimal() for message in network.sandbox.messages), Decimal())


@virtual_time
async def test_pumping_of_many_numbers_stops_at_the_limit_and_goes_on_a_day_later() -> None:
    network = Network(limits=Limits.off())
    client = client_of(network, 100)
    for index in range(11):
        assert (await client.send(number(index, "+4999"), "Code 1234")).cost == DEAR
    for index in range(11, 15):
        with pytest.raises(SpendLimitReached) as caught:
            await client.send(number(index, "+4999"), "Code 1234")
        assert caught.value.outcome is Outcome.NOT_SENT
        assert caught.value.retry_after == pytest.approx(DAY, abs=60)
    assert spent(network) == 99
    await client.balance()
    await anyio.sleep(DAY - 60)
    with pytest.raises(SpendLimitReached):
        await client.send(number(15, "+4999"), "Code 1234")
    await anyio.sleep(60 + 300)
    await client.send(number(16, "+4999"), "Code 1234")


@pytest.mark.parametrize("limit", [3, 50, 90, 91])
@virtual_time
async def test_fifty_sends_at_once_never_cost_more_than_the_limit_and_none_is_refused_too_early(limit: int) -> None:
    network = Network(then="slow", limits=Limits.off())
    client = client_of(network, limit)
    refused: list[SmscError] = []

    async def send(index: int) -> None:
        try:
            await client.send(number(index), "Hi")
        except SpendLimitReached as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        for index in range(50):
            group.start_soon(send, index)
    allowed = max(int(limit / PRICE), 1)  # the cost of the very first message is not known before
    assert network.accepted == allowed
    assert len(refused) == 50 - allowed
    snapshot = await client.guards.snapshot()
    assert snapshot.waiting == snapshot.rules["spend"].in_flight == 0


def test_a_batch_stops_at_the_limit_and_the_rest_is_not_sent() -> None:
    async def main() -> list[MessageOutcome]:
        network = Network(limits=Limits.off())
        client = client_of(network, 40, batch_size=3)
        outcomes = [
            each async for each in client.send_batch(Message(number(index), f"Hi {index}") for index in range(12))
        ]
        assert network.accepted == 6
        assert len(network.asked) == 2
        return outcomes

    outcomes = virtual_time(main)()
    assert [each.error is None for each in outcomes] == [True] * 6 + [False] * 6
    for each in outcomes[6:]:
        assert isinstance(each.error, SpendLimitReached)
        assert each.error.outcome is Outcome.NOT_SENT


@virtual_time
async def test_refused_and_unsent_messages_cost_nothing() -> None:
    network = Network(limits=Limits.off())
    client = client_of(network, 10)
    await client.send(PHONE, "Hi")
    for index in range(5):
        with pytest.raises(InvalidPhone):
            await client.send(BAD, f"Hi {index}")
    network.script = ["refused"] * 3
    for index in range(3):
        with pytest.raises(SmscError, match="nothing was sent"):
            await client.send(PHONE, f"Ho {index}")
    await client.send(PHONE, "Ho")
    with pytest.raises(SpendLimitReached):
        await client.send(PHONE, "Hey")


@virtual_time
async def test_a_reconciled_send_costs_what_the_status_says_and_one_that_never_arrived_nothing() -> None:
    network = Network(limits=Limits.off())
    client = client_of(network, 23)
    await client.send(number(1, "+4999"), "Hi")
    network.script = ["lost"]
    assert (await client.send(PHONE, "Hi")).reconciled  # 4.5, and not the 9 of the dearest
    network.script = ["gone"]
    with pytest.raises(SmscError) as caught:
        await client.send(PHONE, "Ho")
    assert caught.value.outcome is Outcome.NOT_SENT
    await client.send(PHONE, "Ho again")
    assert spent(network) == 18
    with pytest.raises(SpendLimitReached):
        await client.send(PHONE, "Hey")


@virtual_time
async def test_while_a_lost_send_is_reconciled_others_go_and_it_counts_as_the_dearest() -> None:
    network = Network("ok", limits=Limits.off())
    client = client_of(network, 14)
    await client.send(PHONE, "Hi")
    network.script = ["gone"]
    async with anyio.create_task_group() as group:

        async def lost() -> None:
            with pytest.raises(SmscError) as caught:
                await client.send(PHONE, "lost")
            assert caught.value.outcome is Outcome.NOT_SENT

        group.start_soon(lost)
        await anyio.sleep(1)
        await client.send(PHONE, "Ho")
        with pytest.raises(SpendLimitReached):
            await client.send(PHONE, "Hey")
    await client.send(PHONE, "Hey")


@virtual_time
async def test_a_send_whose_answer_stays_lost_keeps_its_money() -> None:
    network = Network("ok", "lost", "lost", limits=Limits.off())
    client = client_of(network, 13, on_unknown="raise")
    await client.send(PHONE, "Hi")
    with pytest.raises(SmscError) as caught:
        await client.send(PHONE, "Ho")
    assert caught.value.outcome is Outcome.UNKNOWN
    with pytest.raises(SpendLimitReached):
        await client.send(PHONE, "Hey")
    assert spent(network) == 2 * PRICE


@virtual_time
async def test_a_client_whose_first_sends_are_lost_serves_the_others_at_once() -> None:
    network = Network(limits=Limits.off())
    client = client_of(network, 100)
    await client.balance()
    network.script = ["silent"]
    took: list[float] = []

    async def send(index: int) -> None:
        await anyio.sleep(index)
        began = anyio.current_time()
        await client.send(number(index), "Hi")
        took.append(anyio.current_time() - began)

    async def lost() -> None:
        with pytest.raises(SmscError):
            await client.send(PHONE, "lost")

    async with anyio.create_task_group() as group:
        group.start_soon(lost)
        for index in range(1, 6):
            group.start_soon(send, index)
    assert max(took) <= client_timeout(client)


def client_timeout(client: Client) -> float:
    """Return the seconds after which a request whose answer doesn't come holds up nobody."""
    return client._caller._timeout.read


@pytest.mark.parametrize(("given", "asked"), [(None, "2"), (2, "2"), (3, "3")])
async def test_a_send_asks_for_its_cost_under_the_rule(given: Any, asked: str) -> None:
    service = FakeService()
    client = make_client(service, guards=Guards(rules=Rules(spend=Spend(10))))
    await client.send(PHONE, "Hi", cost=given)
    [_ async for _ in client.send_batch([Message(PHONE, "Ho"), Message(number(1), "Hey")], cost=given)]
    assert [query_of(request)["cost"] for request in service.requests] == [asked, asked]


async def test_without_the_rule_a_send_asks_for_nothing_more() -> None:
    service = FakeService()
    client = make_client(service, guards=Guards(rules=Rules(spend=Spend(10, policy="off"))))
    assert isinstance(await client.send(PHONE, "Hi"), SentMessage)
    assert service.requests[0].method == "send_sms"


async def test_a_service_that_names_no_costs_is_never_taken_for_a_free_one() -> None:
    service = FakeService()  # its answers hold no cost
    client = make_client(service, guards=Guards(rules=Rules(spend=Spend(10))))
    for index in range(5):
        await client.send(number(index), "Hi")
    assert (await client.guards.snapshot()).rules["spend"].keys == 1
