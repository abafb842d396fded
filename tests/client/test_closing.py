"""A client that is closed: no request leaves any more, and nothing is lost of those that have left."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
import trio
from anyio.lowlevel import checkpoint

from smsc_async import (
    Client,
    ClientClosed,
    ConnectError,
    DeliveryReport,
    GetBalance,
    GetCost,
    GetStatus,
    Guards,
    Message,
    MessageRef,
    Outcome,
    ReadTimeout,
    SendOutcomeUnknown,
    SentMessage,
    SmscError,
    Timeout,
    UnresolvedSend,
)
from tests.doubles import FakeService, RawRequest, answer, http_bytes, make_client, raw_server
from tests.sending.lossy_service import PHONE, Network
from tests.virtual import virtual_time

REF = MessageRef(PHONE, "a1")


async def _end(call: Callable[[], Any], ends: list[object]) -> None:
    try:
        ends.append(await call())
    except SmscError as error:
        ends.append(error)


@asynccontextmanager
async def _calls(*calls: Callable[[], Any]) -> AsyncIterator[list[object]]:
    """Start calls and wait until they can't go on; yield how they end."""
    ends: list[object] = []
    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(_end, call, ends)
            await checkpoint()
        await anyio.sleep(0.01)
        yield ends


def _sends(client: Client, count: int) -> list[Callable[[], Any]]:
    return [partial(client.send, f"+7999000{number:04}", "Hi") for number in range(count)]


def _is_closed_error(error: object) -> bool:
    return isinstance(error, ClientClosed) and error.outcome is Outcome.NOT_SENT


@virtual_time
async def test_calls_that_wait_for_the_guards_never_leave_and_those_in_flight_end() -> None:
    service = FakeService(latency=2)
    client = make_client(service, guards=Guards())
    await client.balance()  # proves the credentials
    async with _calls(*_sends(client, 40)) as ends:
        start = anyio.current_time()
        await client.aclose()
        assert anyio.current_time() - start == pytest.approx(2, abs=0.1)
    assert sum(isinstance(end, SentMessage) for end in ends) == 14
    assert sum(map(_is_closed_error, ends)) == 26
    assert all("nothing was sent" in str(end) for end in ends if isinstance(end, SmscError))
    assert (len(service.requests), service.closed) == (15, 1)
    snapshot = await client.guards.snapshot()
    assert (snapshot.waiting, {rule.in_flight for rule in snapshot.rules.values()}) == (0, {0})


@pytest.mark.parametrize("on_unknown", ["reconcile", "raise", "resend"])
@virtual_time
async def test_send_that_is_cut_has_an_unknown_outcome_and_is_handed_over(on_unknown: str) -> None:
    network = Network(then="hang")
    unresolved: list[UnresolvedSend] = []
    client = network.client(on_unknown=on_unknown, on_unresolved=unresolved.append, deadline=None)
    async with _calls(partial(client.send, PHONE, "Hi")) as ends:
        start = anyio.current_time()
        await client.aclose(timeout=3)
        assert anyio.current_time() - start == pytest.approx(3)
    error = ends[0]
    assert isinstance(error, SmscError)
    assert error.outcome is Outcome.UNKNOWN
    assert unresolved == [error.unresolved]
    assert (network.accepted, network.asked) == (1, ["send"])
    network.then = "ok"
    sent = await network.client().resolve(unresolved[0])
    assert sent is not None
    assert sent.reconciled


@virtual_time
async def test_timeout_of_nothing_cuts_at_once_and_one_without_end_waits() -> None:
    for timeout, took in ((0, 0), (math.inf, 30)):
        client = make_client(FakeService(latency=30), deadline=None, timeout=100)
        async with _calls(client.balance) as ends:
            start = anyio.current_time()
            await client.aclose(timeout=timeout)
            assert anyio.current_time() - start == pytest.approx(took, abs=0.1)
        assert isinstance(ends[0], SmscError) == (not took)


@pytest.mark.parametrize("timeout", [-1, math.nan, -math.inf])
async def test_timeout_that_is_no_time_is_refused(timeout: float) -> None:
    service = FakeService()
    client = make_client(service)
    with pytest.raises(ValueError, match="timeout must be a number of seconds, at least 0"):
        await client.aclose(timeout)
    await client.balance()


@virtual_time
async def test_call_that_pauses_before_it_is_repeated_ends_at_once() -> None:
    for failure in (ConnectError("gone"), ReadTimeout("late"), answer("get_balance", error="9")):
        service = FakeService([failure] * 3)
        client = make_client(service, guards=Guards())
        async with _calls(client.balance) as ends:
            start = anyio.current_time()
            await client.aclose()
            assert anyio.current_time() == start
        assert _is_closed_error(ends[0])
        assert len(service.urls) == 1


@virtual_time
async def test_failure_of_the_network_that_sent_nothing_is_the_end_of_a_closed_client_too() -> None:
    class Refusing(FakeService):
        async def post(self, *_: object) -> Any:
            await anyio.sleep(1)
            raise ConnectError("gone")

    client = make_client(Refusing(), retries=0)
    async with _calls(client.balance) as ends:
        await client.aclose()
    assert _is_closed_error(ends[0])


@virtual_time
async def test_namespace_is_not_corrected_any_more() -> None:
    service = FakeService(latency=1, namespace="https://other.test/")
    client = make_client(service)
    async with _calls(client.balance) as ends:
        await client.aclose()
    assert _is_closed_error(ends[0])
    assert (service.gets, len(service.urls)) == ([], 1)

    service = FakeService(latency=1, namespace="https://other.test/")
    client = make_client(service)
    async with _calls(client.balance) as ends:
        await anyio.sleep(1.5)
        await client.aclose()
    assert _is_closed_error(ends[0])
    assert (len(service.gets), len(service.urls)) == (1, 1)


@virtual_time
async def test_send_that_is_being_reconciled_stays_unknown() -> None:
    for script in (["gone"], ["gone", "refused"], ["lost", "hang"]):
        network = Network(*script)
        unresolved: list[UnresolvedSend] = []
        client = network.client(on_unresolved=unresolved.append)
        async with _calls(partial(client.send, PHONE, "Hi")) as ends:
            await client.aclose(timeout=1)
        error = ends[0]
        assert isinstance(error, SendOutcomeUnknown)
        assert (error.outcome, [error.unresolved]) == (Outcome.UNKNOWN, unresolved)
        found = await network.client().resolve(error)
        assert (found is not None) == bool(network.accepted)


@virtual_time
async def test_send_that_waits_to_be_sent_again_was_not_sent() -> None:
    network = Network("gone")
    client = network.client(on_unknown="resend", deadline=None)
    async with _calls(partial(client.send, PHONE, "Hi")) as ends:
        await anyio.sleep(20)
        await client.aclose()
    assert _is_closed_error(ends[0])
    assert (network.accepted, network.asked) == (0, ["send", "status", "status"])


@virtual_time
async def test_repeated_send_whose_earlier_attempt_was_not_looked_up_stays_unknown() -> None:
    unresolved: list[UnresolvedSend] = []
    network = Network("lost")
    client = network.client(on_unresolved=unresolved.append, guards=Guards())
    await client.aclose()
    with pytest.raises(ClientClosed) as caught:
        await client.send(PHONE, "Hi", id="job-1", attempt=2)
    assert caught.value.outcome is Outcome.UNKNOWN
    assert [caught.value.unresolved] == unresolved
    assert caught.value.refs == (MessageRef(PHONE, "job-1"),)
    assert network.asked == []


@virtual_time
async def test_watch_of_a_closed_client_ends_at_once() -> None:
    service = FakeService([answer("get_status", status="0")] * 100)
    client = make_client(service)

    async def follow() -> None:
        async with client.watch([REF]) as updates:
            assert not (await anext(updates)).is_last
            with pytest.raises(ClientClosed):
                await anext(updates)
            assert [each.ref for each in updates.unfinished] == [REF]

    async def wait() -> None:
        with pytest.raises(ClientClosed):
            await client.wait_delivered(MessageRef(PHONE, "a2"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        nursery.start_soon(wait)
        await anyio.sleep(30)
        start, made = anyio.current_time(), len(service.requests)
        await client.aclose()
    assert anyio.current_time() == start
    assert len(service.requests) == made > 1


@virtual_time
async def test_statuses_and_batches_of_a_closed_client_have_an_error_for_each_message() -> None:
    service = FakeService(latency=1)
    client = make_client(service, guards=Guards())
    await client.balance()
    messages = [Message(f"+7999000{number:04}", "Hi") for number in range(6)]
    refs = [MessageRef(message.phone, "a1") for message in messages]
    outcomes = []

    async def batch() -> None:
        outcomes.extend([outcome async for outcome in client.send_batch(messages, workers=1)])

    client._batch_size = 2
    async with _calls(partial(client.statuses, refs), batch) as ends:
        await anyio.sleep(1.5)
        await client.aclose()
    assert [outcome.message for outcome in outcomes] == messages
    assert [_is_closed_error(outcome.error) for outcome in outcomes] == [False] * 4 + [True] * 2
    statuses = next(end for end in ends if isinstance(end, list))
    assert len(statuses) == 6
    assert sum(isinstance(each, DeliveryReport) for each in statuses) == 5
    assert sum(map(_is_closed_error, statuses)) == 1


async def test_exception_of_a_callback_leaves_statuses_as_it_is() -> None:
    def fail(done: int, _: int) -> None:
        if done == 3:
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await make_client(FakeService()).statuses(
            [MessageRef(PHONE, str(number)) for number in range(1, 9)], on_progress=fail
        )


@virtual_time
async def test_closing_again_or_meanwhile_waits_for_the_end_and_may_shorten_it() -> None:
    service = FakeService(latency=60)
    client = make_client(service, deadline=None, timeout=100)
    ended: list[float] = []

    async def close(timeout: float) -> None:
        await client.aclose(timeout)
        assert service.closed == 1
        ended.append(anyio.current_time() - start)

    async with _calls(client.balance):
        start = anyio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(close, 50)
            await anyio.sleep(1)
            nursery.start_soon(close, 2)
    await close(5)
    assert ended == pytest.approx([3, 3, 3], abs=0.1)


@pytest.mark.parametrize("kind", ["error", "cancelled"])
@virtual_time
async def test_block_that_ends_otherwise_closes_the_client(kind: str) -> None:
    service = FakeService(latency=60)
    client = make_client(service, deadline=None, timeout=100)
    ends: list[object] = []
    start = anyio.current_time()
    async with trio.open_nursery() as nursery:

        async def block() -> None:
            with anyio.CancelScope() as scope:
                async with client:
                    nursery.start_soon(_end, client.balance, ends)
                    await anyio.sleep(0.1)
                    if kind == "error":
                        raise LookupError("mine")
                    scope.cancel()
                    await anyio.sleep_forever()

        if kind == "error":
            with pytest.raises(LookupError):
                await block()
        else:
            await block()
    assert anyio.current_time() - start == pytest.approx(5.1 if kind == "error" else 0.1)
    assert isinstance(ends[0], SmscError)
    assert service.closed == 1


@virtual_time
async def test_transport_that_ignores_its_cancellation_does_not_hold_the_end_up() -> None:
    class Deaf(FakeService):
        async def post(self, *arguments: Any) -> Any:
            with anyio.CancelScope(shield=True):
                return await super().post(*arguments)

    client = make_client(Deaf(latency=60), deadline=None, timeout=100)
    async with _calls(client.balance):
        start = anyio.current_time()
        await client.aclose(timeout=2)
        assert anyio.current_time() - start < 5


def _given() -> httpx.AsyncHTTPTransport:
    return httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=20))


class Server:
    """Counts what arrives, and answers once it is told to."""

    def __init__(self) -> None:
        self.arrived = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.answers = asyncio.Event()

    async def serve(self, _: RawRequest, writer: asyncio.StreamWriter) -> bool:
        self.arrived += 1
        self.open.add(writer)
        await self.answers.wait()
        writer.write(http_bytes(answer("get_balance", balance="1").body))
        return True

    async def until(self, number: int) -> None:
        while self.arrived < number:  # noqa: ASYNC110 - the server runs on the same loop
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("transport", [lambda: None, lambda: "aiohttp", _given], ids=["httpx", "aiohttp", "given"])
@pytest.mark.parametrize("answers", [True, False])
async def test_nothing_leaves_a_closed_client_over_any_transport(
    transport: Callable[[], Any], *, answers: bool
) -> None:
    """Without guards, 20 requests are in flight and 20 wait for a connection."""
    server = Server()
    async with raw_server(server.serve) as url:
        client = Client(apikey="key", url=url, guards=None, transport=transport(), retries=0)
        calls = [asyncio.create_task(client.balance()) for _ in range(40)]
        await server.until(20)
        closing = asyncio.create_task(client.aclose(5 if answers else 0.05))
        await asyncio.sleep(0.02)
        assert sum(call.done() for call in calls) == 20, "those that wait end at once"
        if answers:
            server.answers.set()
        await closing
        ends = await asyncio.gather(*calls, return_exceptions=True)
        server.answers.set()
        await asyncio.sleep(0.05)
        assert server.arrived == 20
        assert sum(map(_is_closed_error, ends)) == 20
        others = [end for end in ends if not _is_closed_error(end)]
        if not answers:
            assert {end.outcome for end in others if isinstance(end, SmscError)} == {Outcome.UNKNOWN}
        assert [isinstance(end, SmscError) for end in others] == [not answers] * 20
        assert all(writer.is_closing() or writer.transport.is_closing() for writer in server.open)


@pytest.mark.parametrize("transport", [lambda: None, lambda: "aiohttp", _given], ids=["httpx", "aiohttp", "given"])
async def test_request_that_is_still_connecting_never_leaves(transport: Callable[[], Any]) -> None:
    accepted = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        client = Client(apikey="key", url=url, transport=transport(), timeout=Timeout.of(30), on_unknown="raise")
        call = asyncio.create_task(client.send(PHONE, "Hi"))
        await accepted.wait()
        started = asyncio.get_running_loop().time()
        await client.aclose()
        assert asyncio.get_running_loop().time() - started < 2
        with pytest.raises(ClientClosed):
            await call


@pytest.mark.parametrize("call", [GetBalance(), GetStatus(ref=REF), GetCost(to=(PHONE,), text="Hi")])
@virtual_time
async def test_a_read_that_is_cut_is_unknown(call: GetBalance | GetStatus | GetCost) -> None:
    client = Network(then="hang").client(retries=3)
    async with _calls(partial(client.call, call)) as ends:
        await client.aclose(timeout=0)
    (error,) = ends
    assert isinstance(error, SmscError)
    assert (isinstance(error, ClientClosed), error.outcome) == (False, Outcome.UNKNOWN)


@pytest.mark.parametrize("timeout", ["5", None, [], b"5", 1j, math.nan, -1, 10**400, True])
async def test_wrong_time_to_close_is_refused_and_the_client_stays_open(timeout: Any) -> None:
    client = make_client(FakeService())
    with pytest.raises(ValueError, match="timeout must be a number of seconds, at least 0"):
        await client.aclose(timeout=timeout)
    await client.balance()
    await client.aclose()


async def test_closing_twice_while_connections_are_made_is_fine() -> None:
    async def silent(*_: object) -> bool:
        await anyio.sleep_forever()
        return False

    async with raw_server(silent) as url:
        options = {"proxy": url.removesuffix("/sys/soap.php"), "transport": "aiohttp", "guards": None}
        client = Client(apikey="demo", url="https://service.example/", **options)  # type: ignore[arg-type]
        ends: list[object] = []
        async with anyio.create_task_group() as group:
            group.start_soon(_end, partial(client.send, PHONE, "Hi"), ends)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(client.aclose)
            await checkpoint()
            await client.aclose()
        assert [type(end) for end in ends] == [ClientClosed]
