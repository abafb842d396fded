"""How a watch ends: errors, cancellation, expiry, and the unfinished messages for a later watch."""

import asyncio
import gc
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import anyio
import anyio.lowlevel
import pytest
import trio

from smsc_async import (
    AuthenticationFailed,
    Client,
    Guards,
    InvalidParameters,
    MessageRef,
    MessageStatus,
    ReadTimeout,
    Unfinished,
    Update,
)
from tests.doubles import FakeService, answer, make_client
from tests.virtual import virtual_time
from tests.watching.life import ONE, REFS, collect, service, take


def tasks_alive(backend: str) -> int:
    if backend == "asyncio":
        return len(asyncio.all_tasks())
    return trio.lowlevel.current_statistics().tasks_living


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelled_watches_leak_no_task_no_connection_and_no_slot(backend: str) -> None:
    """10,000 on both backends: 25 at a time, of which 4 make requests and others wait for a slot or have just begun."""

    async def main() -> None:
        chance = random.Random(backend)  # noqa: S311 - repeatable on purpose
        fake = FakeService(latency=0.0)
        client = make_client(fake, guards=Guards(margin=0, late_arrival=0))
        await client.balance()  # shows that the credentials are right
        fake.latency = 1e9
        before = tasks_alive(backend)
        peak = waiting = 0

        async def follow(number: int, steps: int) -> None:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    nonlocal peak, waiting
                    for _ in range(steps):
                        await anyio.lowlevel.checkpoint()
                    peak = max(peak, fake.status_peak)
                    waiting = max(waiting, client.guards._waiters.by_rule().get("status_in_flight", 0))
                    group.cancel_scope.cancel()

                group.start_soon(cancel)
                ref = MessageRef("+79991234567", number)
                async with client.watch([]) as updates:
                    updates.add(ref)
                    updates.hint(ref)  # ask at once
                    await anext(updates)

        for first in range(1, 5_001, 25):
            async with anyio.create_task_group() as watches:
                for number in range(first, first + 25):
                    watches.start_soon(follow, number, chance.choice((0, 1, 2, 3, 5, 8, 13, 21, 34)))
        assert tasks_alive(backend) == before
        assert sum(fake.in_flight.values()) == 0
        snapshot = await client.guards.snapshot()
        assert snapshot.waiting == 0
        assert {name: rule.in_flight for name, rule in snapshot.rules.items() if rule.in_flight} == {}
        assert (peak, waiting > 10, len(fake.requests) > 1000) == (4, True, True)

    anyio.run(main, backend=backend)


@virtual_time
async def test_message_keeps_its_age_in_a_later_watch() -> None:
    old = Unfinished(ref=ONE, status=0, since=datetime(2020, 1, 1, tzinfo=UTC))
    (update,) = await collect(make_client(service((1e9, 0))), [old], timeout=60)
    assert update.expired
    young = Unfinished(ref=ONE, status=0, since=datetime.now(UTC) - timedelta(seconds=40))
    start = anyio.current_time()
    (update,) = await collect(make_client(service((1e9, 0))), [young], timeout=60)
    assert update.expired
    assert 15 < anyio.current_time() - start < 21


@virtual_time
async def test_a_message_dated_in_the_future_expires_one_timeout_from_now() -> None:
    ahead = Unfinished(ref=ONE, status=0, since=datetime.now(UTC) + timedelta(days=1))
    start = anyio.current_time()
    (update,) = await collect(make_client(service((1e9, 0))), [ahead], timeout=60)
    assert update.expired
    assert anyio.current_time() - start == pytest.approx(60, abs=1)


@pytest.mark.parametrize("count", [1, 200])
@virtual_time
async def test_message_that_expired_before_the_watch_is_requested_once_before_it_expires(count: int) -> None:
    refs = [MessageRef(f"+7999123{number:04}", "a") for number in range(count)]
    old = [Unfinished(ref=ref, status=0, since=datetime(2020, 1, 1, tzinfo=UTC)) for ref in refs]
    final = await collect(make_client(service()), old, timeout=60)
    assert {(update.ref, update.status, update.is_last) for update in final} == {
        (ref, MessageStatus.DELIVERED, True) for ref in refs
    }
    for fake in (service((1e9, 0)), FakeService([ReadTimeout("lost")] * 10_000)):
        pending = await collect(make_client(fake, guards=None, retries=0), old, timeout=60)
        assert len(fake.requests) == count
        assert {(update.ref, update.expired) for update in pending} == {(ref, True) for ref in refs}


@virtual_time
async def test_a_message_added_after_the_last_update_is_watched_too() -> None:
    seen = []
    async with make_client(service()).watch([ONE]) as updates:
        async for update in updates:
            seen.append(update.ref)
            if len(seen) < 5:
                updates.add(REFS[len(seen)])
    assert seen == REFS
    with pytest.raises(RuntimeError, match="inside"):
        updates.add(ONE)
    with pytest.raises(RuntimeError, match="inside"):
        await anext(updates)


@virtual_time
async def test_message_with_the_key_of_a_refused_one_is_requested_and_inherits_nothing() -> None:
    fake = FakeService([answer("get_status", error="1"), answer("get_status", status="1")])
    async with make_client(fake).watch([ONE], timeout=None) as updates:
        assert isinstance((await anext(updates)).error, InvalidParameters)
        for ref in REFS[1:3]:
            await anyio.sleep(1)  # the key of the last message is free by then
            updates.add(ref)
            if ref == REFS[1]:
                assert (await anext(updates)).status is MessageStatus.DELIVERED
        assert len(updates._registry._names) == 1
        assert [(left.ref, left.status) for left in updates.unfinished] == [(REFS[2], None)]


@virtual_time
async def test_memory_of_a_long_watch_does_not_grow() -> None:
    async with make_client(service()).watch([]) as updates:
        for number in range(1, 1001):
            updates.add(MessageRef("+79991234567", number))
            await anext(updates)
        assert (updates.done, updates.total, updates.unfinished) == (1000, 1000, [])
        assert len(updates._registry._names) < 200


@virtual_time
async def test_no_update_is_lost_when_its_consumer_is_cancelled() -> None:
    taken: list[Update] = []
    async with make_client(service((50, -1), (200, 0))).watch(REFS) as updates:
        while updates.done < 5:
            with anyio.move_on_after(0.07):
                taken.append(await anext(updates))
    assert len(taken) == len({(update.ref, update.status) for update in taken}) == 15


@virtual_time
async def test_on_progress_is_called_after_each_last_update() -> None:
    heard: list[tuple[int, int]] = []
    await collect(make_client(service((100, 0))), on_progress=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


@virtual_time
async def test_expired_message_stays_unfinished_if_the_watch_ends_before_its_answer() -> None:
    old = Unfinished(ref=ONE, status=0, since=datetime(2020, 1, 1, tzinfo=UTC))
    client = make_client(FakeService([answer("get_status", error="2")]), guards=None)
    async with client.watch([old], timeout=60) as updates:
        with pytest.raises(AuthenticationFailed):
            await anext(updates)
        assert updates.unfinished == [old]


@virtual_time
async def test_on_progress_that_raises_loses_no_update() -> None:
    seen: list[MessageRef] = []
    failed: set[int] = set()

    def progress(done: int, _: int) -> None:
        if done not in failed:
            failed.add(done)
            raise BrokenPipeError

    async with make_client(service()).watch(REFS, on_progress=progress) as updates:
        while len(seen) < len(REFS):
            with pytest.raises(BrokenPipeError):
                await anext(updates)
            assert len(updates.unfinished) == len(REFS) - len(seen)
            seen.append((await anext(updates)).ref)
    assert sorted(seen, key=str) == REFS


@virtual_time
async def test_watches_of_one_client_share_their_curve() -> None:
    client = make_client(FakeService(latency=0.01))
    first, second = client.watch(REFS), client.watch([MessageRef("+79991234567", 1)])
    assert first._plan.curve is second._plan.curve
    async with anyio.create_task_group() as both:
        both.start_soon(take, first, [])
        both.start_soon(take, second, [])
    for number in range(2, 6):
        await client.wait_delivered(MessageRef("+79991234567", number))
    assert client._watches.curve._answers == 10
    assert client._watches.curve.lessons == 1
    assert client.watch([])._plan._waits is client.watch([])._plan._waits  # computed once


@virtual_time
async def test_the_curve_learns_nothing_from_a_message_that_is_not_found() -> None:
    client = make_client(FakeService([answer("get_status", error="3")] * 9))
    await collect(client, [ONE], grace=0)
    assert client._watches.curve._answers == 0


@virtual_time
async def test_one_worker_starts_so_that_wrong_credentials_fail_once() -> None:
    fake = FakeService([answer("get_status", error="2")] * 99, latency=1)
    with pytest.raises(AuthenticationFailed):
        await collect(make_client(fake))
    assert len(fake.requests) == 1


@virtual_time
async def test_unexpected_error_ends_the_watch_unchanged() -> None:
    client = make_client(service((1e9, 0)))
    call = client._poll

    async def broken(*arguments: Any, **options: Any) -> Any:
        if anyio.current_time() > 30:
            raise LookupError("broken")
        return await call(*arguments, **options)

    with mock.patch.object(client, "_poll", broken):
        watcher = client.watch(REFS)
    taken: list[Update] = []
    with pytest.raises(LookupError, match="broken"):
        await take(watcher, taken)
    assert len(watcher.unfinished) == 5
    assert {unfinished.status for unfinished in watcher.unfinished} == {0}


@virtual_time
async def test_an_error_of_the_block_takes_precedence_over_one_of_a_request() -> None:
    async def fail() -> None:
        async with make_client(FakeService([LookupError("broken")] * 9)).watch(REFS):
            await anyio.sleep(100)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await fail()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_watch_cancelled_from_outside_ends_with_its_scope(backend: str) -> None:
    async def main() -> None:
        before = tasks_alive(backend)
        with anyio.move_on_after(0.01) as scope:
            async with make_client(FakeService(latency=1e9)).watch(REFS) as updates:
                updates.add(ONE)
                updates.hint(ONE)
                await anext(updates)
        assert scope.cancelled_caught
        with anyio.CancelScope() as early:
            early.cancel()
            async with make_client(FakeService()).watch(REFS) as updates:
                await anext(updates)
        assert tasks_alive(backend) == before

    anyio.run(main, backend=backend)


@virtual_time
async def test_a_watch_that_is_never_entered_leaves_nothing() -> None:
    make_client(service()).watch(REFS)
    gc.collect()


@virtual_time
async def test_added_and_hinted_messages_are_unfinished_as_well() -> None:
    client = make_client(service((1e9, 0)))
    async with client.watch(REFS[:2]) as updates:
        updates.add(REFS[2], REFS[3])
        updates.hint(REFS[3])
        assert (await anext(updates)).ref == REFS[3]
    kept = [Unfinished.model_validate_json(each.model_dump_json()) for each in updates.unfinished]
    assert kept == updates.unfinished
    assert {each.ref: each.status for each in kept} == {**dict.fromkeys(REFS[:3]), REFS[3]: 0}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_leaving_the_block_while_requests_are_in_flight_releases_their_slots(backend: str) -> None:
    async def main() -> None:
        fake = FakeService(latency=0.001)
        client = make_client(fake, guards=Guards(margin=0, late_arrival=0))
        await client.balance()
        async with client.watch([]) as updates:
            for number in range(1, 201):
                updates.add(ref := MessageRef("+79991234567", number))
                updates.hint(ref)
            async for _ in updates:
                if updates.done == 70:
                    break
        assert sum(fake.in_flight.values()) == 0
        snapshot = await client.guards.snapshot()
        assert not [rule for rule in snapshot.rules.values() if rule.in_flight]
        assert len(updates.unfinished) == 130

    anyio.run(main, backend=backend)


async def test_a_watch_that_is_left_closes_its_connections() -> None:
    """Over real sockets, to a server that never answers; the client stays open."""
    connections = 0
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.read(65_536):
            arrived.set()
        connections -= 1
        writer.close()
        closed.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sys/soap.php"
    async with server, Client(apikey="key", url=url, guards=None) as client:
        for _ in range(50):
            arrived.clear()
            async with client.watch([]) as updates:
                updates.add(ONE)
                updates.hint(ONE)
                await arrived.wait()
        with anyio.fail_after(10):
            while connections:
                closed.clear()
                await closed.wait()
