"""The options of a client: transports, limits, URLs, credentials; closing it; its logs."""

import asyncio
import logging
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from smsc_async import (
    Client,
    ConnectError,
    MalformedEnvelope,
    Message,
    Outcome,
    ReadTimeout,
    Timeout,
)
from tests.client.client_service import PHONE, REF
from tests.doubles import (
    URL,
    FakeService,
    RawRequest,
    http_bytes,
    make_client,
    raw_server,
)


async def test_any_httpx_transport_will_do() -> None:
    async def serve(request: httpx.Request) -> httpx.Response:
        reply = await FakeService().post(str(request.url), request.headers, request.content, Timeout())
        return httpx.Response(reply.status_code, headers={"Content-Type": reply.content_type}, content=reply.body)

    async with make_client(httpx.MockTransport(serve)) as client:
        assert (await client.balance()).amount == Decimal("100.50")


async def test_slow_answer_is_ended_by_the_deadline() -> None:
    """Each piece arrives before the read timeout, so only the deadline can end the request."""

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
        with pytest.raises(ValueError, match=next(iter(arguments))):
            await client.send(**{"to": PHONE, "text": "Hi", **arguments})
    with pytest.raises(ValueError, match="deadline must be a number of seconds, more than 0"):
        await client.balance(deadline=0)
    with pytest.raises(ValueError, match="timeout must be a number of seconds, more than 0"):
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
    with pytest.raises(ValueError, match=r"must be a (whole )?number.*, (at least [01]|more than 0)"):
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
@pytest.mark.parametrize("argument", ["url", "fallback_urls"])
def test_unsafe_url_is_refused(url: str, argument: str) -> None:
    with pytest.raises(ValueError, match=r"url|https"):
        make_client(FakeService(), **{argument: url if argument == "url" else [url]})


@pytest.mark.parametrize("host", ["localhost", "sms.localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
async def test_loopback_needs_no_tls(host: str) -> None:
    service = FakeService(namespace=f"http://{host}/soap.php")
    await make_client(service, url=f"http://{host}/soap.php?wsdl").balance()
    assert service.urls == [f"http://{host}/soap.php"]


async def test_http_may_be_allowed() -> None:
    service = FakeService(namespace="http://sms.test/soap.php")
    await make_client(service, url="http://sms.test/soap.php", allow_http=True).balance()


async def test_environment_is_used_where_no_argument_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_error_about_missing_credentials_says_how_to_pass_them() -> None:
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


def test_repr_shows_the_url_and_no_credentials() -> None:
    assert repr(make_client(FakeService(), apikey="canary")) == f"<smsc_async.Client {URL}>"


async def test_logs_name_the_operation_without_its_content(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "smsc_async")
    await make_client(FakeService([ConnectError("gone")])).send(PHONE, "Hi")
    assert [record.message[:14] for record in caplog.records] == ["send_sms: Conn", "send_sms: HTTP"]


@pytest.mark.parametrize("seconds", [10**400, float("nan"), float("inf"), -1.0, "60", True])
async def test_seconds_that_are_none_are_refused(seconds: Any) -> None:
    client = make_client(FakeService())
    for call in (
        lambda: client.watch([], timeout=seconds),
        lambda: client.watch([], delay_per_request=seconds),
        lambda: make_client(FakeService(), deadline=seconds),
        lambda: Timeout(connect=seconds),
    ):
        with pytest.raises(ValueError, match="seconds"):
            call()
    with pytest.raises(ValueError, match="seconds"):
        await client.balance(deadline=seconds)
