"""Reconciling unresolved sends: reused ids, clocks, many recipients and chunks."""

import time
from datetime import UTC, datetime

import anyio
import pytest

from smsc_async import (
    ApiError,
    ConnectError,
    Email,
    Message,
    MessageRef,
    Outcome,
    ReadTimeout,
    Send,
    SendOutcomeUnknown,
    UnresolvedSend,
)
from smsc_async._clock import disk_time
from smsc_async._model.operations import new_id
from smsc_async._network.httpx import HttpxTransport
from smsc_async.sandbox import Account, Sandbox
from tests.sending.lossy_service import BAD, OTHER, PHONE, Network
from tests.virtual import virtual_time


# Reused ids
@virtual_time
async def test_old_message_with_the_same_id_does_not_hide_a_lost_one() -> None:
    network = Network()
    network.ahead = -1000
    await network.client().send(PHONE, "Yesterday's", id="user-1")
    network.ahead, network.script = 0, ["gone"]
    with pytest.raises(SendOutcomeUnknown):
        await network.client().send(PHONE, "Today's", id="user-1")
    network.script = ["lost"]
    assert (await network.client().send(PHONE, "Today's!", id="user-1")).reconciled


@virtual_time
async def test_unique_id_makes_the_comparison_of_times_unnecessary() -> None:
    network = Network("lost", "ok", "lost")
    network.ahead = -1000
    operation = Send(to=(PHONE,), text="Hi", id="job-1")
    assert (await network.client().call(operation, unique_id=True)).reconciled
    with pytest.raises(SendOutcomeUnknown):
        await network.client().call(Send(to=(PHONE,), text="Ho", id="job-2"))


@virtual_time
async def test_old_message_that_is_scheduled_for_later_does_not_hide_a_lost_one_with_its_id() -> None:
    network = Network()
    network.ahead = -100_000
    await network.client().send(PHONE, "Old", id="user-1", at=_moment(time.time() + 100_000))
    network.ahead, network.script = 0, ["gone"]
    with pytest.raises(SendOutcomeUnknown):
        await network.client().send(PHONE, "New", id="user-1")
    network.script = ["lost"]
    later = _moment(time.time() + 200_000)
    assert (await network.client().send(OTHER, "New", id="user-2", at=later)).reconciled


@virtual_time
async def test_reference_is_resolved_by_a_generated_id_or_by_the_time_of_the_first_attempt() -> None:
    network = Network()
    client = network.client()
    own = (await client.send(PHONE, "Hi")).ref
    network.ahead = -1000
    given = (await client.send(PHONE, "Ho", id="a1")).ref
    found = await client.resolve(own)
    assert found is not None
    assert found.refs == (own,)
    with pytest.raises(SendOutcomeUnknown):
        await client.resolve(given)
    message = network.sandbox.messages[1]
    since = _moment(message.accepted_at - 1)
    found = await client.resolve(given, since=since)
    assert found is not None
    assert await client.resolve(MessageRef(OTHER, new_id())) is None


@virtual_time
async def test_error_with_a_known_outcome_can_not_be_resolved() -> None:
    client = Network("refused").client()
    with pytest.raises(ConnectError) as caught:
        await client.send(PHONE, "Hi")
    with pytest.raises(ValueError, match="ConnectError is not about an unresolved send: its outcome is not_sent"):
        await client.resolve(caught.value)


@virtual_time
async def test_old_unresolved_send_is_requested_at_once_and_once() -> None:
    network = Network("gone")
    kept: list[UnresolvedSend] = []
    client = network.client(on_unknown="raise", on_unresolved=kept.append)
    with pytest.raises(ReadTimeout):
        await client.send(PHONE, "Hi")
    clocks = disk_time()
    old = kept[0].model_copy(update={"clocks": clocks._replace(uptime=clocks.uptime - 5.1)})
    assert await client.resolve(old) is None
    assert (anyio.current_time(), network.asked) == (0, ["send", "status"])


@virtual_time
async def test_unresolved_send_to_a_group_only_makes_no_status_request() -> None:
    network = Network()
    then = _moment(time.time() - 10)
    with pytest.raises(SendOutcomeUnknown):
        await network.client().resolve(UnresolvedSend(id="a1", refs=(), groups=1, began=then, failed=then))
    assert network.asked == []


@pytest.mark.parametrize("days", [-1, 1])
@pytest.mark.parametrize("boot", ["this boot", "another boot", None])
@virtual_time
async def test_a_clock_that_was_set_never_shortens_the_wait_for_a_late_request(days: int, boot: str | None) -> None:
    network = Network("gone")
    kept: list[UnresolvedSend] = []
    client = network.client(on_unknown="raise", on_unresolved=kept.append)
    with pytest.raises(ReadTimeout):
        await client.send(PHONE, "Hi")
    update: dict[str, object] = {"failed": _moment(time.time() + 86_400 * days)}
    if boot != "this boot":
        now = disk_time()
        update["clocks"] = boot and (boot, now.uptime - 1000, now.wall - 1000)
    stored = kept[0].model_copy(update=update).model_dump_json()
    assert await client.resolve(UnresolvedSend.model_validate_json(stored)) is None
    assert anyio.current_time() == pytest.approx(5, abs=0.5)
    assert network.asked == ["send", "status", "status"]


# Many recipients
@virtual_time
async def test_each_of_many_recipients_is_reconciled() -> None:
    network = Network("lost")
    sent = await network.client().send([PHONE, BAD, OTHER], "Hi")
    assert [ref.phone for ref in sent.refs] == [PHONE, OTHER]
    assert [ref.phone for ref in sent.missing] == [BAD]
    assert network.accepted == 2
    # Until then the service might still have been executing the request.
    assert anyio.current_time() == pytest.approx(5)


@virtual_time
async def test_many_recipients_that_are_all_found_are_reconciled_at_once() -> None:
    network = Network("lost")
    sent = await network.client().send([PHONE, OTHER, "+79991234569"], "Hi")
    assert (len(sent.refs), anyio.current_time()) == (3, 0)


@virtual_time
async def test_unresolved_recipient_does_not_end_the_status_requests_for_another() -> None:
    network = Network("gone", "ok", "ok", "html")
    with pytest.raises(SendOutcomeUnknown) as caught:
        await network.client().send(["89991234567", OTHER], "Hi")
    assert (caught.value.ref.phone, caught.value.unsent[0].phone) == ("89991234567", OTHER)


@virtual_time
async def test_refused_first_recipient_proves_nothing_about_the_others() -> None:
    network = Network("lost")
    sent = await network.client().send([BAD, OTHER], "Hi")
    assert [ref.phone for ref in sent.refs] == [OTHER]


@virtual_time
async def test_group_is_reconciled_by_other_recipients_and_stays_unresolved_without_them() -> None:
    network = Network("lost")
    groups = {1: ("79991110001",)}
    network.sandbox = Sandbox(accounts=[Account(login="demo", password="demo", apikey="demo", groups=groups)])
    network._inner = HttpxTransport(network.sandbox.transport())
    assert (await network.client().send([PHONE, "G1"], "Hi")).reconciled
    network.script = ["gone"]
    with pytest.raises(SendOutcomeUnknown) as caught:
        await network.client().send([OTHER, "G1"], "Ho")
    assert (caught.value.refs, len(caught.value.unsent)) == ((), 1)
    with pytest.raises(ValueError, match="0 recipients are unresolved, not one"):
        _ = caught.value.ref
    network.script = ["lost"]
    with pytest.raises(SendOutcomeUnknown):
        await network.client().send("G1", "Hm")


@virtual_time
async def test_email_is_reconciled_only_if_it_is_found() -> None:
    network = Network("lost", "ok", "gone")
    client, via = network.client(), Email(sender="shop@example.com", subject="Order")
    assert (await client.send("ann@example.com", "Hi", via=via)).reconciled
    with pytest.raises(SendOutcomeUnknown):
        await client.send("bob@example.com", "Hi", via=via)


@virtual_time
async def test_chunk_of_a_batch_is_reconciled_per_message() -> None:
    network = Network("lost")
    messages = [Message(phone, f"Hi {phone}") for phone in (PHONE, BAD, OTHER)]
    outcomes = [outcome async for outcome in network.client().send_batch(messages)]
    assert [outcome.ref is not None for outcome in outcomes] == [True, False, True]
    error = outcomes[1].error
    assert isinstance(error, ApiError)
    assert (error.outcome, [ref.phone for ref in error.refs]) == (Outcome.REJECTED, [BAD])


@virtual_time
async def test_partly_known_chunk_is_an_outcome_for_each_message() -> None:
    network = Network("gone")
    messages = [Message(PHONE, "Hi"), Message("89991234568", "Ho")]
    first, second = [outcome.error async for outcome in network.client().send_batch(messages)]
    assert isinstance(first, SendOutcomeUnknown)
    assert isinstance(second, SendOutcomeUnknown)
    assert (first.outcome, first.unresolved) == (Outcome.NOT_SENT, None)
    assert second.unresolved is not None
    assert (second.accepted, second.unsent) == ((), ())
    assert (second.outcome, second.ref, second.unresolved.refs) == (Outcome.UNKNOWN, second.refs[0], second.refs)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
