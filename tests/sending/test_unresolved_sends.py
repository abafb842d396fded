"""Cancelled and interrupted sends are passed to `on_unresolved`."""

import asyncio
import logging

import anyio
import pytest

from smsc_async import (
    AuthenticationFailed,
    Client,
    Guards,
    Message,
    Outcome,
    ReadTimeout,
    SendOutcomeUnknown,
    SmscError,
    TransportError,
    UnresolvedSend,
)
from tests.doubles import FakeService, answer, fault, make_client
from tests.sending.lossy_service import BAD, OTHER, PHONE, Network, _is_idle
from tests.virtual import virtual_time


# Cancelling
@pytest.mark.parametrize("arrival", ["stall", "hang"])
@virtual_time
async def test_cancelled_send_ends_at_once_and_is_passed_to_on_unresolved(arrival: str) -> None:
    network = Network(arrival)
    kept: list[UnresolvedSend] = []
    client = network.client(on_unresolved=kept.append, guards=Guards())
    with anyio.move_on_after(2):
        await client.send(PHONE, "Hi")
    assert anyio.current_time() == pytest.approx(2)
    assert network.asked == ["send"]
    (unresolved,) = kept
    network.script = []
    found = await client.resolve(unresolved)
    assert (found is not None) is (arrival == "hang")
    assert network.accepted == (1 if arrival == "hang" else 0)
    assert await _is_idle(client)


@virtual_time
async def test_send_cancelled_while_it_is_reconciled_is_passed_to_on_unresolved() -> None:
    network = Network("gone")
    kept: list[UnresolvedSend] = []
    with anyio.move_on_after(2):
        await network.client(on_unresolved=kept.append).send(PHONE, "Hi")
    (unresolved,) = kept
    assert unresolved.began < unresolved.failed


@virtual_time
async def test_later_attempt_cancelled_during_its_status_request_passes_the_earlier_send_to_on_unresolved() -> None:
    network = Network("ok", "stall")
    kept: list[UnresolvedSend] = []
    client = network.client(on_unresolved=kept.append)
    await client.send(PHONE, "Hi", id="job-1")
    with anyio.move_on_after(2):
        await client.send(PHONE, "Hi", id="job-1", attempt=2)
    (unresolved,) = kept
    assert await client.resolve(unresolved) is not None
    kept.clear()
    network.script = ["ok", "ok", "stall"]
    with anyio.move_on_after(20):
        await client.send(OTHER, "Hi", id="job-2", attempt=2)
    (unresolved,) = kept
    kept.clear()
    network = Network("ok", "ok", *["full"] * 9)
    with anyio.move_on_after(5.1):
        await network.client(on_unresolved=kept.append, retries=9).send(PHONE, "Hi", id="job-3", attempt=2)
    assert (network.asked[:3], kept) == (["status", "status", "send"], [])


@virtual_time
async def test_send_cancelled_before_it_was_sent_or_after_it_was_not_found_leaves_nothing_unresolved() -> None:
    kept: list[UnresolvedSend] = []
    network = Network("full", then="full")
    with anyio.move_on_after(0.1):
        await network.client(on_unresolved=kept.append, retries=9).send(PHONE, "Hi")
    network = Network("gone")
    with anyio.move_on_after(30):
        await network.client(on_unresolved=kept.append, on_unknown="resend").send(PHONE, "Hi")
    assert kept == []


@virtual_time
async def test_on_unresolved_is_called_for_an_unknown_outcome_and_not_for_a_known_one() -> None:
    kept: list[UnresolvedSend] = []
    network = Network("lost", then="gone")
    with pytest.raises(SendOutcomeUnknown) as caught:
        await network.client(on_unresolved=kept.append).send(PHONE, "Hi")
    assert kept == [caught.value.unresolved]
    network = Network("gone", "ok", "ok", "lost")
    client = network.client(on_unresolved=kept.append)
    with pytest.raises(ReadTimeout):
        await client.send(PHONE, "Hi")
    await client.send(PHONE, "Ho")
    assert len(kept) == 1


def test_error_of_on_unresolved_is_logged_without_private_data(caplog: pytest.LogCaptureFixture) -> None:
    def forget(unresolved: UnresolvedSend) -> None:
        raise LookupError(unresolved.refs)

    async def main() -> None:
        with anyio.move_on_after(2):
            await Network("stall").client(on_unresolved=forget).send(PHONE, "Hi")

    caplog.set_level(logging.DEBUG)
    virtual_time(main)()
    assert "on_unresolved failed (LookupError)" in caplog.text
    assert PHONE not in caplog.text


@virtual_time
async def test_cancelled_error_of_on_unresolved_cancels_no_send(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: UnresolvedSend) -> None:
        raise asyncio.CancelledError

    with pytest.raises(SendOutcomeUnknown):
        await Network("lost", then="gone").client(on_unresolved=fail).send(PHONE, "Hi")
    assert "on_unresolved failed (CancelledError)" in caplog.text


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@virtual_time
async def test_end_of_the_program_in_on_unresolved_goes_on(kind: type[BaseException]) -> None:
    def fail(_: UnresolvedSend) -> None:
        raise kind

    with pytest.raises(kind):
        await Network("lost", then="gone").client(on_unresolved=fail).send(PHONE, "Hi")


@virtual_time
async def test_transport_that_raises_an_unexpected_error_leaves_the_outcome_unknown() -> None:
    kept: list[UnresolvedSend] = []
    fake = FakeService([LookupError("no such thing")])
    with pytest.raises(TransportError, match=r"\(LookupError\)") as caught:
        await make_client(fake, on_unresolved=kept.append).send(PHONE, "Hi")
    assert kept == [caught.value.unresolved]
    assert (caught.value.__cause__, caught.value.outcome) == (None, Outcome.UNKNOWN)


@virtual_time
async def test_fault_that_proves_nothing_was_executed_leaves_nothing_unresolved() -> None:
    fake = FakeService([fault("Client", "Bad Request")])
    with pytest.raises(SmscError) as caught:
        await make_client(fake, on_unknown="reconcile").send(PHONE, "Hi")
    assert (caught.value.outcome, caught.value.unresolved, len(fake.requests)) == (Outcome.REJECTED, None, 1)


@virtual_time
async def test_refused_status_request_is_not_taken_for_the_answer_to_the_send() -> None:
    fake = FakeService([ReadTimeout("late"), *[answer("get_status", error="1")] * 9])
    with pytest.raises(SendOutcomeUnknown) as caught:
        await make_client(fake, on_unknown="reconcile").send(PHONE, "Hi")
    assert not isinstance(caught.value, AuthenticationFailed)


async def _close_after(client: Client, seconds: float) -> None:
    await anyio.sleep(seconds)
    await client.aclose()


@virtual_time
async def test_client_that_is_closed_while_it_reconciles_leaves_the_outcome_unknown() -> None:
    network = Network("lost", "gone")
    client = network.client()
    async with anyio.create_task_group() as group:
        group.start_soon(_close_after, client, 3)
        with pytest.raises(SendOutcomeUnknown) as caught:
            await client.send(PHONE, "Hi")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert await network.client().resolve(caught.value) is not None


@virtual_time
async def test_transport_that_breaks_while_one_of_many_is_reconciled_is_asked_again() -> None:
    found = answer("get_status", status="0")
    fake = FakeService([ReadTimeout("late"), found, found, LookupError("no such thing")])
    sent = await make_client(fake, on_unknown="reconcile", retries=0).send([PHONE, OTHER, BAD], "Hi")
    assert (sent.reconciled, len(sent.refs)) == (True, 3)


@virtual_time
async def test_client_that_is_closed_while_it_reconciles_a_chunk_leaves_the_outcome_unknown_for_each_message() -> None:
    network = Network("lost", "gone")
    client = network.client()
    messages = [Message(PHONE, "Hi"), Message(OTHER, "Ho")]
    async with anyio.create_task_group() as group:
        group.start_soon(_close_after, client, 3)
        outcomes = [outcome async for outcome in client.send_batch(messages)]
    for outcome in outcomes:
        assert isinstance(outcome.error, SendOutcomeUnknown)
        assert await network.client().resolve(outcome.error) is not None


@pytest.mark.parametrize("wrong", [{"on_unknown": "retry"}, {"clock_skew": -1}, {"on_unresolved": anyio.sleep}])
def test_wrong_option_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(
        ValueError,
        match=r"on_unknown must|clock_skew must be a number|on_unresolved must be a plain function",
    ):
        make_client(FakeService(), **wrong)
