"""A verified push is an update at once, without a request; replays, disorder and forgeries change nothing."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from smsc_async import (
    Client,
    DeliveryError,
    DeliveryFailed,
    DeliveryReport,
    Guards,
    MessageDelivered,
    MessageRef,
    MessageStatus,
    Observer,
    Reply,
    Unfinished,
    Update,
    Watcher,
)
from smsc_async._model.types import recipient_key
from smsc_async._protocol.binding import Incoming
from smsc_async._watching.curve import Curve
from smsc_async._watching.plan import Plan
from smsc_async.callbacks import Callbacks, InvalidCallbackSignature, MessageType, StatusPush
from tests.callbacks.samples import SECRET, signed
from tests.doubles import FakeService, answer, make_client
from tests.virtual import virtual_time
from tests.watching.life import LIMIT, ONE, REFS, Life, service, take

TWO = REFS[1]
PENDING = (1e9, 0)


def push(status: int, ref: MessageRef = ONE, **hints: Any) -> StatusPush:
    """Return a push as the service sends it, with the phone without +."""
    found = MessageRef(ref.phone.removeprefix("+"), ref.id)
    return StatusPush(ref=found, status=MessageStatus(status), **hints)


def shown(updates: list[Update]) -> list[tuple[int | None, str, bool]]:
    return [(None if each.status is None else int(each.status), each.source, each.is_last) for each in updates]


async def followed(client: Client, taken: list[Update], group: anyio.abc.TaskGroup, **options: Any) -> Watcher:
    """Start to take the updates of a watch over one message, and let it request the status once."""
    watcher = client.watch([ONE], **options)
    group.start_soon(take, watcher, taken)
    await anyio.sleep(20)
    return watcher


@virtual_time
async def test_a_push_is_an_update_at_once_and_costs_no_request() -> None:
    fake, taken = service(PENDING), list[Update]()
    client = make_client(fake)
    async with anyio.create_task_group() as group:
        await followed(client, taken, group)
        made, now = len(fake.requests), anyio.current_time()
        client.notify(push(1, error=DeliveryError.OFFLINE, cost=None, sender="ivan"))
    assert anyio.current_time() == now
    assert len(fake.requests) == made
    assert shown(taken) == [(0, "poll", False), (1, "push", True)]
    assert (taken[-1].ref, taken[-1].report) == (ONE, DeliveryReport(ref=ONE, status=MessageStatus.DELIVERED))


@virtual_time
async def test_a_push_ends_wait_final_and_wait_delivered() -> None:
    client = make_client(service(PENDING))
    async with anyio.create_task_group() as group:

        async def notify(ref: MessageRef, status: int) -> None:
            await anyio.sleep(30)
            client.notify(push(status, ref))

        group.start_soon(notify, ONE, 3)
        assert (await client.wait_final(ONE)).status is MessageStatus.EXPIRED
        group.start_soon(notify, TWO, 20)
        with pytest.raises(DeliveryFailed, match=r"^the message was not delivered: impossible to deliver$"):
            await client.wait_delivered(TWO)
        assert anyio.current_time() < 100


@virtual_time
async def test_replays_and_disorder_change_nothing() -> None:
    for order in itertools.permutations((-2, -1, 0, 1)):
        fake, taken = service((1e9, -2)), list[Update]()
        client = make_client(fake)
        async with anyio.create_task_group() as group:
            watcher = await followed(client, taken, group)
            made = len(fake.requests)
            for status in order:
                for _ in range(3):
                    watcher.notify(push(status))
            assert len(fake.requests) == made
        pushed = [status for status, source, _ in shown(taken) if source == "push"]
        known = [status for status in order[: order.index(1)] if status > -2]
        assert pushed == [*_rising(known), 1]
        assert [update.is_last for update in taken][-1]


def _rising(statuses: list[int]) -> Iterator[int]:
    """Yield each status that is higher than all before it."""
    highest = -9
    for status in statuses:
        if status > highest:
            highest = status
            yield status


@virtual_time
async def test_an_answer_that_a_push_overtook_is_no_update() -> None:
    fake, taken = FakeService([Life((1e9, -1))] * 99, latency=10), list[Update]()
    client = make_client(fake)
    async with anyio.create_task_group() as group:
        group.start_soon(take, client.watch([ONE]), taken)
        await anyio.sleep(8)  # the first request is on its way
        assert fake.in_flight
        client.notify(push(0))
        await anyio.sleep(10)
        assert shown(taken) == [(0, "push", False)]
        client.notify(push(2))
    assert shown(taken) == [(0, "push", False), (2, "push", True)]


@virtual_time
async def test_an_answer_that_knows_more_than_the_push_before_it_is_an_update() -> None:
    for final in (True, False):
        fake, taken = FakeService([Life((1e9, 1 if final else 0))] * 99, latency=10), list[Update]()
        client = make_client(fake)
        async with anyio.create_task_group() as group:
            group.start_soon(take, client.watch([ONE], timeout=50), taken)
            await anyio.sleep(8)
            client.notify(push(-1))
        assert shown(taken)[:2] == [(-1, "push", False), (int(final), "poll", final)]


@virtual_time
async def test_an_answer_after_a_final_push_is_no_update() -> None:
    for reply in (answer("get_status", status="20"), answer("get_status", error="3"), answer("get_status", error="9")):
        fake, taken = FakeService([reply] * 9, latency=10), list[Update]()
        client = make_client(fake, guards=None, retries=0)
        async with anyio.create_task_group() as group:
            watcher = client.watch([ONE, TWO], grace=0)
            group.start_soon(take, watcher, taken)
            await anyio.sleep(8)
            for ref in (ONE, TWO):
                client.notify(push(1, ref))
            await anyio.sleep(10)
        assert shown(taken) == [(1, "push", True)] * 2
        assert (watcher.done, watcher.unfinished) == (2, [])


@virtual_time
async def test_the_phone_of_a_push_matches_by_its_digits() -> None:
    for watched in ("+79991234567", "79991234567", "89991234567"):
        for pushed in ("+79991234567", "79991234567", "89991234567"):
            taken = list[Update]()
            client = make_client(service(PENDING))
            async with anyio.create_task_group() as group:
                group.start_soon(take, client.watch([MessageRef(watched, "a1")]), taken)
                await anyio.sleep(20)
                client.notify(StatusPush(ref=MessageRef(pushed, "a1"), status=MessageStatus.READ))
            assert taken[-1].ref == MessageRef(watched, "a1")
    assert recipient_key("+89991234567") != recipient_key("89991234567")


@virtual_time
async def test_a_push_about_another_message_is_ignored() -> None:
    others = [MessageRef(ONE.phone, "a9"), MessageRef("+89991234560", ONE.id), MessageRef("ann@example.com", ONE.id)]
    others += [MessageRef(ONE.phone, ONE.id.upper()), MessageRef("#79991234560", ONE.id)]
    fake, taken = service(PENDING), list[Update]()
    client = make_client(fake)
    async with anyio.create_task_group() as group:
        watcher = await followed(client, taken, group)
        made = len(fake.requests)
        for other in others:
            client.notify(push(1, other))
        assert (shown(taken), watcher.done, len(fake.requests)) == ([(0, "poll", False)], 0, made)
        client.notify(push(1))


@virtual_time
async def test_an_address_matches_in_any_case() -> None:
    taken = list[Update]()
    client = make_client(service(PENDING))
    async with anyio.create_task_group() as group:
        group.start_soon(take, client.watch([MessageRef("ann@example.com", 5)]), taken)
        await anyio.sleep(20)
        client.notify(push(1, MessageRef("Ann@Example.com", 5)))
    assert shown(taken)[-1] == (1, "push", True)


@virtual_time
async def test_a_hint_matches_by_the_digits_too() -> None:
    taken = list[Update]()
    fake = service(PENDING)
    client = make_client(fake)
    async with anyio.create_task_group() as group:
        watcher = await followed(client, taken, group)
        made = len(fake.requests)
        watcher.hint(push(0).ref)
        await anyio.sleep(0.1)
        assert len(fake.requests) == made + 1
        group.cancel_scope.cancel()


@virtual_time
async def test_every_watch_of_a_client_and_of_its_copies_is_notified() -> None:
    client = make_client(service(PENDING))
    taken = [list[Update]() for _ in range(3)]
    async with anyio.create_task_group() as group:
        for number, each in enumerate((client, client, client.with_options(timeout=5))):
            group.start_soon(take, each.watch([ONE]), taken[number])
        await anyio.sleep(20)
        client.with_options(deadline=1).notify(push(1))
    assert [shown(each)[-1] for each in taken] == [(1, "push", True)] * 3
    assert client._watches.entered == set()
    client.notify(push(1))


@virtual_time
async def test_a_client_without_watches_takes_a_push() -> None:
    make_client(service()).notify(push(1))


@virtual_time
async def test_a_watch_outside_its_block_ignores_a_push() -> None:
    client = make_client(service(PENDING))
    watcher = client.watch([ONE])
    watcher.notify(push(1))
    assert watcher.unfinished == []
    async with watcher:
        await anyio.sleep(5)
    watcher.notify(push(1))
    assert [each.ref for each in watcher.unfinished] == [ONE]


@virtual_time
async def test_a_forged_callback_never_reaches_a_watch_and_a_genuine_one_does() -> None:
    fake, taken = service(PENDING), list[Update]()
    client, callbacks = make_client(fake), Callbacks(secrets=[SECRET])
    async with anyio.create_task_group() as group:
        await followed(client, taken, group)
        made = len(fake.requests)
        fields = {"id": ONE.id, "phone": ONE.phone[1:], "status": "20", "err": "6", "ts": "1"}
        for forged in (signed(fields, secret="guessed"), signed(fields).replace(b"status=20", b"status=1")):
            with pytest.raises(InvalidCallbackSignature):
                callbacks.unwrap(forged)
        assert (len(taken), len(fake.requests)) == (1, made)
        genuine = callbacks.unwrap(signed(fields).replace(b"err=6", b"err=0&cost=9"))
        assert isinstance(genuine, StatusPush)
        client.notify(genuine)
    assert taken[-1].report == DeliveryReport(ref=ONE, status=MessageStatus.UNDELIVERABLE)


@virtual_time
async def test_a_request_that_follows_a_final_push_is_made_only_if_it_was_asked_for() -> None:
    def reply(request: Incoming) -> Reply:
        status = "20" if anyio.current_time() > 20 else "0"
        return answer(request.method, status=status, err="6", last_timestamp="1700000000")

    fake, taken = FakeService([reply] * 99, latency=0.06), list[Update]()
    client = make_client(fake)
    async with anyio.create_task_group() as group:
        watcher = await followed(client, taken, group, confirm_pushes=True)
        made = len(fake.requests)
        for _ in range(9):
            watcher.notify(push(20))
    assert len(fake.requests) == made + 1
    assert shown(taken)[1:] == [(20, "push", False), (20, "poll", True)]
    report = taken[-1].report
    assert report is not None
    assert report.error is DeliveryError.OFFLINE


@virtual_time
async def test_a_pending_hlr_request_is_not_final() -> None:
    taken = list[Update]()
    client = make_client(service(PENDING))
    async with anyio.create_task_group() as group:
        watcher = await followed(client, taken, group)
        watcher.notify(push(1, type=MessageType.HLR))
        watcher.notify(push(0, type=MessageType.HLR))
        await anyio.lowlevel.checkpoint()
        watcher.notify(push(1, type=MessageType.HLR, error=DeliveryError.NONE))
    assert shown(taken)[1:] == [(1, "push", False), (1, "push", True)]


@virtual_time
async def test_a_flood_of_pushes_keeps_the_latest_status_of_each_message_until_it_is_taken() -> None:
    refs = [MessageRef("+79991234567", number) for number in range(1, 501)]
    client = make_client(service(PENDING), guards=None)
    async with client.watch(refs) as updates:
        await anyio.sleep(1)
        for status in (-1, 0, 1, 1, 0):
            for ref in refs:
                client.notify(push(status, ref))
        assert len(updates._updates) <= 64 + 4
        assert updates.done == 0
        taken = [update async for update in updates]
        assert (updates.done, updates.unfinished) == (500, [])
    assert {update.ref for update in taken if update.is_last and update.source == "push"} == set(refs)
    assert len(taken) <= 500 + 2 * 68
    assert updates._updates._pushed == {}


@virtual_time
async def test_a_status_that_waits_for_room_is_dropped_if_an_answer_says_more() -> None:
    client = make_client(FakeService([answer("get_status", status="1")] * 999, latency=30), guards=None)
    refs = [MessageRef("+79991234567", number) for number in range(1, 101)]
    async with client.watch(refs) as updates:
        await anyio.sleep(5)
        (asked,) = updates._updates._overtaken
        for ref in refs[:70]:
            client.notify(push(-1, ref))
        client.notify(push(0, updates._registry.ref(asked)))
        waiting = updates._registry.ref(next(iter(updates._updates._pushed)))
        client.notify(push(0, waiting))
        await anyio.sleep(40)
        taken = [update async for update in updates]
    for ref in refs:
        statuses = [int(update.status) for update in taken if update.ref == ref and update.status is not None]
        assert statuses == sorted(set(statuses))
    assert updates.done == 100


@virtual_time
async def test_a_message_that_had_expired_before_the_watch_began_ends_with_a_push() -> None:
    old = Unfinished(ref=ONE, since=datetime(2020, 1, 1, tzinfo=UTC))
    client = make_client(FakeService([Life(PENDING)] * 99, latency=10))
    taken = list[Update]()

    async def source() -> Any:
        yield old
        await anyio.sleep(8)
        client.notify(push(1))
        await anyio.sleep(20)
        yield TWO

    async with client.watch(source(), timeout=60) as updates:
        async for update in updates:
            taken.append(update)
    assert [(update.ref, update.source, update.expired) for update in taken if update.is_last] == [
        (ONE, "push", False),
        (TWO, "poll", True),
    ]


@virtual_time
async def test_an_observer_is_told_about_a_delivery_that_was_pushed_once() -> None:
    events: list[MessageDelivered] = []

    class Recorder(Observer):
        def delivered(self, event: MessageDelivered, /) -> None:
            events.append(event)

    client, taken = make_client(service(PENDING), observers=[Recorder()]), list[Update]()
    async with anyio.create_task_group() as group:
        await followed(client, taken, group)
        client.notify(push(0))
        client.notify(push(1))
        client.notify(push(1))
    assert [(event.id, event.status, event.is_delivered) for event in events] == [(ONE.id, 1, True)]


@virtual_time
async def test_a_push_keeps_no_more_requests_than_without_it_from_the_limit() -> None:
    fake = service((400, 0))
    client, taken = make_client(fake, guards=Guards()), list[Update]()
    async with anyio.create_task_group() as group:
        watcher = await followed(client, taken, group, confirm_pushes=True)
        for _ in range(50):
            watcher.notify(push(1))
            await anyio.sleep(1)
        assert len(fake.requests) <= 10
    assert shown(taken)[-1][0] == 1


@pytest.mark.parametrize("wrong", [None, "79991234567:a1", ONE, DeliveryReport(ref=ONE, status=MessageStatus.SENT)])
async def test_what_is_no_push_is_a_wrong_argument(wrong: Any) -> None:
    client = make_client(service(PENDING))
    kind = "None" if wrong is None else type(wrong).__name__
    expected = f"^push must be a StatusPush, as `Callbacks.unwrap` returns it, not {kind}$"
    with pytest.raises(ValueError, match=expected):
        client.watch([ONE]).notify(wrong)
    with pytest.raises(ValueError, match=expected):
        client.notify(wrong)
    with pytest.raises(ValueError, match=r"^confirm_pushes must be True or False, not str$"):
        client.watch([ONE], confirm_pushes="yes")  # type: ignore[arg-type]


def test_final_messages_that_were_pushed_teach_the_curve() -> None:
    curve = Curve()
    plan = Plan(interval_limit=LIMIT, curve=curve)
    before = curve.pending[20]
    for number in range(300):
        plan.add(0, float(number))
        plan.reported(0, number + 1.0)
        plan.reported(0, number + 1.0)  # an unknown key
    assert len(plan) == 0
    assert curve.pending[20] < before / 2
    assert plan.next_at(1e9) == float("inf") or plan.pick(1e9) is None


def test_a_final_push_of_a_message_that_is_pending_longer_is_within_its_interval() -> None:
    plan = Plan(interval_limit=LIMIT)
    plan.add(3, 0.0)
    assert plan.pick(100.0) == 3
    plan.answered(3, 100.0, final=False)
    plan.reported(3, 50.0)  # the clock of the push may be behind
    assert len(plan) == 0
