"""Never more than 4 status requests and 14 requests of all are in flight, and no place leaks."""

import anyio
import pytest
import trio
from doubles import FakeService, make_client
from trio.testing import MockClock, wait_all_tasks_blocked

from smsc_async import ConnectError, MessageRef, Outcome, TooManyInFlight
from smsc_async._gate import Gate

REF = MessageRef("+79991234567", "a1")


async def test_forty_calls_at_once_keep_to_four_statuses_and_fourteen_in_all() -> None:
    service = FakeService(latency=0.001)
    client = make_client(service)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(client.status, REF)
            group.start_soon(client.balance)
    assert (service.status_peak, service.peak) == (4, 14)
    assert len(service.requests) == 40


async def test_limits_are_options() -> None:
    service = FakeService(latency=0.001)
    client = make_client(service, max_in_flight=3, max_status_in_flight=2)
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(client.status, REF)
            group.start_soon(client.balance)
    assert (service.status_peak, service.peak) == (2, 3)


def test_wait_for_a_place_ends_at_the_deadline_and_nothing_was_sent() -> None:
    async def main() -> None:
        service = FakeService(latency=60)
        client = make_client(service, max_in_flight=1, deadline=None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.balance)
            await wait_all_tasks_blocked()
            start = trio.current_time()
            with pytest.raises(TooManyInFlight) as caught:
                await client.send("+79991234567", "Hi", id="a1", deadline=5)
            assert trio.current_time() - start == pytest.approx(5)
        assert caught.value.outcome is Outcome.NOT_SENT
        assert caught.value.id == "a1"
        assert len(service.requests) == 1

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_waiting_statuses_keep_no_place_from_the_others() -> None:
    async def main() -> None:
        service = FakeService(latency=60)
        client = make_client(service, max_in_flight=3, max_status_in_flight=1, deadline=None)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(client.status, REF)
            await wait_all_tasks_blocked()
            start = trio.current_time()
            await client.balance()
            assert trio.current_time() - start == pytest.approx(60)

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("is_status", [False, True])
@pytest.mark.parametrize("after", [0, 0.5, 1.5])
def test_cancelling_leaks_no_place(*, is_status: bool, after: float) -> None:
    """Some are cancelled while they wait, some in flight, some before they begin; then all places are free."""

    async def use(gate: Gate) -> None:
        async with gate.enter(is_status=is_status):
            await trio.sleep(1)

    async def main() -> None:
        gate = Gate(2, 2)
        for _ in range(5):
            with trio.move_on_after(after):
                async with trio.open_nursery() as nursery:
                    for _ in range(7):
                        nursery.start_soon(use, gate)
        assert gate.entered == 0
        async with gate.enter(is_status=True, within=0.1), gate.enter(is_status=True, within=0.1):
            assert gate.entered == 2
            with pytest.raises(TooManyInFlight):
                async with gate.enter(is_status=is_status, within=0.1):
                    pytest.fail("there were three places")  # pragma: no cover
        assert gate.entered == 0

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_cancelled_calls_of_a_client_give_their_places_back() -> None:
    service = FakeService(latency=30)
    client = make_client(service)
    for _ in range(3):
        with anyio.move_on_after(0.01):
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(client.status, REF)
                    group.start_soon(client.balance)
    service.latency = 0
    for _ in range(20):
        await client.status(REF, deadline=1)
        await client.balance(deadline=1)


def test_place_is_given_back_while_a_call_pauses_before_it_repeats() -> None:
    async def main() -> None:
        service = FakeService([ConnectError("gone")] * 3)
        client = make_client(service, max_in_flight=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.balance)
            await wait_all_tasks_blocked()
            service.script.clear()
            start = trio.current_time()
            await client.balance()
            assert trio.current_time() == start

    trio.run(main, clock=MockClock(autojump_threshold=0))
