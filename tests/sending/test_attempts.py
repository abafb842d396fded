"""A later attempt at a send requests its status first and never sends twice."""

import anyio
import pytest

from smsc_async import (
    Client,
    ConnectionLost,
    DuplicateSend,
    GetBalance,
    Guards,
    MessageRef,
    Outcome,
    PoolTimeout,
    ReadTimeout,
    SendOutcomeUnknown,
    SentMessage,
    SmscError,
    SubscriberFlood,
    TooManyInFlight,
    UnresolvedSend,
)
from smsc_async.guards import MemoryStore, Rule, Rules
from tests.doubles import FakeService, answer, make_client
from tests.sending.lossy_service import BAD, OTHER, PHONE, Network, _is_idle
from tests.virtual import virtual_time


@virtual_time
async def test_later_attempt_requests_the_status_first_and_sends_only_what_the_service_does_not_have() -> None:
    network = Network("ok", "lost", "ok", "ok", "ok", "ok")
    client = network.client(on_unknown="raise", guards=Guards())
    await client.balance()
    with pytest.raises(ConnectionLost):
        await client.send(PHONE, "Hi", id="job-1")
    sent = await client.send(PHONE, "Hi", id="job-1", attempt=2)
    assert (sent.reconciled, network.accepted) == (True, 1)
    fresh = await client.send(OTHER, "Hi", id="job-2", attempt=2)
    assert (fresh.reconciled, network.accepted) == (False, 2)
    assert network.asked == ["balance", "send", "status", "status", "status", "send"]
    assert await _is_idle(client)


@virtual_time
async def test_later_attempt_within_the_minute_gets_a_retry_after() -> None:
    network = Network("gone")
    client = network.client(on_unknown="raise", guards=Guards())
    with pytest.raises(ReadTimeout):
        await client.send(PHONE, "Hi", id="job-1")
    with pytest.raises(DuplicateSend) as caught:
        await client.send(PHONE, "Hi", id="job-1", attempt=2)
    assert caught.value.retry_after == pytest.approx(66.2)
    await anyio.sleep(66.2)
    sent = await client.send(PHONE, "Hi", id="job-1", attempt=3)
    assert (sent.reconciled, network.accepted) == (False, 1)


@pytest.mark.parametrize("to", [PHONE, [PHONE, BAD]])
@virtual_time
async def test_later_attempt_that_is_refused_a_claim_does_not_say_that_nothing_was_sent(to: str | list[str]) -> None:
    network = Network("ok", "lost", "gone")
    kept: list[UnresolvedSend] = []
    client = network.client(on_unknown="raise", guards=Guards(), on_unresolved=kept.append)
    await client.balance()
    with pytest.raises(ConnectionLost):
        await client.send(to, "Hi", id="job-1")
    with pytest.raises(DuplicateSend) as caught:
        await client.send(to, "Hi", id="job-1", attempt=2)
    assert (network.accepted, caught.value.outcome) == (1, Outcome.UNKNOWN)
    assert kept[1] == caught.value.unresolved
    found = await client.resolve(caught.value)
    assert found is not None
    assert [ref.phone for ref in found.refs] == [PHONE]


@virtual_time
async def test_later_attempt_refused_by_another_limit_before_its_status_request_leaves_the_outcome_unknown() -> None:
    network = Network()
    await network.client().send(PHONE, "Hi", id="job-1")
    guards = Guards(rules=Rules(subscriber=Rule(1, 600, "raise")))
    client = network.client(guards=guards)
    await client.send(PHONE, "Ho")
    with pytest.raises(SubscriberFlood) as caught:
        await client.send(PHONE, "Hi", id="job-1", attempt=2)
    assert caught.value.outcome is Outcome.UNKNOWN
    assert await client.resolve(caught.value) is not None
    with pytest.raises(SubscriberFlood) as caught:
        await client.send(PHONE, "Hi", id="job-2")
    assert (caught.value.outcome, caught.value.unresolved) == (Outcome.NOT_SENT, None)


@virtual_time
async def test_later_attempt_without_a_connection_after_its_status_request_has_sent_nothing() -> None:
    network = Network("ok", "ok", "full")
    with pytest.raises(PoolTimeout) as caught:
        await network.client(guards=Guards()).send(PHONE, "Hi", id="job-1", attempt=2)
    assert (caught.value.outcome, caught.value.unresolved) == (Outcome.NOT_SENT, None)
    assert network.asked == ["status", "status", "send"]


@virtual_time
async def test_later_attempt_without_a_slot_after_its_status_request_has_sent_nothing() -> None:
    network = Network("ok", "stall", "ok", "slow", "stall")
    client = network.client(guards=Guards(rules=Rules(in_flight=Rule(2))))
    await client.balance()

    async def take_slots() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(client.balance)
            await anyio.sleep(5.15)  # while the second status is asked for
            group.start_soon(client.balance)

    async with anyio.create_task_group() as group:
        group.start_soon(take_slots)
        await anyio.sleep(0.1)
        with pytest.raises(TooManyInFlight) as caught:
            await client.send(PHONE, "Hi", id="job-1", attempt=2, deadline=10)
        assert (caught.value.outcome, caught.value.unresolved) == (Outcome.NOT_SENT, None)
        group.cancel_scope.cancel()


@virtual_time
async def test_two_workers_with_the_same_attempt_send_once() -> None:
    network = Network()
    store = MemoryStore()
    outcomes: list[SentMessage | SmscError] = []

    async def work(client: Client) -> None:
        try:
            outcomes.append(await client.send(PHONE, "Hi", id="job-1", attempt=2))
        except SmscError as error:
            outcomes.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(work, network.client(guards=Guards(store)))
    assert network.accepted == 1
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DuplicateSend"] * 4 + ["SentMessage"]
    # A later worker finds it.
    assert (await network.client(guards=Guards(store)).send(PHONE, "Hi", id="job-1", attempt=2)).reconciled


@virtual_time
async def test_many_later_attempts_at_once_do_not_deadlock() -> None:
    network = Network()
    client = network.client(guards=Guards())
    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(lambda n=number: client.send(PHONE, f"Hi {n}", id=f"job-{n}", attempt=2))  # type: ignore[misc]
    assert network.accepted == 30
    assert await _is_idle(client)


@virtual_time
async def test_later_attempt_that_can_not_be_reconciled_sends_nothing() -> None:
    network = Network()
    with pytest.raises(SendOutcomeUnknown) as caught:
        await network.client().send("89991234567", "Hi", id="job-1", attempt=2)
    assert (network.accepted, caught.value.ref) == (0, MessageRef("89991234567", "job-1"))
    assert network.asked == ["status", "status"]


@virtual_time
async def test_later_attempt_with_an_unresolved_recipient_sends_nothing() -> None:
    network = Network()
    await network.client().send(PHONE, "Hi", id="job-1")
    client = network.client(guards=Guards())
    with pytest.raises(SendOutcomeUnknown) as caught:
        await client.send([PHONE, "89991234568"], "Hi", id="job-1", attempt=2)
    assert ([ref.phone for ref in caught.value.accepted], network.accepted) == ([PHONE], 1)
    assert caught.value.ref.phone == "89991234568"
    assert await _is_idle(client)


@virtual_time
async def test_later_attempt_that_loses_its_claim_between_two_requests_leaves_the_outcome_unknown() -> None:
    network = Network("ok", "ok", "full", "stall")
    guards = Guards()

    async def another() -> None:
        await anyio.sleep(5.05)  # the first try ends after 5 seconds, the next begins an eighth of a second later
        await network.client(guards=guards).send(PHONE, "Hi", id="job-1")

    async with anyio.create_task_group() as group:
        group.start_soon(another)
        with pytest.raises(DuplicateSend) as caught:
            await network.client(guards=guards, retries=1).send(PHONE, "Hi", id="job-1", attempt=2)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert network.asked == ["status", "status", "send", "send", "status"]
        group.cancel_scope.cancel()


@virtual_time
async def test_error_nine_to_a_later_attempt_is_reconciled() -> None:
    fake = FakeService(
        [
            *[answer("get_status", error="3")] * 2,
            answer("send_sms", error="9"),
            answer("get_status", status="0", send_timestamp="2000000000"),
        ]
    )
    assert (await make_client(fake, on_unknown="raise").send(PHONE, "Hi", id="a1", attempt=2)).reconciled


@pytest.mark.parametrize(
    ("id", "attempt", "why"),
    [
        (None, 2, "attempt is more than 1, so the id of the first attempt must be passed: id="),
        ("a1", 0, "attempt must be a whole number, at least 1"),
    ],
)
@virtual_time
async def test_attempt_is_a_number_and_needs_the_id_of_the_first(id: str | None, attempt: int, why: str) -> None:  # noqa: A002 - the service's own word
    fake = FakeService()
    with pytest.raises(ValueError, match=why):
        await make_client(fake).send(PHONE, "Hi", id=id, attempt=attempt)
    assert fake.requests == []


@virtual_time
async def test_later_attempt_of_another_process_finds_what_the_first_has_sent() -> None:
    network = Network()
    await network.client(guards=Guards()).send(PHONE, "Hi", id="job-1")
    client = network.client(guards=Guards())
    assert (await client.send(PHONE, "Hi", id="job-1", attempt=2)).reconciled
    assert network.asked == ["send", "status"]
    # It has sent nothing itself, so no reservation remains.
    snapshot = await client.guards.snapshot()
    assert snapshot.rules["identical_send"].keys == 0


@virtual_time
async def test_read_has_no_attempts() -> None:
    fake = FakeService()
    for wrong in ({"attempt": 2}, {"unique_id": True}):
        with pytest.raises(ValueError, match="attempt and unique_id are for sends"):
            await make_client(fake).call(GetBalance(), **wrong)
    assert fake.requests == []
