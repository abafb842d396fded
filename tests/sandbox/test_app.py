"""The emulator behind HTTP answers as ext-soap does (tests/interop compares it with PHP itself)."""

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from smsc_async import Client, InvalidPhone, MessageRef, MessageStatus, TooManyRequests
from smsc_async._model.credentials import ApiKey
from smsc_async._model.operations import GetBalance
from smsc_async._protocol.binding import encode
from smsc_async._protocol.wsdl import target_namespace
from smsc_async.sandbox import Account, DeliveryPlan, Limits, Sandbox
from tests.virtual import virtual_time

URL = "http://127.0.0.1:8025/sys/soap.php"
BALANCE = encode(GetBalance(), ApiKey.model_validate({"key": "demo"}), URL)


async def ask(method: str, url: str = URL, *, body: bytes = b"", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=Sandbox().transport()) as http:
        return await http.request(method, url, content=body, headers=named)


async def test_the_wsdl_has_the_url_of_its_request() -> None:
    for query in ("?wsdl", "?WSDL"):
        reply = await ask("GET", URL + query)
        assert reply.headers["Content-Type"] == "text/xml; charset=utf-8"
        assert target_namespace(reply.content) == URL


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_request_that_is_not_a_call_gets_an_empty_page(method: str) -> None:
    reply = await ask(method)
    assert (reply.status_code, reply.headers["Content-Type"], reply.content) == (200, "text/html; charset=UTF-8", b"")


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)]
)
async def test_a_compressed_request_is_inflated(encoding: str, pack: object) -> None:
    assert callable(pack)
    reply = await ask("POST", body=pack(BALANCE.body), content_encoding=encoding)
    assert b"<balance>10000</balance>" in reply.content


async def test_a_compression_that_ext_soap_does_not_know_gets_an_empty_page() -> None:
    reply = await ask("POST", body=BALANCE.body, content_encoding="br")
    assert (reply.status_code, reply.content) == (200, b"")


async def test_client_that_disconnects_in_the_middle_of_a_request_is_not_counted() -> None:
    sandbox = Sandbox()
    answered: list[object] = []
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/sys/soap.php",
        "query_string": b"",
        "scheme": "http",
        "headers": [(b"host", b"127.0.0.1")],
    }
    events: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": BALANCE.body[:50], "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(events)

    async def send(event: object) -> None:
        answered.append(event)

    await sandbox.app(scope, receive, send)
    assert answered
    assert not sandbox.counts


@pytest.mark.parametrize("body", [b"", b"<not xml", b"x" * 9_000_000], ids=["empty", "malformed", "too large"])
async def test_body_that_is_not_an_envelope_is_a_bad_request(body: bytes) -> None:
    reply = await ask("POST", body=body)
    assert reply.status_code == 500
    assert b"<faultstring>Bad Request</faultstring>" in reply.content


async def test_a_broken_compression_is_a_bad_request() -> None:
    reply = await ask("POST", body=b"not gzip", content_encoding="gzip")
    assert b"Bad Request" in reply.content


async def test_a_wrong_namespace_is_an_unknown_procedure() -> None:
    reply = await ask("POST", "http://127.0.0.1:8025/elsewhere", body=BALANCE.body)
    assert b"Procedure 'balance' not present" in reply.content


async def test_a_client_without_an_address_counts_as_loopback() -> None:
    """Some servers, such as those on a Unix socket, do not know the address of their client."""
    sandbox = Sandbox()
    transport = httpx.ASGITransport(app=sandbox.app)
    transport.client = None  # type: ignore[assignment]
    async with Client(apikey="demo", url=URL, transport=transport) as client:
        assert (await client.balance()).amount == 10_000


@virtual_time
async def test_requests_that_are_still_being_answered_count_as_in_flight() -> None:
    """With a latency the emulator has as many requests in flight as a real server would."""

    sandbox = Sandbox(latency=2.0)
    refused = 0

    async def one() -> None:
        nonlocal refused
        try:
            await client.status(MessageRef("79000000001", "1"))
        except TooManyRequests:
            refused += 1
        except Exception:  # noqa: BLE001 - the others get "not found"
            return

    client = Client(apikey="demo", url=URL, transport=sandbox.transport(), guards=None)
    async with client, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(one)
    assert refused == 1
    assert sandbox._service.in_flight == 0


async def test_time_can_be_skipped_so_that_no_test_sleeps() -> None:
    sandbox = Sandbox(clock=lambda: 1_000_000.0, delivery=DeliveryPlan())
    async with Client(apikey="demo", url=URL, transport=sandbox.transport()) as client:
        sent = await client.send("+79991234567", "Hello")
        assert (await client.status(sent.ref)).status is MessageStatus.WAITING
        sandbox.advance(86_400)
        assert (await client.status(sent.ref)).is_final
    assert sandbox.now() == 1_086_400.0
    assert [message.text for message in sandbox.messages] == ["Hello"]
    assert sandbox.counts["send_sms", 0] == 1
    with pytest.raises(ValueError, match="forward"):
        sandbox.advance(-1)


async def test_accounts_and_limits_can_be_chosen() -> None:
    sandbox = Sandbox(accounts=[Account.demo()], limits=Limits.off())
    async with Client(apikey="demo", url=URL, transport=sandbox.transport(), guards=None) as client:
        for _ in range(20):
            await client.balance()
        with pytest.raises(InvalidPhone):
            await client.send("79000009007", "x")
