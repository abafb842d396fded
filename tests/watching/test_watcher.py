"""A watch makes requests within the limits and reports each change once."""

import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from smsc_async import (
    AuthenticationFailed,
    BreakerOpen,
    DeliveryFailed,
    GetBalance,
    Guards,
    InvalidParameters,
    MessageNotFound,
    MessageRef,
    MessageStatus,
    Outcome,
    ReadTimeout,
    Reply,
    Rules,
    SentMessage,
    Unfinished,
    Update,
)
from smsc_async._protocol.binding import Incoming
from tests.doubles import FakeService, answer, make_client
from tests.virtual import virtual_time
from tests.watching.life import ONE, REFS, collect, service, take


@virtual_time
async def test_each_change_is_one_update_and_the_final_status_the_last() -> None:
    client = make_client(service((300, -1), (2000, 0)), guards=Guards())
    updates = await collect(client)
    for ref in REFS:
        taken = [(update.status, update.is_last) for update in updates if update.ref == ref]
        assert taken == [
            (MessageStatus.WAITING, False),
            (MessageStatus.SENT, False),
            (MessageStatus.DELIVERED, True),
        ]
    snapshot = await client.guards.snapshot()
    assert snapshot.waiting == 0


@virtual_time
async def test_at_most_four_requests_are_made_at_once_and_none_more_often_than_allowed() -> None:
    fake = service((300, 0))
    await collect(make_client(fake, guards=None))
    assert fake.status_peak <= 4
    assert len(fake.requests) <= 5 * (5 * 300 / 61.2 + 5)


@virtual_time
async def test_nothing_to_watch_ends_at_once_and_a_message_is_watched_once() -> None:
    client = make_client(service())
    assert await collect(client, []) == []
    assert len(await collect(client, [ONE, ONE])) == 1


@virtual_time
async def test_messages_may_be_added_while_watching() -> None:
    async def source() -> AsyncIterator[MessageRef]:
        for ref in REFS[:3]:
            yield ref
            await anyio.sleep(5)

    client = make_client(service())
    seen = []
    async with client.watch(source()) as updates:
        async for update in updates:
            seen.append(update.ref)
            if update.ref == ONE:
                updates.add(REFS[3], REFS[4])
        assert (updates.done, updates.total) == (5, 5)
    assert sorted(seen, key=str) == REFS


@virtual_time
async def test_long_list_does_not_block_the_event_loop() -> None:
    client = make_client(FakeService(latency=0.001))
    refs = [MessageRef("+79991234567", number) for number in range(1, 2_501)]
    assert len(await collect(client, refs)) == 2_500


@virtual_time
async def test_pending_message_expires_and_is_no_longer_unfinished() -> None:
    client = make_client(service((1e9, 0)))
    async with client.watch([ONE], timeout=100) as updates:
        taken = [update async for update in updates]
        assert updates.unfinished == []
    assert [(update.expired, update.is_last, update.status) for update in taken] == [
        (False, False, MessageStatus.SENT),
        (True, True, None),
    ]


@virtual_time
async def test_answer_after_the_expiry_is_no_update() -> None:
    (update,) = await collect(make_client(FakeService(latency=50)), [ONE], timeout=10)
    assert update.expired


@virtual_time
async def test_answer_after_the_expiry_is_not_taken_for_another_message() -> None:
    async def source() -> AsyncIterator[MessageRef]:
        yield ONE
        await anyio.sleep(20)  # the first has expired, and its answer is under way
        yield REFS[1]
        await anyio.sleep(100)

    updates = await collect(make_client(FakeService(latency=50)), source(), timeout=15)
    assert [(update.ref, update.expired) for update in updates] == [(ONE, True), (REFS[1], True)]


@virtual_time
async def test_unknown_message_is_an_error_only_after_the_grace_period() -> None:
    known_later = FakeService([answer("get_status", error="3")] * 2, latency=0.06)
    assert [update.status for update in await collect(make_client(known_later), [ONE], grace=999)] == [
        MessageStatus.DELIVERED
    ]
    never = FakeService([answer("get_status", error="3")] * 99, latency=0.06)
    start = anyio.current_time()
    (update,) = await collect(make_client(never), [ONE], grace=30)
    assert isinstance(update.error, MessageNotFound)
    assert update.is_last
    assert anyio.current_time() - start >= 30


@virtual_time
async def test_error_about_one_message_is_an_update_about_it() -> None:
    def reply(request: Incoming) -> Reply:
        wrong = request.fields["id"] == "a0"
        return answer("get_status", error="1") if wrong else answer("get_status", status="1")

    updates = await collect(make_client(FakeService([reply] * 99)))
    assert [type(update.error) for update in updates if update.ref == ONE] == [InvalidParameters]
    assert len(updates) == 5


@virtual_time
async def test_watch_continues_after_network_failures() -> None:
    client = make_client(FakeService([ReadTimeout("late")] * 7), retries=0)
    assert [update.status for update in await collect(client, [ONE])] == [MessageStatus.DELIVERED]


@pytest.mark.parametrize("error", ["2", "4"])
@virtual_time
async def test_error_about_all_messages_ends_the_watch_and_leaves_the_rest_unfinished(error: str) -> None:
    fake = FakeService([answer("get_status", status="0"), *[answer("get_status", error=error)] * 99])
    client = make_client(fake)
    taken: list[Update] = []
    watcher = client.watch(REFS)
    with pytest.raises(Exception, match=f"error {error}"):
        await take(watcher, taken)
    assert [unfinished.ref for unfinished in watcher.unfinished] == REFS
    assert [unfinished.status for unfinished in watcher.unfinished].count(0) == len(taken)


@virtual_time
async def test_open_breaker_ends_the_watch() -> None:
    fake = FakeService([answer("get_balance", error="4")])
    client = make_client(fake, guards=Guards(rules=Rules()))
    with pytest.raises(Exception, match="error 4"):
        await client.balance()
    with pytest.raises(BreakerOpen):
        await collect(client)


@virtual_time
async def test_unfinished_is_plain_data_and_continues_in_another_watch() -> None:
    client = make_client(service((100, -1), (200, 0)))
    async with client.watch(REFS, timeout=1000) as updates:
        async for update in updates:
            if update.ref == REFS[4]:
                break
    kept = [unfinished.model_dump_json() for unfinished in updates.unfinished]
    assert len(kept) == 5
    again = await collect(client, [Unfinished.model_validate_json(bucket) for bucket in kept])
    # A status that was reported once is not reported again.
    assert {update.status for update in again if update.ref == REFS[4]} == {
        MessageStatus.SENT,
        MessageStatus.DELIVERED,
    }
    assert sum(update.is_last for update in again) == 5


@virtual_time
async def test_slow_consumer_slows_polling() -> None:
    fake = FakeService(latency=0.01)
    refs = [MessageRef("+79991234567", number) for number in range(1, 501)]
    async with make_client(fake).watch(refs) as updates:
        await anext(updates)
        await anyio.sleep(60)
        assert len(fake.requests) < 100
        async for _ in updates:
            pass
    assert len(fake.requests) == 500


@virtual_time
async def test_hint_causes_a_request_at_once() -> None:
    fake = service((1000, 0))
    async with make_client(fake).watch([ONE]) as updates:
        await anext(updates)
        await anyio.sleep(500)
        asked = len(fake.requests)
        updates.hint(ONE)
        updates.hint(REFS[1])
        await anyio.sleep(1)
        assert len(fake.requests) == asked + 1


@virtual_time
async def test_source_that_fails_ends_the_watch_with_its_own_error() -> None:
    async def source() -> AsyncIterator[MessageRef]:
        yield ONE
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await collect(make_client(service((1e9, 0))), source())


@virtual_time
async def test_error_of_the_block_is_raised_unchanged() -> None:
    async def fail() -> None:
        async with make_client(service((1e9, 0))).watch(REFS) as updates:
            await anext(updates)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await fail()


@virtual_time
async def test_misuse_is_refused() -> None:
    watcher = make_client(service()).watch(REFS)
    with pytest.raises(RuntimeError, match="inside"):
        await anext(watcher)
    with pytest.raises(RuntimeError, match="inside"):
        watcher.add(ONE)
    async with watcher:
        pass
    with pytest.raises(RuntimeError, match="once"):
        async with watcher:
            pass


@virtual_time
async def test_wait_for_one_message() -> None:
    report = await make_client(service((30, 0))).wait_delivered(ONE)
    assert report.is_delivered
    with pytest.raises(TimeoutError):
        await make_client(service((1e9, 0))).wait_delivered(ONE, timeout=100)
    with pytest.raises(AuthenticationFailed):
        await make_client(FakeService([answer("get_status", error="2")] * 9)).wait_delivered(ONE)
    with pytest.raises(MessageNotFound):
        await make_client(FakeService([answer("get_status", error="3")] * 99)).wait_delivered(ONE)


@virtual_time
async def test_a_message_that_is_not_delivered_is_an_error_of_wait_delivered_and_a_report_of_wait_final() -> None:
    """An expired code must not look like one that has arrived."""
    client = make_client(FakeService([answer("get_status", status="20", err="6") for _ in range(2)]))
    assert (await client.wait_final(ONE)).status is MessageStatus.UNDELIVERABLE
    with pytest.raises(
        DeliveryFailed, match=r"^the message was not delivered: impossible to deliver \(the subscriber is offline\)$"
    ) as caught:
        await client.wait_delivered(ONE)
    assert (caught.value.outcome, caught.value.refs) == (Outcome.REJECTED, (ONE,))
    assert caught.value.report.status is MessageStatus.UNDELIVERABLE


@virtual_time
async def test_a_message_is_named_by_its_reference_by_the_text_of_it_or_by_what_the_send_returned() -> None:
    sent = SentMessage(id=ONE.id, refs=(ONE,))
    both = SentMessage(id="b1", refs=(MessageRef("+79991234567", "b1"), MessageRef("+79991234568", "b1")))
    client = make_client(service((30, 0)))
    for message in (ONE, str(ONE), sent):
        assert (await client.status(message)).ref == ONE
        assert [update.ref for update in await collect(client, message) if update.is_last] == [ONE]
        assert [update.ref for update in await collect(client, [message]) if update.is_last] == [ONE]
        assert (await client.wait_delivered(message)).ref == ONE
        assert [getattr(each, "ref", each) for each in await client.statuses([message])] == [ONE]
    assert {update.ref for update in await collect(client, both)} == set(both.refs)
    async with client.watch([ONE]) as updates:
        for message in (ONE, str(ONE), sent):
            updates.hint(message)
        updates.add(str(both.refs[0]), both)
        assert updates.total == 2


async def test_what_names_no_message_or_several_is_refused_before_a_request() -> None:
    fake = FakeService()
    client = make_client(fake)
    both = SentMessage(id="b1", refs=(MessageRef("+79991234567", "b1"), MessageRef("+79991234568", "b1")))
    must = "a message must be a MessageRef, its text form 'phone:id' or a SentMessage, not "
    wrong: list[tuple[Any, str]] = [
        (both, "this send has 2 references, not one; use .refs"),
        (SentMessage(id="b1"), "this send has 0 references, not one; use .refs"),
        ("a1", "the text form of a reference must be phone:id"),
        (("+79991234567", "a1"), f"{must}tuple"),
        (None, f"{must}None"),
    ]
    for message, text in wrong:
        for call in (client.status, client.wait_final, client.wait_delivered):
            with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
                await call(message)
    no_messages: list[tuple[Any, str]] = [(7, "messages, not int"), ({ONE: 1}, "not dict"), (GetBalance(), "not GetB")]
    for messages, text in no_messages:
        with pytest.raises(ValueError, match=text):
            client.watch(messages)
    with pytest.raises(ValueError, match="only the service knows the members of a group"):
        await collect(client, SentMessage(id="b1"))
    assert fake.urls == []
