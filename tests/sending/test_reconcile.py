"""A send whose answer is lost is reconciled by its status."""

import anyio
import pytest

from smsc_async import (
    ConnectionLost,
    Guards,
    Outcome,
    ReadTimeout,
    SendOutcomeUnknown,
    TooManyRequests,
    UnresolvedSend,
)
from tests.doubles import FakeService, answer, make_client
from tests.sending.lossy_service import OTHER, PHONE, Network
from tests.virtual import virtual_time


@pytest.mark.parametrize("arrival", ["lost", "html", "empty", "foreign"])
@virtual_time
async def test_send_that_was_executed_is_found_and_returned(arrival: str) -> None:
    network = Network(arrival)
    sent = await network.client().send(PHONE, "Hi")
    assert (sent.reconciled, sent.sms_count, str(sent.cost)) == (True, 1, "4.5")
    assert (sent.ref.phone, sent.id) == (PHONE, network.sandbox.messages[0].id)
    assert (network.accepted, network.asked) == (1, ["send", "status"])
    assert anyio.current_time() == 0


@virtual_time
async def test_send_that_never_arrived_is_reported_as_not_sent_once_it_can_no_longer_arrive() -> None:
    network = Network("gone")
    with pytest.raises(ReadTimeout, match="so it was not sent") as caught:
        await network.client().send(PHONE, "Hi")
    assert (caught.value.outcome, caught.value.unresolved) == (Outcome.NOT_SENT, None)
    assert anyio.current_time() == pytest.approx(5)
    assert (network.accepted, network.asked) == (0, ["send", "status", "status"])


@virtual_time
async def test_send_that_arrives_after_the_timeout_is_found() -> None:
    network = Network("late")
    assert (await network.client().send(PHONE, "Hi")).reconciled
    assert network.accepted == 1


@virtual_time
async def test_status_is_requested_again_while_the_network_fails_until_the_deadline() -> None:
    network = Network("lost", "gone", "refused", "html")
    assert (await network.client().send(PHONE, "Hi")).reconciled
    network = Network("lost", then="gone")
    start = anyio.current_time()
    with pytest.raises(SendOutcomeUnknown) as caught:
        await network.client().send(PHONE, "Ho", deadline=20)
    assert anyio.current_time() - start <= 20
    assert isinstance(caught.value.__cause__, ConnectionLost)
    assert (caught.value.ref.phone, caught.value.accepted, caught.value.unsent) == (PHONE, (), ())
    network.then = "ok"
    found = await network.client().resolve(caught.value)
    assert found is not None
    assert (found.refs, found.reconciled) == ((caught.value.ref,), True)


@virtual_time
async def test_send_without_a_deadline_does_not_request_statuses_for_ever() -> None:
    network = Network("lost", then="gone")
    with pytest.raises(SendOutcomeUnknown):
        await network.client(deadline=None).send(PHONE, "Hi")
    assert anyio.current_time() <= 90
    assert len(network.asked) == 11  # after 0, 5, 6, 8, 12, 20, 35, 50, 65 and 80 seconds


@virtual_time
async def test_deadline_too_near_for_a_proof_leaves_the_outcome_unknown_at_once() -> None:
    network = Network("gone")
    with pytest.raises(SendOutcomeUnknown) as caught:
        await network.client().send(PHONE, "Hi", deadline=3)
    assert anyio.current_time() < 1
    await anyio.sleep(10)
    assert await network.client().resolve(caught.value) is None


@pytest.mark.parametrize("to", [PHONE, [PHONE, OTHER]])
@virtual_time
async def test_wrong_credentials_end_the_status_requests(to: str | list[str]) -> None:
    fake = FakeService([ReadTimeout("late"), *[answer("get_status", error="2")] * 9])
    with pytest.raises(SendOutcomeUnknown):
        await make_client(fake, on_unknown="reconcile", guards=None).send(to, "Hi")
    assert len(fake.requests) == 3


@virtual_time
async def test_on_unknown_raise_leaves_the_reconciliation_to_the_caller() -> None:
    network = Network("lost")
    kept: list[UnresolvedSend] = []
    client = network.client(on_unknown="raise", on_unresolved=kept.append)
    with pytest.raises(ConnectionLost) as caught:
        await client.send(PHONE, "Hi")
    assert network.asked == ["send"]
    assert caught.value.outcome is Outcome.UNKNOWN
    assert kept == [caught.value.unresolved]
    assert kept[0].began < kept[0].failed
    found = await client.resolve(UnresolvedSend.model_validate_json(kept[0].model_dump_json()))
    assert found is not None
    assert found.refs == caught.value.refs


# Repeating
@virtual_time
async def test_resend_repeats_with_the_same_id_after_the_duplicate_minute() -> None:
    await anyio.sleep(1000)
    network = Network("gone")
    guards = Guards()
    sent = await network.client(on_unknown="resend", guards=guards).send(PHONE, "Hi")
    assert anyio.current_time() == pytest.approx(1066.2)
    assert (sent.reconciled, network.accepted) == (False, 1)
    assert network.sandbox.counts["send_sms", 9] == 0
    assert network.asked == ["send", "balance", "status", "status", "send"]


@virtual_time
async def test_resend_reconciles_what_it_repeated_too() -> None:
    network = Network("gone", "ok", "ok", "lost")
    sent = await network.client(on_unknown="resend", deadline=200).send(PHONE, "Hi")
    assert (sent.reconciled, network.accepted) == (True, 1)


@virtual_time
async def test_resend_has_no_time_within_a_short_deadline() -> None:
    network = Network("gone")
    with pytest.raises(ReadTimeout) as caught:
        await network.client(on_unknown="resend").send(PHONE, "Hi", deadline=60)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert anyio.current_time() == pytest.approx(5)


@virtual_time
async def test_error_nine_to_a_repeat_is_reconciled_and_is_no_proof() -> None:
    network = Network("gone")
    client = network.client(on_unknown="resend", deadline=200)

    async def another() -> None:
        await anyio.sleep(50)
        await network.client().send(PHONE, "Hi")

    async with anyio.create_task_group() as group:
        group.start_soon(another)
        with pytest.raises(TooManyRequests) as caught:
            await client.send(PHONE, "Hi")
    assert caught.value.outcome is Outcome.REJECTED
    assert network.accepted == 1


@virtual_time
async def test_error_nine_to_a_repeat_whose_first_was_executed_after_all_is_a_sent_message() -> None:
    not_found = answer("get_status", error="3")
    found = answer("get_status", status="0")
    fake = FakeService([ReadTimeout("late"), not_found, not_found, answer("send_sms", error="9"), found])
    client = make_client(fake, on_unknown="resend", guards=None, deadline=200)
    assert (await client.send(PHONE, "Hi")).reconciled


@virtual_time
async def test_error_nine_to_a_first_attempt_is_raised_at_once() -> None:
    network = Network()
    await network.client().send(PHONE, "Hi")
    with pytest.raises(TooManyRequests):
        await network.client().send(PHONE, "Hi")
    assert network.asked == ["send", "send"]
