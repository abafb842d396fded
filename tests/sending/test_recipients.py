"""Several recipients in one string, groups in a batch, and order numbers as ids, up to the answer of the service."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from smsc_async import (
    Client,
    GuardError,
    Guards,
    InvalidPhone,
    Journal,
    Message,
    MessageOutcome,
    MessageRef,
    Outcome,
    PlannedMessage,
    SendList,
    SendOutcomeUnknown,
)
from smsc_async.sandbox import Account, DeliveryPlan, Sandbox
from tests.doubles import URL, FakeService, answer, make_client, query_of
from tests.sending.lossy_service import BAD, OTHER, PHONE, Network
from tests.virtual import virtual_time

MEMBERS = ("79161112233", "79161112244")
UNDELIVERABLE = "+79000009008"
ORDER = "20261127000123456789"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(
        accounts=[Account(login="demo", password="demo", apikey="demo", groups={7: MEMBERS, 9: (BAD, UNDELIVERABLE)})],
        delivery=DeliveryPlan.instant(),
    )


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[Client]:
    async with Client(apikey="demo", url=URL, transport=sandbox.transport()) as client:
        yield client


async def outcomes_of(client: Client, *messages: Message) -> list[MessageOutcome]:
    return [outcome async for outcome in client.send_batch(messages)]


async def test_one_string_of_recipients_is_sent_as_a_list_of_them(client: Client, sandbox: Sandbox) -> None:
    sent = await client.send(f"{PHONE}; {OTHER}", "Hi")
    assert [ref.phone for ref in sent.refs] == [PHONE, OTHER]
    assert [message.phone for message in sandbox.messages] == [PHONE[1:], OTHER[1:]]
    assert (await client.cost(f"{PHONE},{OTHER}", "Hi")).sms_count == 2
    assert (await client.cost([PHONE, OTHER], "Ho")).sms_count == 2


async def test_a_string_of_too_many_recipients_is_refused_as_a_list_of_them() -> None:
    service = FakeService()
    with pytest.raises(ValueError, match="3 recipients in one request; at most 2 are allowed"):
        await make_client(service, max_recipients=2).send(f"{PHONE},{OTHER};{BAD}", "Hi")
    assert service.requests == []


async def test_a_message_of_a_batch_with_several_recipients_has_an_outcome_for_each_in_order(
    client: Client, sandbox: Sandbox
) -> None:
    first, third = Message("+79990000001", "one"), Message("+79990000003", "three")
    outcomes = await outcomes_of(client, first, Message(f"{PHONE},{BAD};{OTHER}", "two", "shop"), third)
    assert [outcome.message for outcome in outcomes] == [
        first,
        Message(PHONE, "two", "shop"),
        Message(BAD, "two", "shop"),
        Message(OTHER, "two", "shop"),
        third,
    ]
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        type(None),
        InvalidPhone,
        type(None),
        type(None),
    ]
    assert outcomes[0].message is first
    assert len({outcome.sent.id for outcome in outcomes if outcome.sent}) == 1
    assert [(message.phone, message.text) for message in sandbox.messages] == [
        ("79990000001", "one"),
        (PHONE[1:], "two"),
        (OTHER[1:], "two"),
        ("79990000003", "three"),
    ]


async def test_recipients_of_one_message_are_divided_like_messages() -> None:
    service = FakeService()
    client = make_client(service, batch_size=2)
    outcomes = await outcomes_of(client, Message(f"{PHONE},{OTHER},+79990000001", "Hi"), Message(PHONE, "Ho"))
    assert [outcome.message.phone for outcome in outcomes] == [PHONE, OTHER, "+79990000001", PHONE]
    assert [query_of(request)["list"].split("\n") for request in service.requests] == [
        [f"{PHONE}:Hi", f"{OTHER}:Hi"],
        ["+79990000001:Hi", f"{PHONE}:Ho"],
    ]


async def test_a_group_in_a_batch_has_a_request_of_its_own_and_one_outcome_without_a_reference(
    client: Client, sandbox: Sandbox
) -> None:
    outcomes = await outcomes_of(client, Message(PHONE, "Hi"), Message(f"G7,{OTHER}", "Ho"), Message("G7", "Hm"))
    assert [(outcome.message.phone, outcome.error) for outcome in outcomes] == [
        (PHONE, None),
        ("G7", None),
        (OTHER, None),
        ("G7", None),
    ]
    assert [outcome.ref is None for outcome in outcomes] == [False, True, False, True]
    assert [outcome.sent.sms_count for outcome in outcomes if outcome.sent] == [1, 2, 1, 2]
    assert [message.phone for message in sandbox.messages] == [PHONE[1:], *MEMBERS, OTHER[1:], *MEMBERS]


async def test_a_group_that_is_refused_has_its_error(client: Client) -> None:
    unknown, refused = await outcomes_of(client, Message("G8", "Hi"), Message("G9", "Hi"))
    for outcome in (unknown, refused):
        assert isinstance(outcome.error, InvalidPhone)
        assert (outcome.ref, outcome.error.refs) == (None, ())
    assert isinstance(refused.error, InvalidPhone)
    assert [(each.phone, each.code) for each in refused.error.errors] == [(BAD[1:], 7), (UNDELIVERABLE[1:], 8)]


@virtual_time
async def test_a_group_whose_answer_is_lost_is_unknown_and_the_others_are_reconciled() -> None:
    network = Network("lost", "ok", "lost")
    outcomes = await outcomes_of(network.client(), Message(PHONE, "Hi"), Message(f"G7,{OTHER}", "Ho"))
    assert outcomes[0].ref
    assert isinstance(outcomes[1].error, SendOutcomeUnknown)
    assert (outcomes[1].ref, outcomes[1].error.outcome, outcomes[1].error.refs) == (None, Outcome.UNKNOWN, ())
    assert outcomes[1].error.unresolved
    assert outcomes[1].error.unresolved.groups == 1
    assert outcomes[2].ref


async def test_the_cost_of_a_batch_counts_each_recipient(client: Client) -> None:
    messages = [Message(f"{PHONE};{OTHER}", "Hi"), Message("G7", "Ho")]
    costs = [chunk async for chunk in client.cost_batch(messages)]
    assert [(len(chunk.messages), chunk.cost and chunk.cost.sms_count) for chunk in costs] == [(2, 2), (1, 2)]


async def test_each_recipient_of_a_list_counts_for_the_guards() -> None:
    service = FakeService()
    guards = Guards()
    async with make_client(service, guards=guards) as client:
        await client.call(SendList(messages=(Message(f"{PHONE},{OTHER}", "Hi"),)))
        with pytest.raises(GuardError):
            await client.call(SendList(messages=(Message(OTHER, "Hi"), Message(PHONE, "Hi"))))
    assert len(service.requests) == 1


@pytest.mark.parametrize("phones", [f"{PHONE},{OTHER}", "G7"])
async def test_a_row_of_a_journal_has_one_phone_and_the_error_says_what_to_write(phones: str, tmp_path: Path) -> None:
    words = (
        "a row holds one phone, because it has one outcome: write a row for each phone, and send to a group with `send`"
    )
    with pytest.raises(ValueError, match=words):
        PlannedMessage(message=Message(phones, "Hi"))
    async with Journal(tmp_path / "job.db") as journal:
        with pytest.raises(ValueError, match=f"message 2: {words}"):
            await journal.plan([Message(PHONE, "Hi"), Message(phones, "Hi")])
        assert (await journal.summary()).total == 0


@virtual_time
async def test_an_order_number_of_any_length_is_an_id_everywhere() -> None:
    network = Network("ok", "ok", "ok", "lost")
    client = network.client()
    sent = await client.send(PHONE, "Hi", id=ORDER)
    assert (sent.id, sent.ref) == (ORDER, MessageRef(PHONE, ORDER))
    assert MessageRef.parse(f"{PHONE}:{ORDER}") == sent.ref
    assert (await client.status(sent.ref)).ref == sent.ref
    assert (await client.status(f"{PHONE}:{ORDER}")).ref == sent.ref
    lost = await client.send(OTHER, "Hi", id="9" * 40)
    assert (lost.reconciled, lost.ref) == (True, MessageRef(OTHER, "9" * 40))
    assert (await client.send(PHONE, "Hi", id=ORDER, attempt=2)).ref == sent.ref
    assert network.accepted == 2


@virtual_time
async def test_a_service_that_answers_with_another_number_has_not_confirmed_the_send() -> None:
    """As a server would that stores an order number in 32 bits."""
    service = FakeService([answer("send_sms", id="2147483647", cnt="1")])
    with pytest.raises(SendOutcomeUnknown):
        await make_client(service, on_unknown="reconcile").send(PHONE, "Hi", id=ORDER, deadline=9)
