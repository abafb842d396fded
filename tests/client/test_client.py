"""The client end to end: seven methods, what is repeated and what never is, deadlines, loops, and what is refused."""

import asyncio
import gc
import http.server
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest
import respx
import trio
from pydantic import SecretStr, ValidationError
from trio.testing import MockClock, wait_all_tasks_blocked

from smsc_async import (
    At,
    AuthenticationFailed,
    Client,
    ConnectError,
    ConnectionLost,
    GetBalance,
    Hlr,
    HTTPStatusError,
    InsufficientFunds,
    InvalidPhone,
    MalformedEnvelope,
    Message,
    MessageNotFound,
    MessageRef,
    MessageStatus,
    Outcome,
    PoolTimeout,
    ReadTimeout,
    Reply,
    SmscError,
    SoapFault,
    Timeout,
    Viber,
)
from tests.doubles import (
    NAMESPACE,
    URL,
    FakeService,
    RawRequest,
    answer,
    fault,
    http_bytes,
    make_client,
    query_of,
    raw_server,
)

PHONE = "+79991234567"
REF = MessageRef(PHONE, "a1")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMSC_APIKEY", "SMSC_LOGIN", "SMSC_PASSWORD", "SMSC_URL"):
        monkeypatch.delenv(name, raising=False)


# The seven methods


async def test_send_without_options_is_the_plain_method() -> None:
    service = FakeService()
    sent = await make_client(service).send(PHONE, "Hi", id="a1", sender="shop", at=datetime(2026, 1, 2, tzinfo=UTC))
    (request,) = service.requests
    assert request.method == "send_sms"
    assert request.fields == {
        "apikey": "key",
        "phones": PHONE,
        "mes": "Hi",
        "id": "a1",
        "sender": "shop",
        "time": At(datetime(2026, 1, 2, tzinfo=UTC)).wire(),
    }
    assert (sent.id, sent.ref, sent.sms_count) == ("a1", REF, 1)


async def test_send_with_options_is_the_method_with_query() -> None:
    service = FakeService([answer("send_sms2", id="a1", cnt="2", cost="1.5", balance="99.10")])
    sent = await make_client(service).send([PHONE, "79991234568"], "Hi", id="a1", via=Viber(), cost=3, valid=2)
    (request,) = service.requests
    assert request.method == "send_sms2"
    assert request.fields["phones"] == f"{PHONE},79991234568"
    assert query_of(request) == {"viber": "1", "valid": "2", "err": "1", "cost": "3"}
    assert (sent.cost, sent.balance, sent.sms_count) == (Decimal("1.5"), Decimal("99.10"), 2)
    assert sent.refs == (REF, MessageRef("79991234568", "a1"))


async def test_each_send_has_an_id_of_its_own() -> None:
    service = FakeService()
    client = make_client(service)
    ids = {(await client.send(PHONE, "Hi")).id for _ in range(3)}
    assert len(ids) == 3
    assert ids == {request.fields["id"] for request in service.requests}


async def test_channel_without_a_text_sends_none() -> None:
    service = FakeService()
    await make_client(service).send(PHONE, via=Hlr())
    assert query_of(service.requests[0]) == {"hlr": "1"}


async def test_cost_of_both_methods() -> None:
    service = FakeService()
    client = make_client(service)
    assert (await client.cost(PHONE, "Hi")).amount == Decimal("1.44")
    assert (await client.cost([PHONE], "Hi", via=Viber())).sms_count == 2
    assert [request.method for request in service.requests] == ["get_sms_cost", "get_sms_cost2"]


async def test_status_of_both_methods() -> None:
    service = FakeService()
    client = make_client(service)
    report = await client.status(REF)
    assert (report.status, report.ref, report.changed_at) == (
        MessageStatus.DELIVERED,
        REF,
        datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    )
    await client.status(REF, detail=2, extra={"new": "1"})
    assert [request.method for request in service.requests] == ["get_status", "get_status2"]
    assert service.requests[1].fields["all"] == "2"
    assert query_of(service.requests[1]) == {"new": "1"}


async def test_balance() -> None:
    service = FakeService()
    assert (await make_client(service).balance()).amount == Decimal("100.50")
    assert service.requests[0].fields == {"apikey": "key"}


async def test_operation_may_be_called_as_a_value() -> None:
    assert (await make_client(FakeService()).call(GetBalance())).amount == Decimal("100.50")


async def test_local_times_count_in_the_accounts_zone() -> None:
    script = [answer("get_status", status="1", last_date="02.01.2026 12:00:00")] * 2
    client = make_client(FakeService([*script]))
    assert (await client.status(REF)).changed_at == datetime(2026, 1, 2, 9, tzinfo=UTC)
    other = make_client(FakeService([*script]), timezone=timezone(timedelta(hours=5)))
    assert (await other.status(REF)).changed_at == datetime(2026, 1, 2, 7, tzinfo=UTC)


# What is repeated


SEND, COST, STATUS, BALANCE = "send", "cost", "status", "balance"


async def _run_blocking(client: Client, what: str, **options: Any) -> object:
    if what == SEND:
        return await client.send(PHONE, "Hi", **options)
    if what == COST:
        return await client.cost(PHONE, "Hi", **options)
    if what == STATUS:
        return await client.status(REF, **options)
    return await client.balance(**options)


NOTHING_LEFT = [ConnectError("gone"), PoolTimeout("full")]
UNRESOLVED = [
    ReadTimeout("late"),
    ConnectionLost("cut"),
    Reply(502, "text/html", b""),
    Reply(500, "text/html", b"<html>"),
]


@pytest.mark.parametrize("failure", NOTHING_LEFT, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("what", [SEND, COST, STATUS, BALANCE])
def test_what_never_left_is_repeated(what: str, failure: SmscError) -> None:
    async def main() -> None:
        service = FakeService([failure] * 3)
        await _run_blocking(make_client(service), what)
        assert len(service.requests) == 4
        assert len({str(request.fields.get("id")) for request in service.requests}) == 1

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("failure", UNRESOLVED, ids=lambda each: type(each).__name__)
def test_send_in_doubt_is_never_repeated(failure: Reply | SmscError) -> None:
    async def main() -> None:
        service = FakeService([failure] * 3)
        with pytest.raises((ReadTimeout, ConnectionLost, HTTPStatusError)) as caught:
            await make_client(service, fallback_urls=["https://two.test/soap.php"]).send([PHONE, "G12"], "Hi", id="a1")
        assert caught.value.outcome is Outcome.UNKNOWN
        assert caught.value.id == "a1"
        assert caught.value.refs == (REF,)
        assert len(service.requests) == 1

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("failure", UNRESOLVED, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("what", [COST, STATUS, BALANCE])
def test_read_in_doubt_is_repeated(what: str, failure: Reply | SmscError) -> None:
    async def main() -> None:
        service = FakeService([failure] * 3)
        await _run_blocking(make_client(service), what)
        assert len(service.requests) == 4

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("what", [SEND, BALANCE])
def test_repeating_ends_with_the_last_error(what: str) -> None:
    async def main() -> None:
        service = FakeService([ConnectError(f"number {number}") for number in range(9)])
        with pytest.raises(ConnectError, match="number 3"):
            await _run_blocking(make_client(service), what)
        with pytest.raises(ConnectError, match="number 4"):
            await _run_blocking(make_client(service, retries=0), what)

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(404, "text/html", b""),
        Reply(302, "text/html", b""),
        fault("Client", "Bad Request"),
        answer("get_balance", error="9"),
        Reply(200, "text/html", b"<html>"),
    ],
    ids=["404", "302", "fault", "error 9", "html"],
)
async def test_what_was_answered_is_not_repeated(refusal: Reply) -> None:
    service = FakeService([refusal])
    with pytest.raises(SmscError):
        await make_client(service).balance()
    assert len(service.requests) == 1


def test_fallback_addresses_are_tried_in_turn() -> None:
    urls = [URL, "https://www2.sms.test/sys/soap.php", "https://www3.sms.test/sys/soap.php"]
    service = FakeService([ConnectError("gone")] * 3)

    async def main() -> None:
        await make_client(service, fallback_urls=urls[1:], retries=4).send(PHONE, "Hi")
        await make_client(service, fallback_urls=urls[1:]).balance()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert service.urls == [*urls, urls[0], URL]
    assert set(service.namespaces) == {NAMESPACE}


def test_pauses_grow_and_have_jitter() -> None:
    pauses: list[float] = []

    class Clocked(FakeService):
        async def post(self, *arguments: Any) -> Reply:
            pauses.append(trio.current_time())
            return await super().post(*arguments)

    async def main() -> None:
        service = Clocked([ConnectError("gone")] * 8)
        await make_client(service, retries=8).send(PHONE, "Hi")

    trio.run(main, clock=MockClock(autojump_threshold=0))
    steps = [after - before for before, after in pairwise(pauses)]
    longest = [min(0.25 * 2**number, 8.0) for number in range(8)]
    assert all(most / 2 <= step <= most * 1.001 for step, most in zip(steps, longest, strict=True))


# The deadline


def test_deadline_covers_repetitions() -> None:
    async def main() -> None:
        service = FakeService([ConnectError("gone")] * 99, latency=2)
        start = trio.current_time()
        with pytest.raises(ConnectError):
            await make_client(service, retries=98, deadline=10).balance()
        assert trio.current_time() - start <= 10
        assert len(service.requests) >= 3

    trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("what", [SEND, STATUS])
def test_deadline_in_mid_flight_leaves_a_doubt(what: str) -> None:
    async def main() -> None:
        service = FakeService(latency=60)
        start = trio.current_time()
        with pytest.raises(ReadTimeout, match="deadline") as caught:
            await _run_blocking(make_client(service), what, deadline=3)
        assert trio.current_time() - start == pytest.approx(3)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert len(service.requests) == 1

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_steps_of_a_request_are_no_longer_than_what_is_left() -> None:
    async def main() -> None:
        service = FakeService()
        client = make_client(service, deadline=4)
        await client.balance()
        await client.balance(timeout=2)
        await client.balance(timeout=Timeout(read=3), deadline=None)
        assert [timeout.read for timeout in service.timeouts] == [4, 2, 3]

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_call_without_a_deadline_waits_as_long_as_it_takes() -> None:
    async def main() -> None:
        service = FakeService(latency=3600)
        await make_client(service).balance(deadline=None)
        await make_client(service, deadline=None).balance()

    trio.run(main, clock=MockClock(autojump_threshold=0))


# Errors


async def test_failing_send_names_its_message() -> None:
    service = FakeService([answer("send_sms", id="a1", error="7"), answer("send_sms2", error="3")])
    client = make_client(service)
    with pytest.raises(InvalidPhone) as caught:
        await client.send(PHONE, "Hi", id="a1")
    assert (caught.value.id, caught.value.refs, caught.value.outcome) == ("a1", (REF,), Outcome.REJECTED)
    with pytest.raises(InsufficientFunds) as many:
        await client.send([PHONE, "+79991234568", "G1"], "Hi", id=7)
    assert many.value.refs == (MessageRef(PHONE, "7"), MessageRef("+79991234568", "7"))


async def test_failing_read_names_no_message() -> None:
    service = FakeService(
        [answer("get_status", error="3"), answer("get_balance", error="2"), answer("get_status", status="-3")]
    )
    client = make_client(service)
    for call, kind in ((STATUS, MessageNotFound), (BALANCE, AuthenticationFailed), (STATUS, MessageNotFound)):
        with pytest.raises(kind) as caught:
            await _run_blocking(client, call)
        assert (caught.value.id, caught.value.refs) == (None, ())


async def test_answer_of_another_operation_leaves_a_doubt() -> None:
    with pytest.raises(MalformedEnvelope) as caught:
        await make_client(FakeService([answer("get_balance", balance="1")])).send(PHONE, "Hi")
    assert caught.value.outcome is Outcome.UNKNOWN


@respx.mock
async def test_broken_network_behind_httpx_is_ours_to_name() -> None:
    respx.post(URL).mock(side_effect=[httpx.ReadTimeout("late"), httpx.ConnectError("gone")])
    async with Client(apikey="key", url=URL, retries=0, on_unknown="raise") as client:
        with pytest.raises(ReadTimeout):
            await client.send(PHONE, "Hi")
        with pytest.raises(ConnectError):
            await client.send(PHONE, "Ho")


async def test_any_httpx_transport_will_do() -> None:
    async def serve(request: httpx.Request) -> httpx.Response:
        reply = await FakeService().post(str(request.url), request.headers, request.content, Timeout())
        return httpx.Response(reply.status_code, headers={"Content-Type": reply.content_type}, content=reply.body)

    async with make_client(httpx.MockTransport(serve)) as client:
        assert (await client.balance()).amount == Decimal("100.50")


async def test_answer_that_drips_is_ended_by_the_deadline() -> None:
    """Each piece comes before the read timeout, so that only the deadline can end it."""

    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(b"")[:20])
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with raw_server(serve) as url, Client(apikey="key", url=url, on_unknown="raise") as client:
        with pytest.raises(ReadTimeout, match="deadline") as caught:
            await client.send(PHONE, "Hi", deadline=0.3)
    assert caught.value.outcome is Outcome.UNKNOWN


async def test_answer_that_is_too_large_is_refused() -> None:
    async def serve(_: RawRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http_bytes(b" " * 2000))
        return True

    async with (
        raw_server(serve) as url,
        Client(apikey="key", url=url, max_response_bytes=1999, on_unknown="raise") as client,
    ):
        with pytest.raises(MalformedEnvelope, match="larger than 1999"):
            await client.balance()


# Arguments


async def test_wrong_argument_is_a_value_error_before_anything_is_sent() -> None:
    service = FakeService()
    client = make_client(service)
    wrong: list[dict[str, Any]] = [{"to": "12"}, {"text": ""}, {"freq": 5}, {"id": 0}, {"cost": 1}, {"at": "tomorrow"}]
    for arguments in wrong:
        with pytest.raises(ValidationError):
            await client.send(**{"to": PHONE, "text": "Hi", **arguments})
    with pytest.raises(ValueError, match="deadline is more than 0"):
        await client.balance(deadline=0)
    with pytest.raises(ValueError, match="timeout is more than 0"):
        await client.balance(timeout=0)
    assert service.urls == []


async def test_recipients_are_counted() -> None:
    many = [f"+7999{number:07d}" for number in range(101)]
    service = FakeService()
    client = make_client(service)
    for ask in (client.send, client.cost):
        with pytest.raises(ValueError, match="101 recipients in one request; at most 100"):
            await ask(many, "Hi")
    assert service.urls == []
    await client.send(many[:100], "Hi")
    await make_client(service, max_recipients=101).cost(many, "Hi")


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_recipients": 0},
        {"batch_size": 0},
        {"max_response_bytes": 0},
        {"retries": -1},
        {"timeout": 0},
        {"deadline": 0},
        {"deadline": -1},
    ],
    ids=str,
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="more"):
        make_client(FakeService(), **wrong)


@pytest.mark.parametrize(
    "url",
    [
        "http://sms.test/soap.php",
        "https://user@sms.test/",
        "https://u:p@sms.test/",
        "ftp://sms.test/",
        "sms.test",
        "https://",
    ],
)
@pytest.mark.parametrize("place", ["url", "fallback_urls"])
def test_address_that_is_unsafe_is_refused(url: str, place: str) -> None:
    with pytest.raises(ValueError, match=r"url|https"):
        make_client(FakeService(), **{place: url if place == "url" else [url]})


@pytest.mark.parametrize("host", ["localhost", "sms.localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
async def test_loopback_needs_no_tls(host: str) -> None:
    service = FakeService(namespace=f"http://{host}/soap.php")
    await make_client(service, url=f"http://{host}/soap.php?wsdl").balance()
    assert service.urls == [f"http://{host}/soap.php"]


async def test_http_may_be_allowed() -> None:
    service = FakeService(namespace="http://sms.test/soap.php")
    await make_client(service, url="http://sms.test/soap.php", allow_http=True).balance()


async def test_environment_says_what_the_arguments_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService(namespace="https://env.test/soap.php")
    monkeypatch.setenv("SMSC_URL", "https://env.test/soap.php")
    monkeypatch.setenv("SMSC_LOGIN", "alex")
    monkeypatch.setenv("SMSC_PASSWORD", "secret")
    await Client(transport=service).balance()
    monkeypatch.setenv("SMSC_APIKEY", "key")
    await Client(transport=service).balance()
    await Client(login="bob", password=SecretStr("other"), transport=service).balance()
    assert [dict(request.fields) for request in service.requests] == [
        {"login": "alex", "psw": "secret"},
        {"apikey": "key"},
        {"login": "bob", "psw": "other"},
    ]


def test_missing_credentials_say_where_they_come_from() -> None:
    with pytest.raises(ValueError, match="SMSC_APIKEY"):
        Client()


# Closing, and event loops


async def test_closed_client_is_refused() -> None:
    service = FakeService()
    async with make_client(service) as client:
        await client.balance()
    assert service.closed == 1
    await client.aclose()
    assert service.closed == 1
    assert "closed" in repr(client)
    for ask in (client.balance(), client.send(PHONE, "Hi"), client.statuses([REF]), client.__aenter__()):
        with pytest.raises(RuntimeError, match="this client is closed"):
            await ask
    with pytest.raises(RuntimeError, match="this client is closed"):
        await anext(client.send_batch([Message(PHONE, "Hi")]))


async def test_works_without_a_with_statement() -> None:
    client = make_client(FakeService())
    await client.balance()
    await client.aclose()


def test_repr_says_where_and_not_who() -> None:
    assert repr(make_client(FakeService(), apikey="canary")) == f"<smsc_async.Client {URL}>"


async def test_logs_what_happened_without_saying_what_was_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "smsc_async")
    await make_client(FakeService([ConnectError("gone")])).send(PHONE, "Hi")
    assert [record.message[:14] for record in caplog.records] == ["send_sms: Conn", "send_sms: HTTP"]


class _Keeping(http.server.BaseHTTPRequestHandler):
    """A service that keeps its connections, whatever becomes of the event loops of its clients."""

    protocol_version = "HTTP/1.1"
    peers: list[tuple[str, int]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).peers.append(self.client_address)
        body = answer("get_balance", balance="1").body
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def _collected() -> Iterator[None]:
    """Let Python find what a test forgot inside that test, not inside another one."""
    yield
    gc.collect()


def forgotten_connections(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test whose event loop ends with open connections, about which Python warns."""
    ignored = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    return pytest.mark.usefixtures("_collected")(ignored(test))  # type: ignore[no-any-return]


@pytest.fixture
def keeping_server() -> Iterator[tuple[str, list[tuple[str, int]]]]:
    class Handler(_Keeping):
        peers: list[tuple[str, int]] = []

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/soap.php", Handler.peers
        server.shutdown()
        thread.join()


@forgotten_connections
@pytest.mark.parametrize(
    "backends", [("asyncio", "asyncio"), ("asyncio", "trio"), ("trio", "asyncio"), ("trio", "trio")]
)
def test_second_event_loop_makes_connections_of_its_own(
    backends: tuple[str, str], keeping_server: tuple[str, list[tuple[str, int]]]
) -> None:
    """The first loop ends with an open connection, which can't even be closed any more."""
    url, peers = keeping_server
    client = Client(apikey="key", url=url, retries=0, on_unknown="raise")

    async def twice() -> None:
        await client.balance()
        await client.balance()

    async def last() -> None:
        await twice()
        await client.aclose()

    anyio.run(twice, backend=backends[0])
    anyio.run(last, backend=backends[1])
    assert len(peers) == 4
    assert peers[0] == peers[1]
    assert peers[2] == peers[3]
    assert peers[0] != peers[2]


@forgotten_connections
def test_closing_on_another_loop_is_quiet(keeping_server: tuple[str, list[tuple[str, int]]]) -> None:
    client = Client(apikey="key", url=keeping_server[0])
    asyncio.run(client.balance())
    asyncio.run(client.aclose())
    with pytest.raises(RuntimeError, match="this client is closed"):
        asyncio.run(client.balance())


@forgotten_connections
def test_httpx_transport_of_another_loop_is_refused_clearly(keeping_server: tuple[str, list[tuple[str, int]]]) -> None:
    client = Client(apikey="key", url=keeping_server[0], transport=httpx.AsyncHTTPTransport())
    asyncio.run(client.balance())
    with pytest.raises(RuntimeError, match="connections of another event loop"):
        asyncio.run(client.balance())


@pytest.mark.parametrize("first", ["asyncio", "trio"])
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_client_made_on_one_loop_is_used_on_another(first: str, second: str) -> None:
    async def make() -> Client:
        return make_client(FakeService(latency=0.001))

    async def use() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(client.balance)
            group.start_soon(client.balance)

    client = anyio.run(make, backend=first)
    anyio.run(use, backend=second)
    anyio.run(use, backend=first)


def test_two_loops_at_once_are_refused() -> None:
    class Reentrant(FakeService):
        async def post(self, *arguments: Any) -> Reply:
            await anyio.to_thread.run_sync(other_loop)
            return await super().post(*arguments)

    failures: list[BaseException] = []

    def other_loop() -> None:
        try:
            asyncio.run(client.balance())
        except RuntimeError as error:
            failures.append(error)

    client = make_client(Reentrant())
    asyncio.run(client.balance())
    assert ["in use on another event loop" in str(error) for error in failures] == [True]


def test_loop_whose_call_only_pauses_is_in_use_too() -> None:
    service = FakeService([ConnectError("gone")])
    client = make_client(service)
    refused: list[str] = []

    def other_loop() -> None:
        with pytest.raises(RuntimeError, match="in use on another event loop") as caught:
            asyncio.run(client.balance())
        refused.append(str(caught.value))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(client.balance)
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(other_loop)

    asyncio.run(main())
    assert len(refused) == 1


def test_call_that_pauses_while_the_client_closes_asks_no_more() -> None:
    async def main() -> None:
        service = FakeService([ConnectError("gone")] * 3)
        client = make_client(service)

        async def ask() -> None:
            with pytest.raises(RuntimeError, match="this client is closed"):
                await client.balance()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            await client.aclose()
        assert len(service.urls) == 1

    trio.run(main, clock=MockClock(autojump_threshold=0.02))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_both_backends_over_a_real_connection(backend: str, keeping_server: tuple[str, list[tuple[str, int]]]) -> None:
    async def main() -> None:
        async with Client(apikey="key", url=keeping_server[0], on_unknown="raise") as client:
            assert (await client.balance()).amount == 1
            with pytest.raises(MalformedEnvelope):
                await client.send(PHONE, "Hi")

    anyio.run(main, backend=backend)


def test_fault_in_other_words_is_shown() -> None:
    with pytest.raises(SoapFault, match="Server: the base is down"):
        asyncio.run(make_client(FakeService([fault("Server", "the base is down")])).balance())
