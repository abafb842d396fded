"""A batch keeps several requests in flight, and still no message is sent twice, lost, or without an outcome."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
import trio

from smsc_async import (
    AddressBlocked,
    AuthenticationFailed,
    BreakerOpen,
    Client,
    ConnectionLost,
    Guards,
    InsufficientFunds,
    Message,
    MessageOutcome,
    MessageRef,
    Outcome,
    Reply,
    Rule,
    Rules,
    SendList,
    SmscError,
    UnresolvedSend,
)
from smsc_async._protocol.binding import Incoming
from smsc_async._sending import Concurrency, Workers
from tests.doubles import FakeService, answer, make_client, query_of
from tests.sending.lossy_service import Network, _is_idle
from tests.virtual import virtual_time

on_each_loop = pytest.mark.parametrize("loop", ["asyncio", "trio"])
NO_BAD_SENDS = Rules().with_policies(bad_sends="off")


def _messages(count: int, first: int = 0) -> list[Message]:
    return [Message(f"+7999{number:07d}", f"text {number}") for number in range(first, first + count)]


async def _all(outcomes: AsyncIterator[MessageOutcome]) -> list[MessageOutcome]:
    return [outcome async for outcome in outcomes]


def _lines(request: Incoming) -> list[str]:
    return query_of(request)["list"].split("\n")


def _accepted(request: Incoming) -> Reply:
    return answer("send_sms2", id=str(request.fields["id"]), cnt="1")


@pytest.mark.parametrize(
    ("workers", "size", "in_flight", "bad_sends", "expected"),
    [
        ("auto", 49, 14, 99, (2, 44)),
        ("auto", 99, 14, 99, (1, 89)),
        ("auto", 44, 14, 99, (2, 44)),
        ("auto", 22, 14, 99, (4, 22)),
        ("auto", 10, 14, 99, (9, 9)),
        ("auto", 1, 14, 99, (10, 1)),
        ("auto", 49, 14, None, (10, 49)),
        ("auto", 49, 4, None, (2, 49)),
        ("auto", 49, 1, None, (1, 49)),
        ("auto", 49, 1, 99, (1, 49)),
        ("auto", 49, 14, 10, (1, 5)),
        ("auto", 49, 14, 1, (1, 1)),
        (1, 49, 14, 99, (1, 49)),
        (3, 33, 14, 99, (3, 33)),
        (3, 34, 14, 99, (2, 34)),
        (99, 49, 14, 99, (2, 49)),
        (99, 49, 14, 48, (1, 49)),
        (99, 7, 14, 99, (14, 7)),
        (99, 49, 14, None, (14, 49)),
    ],
)
def test_a_batch_leaves_room_for_other_calls_unless_the_number_of_workers_is_given(
    workers: Workers, size: int, in_flight: int, bad_sends: int | None, expected: tuple[int, int]
) -> None:
    assert Concurrency.of(workers, size, in_flight=in_flight, bad_sends=bad_sends) == Concurrency(*expected)


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, None, "many"])
@pytest.mark.parametrize("kind", ["send_batch", "cost_batch"])
async def test_a_wrong_number_of_workers_is_refused_before_anything_is_sent(kind: str, workers: Any) -> None:
    service = FakeService()
    with pytest.raises(ValueError, match="workers must be a whole number, at least 1, or 'auto'"):
        await anext(getattr(make_client(service), kind)(_messages(1), workers=workers))
    assert service.urls == []


@pytest.mark.parametrize(
    ("rules", "workers", "count", "peak", "seconds"),
    [
        (Rules(), "auto", 9 * 44, 2, 5),
        (NO_BAD_SENDS, "auto", 11 * 49, 10, 2),
        (Rules(), 1, 8 * 49, 1, 8),
        (NO_BAD_SENDS, 4, 8 * 49, 4, 3),
    ],
)
@virtual_time
async def test_after_the_first_request_a_batch_keeps_several_in_flight(
    rules: Rules, workers: Workers, count: int, peak: int, seconds: int
) -> None:
    service = FakeService(latency=1)
    client = make_client(service, guards=Guards(rules=rules))
    messages = _messages(count)
    start = trio.current_time()
    outcomes = await _all(client.send_batch(messages, workers=workers))
    assert [outcome.message for outcome in outcomes if outcome.ref] == messages
    assert service.peak == peak
    assert trio.current_time() - start == pytest.approx(seconds)
    assert await _is_idle(client)


@pytest.mark.parametrize("latency", [5, 25])
@virtual_time
async def test_no_request_of_a_batch_waits_for_another_one_in_the_guards_until_its_deadline(latency: int) -> None:
    service = FakeService(latency=latency)
    client = make_client(service, guards=Guards(), deadline=30)
    outcomes = await _all(client.send_batch(_messages(15 * 49), workers=14))
    assert all(outcome.ref for outcome in outcomes)
    assert trio.current_time() == pytest.approx(8 * latency)


@virtual_time
async def test_costs_are_requested_several_at_a_time_in_the_same_chunks() -> None:
    service = FakeService(latency=1)
    start = trio.current_time()
    chunks = [each async for each in make_client(service, guards=Guards()).cost_batch(_messages(5 * 44))]
    assert [len(chunk.messages) for chunk in chunks] == [44] * 5
    assert [chunk.cost is not None for chunk in chunks] == [True] * 5
    assert service.peak == 2
    assert trio.current_time() - start == pytest.approx(3)


async def test_no_request_is_in_flight_while_an_outcome_is_yielded_and_a_loop_left_early_has_sent_one_wave() -> None:
    service = FakeService(latency=0.001)
    async with aclosing(make_client(service, batch_size=2).send_batch(_messages(500), workers=3)) as outcomes:
        seen = 0
        async for outcome in outcomes:
            assert sum(service.in_flight.values()) == 0
            seen += outcome.ref is not None
            if seen == 4:
                break
    assert len(service.requests) == 1 + 3


@virtual_time
async def test_outcomes_are_in_order_however_the_answers_arrive() -> None:
    class Reversing(FakeService):
        async def post(self, *args: Any) -> Reply:
            self.latency = max(10.0 - len(self.requests), 1.0)
            return await super().post(*args)

    service = Reversing()
    messages = _messages(16)
    outcomes = await _all(make_client(service, batch_size=2).send_batch(messages, workers=7))
    assert [outcome.message for outcome in outcomes] == messages
    ids = {line.partition(":")[0]: str(each.fields["id"]) for each in service.requests for line in _lines(each)}
    assert [outcome.ref for outcome in outcomes] == [MessageRef(each.phone, ids[each.phone]) for each in messages]


@virtual_time
async def test_one_at_a_time_until_the_service_accepts_a_request() -> None:
    refused = answer("send_sms2", error="7")
    service = FakeService([refused, ConnectionLost("cut"), refused], latency=1)
    client = make_client(service, batch_size=1, retries=0)
    start = trio.current_time()
    outcomes = await _all(client.send_batch(_messages(9), workers=5))
    assert [outcome.ref is not None for outcome in outcomes] == [False] * 3 + [True] * 6
    # Three fail and one is accepted, each alone; then five at once.
    assert trio.current_time() - start == pytest.approx(4 + 1)


@virtual_time
async def test_messages_to_one_recipient_are_never_in_flight_together() -> None:
    service = FakeService(latency=1)
    first, second, third = "+79990000001", "+79990000002", "+79990000003"
    # The | puts each in a request of its own.
    messages = [Message(phone, f"a|b {number}") for number, phone in enumerate([first, second, "89990000001", third])]
    messages += [Message(third, "plain"), Message(third, "again")]
    start = trio.current_time()
    outcomes = await _all(make_client(service).send_batch([*_messages(1), *messages], workers=9))
    assert [outcome.message for outcome in outcomes] == [*_messages(1), *messages]
    sent = [str(each.fields["mes"]) or _lines(each)[0].partition(":")[2] for each in service.requests[1:]]
    assert [set(sent[:2]), set(sent[2:4]), *sent[4:]] == [{"a|b 0", "a|b 1"}, {"a|b 2", "a|b 3"}, "plain", "again"]
    assert trio.current_time() - start == pytest.approx(5)


@pytest.mark.parametrize(
    ("code", "kind"), [("2", AuthenticationFailed), ("3", InsufficientFunds), ("4", AddressBlocked)]
)
@pytest.mark.parametrize("with_guards", [False, True])
@virtual_time
async def test_an_error_about_all_messages_wastes_at_most_what_is_in_flight(
    code: str, kind: type[SmscError], *, with_guards: bool
) -> None:
    service = FakeService([*[_accepted] * 5, *[answer("send_sms2", error=code)] * 99], latency=1)
    client = make_client(service, batch_size=1, guards=Guards() if with_guards else None)
    outcomes = await _all(client.send_batch(_messages(40), workers=4))
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [type(None)] * 5 + [kind] * 4 + [BreakerOpen] * 31
    assert len(service.requests) == 1 + 4 + 4
    left_out = [outcome.error for outcome in outcomes[9:]]
    assert {(each.outcome, each.refs) for each in left_out if isinstance(each, SmscError)} == {(Outcome.NOT_SENT, ())}


@pytest.mark.parametrize("with_wrong_item", [False, True])
async def test_a_source_that_fails_ends_the_batch_after_the_wave_before_it(*, with_wrong_item: bool) -> None:
    def source() -> Iterator[Message]:
        yield from _messages(7)
        if with_wrong_item:
            yield "+79990000007"  # type: ignore[misc]
        raise LookupError("the table is gone")

    service = FakeService()
    got: list[MessageOutcome] = []

    async def consume() -> None:
        async for outcome in make_client(service, batch_size=2).send_batch(source(), workers=5):
            got.append(outcome)  # noqa: PERF401 - the source fails

    with pytest.raises(ValueError if with_wrong_item else LookupError, match=r"each item|gone"):
        await consume()
    sent = 6 if with_wrong_item else 7
    assert [outcome.message for outcome in got if outcome.ref] == _messages(sent)
    assert sum(len(_lines(request)) for request in service.requests) == sent


async def test_the_source_is_read_outside_of_the_task_group_of_a_wave() -> None:
    """It may open a scope at one message and close it at another."""

    async def source() -> AsyncIterator[Message]:
        with anyio.CancelScope():
            for message in _messages(20):
                yield message

    outcomes = await _all(make_client(FakeService(), batch_size=2).send_batch(source(), workers=4))
    assert len([outcome for outcome in outcomes if outcome.ref]) == 20


@dataclass
class _Halting(FakeService):
    """Answers the first request and then every other one; it receives the rest and never answers."""

    received: anyio.Event = field(default_factory=anyio.Event)

    async def post(self, *args: Any) -> Reply:
        reply = await super().post(*args)
        number = len(self.requests)
        if number == 1 + 4:
            self.received.set()
        if number > 1 and number % 2:
            await anyio.sleep_forever()
        return reply


@on_each_loop
@pytest.mark.parametrize("on_unknown", ["reconcile", "raise"])
def test_a_cancelled_wave_leaks_nothing_and_hands_over_each_send_whose_outcome_nobody_received(
    on_unknown: str, loop: str
) -> None:
    async def main() -> None:
        kept: list[UnresolvedSend] = []
        service = _Halting()
        client = make_client(service, batch_size=2, guards=Guards(), on_unknown=on_unknown, on_unresolved=kept.append)
        outcomes: list[MessageOutcome] = []
        began = datetime.now(UTC)

        async def batch() -> None:
            async for outcome in client.send_batch(_messages(40), workers=4):
                outcomes.append(outcome)  # noqa: PERF401 - cancelled in the middle

        async with anyio.create_task_group() as group:
            group.start_soon(batch)
            await service.received.wait()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert [outcome.message for outcome in outcomes] == _messages(2)
        assert len(service.requests) == 1 + 4
        sent = {
            MessageRef(line.partition(":")[0], str(request.fields["id"]))
            for request in service.requests[1:]
            for line in _lines(request)
        }
        assert len(kept) == 4
        assert {ref for each in kept for ref in each.refs} == sent
        assert all(each.is_own_id and each.began >= began for each in kept)
        assert await _is_idle(client)
        await client.aclose()

    anyio.run(main, backend=loop)


@on_each_loop
@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("kind", ["send_batch", "cost_batch"])
def test_what_else_is_raised_in_a_wave_is_raised_as_it_is_and_hands_over_the_others(
    kind: str, failure: type[BaseException], loop: str
) -> None:
    kept: list[UnresolvedSend] = []
    made: list[SendList] = []

    async def main() -> None:
        client = make_client(FakeService(), batch_size=2, on_unresolved=kept.append)
        inner, answered = client.call, anyio.Event()

        async def call(operation: Any, **options: Any) -> Any:
            made.append(operation)
            number = len(made)
            if number == 3:
                await answered.wait()
                raise failure
            if number == 4:
                await anyio.sleep_forever()
            result = await inner(operation, **options)
            answered.set() if number == 2 else None
            return result

        client.call = call  # type: ignore[method-assign]
        await _all(getattr(client, kind)(_messages(8), workers=3))

    with pytest.raises(failure):
        anyio.run(main, backend=loop)
    assert [each.id for each in kept] == ([made[1].id] if kind == "send_batch" else [])


async def _bulk(client: Client, count: int, workers: Workers) -> list[MessageOutcome]:
    return await _all(client.send_batch(_messages(count), workers=workers, deadline=60))


@pytest.mark.parametrize("fault", ["lost", "gone", "late", "html", "empty", "refused", "full", "foreign"])
@pytest.mark.parametrize("at", range(1, 6))
@virtual_time
async def test_a_fault_in_the_middle_of_a_wave_sends_no_message_twice_and_each_has_its_outcome(
    fault: str, at: int
) -> None:
    network = Network(*["ok"] * at, fault)
    client = network.client(guards=Guards(), batch_size=3)
    outcomes = await _bulk(client, 18, workers=3)
    assert [outcome.message for outcome in outcomes] == _messages(18)
    phones = [f"+{message.phone}" for message in network.sandbox.messages]
    assert len(phones) == len(set(phones))
    assert {outcome.message.phone for outcome in outcomes if outcome.ref} == set(phones)
    errors = [outcome.error for outcome in outcomes if not outcome.ref]
    assert all(isinstance(error, SmscError) and error.outcome is Outcome.NOT_SENT for error in errors)
    assert bool(errors) is (fault in {"gone", "refused", "full"})
    assert await _is_idle(client)


@pytest.mark.parametrize("lost", [["gone", "gone"], ["gone", "gone", "lost"], ["lost", "lost"]])
@virtual_time
async def test_a_batch_goes_on_after_a_wave_that_was_lost(lost: list[str]) -> None:
    """Its messages may count as refused, so the next request is small enough for the rest of the limit."""
    network = Network()
    post, of_sends = network.post, iter(["ok", *lost])

    async def fail_sends(*request: Any) -> Reply:
        network.script = [next(of_sends, "ok")] if b"<ns1:send2>" in request[2] else []
        return await post(*request)

    network.post = fail_sends  # type: ignore[assignment,method-assign]
    outcomes = await _bulk(network.client(guards=Guards()), 1000, workers="auto")
    assert [outcome.message for outcome in outcomes] == _messages(1000)
    assert network.accepted == sum(outcome.ref is not None for outcome in outcomes) == 1000 - 44 * lost.count("gone")


@virtual_time
async def test_costs_keep_their_chunks_after_a_wave_that_was_lost() -> None:
    network = Network("ok", "gone", "gone")
    costs = [each async for each in network.client(guards=Guards()).cost_batch(_messages(5 * 44))]
    assert [len(each.messages) for each in costs] == [44] * 5
    assert [each.error is None for each in costs] == [True, False, False, True, True]


@pytest.mark.parametrize("after", [0.05, 0.15, 0.25, 0.35])
@virtual_time
async def test_a_batch_that_is_killed_in_a_wave_and_resolved_afterwards_has_sent_each_message_at_most_once(
    after: float,
) -> None:
    network = Network(then="slow")
    kept: list[UnresolvedSend] = []
    client = network.client(guards=Guards(), batch_size=3, on_unresolved=kept.append)
    received: list[MessageOutcome] = []
    with anyio.move_on_after(after):
        async for outcome in client.send_batch(_messages(30), workers=4):
            received.append(outcome)  # noqa: PERF401 - cancelled in the middle
    network.then = "ok"
    found = [await client.resolve(each) for each in kept]
    known = {outcome.ref for outcome in received} | {ref for each in found if each for ref in each.refs}
    left = [each for each in _messages(30) if each.phone not in {ref.phone for ref in known if ref}]
    await anyio.sleep(70)  # the same messages may be sent again
    again = await _all(client.send_batch(left, workers=4))
    assert all(outcome.ref for outcome in again)
    phones = [f"+{message.phone}" for message in network.sandbox.messages]
    assert sorted(phones) == [message.phone for message in _messages(30)]


@virtual_time
async def test_a_one_time_code_beside_batches_of_the_same_client_waits_at_most_two_requests() -> None:
    service = FakeService(latency=1)
    client = make_client(service, guards=Guards(), deadline=None)
    await client.balance()
    took: list[float] = []

    async def campaign(first: int) -> None:
        await _all(client.send_batch(_messages(44 * 12, first)))

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(campaign, number * 10_000)
        for number in range(10):
            await anyio.sleep(0.7)
            start = trio.current_time()
            await client.send(f"+7888{number:07d}", f"Your code is {number}")
            took.append(trio.current_time() - start)
    assert max(took) <= 1 + 2


@virtual_time
async def test_messages_of_lost_requests_leave_room_for_a_one_time_code() -> None:
    network = Network("ok", "gone", "gone", then="ok")
    client = network.client(guards=Guards(rules=Rules(status=Rule(5, 60))), deadline=None)
    async with anyio.create_task_group() as group:
        group.start_soon(_bulk, client, 44 * 5, "auto")
        await anyio.sleep(0.5)
        start = trio.current_time()
        await client.send("+78880000001", "Your code is 1")
        assert trio.current_time() - start < 0.1
        group.cancel_scope.cancel()
