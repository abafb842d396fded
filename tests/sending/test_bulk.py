"""A batch of any length yields one outcome for each message, in order, whatever happens on the way."""

import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import cast

import pytest
import trio

from smsc_async import (
    AddressBlocked,
    AuthenticationFailed,
    BreakerOpen,
    ChunkCost,
    Client,
    ConnectError,
    ConnectionLost,
    DeliveryReport,
    Email,
    Guards,
    Hlr,
    InsufficientFunds,
    InvalidPhone,
    Message,
    MessageNotFound,
    MessageOutcome,
    MessageRef,
    MessageStatus,
    Outcome,
    ReadTimeout,
    SmscError,
    Timeout,
    Undeliverable,
    Viber,
)
from smsc_async._sending import Workers
from tests.doubles import FakeService, answer, make_client, query_of
from tests.virtual import virtual_time


def _messages(count: int, first: int = 0) -> list[Message]:
    return [Message(f"+7999{number:07d}", f"text {number}") for number in range(first, first + count)]


async def _all(outcomes: AsyncIterator[MessageOutcome]) -> list[MessageOutcome]:
    return [outcome async for outcome in outcomes]


def _lines(service: FakeService) -> list[list[str]]:
    return [query_of(request)["list"].split("\n") for request in service.requests]


@pytest.mark.parametrize(("workers", "sizes"), [(1, [49, 49, 22]), (2, [49, 49, 22]), ("auto", [44, 44, 32])])
async def test_messages_are_sent_in_chunks_and_outcomes_are_in_order(workers: Workers, sizes: list[int]) -> None:
    service = FakeService()
    messages = _messages(120)
    outcomes = await _all(make_client(service).send_batch(messages, sender="shop", via=Viber(), workers=workers))
    assert [outcome.message for outcome in outcomes] == messages
    assert [len(lines) for lines in _lines(service)] == sizes
    assert _lines(service)[0][0] == "+79990000000:text 0"
    ids = [str(request.fields["id"]) for request in service.requests]
    assert len(set(ids)) == 3
    expected = [MessageRef(message.phone, ids[position // sizes[0]]) for position, message in enumerate(messages)]
    assert [outcome.ref for outcome in outcomes] == expected
    assert {outcome.error for outcome in outcomes} == {None}
    assert {str(request.fields["sender"]) for request in service.requests} == {"shop"}
    assert {query_of(request)["viber"] for request in service.requests} == {"1"}


async def test_source_may_be_async_and_the_size_an_option() -> None:
    async def source() -> AsyncIterator[Message]:
        for message in _messages(5):
            yield message

    service = FakeService()
    outcomes = await _all(make_client(service, batch_size=2).send_batch(source()))
    assert [outcome.message for outcome in outcomes] == _messages(5)
    assert [len(lines) for lines in _lines(service)] == [2, 2, 1]


async def test_empty_batch_makes_no_request() -> None:
    service = FakeService()
    assert await _all(make_client(service).send_batch([])) == []
    assert service.urls == []


@pytest.mark.parametrize(("workers", "count"), [(1, 49 + 49 + 49), ("auto", 44 + 2 * 44)])
async def test_endless_source_is_read_one_wave_at_a_time(workers: Workers, count: int) -> None:
    taken: list[Message] = []

    def endless() -> Iterator[Message]:
        number = 0
        while True:
            taken.extend(_messages(1, first=number))
            yield taken[-1]
            number += 1

    service = FakeService()
    async for outcome in make_client(service).send_batch(endless(), workers=workers):
        if outcome.message.text == "text 120":
            break
    assert len(taken) == count
    assert len(service.requests) == 3


async def test_same_phone_is_never_twice_in_a_request() -> None:
    service = FakeService()
    messages = [Message("+79991234567", "one"), Message("89991234567", "two"), Message("+79991234568", "three")]
    outcomes = await _all(make_client(service).send_batch(messages))
    assert [outcome.message for outcome in outcomes] == messages
    assert [len(lines) for lines in _lines(service)] == [1, 2]


async def test_text_that_a_line_can_not_carry_is_sent_unchanged_in_its_own_request() -> None:
    service = FakeService()
    messages = [*_messages(1), Message("+79991112233", r"C:\new|x"), *_messages(1, first=1)]
    outcomes = await _all(make_client(service).send_batch(messages))
    assert [outcome.message for outcome in outcomes] == messages
    assert [request.method for request in service.requests] == ["send_sms2", "send_sms", "send_sms2"]
    assert service.requests[1].fields["mes"] == r"C:\new|x"
    assert outcomes[1].ref == MessageRef("+79991112233", str(service.requests[1].fields["id"]))


async def test_error_of_the_source_is_raised_after_the_outcomes_of_its_messages() -> None:
    def source() -> Iterator[Message]:
        yield from _messages(3)
        raise LookupError("the table is gone")

    service = FakeService()
    got: list[MessageOutcome] = []

    async def consume() -> None:
        async for outcome in make_client(service, batch_size=2).send_batch(source()):
            got.append(outcome)  # noqa: PERF401 - the source fails in the middle

    with pytest.raises(LookupError, match="the table is gone"):
        await consume()
    assert [outcome.message for outcome in got] == _messages(3)
    assert [len(lines) for lines in _lines(service)] == [2, 1]


async def test_no_message_of_a_chunk_with_a_wrong_item_is_sent_and_the_chunks_before_it_have_outcomes() -> None:
    service = FakeService()
    got: list[MessageOutcome] = []

    async def consume() -> None:
        async for outcome in make_client(service, batch_size=2).send_batch([*_messages(3), 5]):  # type: ignore[list-item]
            got.append(outcome)  # noqa: PERF401 - an item is wrong

    with pytest.raises(ValueError, match="each item of messages must be a Message"):
        await consume()
    assert [outcome.message for outcome in got if outcome.ref] == _messages(2)
    assert [len(lines) for lines in _lines(service)] == [2]


@pytest.mark.parametrize("kind", ["send_batch", "cost_batch"])
def test_the_help_of_a_batch_lists_each_argument(kind: str) -> None:
    method = getattr(Client, kind)
    for name in set(inspect.signature(method).parameters) - {"self", "options"} | {"tinyurl", "extra"}:
        assert f"    {name}: " in method.__doc__


async def test_error_of_a_source_without_messages_is_raised() -> None:
    def source() -> Iterator[Message]:
        yield from _messages(0)
        raise LookupError("no table")

    service = FakeService()
    with pytest.raises(LookupError):
        await _all(make_client(service).send_batch(source()))
    assert service.urls == []


async def test_wrong_argument_is_raised_before_a_request_is_made() -> None:
    service = FakeService()
    with pytest.raises(ValueError, match="period"):
        await _all(make_client(service).send_batch(_messages(3), freq=5))
    with pytest.raises(ValueError, match="Email needs"):
        await _all(make_client(service).send_batch(_messages(3), via=Email(sender="a@b.c", subject="s")))
    with pytest.raises(ValueError, match="Email needs"):
        await anext(make_client(service).cost_batch(_messages(3), via=Email(sender="a@b.c", subject="s")))
    assert service.urls == []


async def test_channel_without_a_text_takes_no_batch() -> None:
    service = FakeService()
    with pytest.raises(ValueError, match="Hlr has no text"):
        await _all(make_client(service).send_batch(_messages(3), via=Hlr()))
    assert service.urls == []


async def test_error_of_a_first_request_that_was_not_sent_is_raised() -> None:
    service = FakeService([ConnectError("gone"), ConnectError("gone")])
    with pytest.raises(ConnectError):
        await _all(make_client(service, retries=0).send_batch(_messages(3)))
    assert len(service.requests) == 1


async def test_errors_are_outcomes_once_the_first_request_was_sent() -> None:
    service = FakeService()
    service.script = [
        lambda request: answer("send_sms2", id=str(request.fields["id"]), cnt="2"),
        ConnectionLost("cut"),
        ConnectError("gone"),
        lambda request: answer("send_sms2", id=str(request.fields["id"]), error="7"),
    ]
    messages = _messages(8)
    outcomes = await _all(make_client(service, batch_size=2, retries=0).send_batch(messages))
    assert [outcome.message for outcome in outcomes] == messages
    kinds = [type(outcome.error) for outcome in outcomes[::2]]
    assert kinds == [type(None), ConnectionLost, ConnectError, InvalidPhone]
    assert len(service.requests) == 4


async def test_message_of_unknown_outcome_has_the_reference_that_reconciles_it() -> None:
    service = FakeService([ReadTimeout("late")])
    outcomes = await _all(make_client(service).send_batch(_messages(2)))
    assert len(service.requests) == 1
    for outcome in outcomes:
        assert isinstance(outcome.error, ReadTimeout)
        assert outcome.error.outcome is Outcome.UNKNOWN
        assert outcome.error.refs == (MessageRef(outcome.message.phone, str(service.requests[0].fields["id"])),)


async def test_message_that_turns_out_wrong_later_is_an_outcome() -> None:
    service = FakeService()
    messages = [*_messages(2), Message("someone@example.com", "to the wrong channel")]
    outcomes = await _all(make_client(service, batch_size=2).send_batch(messages))
    assert [type(outcome.error) for outcome in outcomes] == [type(None), type(None), ValueError]
    assert len(service.requests) == 1


async def test_message_that_turns_out_wrong_fails_alone() -> None:
    """The other messages of its chunk are sent."""
    service = FakeService()
    given = [*_messages(2), Message("a@example.com", "no SMS"), *_messages(2, 2)]
    outcomes = await _all(make_client(service).send_batch(given))
    assert [outcome.ref is not None for outcome in outcomes] == [True, True, False, True, True]
    assert isinstance(outcomes[2].error, ValueError)


@pytest.mark.parametrize(
    ("code", "error"), [("2", AuthenticationFailed), ("3", InsufficientFunds), ("4", AddressBlocked)]
)
@pytest.mark.parametrize("with_guards", [False, True])
async def test_an_error_about_all_messages_stops_the_job_and_each_other_message_is_not_sent(
    code: str, error: type[SmscError], *, with_guards: bool
) -> None:
    service = FakeService([answer("send_sms2", error=code)])
    client = make_client(service, batch_size=2, guards=Guards() if with_guards else None)
    outcomes = await _all(client.send_batch(_messages(6)))
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [error] * 2 + [BreakerOpen] * 4
    assert len(service.requests) == 1
    left_out = [cast("SmscError", outcome.error) for outcome in outcomes[2:]]
    assert {(each.outcome, each.refs) for each in left_out} == {(Outcome.NOT_SENT, ())}


async def test_refused_recipients_have_errors_and_the_others_references() -> None:
    def partly(request: object) -> object:
        return answer("send_sms2", id=ids(request), cnt="2", cost="3", errors=[{"phone": "79990000001", "status": "8"}])

    def ids(request: object) -> str:
        return str(request.fields["id"])  # type: ignore[attr-defined]

    service = FakeService([partly])  # type: ignore[list-item]
    first, second, third = await _all(make_client(service).send_batch(_messages(3), cost=2))
    assert query_of(service.requests[0])["err"] == "1"
    assert first.ref is not None
    assert third.ref is not None
    assert second.ref is None
    assert isinstance(second.error, Undeliverable)
    assert second.error.refs == (MessageRef("+79990000001", ids(service.requests[0])),)
    assert first.sent is not None
    assert first.sent.cost == 3
    assert first.sent.refs == (first.ref, third.ref)


@virtual_time
async def test_requests_of_one_worker_are_made_one_at_a_time_and_each_has_the_deadline() -> None:
    service = FakeService(latency=3)
    client = make_client(service, batch_size=1)
    start = trio.current_time()
    outcomes = await _all(client.send_batch(_messages(4), deadline=5, timeout=Timeout(read=4), workers=1))
    assert {outcome.error for outcome in outcomes} == {None}
    assert trio.current_time() - start == pytest.approx(12)
    assert service.peak == 1
    assert {timeout.read for timeout in service.timeouts} == {4}
    service.latency = 10
    late = await _all(client.send_batch(_messages(2), deadline=5))
    assert [type(outcome.error) for outcome in late] == [ReadTimeout] * 2


def test_batch_that_is_left_early_closes_its_generators_on_trio() -> None:
    """Trio warns about each async generator that is left to the garbage collector."""
    closed: list[str] = []

    async def source() -> AsyncIterator[Message]:
        try:
            for message in _messages(9):
                yield message
        finally:
            closed.append("source")

    async def main() -> None:
        service = FakeService()
        async with aclosing(source()) as messages:  # type: ignore[type-var]
            outcomes = make_client(service, batch_size=2).send_batch(messages)
            async with aclosing(outcomes):
                async for _ in outcomes:
                    break
        assert len(service.requests) == 1
        assert closed == ["source"]

    trio.run(main)


async def test_cost_batch_yields_one_cost_per_request_and_sends_nothing() -> None:
    service = FakeService()
    messages = [*_messages(3), Message("+79991112233", "a|b")]
    chunks = [chunk async for chunk in make_client(service, batch_size=2).cost_batch(messages, via=Viber())]
    assert [message for chunk in chunks for message in chunk.messages] == messages
    assert [request.method for request in service.requests] == ["get_sms_cost2"] * 3
    assert [len(query_of(request).get("list", "").split("\n")) for request in service.requests] == [2, 1, 1]
    assert [chunk.cost and str(chunk.cost.amount) for chunk in chunks] == ["2.88"] * 3


async def test_errors_of_cost_batch_are_outcomes_too() -> None:
    service = FakeService([answer("get_sms_cost2", cost="1"), ConnectError("gone"), answer("get_sms_cost2", error="2")])
    client = make_client(service, batch_size=1, retries=0)
    chunks: list[ChunkCost] = [chunk async for chunk in client.cost_batch(_messages(4), workers=1)]
    assert [type(chunk.error) for chunk in chunks] == [type(None), ConnectError, AuthenticationFailed, BreakerOpen]
    assert len(service.requests) == 3
    with pytest.raises(ValueError, match="freq needs period"):
        [chunk async for chunk in client.cost_batch(_messages(4), freq=5)]
    assert len(service.requests) == 3


REFS = [MessageRef(f"+7999{number:07d}", "a1") for number in range(30)]


async def test_statuses_are_in_the_order_of_the_references_including_errors() -> None:
    def by_phone(request: object) -> object:
        number = int(str(request.fields["phone"])[-2:])  # type: ignore[attr-defined]
        if number % 10 == 7:
            return answer("get_status", error="3")
        return answer("get_status", status=str(number % 2))

    service = FakeService([by_phone] * 30, latency=0.001)  # type: ignore[list-item]
    reports = await make_client(service).statuses(REFS, detail=1)
    assert len(reports) == 30
    for position, report in enumerate(reports):
        if position % 10 == 7:
            assert isinstance(report, MessageNotFound)
        else:
            assert isinstance(report, DeliveryReport)
            assert (report.ref, report.status) == (REFS[position], MessageStatus(position % 2))
    assert service.status_peak == 4
    assert {request.fields["all"] for request in service.requests} == {"1"}


async def test_statuses_of_an_async_source_and_of_nothing() -> None:
    async def source() -> AsyncIterator[MessageRef]:
        for ref in REFS[:3]:
            yield ref

    service = FakeService()
    client = make_client(service)
    assert len(await client.statuses(source())) == 3
    assert await client.statuses([]) == []
    progress: list[tuple[int, int]] = []
    await client.statuses(source(), on_progress=lambda done, total: progress.append((done, total)))
    assert progress == [(1, 3), (2, 3), (3, 3)]
    assert len(service.requests) == 6


async def test_wrong_credentials_fail_once_not_once_for_each_status() -> None:
    """Five failures block the IP address, so one request is made first."""
    service = FakeService([answer("get_status", error="2")] * 30, latency=0.001)
    reports = await make_client(service).statuses(REFS)
    assert [type(report) for report in reports] == [AuthenticationFailed] + [BreakerOpen] * 29
    assert len(service.requests) == 1
