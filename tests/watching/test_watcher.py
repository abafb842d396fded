"""A watch tells each change of each message once, its end last, and leaves nothing behind."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import anyio
import anyio.lowlevel
import pytest
import trio
from trio.testing import MockClock

from smsc_async import (
    AuthenticationFailed,
    BreakerOpen,
    Client,
    Guards,
    InvalidParameters,
    MessageNotFound,
    MessageRef,
    MessageStatus,
    ReadTimeout,
    Reply,
    Rules,
    Unfinished,
    Update,
    Watcher,
)
from smsc_async._protocol.binding import Incoming
from tests.doubles import FakeService, answer, make_client

T = TypeVar("T")
REFS = [MessageRef(f"+7999123456{number}", f"a{number}") for number in range(5)]
ONE = REFS[0]


def virtually(main: Callable[[], Awaitable[T]]) -> T:
    """Run on a clock that jumps to the next timer when all tasks wait."""
    return trio.run(main, clock=MockClock(autojump_threshold=0))


class Life:
    """Answers by the age of each message: (seconds, status) until that age."""

    def __init__(self, *stages: tuple[float, int]) -> None:
        self._stages = stages
        self._start: float | None = None

    def __call__(self, request: Incoming) -> Reply:
        if self._start is None:
            self._start = anyio.current_time()
        age = anyio.current_time() - self._start
        status = next((status for until, status in self._stages if age < until), 1)
        return answer(request.method, status=str(status))


def service(*stages: tuple[float, int]) -> FakeService:
    life = Life(*stages)
    return FakeService([life] * 10_000, latency=0.06)


async def take(watcher: Watcher, told: list[Update]) -> None:
    async with watcher:
        async for update in watcher:
            told.append(update)  # noqa: PERF401 - it may fail half-way


async def collect(client: Client, messages: object = None, **options: object) -> list[Update]:
    async with client.watch(REFS if messages is None else messages, **options) as updates:  # type: ignore[arg-type]
        return [update async for update in updates]


def test_each_change_is_told_once_and_the_end_last() -> None:
    async def main() -> None:
        client = make_client(service((300, -1), (2000, 0)), guards=Guards())
        updates = await collect(client)
        for ref in REFS:
            told = [(update.status, update.is_last) for update in updates if update.ref == ref]
            assert told == [
                (MessageStatus.WAITING, False),
                (MessageStatus.SENT, False),
                (MessageStatus.DELIVERED, True),
            ]
        snapshot = await client.guards.snapshot()  # type: ignore[union-attr]
        assert snapshot.waiting == 0

    virtually(main)


def test_no_more_than_four_are_asked_at_once_and_none_more_often_than_allowed() -> None:
    async def main() -> None:
        fake = service((300, 0))
        await collect(make_client(fake, guards=None))
        assert fake.status_peak <= 4
        assert len(fake.requests) <= 5 * (5 * 300 / 61.2 + 5)

    virtually(main)


def test_nothing_to_watch_ends_at_once_and_a_message_is_watched_once() -> None:
    async def main() -> None:
        client = make_client(service())
        assert await collect(client, []) == []
        assert len(await collect(client, [ONE, ONE])) == 1

    virtually(main)


def test_messages_may_come_while_watching() -> None:
    async def source() -> AsyncIterator[MessageRef]:
        for ref in REFS[:3]:
            yield ref
            await anyio.sleep(5)

    async def main() -> None:
        client = make_client(service())
        seen = []
        async with client.watch(source()) as updates:
            async for update in updates:
                seen.append(update.ref)
                if update.ref == ONE:
                    updates.add(REFS[3], REFS[4])
            assert (updates.done, updates.total) == (5, 5)
        assert sorted(seen, key=str) == REFS

    virtually(main)


def test_long_list_does_not_keep_the_event_loop() -> None:
    async def main() -> None:
        client = make_client(FakeService(latency=0.001))
        refs = [MessageRef("+79991234567", number) for number in range(1, 2_501)]
        assert len(await collect(client, refs)) == 2_500

    virtually(main)


def test_undecided_message_expires_and_is_pending_no_more() -> None:
    async def main() -> None:
        client = make_client(service((1e9, 0)))
        async with client.watch([ONE], timeout=100) as updates:
            told = [update async for update in updates]
            assert updates.unfinished == []
        assert [(update.expired, update.is_last, update.status) for update in told] == [
            (False, False, MessageStatus.SENT),
            (True, True, None),
        ]

    virtually(main)


def test_answer_that_comes_after_the_expiry_is_no_news() -> None:
    async def main() -> None:
        (update,) = await collect(make_client(FakeService(latency=50)), [ONE], timeout=10)
        assert update.expired

    virtually(main)


def test_answer_that_comes_after_the_expiry_is_not_taken_for_another_message() -> None:
    async def source() -> AsyncIterator[MessageRef]:
        yield ONE
        await anyio.sleep(20)  # the first has expired, and its answer is under way
        yield REFS[1]
        await anyio.sleep(100)

    async def main() -> None:
        updates = await collect(make_client(FakeService(latency=50)), source(), timeout=15)
        assert [(update.ref, update.expired) for update in updates] == [(ONE, True), (REFS[1], True)]

    virtually(main)


def test_unknown_message_is_given_time_and_then_told_as_an_error() -> None:
    async def main() -> None:
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

    virtually(main)


def test_error_about_one_message_is_an_update_about_it() -> None:
    async def main() -> None:
        def reply(request: Incoming) -> Reply:
            wrong = request.fields["id"] == "a0"
            return answer("get_status", error="1") if wrong else answer("get_status", status="1")

        updates = await collect(make_client(FakeService([reply] * 99)))
        assert [type(update.error) for update in updates if update.ref == ONE] == [InvalidParameters]
        assert len(updates) == 5

    virtually(main)


def test_failing_network_is_outlasted() -> None:
    async def main() -> None:
        client = make_client(FakeService([ReadTimeout("late")] * 7), retries=0)
        assert [update.status for update in await collect(client, [ONE])] == [MessageStatus.DELIVERED]

    virtually(main)


@pytest.mark.parametrize("error", ["2", "4"])
def test_what_concerns_all_ends_the_watch_and_leaves_the_rest_pending(error: str) -> None:
    async def main() -> None:
        fake = FakeService([answer("get_status", status="0"), *[answer("get_status", error=error)] * 99])
        client = make_client(fake)
        told: list[Update] = []
        watcher = client.watch(REFS)
        with pytest.raises(Exception, match=f"error {error}"):
            await take(watcher, told)
        assert [unfinished.ref for unfinished in watcher.unfinished] == REFS
        assert [unfinished.status for unfinished in watcher.unfinished].count(0) == len(told)

    virtually(main)


def test_open_breaker_ends_the_watch() -> None:
    async def main() -> None:
        fake = FakeService([answer("get_balance", error="4")])
        client = make_client(fake, guards=Guards(rules=Rules()))
        with pytest.raises(Exception, match="error 4"):
            await client.balance()
        with pytest.raises(BreakerOpen):
            await collect(client)

    virtually(main)


def test_pending_is_plain_data_and_goes_on_in_another_watch() -> None:
    async def main() -> None:
        client = make_client(service((100, -1), (200, 0)))
        async with client.watch(REFS, timeout=1000) as updates:
            async for update in updates:
                if update.ref == REFS[4]:
                    break
        kept = [unfinished.model_dump_json() for unfinished in updates.unfinished]
        assert len(kept) == 5
        again = await collect(client, [Unfinished.model_validate_json(bucket) for bucket in kept])
        # What was told once is not told again.
        assert {update.status for update in again if update.ref == REFS[4]} == {
            MessageStatus.SENT,
            MessageStatus.DELIVERED,
        }
        assert sum(update.is_last for update in again) == 5

    virtually(main)


def test_slow_consumer_slows_the_asking() -> None:
    async def main() -> None:
        fake = FakeService(latency=0.01)
        refs = [MessageRef("+79991234567", number) for number in range(1, 501)]
        async with make_client(fake).watch(refs) as updates:
            await anext(updates)
            await anyio.sleep(60)
            assert len(fake.requests) < 100
            async for _ in updates:
                pass
        assert len(fake.requests) == 500

    virtually(main)


def test_hint_asks_at_once() -> None:
    async def main() -> None:
        fake = service((1000, 0))
        async with make_client(fake).watch([ONE]) as updates:
            await anext(updates)
            await anyio.sleep(500)
            asked = len(fake.requests)
            updates.hint(ONE)
            updates.hint(REFS[1])
            await anyio.sleep(1)
            assert len(fake.requests) == asked + 1

    virtually(main)


def test_source_that_fails_ends_the_watch_with_its_own_error() -> None:
    async def main() -> None:
        async def source() -> AsyncIterator[MessageRef]:
            yield ONE
            raise LookupError("no more")

        with pytest.raises(LookupError, match="no more"):
            await collect(make_client(service((1e9, 0))), source())

    virtually(main)


def test_error_of_the_block_comes_out_as_it_is() -> None:
    async def fail() -> None:
        async with make_client(service((1e9, 0))).watch(REFS) as updates:
            await anext(updates)
            raise ValueError("mine")

    async def main() -> None:
        with pytest.raises(ValueError, match="mine"):
            await fail()

    virtually(main)


def test_misuse_is_told() -> None:
    async def main() -> None:
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

    virtually(main)


def test_wait_for_one_message() -> None:
    async def main() -> None:
        report = await make_client(service((30, 0))).wait_delivered(ONE)
        assert report.is_delivered
        with pytest.raises(TimeoutError):
            await make_client(service((1e9, 0))).wait_delivered(ONE, timeout=100)
        with pytest.raises(AuthenticationFailed):
            await make_client(FakeService([answer("get_status", error="2")] * 9)).wait_delivered(ONE)
        with pytest.raises(MessageNotFound):
            await make_client(FakeService([answer("get_status", error="3")] * 99)).wait_delivered(ONE)

    virtually(main)


def tasks_alive(backend: str) -> int:
    if backend == "asyncio":
        return len(asyncio.all_tasks())
    return trio.lowlevel.current_statistics().tasks_living


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelled_watches_leak_no_task_no_connection_and_no_place(backend: str) -> None:
    """10,000 on both backends: 25 at a time, of which 4 ask, others wait for a place or have hardly begun."""

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
                    waiting = max(waiting, client.guards._waiters.by_rule().get("status_in_flight", 0))  # type: ignore[union-attr]
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
        snapshot = await client.guards.snapshot()  # type: ignore[union-attr]
        assert snapshot.waiting == 0
        assert {name: rule.in_flight for name, rule in snapshot.rules.items() if rule.in_flight} == {}
        assert (peak, waiting > 10, len(fake.requests) > 1000) == (4, True, True)

    anyio.run(main, backend=backend)


def test_message_keeps_its_age_in_a_later_watch() -> None:
    async def main() -> None:
        old = Unfinished(ref=ONE, status=0, since=datetime(2020, 1, 1, tzinfo=UTC))
        (update,) = await collect(make_client(service((1e9, 0))), [old], timeout=60)
        assert update.expired
        young = Unfinished(ref=ONE, status=0, since=datetime.now(UTC) - timedelta(seconds=40))
        start = anyio.current_time()
        (update,) = await collect(make_client(service((1e9, 0))), [young], timeout=60)
        assert update.expired
        assert 15 < anyio.current_time() - start < 21

    virtually(main)


@pytest.mark.parametrize("count", [1, 200])
def test_message_whose_time_was_over_before_the_watch_is_asked_once_before_it_expires(count: int) -> None:
    async def main() -> None:
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

    virtually(main)


def test_a_message_added_in_answer_to_the_last_update_is_followed_too() -> None:
    async def main() -> None:
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

    virtually(main)


def test_message_that_follows_a_refused_one_is_asked_and_inherits_nothing() -> None:
    async def main() -> None:
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

    virtually(main)


def test_a_watch_that_goes_on_does_not_grow() -> None:
    async def main() -> None:
        async with make_client(service()).watch([]) as updates:
            for number in range(1, 1001):
                updates.add(MessageRef("+79991234567", number))
                await anext(updates)
            assert (updates.done, updates.total, updates.unfinished) == (1000, 1000, [])
            assert len(updates._registry._names) < 200

    virtually(main)


def test_no_update_is_lost_when_its_taker_is_cancelled() -> None:
    async def main() -> None:
        told: list[Update] = []
        async with make_client(service((50, -1), (200, 0))).watch(REFS) as updates:
            while updates.done < 5:
                with anyio.move_on_after(0.07):
                    told.append(await anext(updates))
        assert len(told) == len({(update.ref, update.status) for update in told}) == 15

    virtually(main)


def test_progress_is_told_with_each_last_update() -> None:
    async def main() -> None:
        heard: list[tuple[int, int]] = []
        await collect(make_client(service((100, 0))), on_progress=lambda done, total: heard.append((done, total)))
        assert heard == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]

    virtually(main)


def test_message_whose_time_was_over_stays_pending_where_the_watch_ends_instead_of_an_answer() -> None:
    async def main() -> None:
        old = Unfinished(ref=ONE, status=0, since=datetime(2020, 1, 1, tzinfo=UTC))
        client = make_client(FakeService([answer("get_status", error="2")]), guards=None)
        async with client.watch([old], timeout=60) as updates:
            with pytest.raises(AuthenticationFailed):
                await anext(updates)
            assert updates.unfinished == [old]

    virtually(main)


def test_progress_that_raises_loses_no_update() -> None:
    async def main() -> None:
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

    virtually(main)


def test_what_one_watch_learns_the_clients_others_know() -> None:
    async def main() -> None:
        client = make_client(FakeService(latency=0.01))
        first, second = client.watch(REFS), client.watch([MessageRef("+79991234567", 1)])
        assert first._plan.curve is second._plan.curve
        async with anyio.create_task_group() as both:
            both.start_soon(take, first, [])
            both.start_soon(take, second, [])
        for number in range(2, 6):
            await client.wait_delivered(MessageRef("+79991234567", number))
        assert client._curve._answers == 10
        assert client._curve.lessons == 1
        assert second._plan.curve.schedule(10.0) is client.watch([])._plan._schedule

    virtually(main)


def test_a_message_that_is_not_found_teaches_nothing() -> None:
    async def main() -> None:
        client = make_client(FakeService([answer("get_status", error="3")] * 9))
        await collect(client, [ONE], grace=0)
        assert client._curve._answers == 0

    virtually(main)


def test_the_first_asks_alone_so_that_wrong_credentials_fail_once() -> None:
    async def main() -> None:
        fake = FakeService([answer("get_status", error="2")] * 99, latency=1)
        with pytest.raises(AuthenticationFailed):
            await collect(make_client(fake))
        assert len(fake.requests) == 1

    virtually(main)


def test_what_nobody_expected_ends_the_watch_as_itself() -> None:
    async def main() -> None:
        fake = service((1e9, 0))
        client = make_client(fake)
        watcher = client.watch(REFS)
        told: list[Update] = []
        async with anyio.create_task_group() as group:

            async def close() -> None:
                await anyio.sleep(30)
                fake.script.insert(0, LookupError("broken"))

            group.start_soon(close)
            with pytest.raises(LookupError, match="broken"):
                await take(watcher, told)
        assert len(watcher.unfinished) == 5
        assert {unfinished.status for unfinished in watcher.unfinished} == {0}

    virtually(main)


def test_an_error_of_the_block_wins_over_one_of_the_asking() -> None:
    async def fail() -> None:
        async with make_client(FakeService([LookupError("broken")] * 9)).watch(REFS):
            await anyio.sleep(100)
            raise ValueError("mine")

    async def main() -> None:
        with pytest.raises(ValueError, match="mine"):
            await fail()

    virtually(main)


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


def test_a_watch_that_is_never_entered_leaves_nothing() -> None:
    async def main() -> None:
        make_client(service()).watch(REFS)
        gc.collect()

    virtually(main)


def test_what_was_added_and_hinted_is_pending_as_well() -> None:
    async def main() -> None:
        client = make_client(service((1e9, 0)))
        async with client.watch(REFS[:2]) as updates:
            updates.add(REFS[2], REFS[3])
            updates.hint(REFS[3])
            assert (await anext(updates)).ref == REFS[3]
        kept = [Unfinished.model_validate_json(each.model_dump_json()) for each in updates.unfinished]
        assert kept == updates.unfinished
        assert {each.ref: each.status for each in kept} == {**dict.fromkeys(REFS[:3]), REFS[3]: 0}

    virtually(main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_leaving_the_block_while_requests_are_in_flight_frees_their_places(backend: str) -> None:
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
        snapshot = await client.guards.snapshot()  # type: ignore[union-attr]
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
