"""Each method of the client: its requests, its repetitions, its deadline and its errors."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import pytest
import respx
import trio

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
    MessageNotFound,
    MessageRef,
    MessageStatus,
    Outcome,
    PoolTimeout,
    ReadTimeout,
    Reply,
    SmscError,
    Timeout,
    Viber,
)
from tests.client.client_service import PHONE, REF
from tests.doubles import (
    NAMESPACE,
    URL,
    FakeService,
    answer,
    fault,
    make_client,
    query_of,
)
from tests.virtual import virtual_time


# The seven methods
async def test_send_without_options_uses_the_plain_method() -> None:
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


async def test_send_with_options_uses_the_method_with_query() -> None:
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


async def test_local_times_are_read_in_the_timezone_of_the_account() -> None:
    script = [answer("get_status", status="1", last_date="02.01.2026 12:00:00")] * 2
    client = make_client(FakeService([*script]))
    assert (await client.status(REF)).changed_at == datetime(2026, 1, 2, 9, tzinfo=UTC)
    other = make_client(FakeService([*script]), timezone=timezone(timedelta(hours=5)))
    assert (await other.status(REF)).changed_at == datetime(2026, 1, 2, 7, tzinfo=UTC)


# Repetitions
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
@virtual_time
async def test_request_that_was_not_sent_is_repeated(what: str, failure: SmscError) -> None:
    service = FakeService([failure] * 3)
    await _run_blocking(make_client(service), what)
    assert len(service.requests) == 4
    assert len({str(request.fields.get("id")) for request in service.requests}) == 1


@pytest.mark.parametrize("failure", UNRESOLVED, ids=lambda each: type(each).__name__)
@virtual_time
async def test_send_of_unknown_outcome_is_never_repeated(failure: Reply | SmscError) -> None:
    service = FakeService([failure] * 3)
    with pytest.raises((ReadTimeout, ConnectionLost, HTTPStatusError)) as caught:
        await make_client(service, fallback_urls=["https://two.test/soap.php"]).send([PHONE, "G12"], "Hi", id="a1")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert caught.value.id == "a1"
    assert caught.value.refs == (REF,)
    assert len(service.requests) == 1


@pytest.mark.parametrize("failure", UNRESOLVED, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("what", [COST, STATUS, BALANCE])
@virtual_time
async def test_read_of_unknown_outcome_is_repeated(what: str, failure: Reply | SmscError) -> None:
    service = FakeService([failure] * 3)
    await _run_blocking(make_client(service), what)
    assert len(service.requests) == 4


@pytest.mark.parametrize("what", [SEND, BALANCE])
@virtual_time
async def test_repeating_ends_with_the_last_error(what: str) -> None:
    service = FakeService([ConnectError(f"number {number}") for number in range(9)])
    with pytest.raises(ConnectError, match="number 3"):
        await _run_blocking(make_client(service), what)
    with pytest.raises(ConnectError, match="number 4"):
        await _run_blocking(make_client(service, retries=0), what)


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
async def test_answered_request_is_not_repeated(refusal: Reply) -> None:
    service = FakeService([refusal])
    with pytest.raises(SmscError):
        await make_client(service).balance()
    assert len(service.requests) == 1


def test_fallback_urls_are_tried_in_turn() -> None:
    urls = [URL, "https://www2.sms.test/sys/soap.php", "https://www3.sms.test/sys/soap.php"]
    service = FakeService([ConnectError("gone")] * 3)

    async def main() -> None:
        await make_client(service, fallback_urls=urls[1:], retries=4).send(PHONE, "Hi")
        await make_client(service, fallback_urls=urls[1:]).balance()

    virtual_time(main)()
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

    virtual_time(main)()
    steps = [after - before for before, after in pairwise(pauses)]
    longest = [min(0.25 * 2**number, 8.0) for number in range(8)]
    assert all(most / 2 <= step <= most * 1.001 for step, most in zip(steps, longest, strict=True))


# The deadline
@virtual_time
async def test_deadline_covers_repetitions() -> None:
    service = FakeService([ConnectError("gone")] * 99, latency=2)
    start = trio.current_time()
    with pytest.raises(ConnectError):
        await make_client(service, retries=98, deadline=10).balance()
    assert trio.current_time() - start <= 10
    assert len(service.requests) >= 3


@pytest.mark.parametrize("what", [SEND, STATUS])
@virtual_time
async def test_deadline_in_mid_flight_leaves_the_outcome_unknown(what: str) -> None:
    service = FakeService(latency=60)
    start = trio.current_time()
    with pytest.raises(ReadTimeout, match="deadline") as caught:
        await _run_blocking(make_client(service), what, deadline=3)
    assert trio.current_time() - start == pytest.approx(3)
    assert caught.value.outcome is Outcome.UNKNOWN
    assert len(service.requests) == 1


@virtual_time
async def test_steps_of_a_request_are_no_longer_than_what_is_left() -> None:
    service = FakeService()
    client = make_client(service, deadline=4)
    await client.balance()
    await client.balance(timeout=2)
    await client.balance(timeout=Timeout(read=3), deadline=None)
    assert [timeout.read for timeout in service.timeouts] == [4, 2, 3]


@virtual_time
async def test_call_without_a_deadline_waits_as_long_as_it_takes() -> None:
    service = FakeService(latency=3600)
    await make_client(service).balance(deadline=None)
    await make_client(service, deadline=None).balance()


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


async def test_answer_of_another_operation_leaves_the_outcome_unknown() -> None:
    with pytest.raises(MalformedEnvelope) as caught:
        await make_client(FakeService([answer("get_balance", balance="1")])).send(PHONE, "Hi")
    assert caught.value.outcome is Outcome.UNKNOWN


@respx.mock
async def test_errors_of_httpx_are_raised_as_errors_of_this_package() -> None:
    respx.post(URL).mock(side_effect=[httpx.ConnectError("gone"), httpx.ReadTimeout("late")])
    async with Client(apikey="key", url=URL, retries=0, on_unknown="raise") as client:
        with pytest.raises(ConnectError):
            await client.send(PHONE, "Hi")
        with pytest.raises(ReadTimeout):
            await client.send(PHONE, "Ho")
