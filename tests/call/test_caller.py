"""Every call of a client reserves with its guards, and releases its reservation however it ends."""

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

import anyio
import pytest
import trio

from smsc_async import (
    AuthenticationFailed,
    BreakerOpen,
    Client,
    ConnectError,
    DuplicateSend,
    GetBalance,
    Guards,
    HTTPStatusError,
    Message,
    MessageRef,
    Outcome,
    PoolTimeout,
    ReadTimeout,
    Rules,
    StatusTooOften,
    TooManyInFlight,
    TooManyRequests,
    UnresolvedSend,
)
from smsc_async.guards import MemoryStore
from tests.doubles import FakeService, answer, fault, make_client
from tests.faults.fault_network import URL as HANGING
from tests.faults.fault_network import Fault, Kind, Network, Side
from tests.virtual import virtual_time

T = TypeVar("T")
PHONE = "+79991234567"
REF = MessageRef(PHONE, "a1")


async def _took(call: Awaitable[object]) -> float:
    start = anyio.current_time()
    await call
    return anyio.current_time() - start


async def _idle(client: Client) -> bool:
    snapshot = await client.guards.snapshot()
    return snapshot.waiting == 0 and all(rule.in_flight == 0 for rule in snapshot.rules.values())


def test_client_has_guards_of_its_own_unless_told_otherwise() -> None:
    shared = Guards()
    assert isinstance(make_client(FakeService(), guards=shared).guards, Guards)
    assert make_client(FakeService(), guards=shared).guards is shared
    without = make_client(FakeService(), guards=None)
    assert not hasattr(without, "guards")
    with pytest.raises(AttributeError, match=r"no guards: it was made with guards=None"):
        _ = without.guards
    first, second = (Client(apikey="key", transport=FakeService()) for _ in range(2))
    assert isinstance(first.guards, Guards)
    assert first.guards is not second.guards


@virtual_time
async def test_forty_calls_at_once_keep_to_four_statuses_and_fourteen_in_all() -> None:
    service = FakeService(latency=1)
    client = make_client(service, guards=Guards())
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(client.status, MessageRef(PHONE, str(number + 1)))
        await trio.testing.wait_all_tasks_blocked()
        for number in range(20):
            group.start_soon(client.send, PHONE, f"text {number}")
    assert (service.status_peak, service.peak) == (4, 14)
    assert len(service.requests) == 40
    assert await _idle(client)


@virtual_time
async def test_sixth_status_within_a_minute_waits_for_its_window() -> None:
    client = make_client(FakeService(), guards=Guards())
    assert [round(await _took(client.status(REF)), 1) for _ in range(6)] == [0.0] * 5 + [61.2]


@virtual_time
async def test_status_that_can_not_come_before_the_deadline_is_refused_at_once() -> None:
    service = FakeService()
    client = make_client(service, guards=Guards(), deadline=30)
    for _ in range(5):
        await client.status(REF)
    start = anyio.current_time()
    with pytest.raises(StatusTooOften) as caught:
        await client.status(REF)
    assert anyio.current_time() == start
    assert caught.value.retry_after == pytest.approx(61.2)
    assert (caught.value.outcome, caught.value.refs) == (Outcome.NOT_SENT, ())
    assert len(service.requests) == 5


@virtual_time
async def test_wait_for_a_place_ends_at_the_deadline_and_nothing_was_sent() -> None:
    service = FakeService(latency=60)
    guards = Guards(rules=Rules().with_policies(identical_cost="off"))
    client = make_client(service, guards=guards, deadline=None)
    await client.balance()
    async with trio.open_nursery() as nursery:
        for number in range(14):
            nursery.start_soon(client.cost, PHONE, f"text {number}")
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        with pytest.raises(TooManyInFlight) as caught:
            await client.send(PHONE, "Hi", id="a1", deadline=5)
        assert trio.current_time() - start == pytest.approx(5)
    assert (caught.value.outcome, caught.value.id) == (Outcome.NOT_SENT, "a1")
    assert len(service.requests) == 15


@virtual_time
async def test_credentials_are_tried_by_one_request_at_a_time_until_it_is_answered() -> None:
    service = FakeService(latency=60)
    client = make_client(service, guards=Guards(), deadline=None)
    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(client.cost, PHONE, f"text {number}")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(TooManyInFlight, match="may be refused"):
            await client.send(PHONE, "Hi", deadline=5)
        assert service.peak == 1
    assert service.peak == 9


async def test_same_message_goes_once_a_minute_unless_that_is_wanted() -> None:
    service = FakeService()
    client = make_client(service, guards=Guards())
    await client.send([PHONE, "79990000000"], "Hi")
    with pytest.raises(DuplicateSend) as caught:
        await client.send(["89990000000", PHONE], "Hi")
    assert caught.value.retry_after == pytest.approx(61.2, abs=1)
    assert PHONE[1:] not in str(caught.value)
    await client.send([PHONE, "79990000000"], "Hi", allow_duplicate=True)
    await client.send([PHONE, "79990000000"], "Ho")
    assert len(service.requests) == 3


async def test_same_batch_goes_once_a_minute_unless_that_is_wanted() -> None:
    service = FakeService()
    client = make_client(service, guards=Guards())
    batch = [Message(PHONE, "Hi"), Message("+79990000000", "Ho")]
    assert [outcome.error async for outcome in client.send_batch(batch)] == [None, None]
    with pytest.raises(DuplicateSend):
        await anext(client.send_batch(reversed(batch)))
    assert [outcome.error async for outcome in client.send_batch(batch, allow_duplicate=True)] == [None, None]


@virtual_time
async def test_send_that_was_not_sent_is_no_duplicate() -> None:
    service = FakeService([ConnectError("refused"), PoolTimeout("full")])
    client = make_client(service, guards=Guards(), retries=0)
    for error in (ConnectError, PoolTimeout):
        with pytest.raises(error):
            await client.send(PHONE, "Hi")
    await client.send(PHONE, "Hi")
    assert await _idle(client)


@virtual_time
async def test_each_repetition_takes_its_place_anew() -> None:
    service = FakeService()
    client = make_client(service, guards=Guards())
    await client.balance()
    service.script = [ReadTimeout("late")] * 3
    await client.status(REF)
    assert len(service.requests) == 5
    assert await _took(client.status(REF)) == 0
    assert await _took(client.status(REF)) == pytest.approx(61.2)


@virtual_time
async def test_send_with_a_lost_answer_counts_as_sent() -> None:
    client = make_client(FakeService([ReadTimeout("late")]), guards=Guards())
    with pytest.raises(ReadTimeout):
        await client.send(PHONE, "Hi")
    with pytest.raises(DuplicateSend) as caught:
        await client.send(PHONE, "Hi")
    assert caught.value.retry_after == pytest.approx(66.2)


@virtual_time
async def test_wrong_namespace_costs_no_slot() -> None:
    service = FakeService(namespace="https://sms.test/other")
    client = make_client(service, guards=Guards())
    await client.send(PHONE, "Hi")
    with pytest.raises(DuplicateSend):
        await client.send(PHONE, "Hi")
    missing = FakeService([fault("Server", "Procedure 'send' not present")] * 2)
    client = make_client(missing, guards=Guards())
    for _ in range(2):
        with pytest.raises(Exception, match="doesn't know this namespace"):
            await client.send(PHONE, "Hi")


@pytest.mark.parametrize(
    "reply", [fault("Client", "Bad Request"), fault("Server", "oops"), HTTPStatusError("HTTP 404", status_code=404)]
)
@virtual_time
async def test_answered_send_keeps_its_place_whatever_the_answer(reply: object) -> None:
    client = make_client(FakeService([reply]), guards=Guards())  # type: ignore[list-item]
    with pytest.raises(Exception, match=r"oops|Bad Request|404"):
        await client.send(PHONE, "Hi")
    with pytest.raises(DuplicateSend) as caught:
        await client.send(PHONE, "Hi")
    assert caught.value.retry_after == pytest.approx(61.2)


@virtual_time
async def test_read_that_the_service_refuses_as_too_often_waits_for_its_window_and_repeats() -> None:
    service = FakeService([answer("get_status", error="9")])
    client = make_client(service, guards=Guards())
    assert await _took(client.status(REF)) == pytest.approx(61.2)
    assert len(service.requests) == 2


@pytest.mark.parametrize("policy", ["wait", "raise", "off"])
@virtual_time
async def test_read_refused_as_too_often_is_told_when_it_may_not_or_can_not_wait(policy: str) -> None:
    service = FakeService([answer("get_balance", error="9")])
    guards = Guards(rules=Rules().with_policies(balance=policy))  # type: ignore[arg-type]
    client = make_client(service, guards=guards, deadline=20)
    with pytest.raises(TooManyRequests):
        await client.balance()
    assert len(service.requests) == 1
    assert await _idle(client)


async def test_error_9_without_guards_or_on_a_send_is_raised() -> None:
    for guards in (None, Guards()):
        client = make_client(FakeService([answer("send_sms", error="9")]), guards=guards)
        with pytest.raises(TooManyRequests):
            await client.send(PHONE, "Hi")
    with pytest.raises(TooManyRequests):
        await make_client(FakeService([answer("get_balance", error="9")]), guards=None).balance()


@virtual_time
async def test_service_that_always_says_too_often_is_not_asked_for_ever() -> None:
    service = FakeService([answer("get_balance", error="9")] * 9)
    with pytest.raises(TooManyRequests):
        await make_client(service, guards=Guards(), deadline=None).balance()
    assert len(service.requests) == 4


async def test_wrong_password_stops_before_the_service_blocks_and_a_corrected_one_goes_on() -> None:
    guards = Guards()
    service = FakeService([answer("get_balance", error="2")] * 3)
    wrong = make_client(service, guards=guards, apikey=None, login="shop", password="wrong")
    for _ in range(3):
        with pytest.raises(AuthenticationFailed):
            await wrong.balance()
    with pytest.raises(BreakerOpen):
        await wrong.balance()
    right = make_client(service, guards=guards, apikey=None, login="shop", password="right")
    await right.balance()
    assert len(service.requests) == 4


@virtual_time
async def test_cancelled_call_releases_its_slot() -> None:
    service = FakeService(latency=60)
    client = make_client(service, guards=Guards())
    with anyio.move_on_after(5):
        await client.status(REF)
    # It may still be at the service for a while: late_arrival, and the margin.
    await anyio.sleep(6.3)
    assert await _idle(client)
    snapshot = await client.guards.snapshot()
    assert snapshot.rules["status"].keys == 1


@virtual_time
async def test_reservation_that_is_out_of_date_is_never_posted() -> None:
    class Stale(MemoryStore):
        async def acquire(self, *arguments: object) -> object:  # type: ignore[override]
            reservation = await super().acquire(*arguments)  # type: ignore[arg-type]
            reservation.expires = anyio.current_time()  # type: ignore[union-attr]
            return reservation

    service = FakeService()
    client = make_client(service, guards=Guards(Stale()), retries=0)  # type: ignore[arg-type]
    with pytest.raises(PoolTimeout):
        await client.send(PHONE, "Hi")
    assert service.requests == []
    assert await _idle(client)


async def test_value_that_can_not_be_encoded_releases_its_slot() -> None:
    class Odd(GetBalance):
        def fields(self) -> dict[str, str]:
            return {"balance": "\x00"}

    client = make_client(FakeService(), guards=Guards())
    with pytest.raises(ValueError, match="XML"):
        await client.call(Odd())
    assert await _idle(client)


def test_guards_of_two_clients_close_with_the_last() -> None:
    class Counting(MemoryStore):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    async def main() -> None:
        store = Counting()
        guards = Guards(store)
        async with make_client(FakeService(), guards=guards) as first:
            async with make_client(FakeService(), guards=guards):
                pass
            assert store.closed == 0
            await first.balance()
        assert store.closed == 1

    asyncio.run(main())


def test_a_clients_guards_go_on_with_it_on_another_event_loop() -> None:
    client = make_client(FakeService(), guards=Guards(), deadline=30)
    for _ in range(5):
        anyio.run(client.status, REF)

    async def sixth() -> None:
        with pytest.raises(StatusTooOften) as caught:
            await client.status(REF)
        assert 50 < (caught.value.retry_after or 0) <= 61.2

    trio.run(sixth)


@pytest.mark.parametrize("deadline", [0.1, 1.0, 3.0, 8.0, 90.0])
@virtual_time
async def test_a_connection_that_does_not_come_about_before_a_short_deadline_is_no_lost_request(
    deadline: float,
) -> None:
    kept: list[UnresolvedSend] = []
    async with anyio.create_task_group() as group:
        network = Network(group)
        network.break_down(Fault(Kind.STALL, Side.CONNECT, lasts=math.inf))
        with network.installed():
            client = Client(apikey="demo", url=HANGING, on_unresolved=kept.append)
            with pytest.raises(ConnectError) as caught:
                await client.send(PHONE, "Hi", deadline=deadline)
    assert (caught.value.outcome, kept) == (Outcome.NOT_SENT, [])
