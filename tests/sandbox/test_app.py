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


async def _post(sandbox: Sandbox, body: bytes, host: str | None, **scope: Any) -> tuple[int, bytes]:
    """Post as a server does that got this Host header, and return the status and the body of the answer."""
    sent: list[dict[str, Any]] = []
    headers = [] if host is None else [(b"host", host.encode())]
    request = {"type": "http", "method": "POST", "path": "/sys/soap.php", "query_string": b"", "headers": headers}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(event: Any) -> None:
        sent.append(event)

    await sandbox.app({"scheme": "http", **request, **scope}, receive, send)
    return sent[0]["status"], b"".join(event.get("body", b"") for event in sent)


async def test_the_wsdl_has_the_url_of_its_request() -> None:
    for query in ("?wsdl", "?WSDL"):
        reply = await ask("GET", URL + query)
        assert reply.headers["Content-Type"] == "text/xml; charset=utf-8"
        assert target_namespace(reply.content) == URL


OFFICIAL = "https://smscentre.com/sys/soap.php"


@pytest.mark.parametrize("host", ["127.0.0.1:8025", "sandbox:8025", "smscentre.com", "[::1]", "a b"])
@pytest.mark.parametrize("namespace", [OFFICIAL, "http://10.0.0.5:8025/sys/soap.php", "http://{host}/sys/soap.php"])
async def test_the_services_namespace_and_its_own_urls_are_right_whatever_the_host(host: str, namespace: str) -> None:
    """An integration for the service runs unchanged against the sandbox, in Docker and behind a proxy too."""
    namespace = namespace.format(host=host)
    body = encode(GetBalance(), ApiKey.model_validate({"key": "demo"}), namespace).body
    status, answer = await _post(Sandbox(), body, host, server=("10.0.0.5", 8025))
    assert status == 200
    assert f'xmlns:ns1="{namespace}"'.encode() in answer


@pytest.mark.parametrize(
    ("server", "scheme", "namespace"),
    [
        (("10.0.0.5", 80), "http", "http://10.0.0.5/sys/soap.php"),
        (("10.0.0.5", 443), "https", "https://10.0.0.5/sys/soap.php"),
        (("10.0.0.5", 443), "http", "http://10.0.0.5:443/sys/soap.php"),
        (("::1", 8025), "http", "http://[::1]:8025/sys/soap.php"),
        (("/run/sandbox.sock", None), "http", "http:///run/sandbox.sock/sys/soap.php"),
        (None, "http", "http://127.0.0.1/sys/soap.php"),
    ],
)
async def test_the_own_url_is_where_the_server_listens(
    server: tuple[str, int | None] | None, scheme: str, namespace: str
) -> None:
    body = encode(GetBalance(), ApiKey.model_validate({"key": "demo"}), namespace).body
    for host in ("sandbox", None):
        assert (await _post(Sandbox(), body, host, server=server, scheme=scheme))[0] == 200


async def test_a_given_namespace_is_the_only_one() -> None:
    sandbox = Sandbox(namespace="urn:mine")
    for namespace, status in (("urn:mine", 200), (OFFICIAL, 500), (URL, 500)):
        body = encode(GetBalance(), ApiKey.model_validate({"key": "demo"}), namespace).body
        assert (await _post(sandbox, body, "127.0.0.1:8025"))[0] == status
    async with httpx.AsyncClient(transport=sandbox.transport()) as http:
        wsdl = (await http.get(f"{URL}?wsdl")).content
    assert target_namespace(wsdl) == "urn:mine"
    assert f'location="{URL}"'.encode() in wsdl


@pytest.mark.parametrize("namespace", ["", " ", "urn:a b", "urn:a\n", "urn:\x01"])
def test_what_can_be_no_namespace_is_refused(namespace: str) -> None:
    with pytest.raises(ValueError, match=r"namespace must be 'https.*or another URI without spaces, or None$"):
        Sandbox(namespace=namespace)


async def test_the_client_learns_a_given_namespace_by_itself() -> None:
    async with Client(apikey="demo", url=URL, transport=Sandbox(namespace="urn:mine").transport()) as client:
        assert (await client.balance()).amount == 10_000


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


@pytest.mark.parametrize("encoding", ["br", "GZIP", "identity", ""])
async def test_a_compression_that_ext_soap_does_not_know_gets_an_empty_page(encoding: str) -> None:
    reply = await ask("POST", body=BALANCE.body, content_encoding=encoding)
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
