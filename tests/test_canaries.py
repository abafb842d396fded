"""No credential, phone or text appears in a log, a repr, or the exception of a failing call."""

import asyncio
import gzip
import logging
import re
import socket
import traceback
from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from smsc_async import ApiKey, Client, Guards, Login, Message, MessageRef, SmscError, Timeout, Viber
from smsc_async.guards import Rules
from tests.doubles import RawHandler, RawRequest, answer, fault, http_bytes, raw_server

LOGIN, PASSWORD, APIKEY = "canarylogin", "canarypassword", "canaryapikey"
PHONE, PHONE_2, TEXT = "+79990001122", "+79990003344", "canarytext in a message"
CANARIES = re.compile("canary|9990001122|9990003344|0001122|0003344", re.IGNORECASE)
REF = MessageRef(PHONE, "a1")


async def _batch(client: Client) -> None:
    messages = [Message(PHONE, TEXT), Message(PHONE_2, f"{TEXT} | alone")]
    async for outcome in client.send_batch(messages):
        if outcome.error is not None:
            raise outcome.error


async def _prices(client: Client) -> None:
    async for outcome in client.cost_batch([Message(PHONE, TEXT), Message(PHONE_2, TEXT)]):
        if outcome.error is not None:
            raise outcome.error


async def _statuses(client: Client) -> None:
    for report in await client.statuses([REF, MessageRef(PHONE_2, "a1")]):
        if isinstance(report, SmscError):
            raise report


CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "send": lambda client: client.send(PHONE, TEXT),
    "send2": lambda client: client.send([PHONE, PHONE_2], TEXT, via=Viber(), cost=3),
    "cost": lambda client: client.cost(PHONE, TEXT),
    "status": lambda client: client.status(REF, detail=2),
    "balance": lambda client: client.balance(),
    "batch": _batch,
    "prices": _prices,
    "statuses": _statuses,
}


def _replying(make: Callable[[str], bytes], *, stays: bool = False) -> RawHandler:
    """Return a server whose answer quotes the request."""

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> bool:
        quoted = re.sub("<[^>]*>", " ", request.body.decode())
        writer.write(make(quoted))
        return stays

    return serve


async def _silent(_request: RawRequest, _writer: asyncio.StreamWriter) -> bool:
    await asyncio.sleep(30)
    return False  # pragma: no cover - the server is closed before


def _error(code: str) -> bytes:
    """Return an API error as any operation receives it: an answer element is read only by its own operation."""
    return http_bytes(answer("get_balance", error=code).body)


SERVERS: dict[str, RawHandler] = {
    "fault": _replying(lambda quoted: http_bytes(fault("Server", f"can't do {quoted}").body, status="500 Oops")),
    "fault without +": _replying(
        lambda quoted: http_bytes(fault("Server", f"can't do {quoted.replace('+', '')}").body, status="500 Oops")
    ),
    "page": _replying(lambda quoted: http_bytes(quoted.encode(), status="502 Bad Gateway", content_type="text/html")),
    "nonsense": _replying(lambda quoted: http_bytes(f"<a>{quoted}".encode())),
    "other xml": _replying(lambda quoted: http_bytes(f"<a>{quoted}</a>".encode())),
    "number": _replying(lambda quoted: http_bytes(answer("get_balance", balance=quoted, error=quoted).body)),
    "amount": _replying(lambda quoted: http_bytes(answer("get_balance", balance=quoted).body)),
    "other operation": _replying(lambda quoted: http_bytes(answer("get_sms_cost", cost=quoted).body)),
    "half": _replying(lambda quoted: http_bytes(quoted.encode())[:-3]),
    "cut": _replying(lambda _: b""),
    "doctype": _replying(lambda quoted: http_bytes(f"<!DOCTYPE a><a>{quoted}</a>".encode())),
    "broken gzip": _replying(lambda quoted: http_bytes(quoted.encode(), content_encoding="gzip")),
    "bomb": _replying(
        lambda quoted: http_bytes(gzip.compress(quoted.encode() * 9999, mtime=0), content_encoding="gzip")
    ),
    "redirect": _replying(lambda _: http_bytes(b"", status="302 Found", location="/elsewhere")),
    "api error": _replying(lambda _: _error("2")),
    "namespace": _replying(lambda _: http_bytes(fault("Server", "Procedure 'x' not present").body, status="500 Oops")),
    "silence": _silent,
}


def _assert_clean(error: BaseException, client: Client, logged: str) -> None:
    shown = [str(error), repr(error), *traceback.format_exception(error), repr(client), str(client), logged]
    if isinstance(error, SmscError):
        shown += [getattr(error, "fault_string", ""), *map(str, error.args)]
    for text in shown:
        assert not CANARIES.search(text), text


TRANSPORTS: list[Literal["aiohttp"] | None] = [None, "aiohttp"]
over_each_transport = pytest.mark.parametrize("transport", TRANSPORTS, ids=["httpx", "aiohttp"])


@over_each_transport
@pytest.mark.parametrize("with_key", [False, True])
@pytest.mark.parametrize("server", SERVERS)
async def test_failing_call_reveals_nothing_private(
    server: str, transport: Literal["aiohttp"] | None, caplog: pytest.LogCaptureFixture, *, with_key: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    who = {"apikey": APIKEY} if with_key else {"login": LOGIN, "password": PASSWORD}
    async with raw_server(SERVERS[server]) as url:
        quick = Timeout(read=0.02) if server == "silence" else Timeout()
        guards = Guards(rules=Rules().with_policies(login_failures="off", address_failures="off"))  # each call leaves
        options = {"timeout": quick, "retries": 0, "max_response_bytes": 5000, "on_unknown": "raise", "guards": guards}
        async with Client(url=url, transport=transport, **options, **who) as client:  # type: ignore[arg-type]
            for name, call in CALLS.items():
                with pytest.raises((SmscError, ValueError)) as caught:
                    await call(client)
                _assert_clean(caught.value, client, caplog.text)
                if name.startswith("send"):
                    assert isinstance(caught.value, SmscError)
                    assert caught.value.refs[0].phone == PHONE
    assert transport == "aiohttp" or "httpcore" in caplog.text


@pytest.mark.slow
@over_each_transport
async def test_connection_that_is_refused_reveals_nothing_private(
    transport: Literal["aiohttp"] | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        options = {"login": LOGIN, "password": PASSWORD, "retries": 1, "on_unknown": "raise"}
        async with Client(url=url, transport=transport, **options) as client:  # type: ignore[arg-type]
            for call in CALLS.values():
                with pytest.raises(SmscError) as caught:
                    await call(client)
                _assert_clean(caught.value, client, caplog.text)


@over_each_transport
async def test_successful_call_logs_nothing_private(
    transport: Literal["aiohttp"] | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    handler = _replying(lambda _: http_bytes(answer("send_sms", cnt="1").body), stays=True)
    async with (
        raw_server(handler) as url,
        Client(login=LOGIN, password=PASSWORD, url=url, transport=transport) as client,
    ):
        await client.send(PHONE, TEXT)
    assert not CANARIES.search(caplog.text)
    assert "send_sms: HTTP 200" in caplog.text


@over_each_transport
async def test_server_that_quotes_in_its_http_is_not_quoted_in_the_exception(
    transport: Literal["aiohttp"] | None,
) -> None:
    """The text of such a server is still in httpcore's own DEBUG log, which this package does not write."""
    handler = _replying(lambda quoted: f"{' '.join(quoted.split())}\r\n\r\n".encode())
    # How long the client waits before it asks for the status, and that it may ask without a proof of its credentials.
    guards = Guards(late_arrival=0.05, rules=Rules().with_policies(login_failures="off"))
    async with (
        raw_server(handler) as url,
        Client(login=LOGIN, password=PASSWORD, url=url, transport=transport, guards=guards, deadline=1) as client,
    ):
        with pytest.raises(SmscError) as caught:
            await client.send(PHONE, TEXT)
    _assert_clean(caught.value, client, "")


WRONG: dict[str, Callable[[Client], Awaitable[object]]] = {
    "phone": lambda client: client.send(PHONE + "x", TEXT),
    "phones": lambda client: client.send(f"{PHONE},{PHONE_2}x", TEXT),
    "twice in one": lambda client: client.send(f"{PHONE};{PHONE}", TEXT),
    "twice": lambda client: client.send([PHONE, PHONE], TEXT),
    "control": lambda client: client.send(PHONE, TEXT + "\x01"),
    "long": lambda client: client.send(PHONE, TEXT * 100),
    "type": lambda client: client.send(PHONE, [TEXT]),  # type: ignore[arg-type]
    "sender": lambda client: client.send(PHONE, TEXT, sender=LOGIN * 3),
    "extra": lambda client: client.send(PHONE, TEXT, extra={"mes": TEXT}),
    "ref": lambda client: client.status(PHONE),
    "detail": lambda client: client.status(REF, detail=9),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", WRONG)
async def test_wrong_argument_is_not_repeated_in_its_error(what: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = Client(login=LOGIN, password=PASSWORD)
    with pytest.raises(ValueError, match=r"\w") as caught:
        await WRONG[what](client)
    _assert_clean(caught.value, client, caplog.text)
    errors: object = getattr(caught.value, "errors", list)()
    assert not CANARIES.search(str(errors))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Client(apikey=APIKEY, login=LOGIN),
        lambda: Client(login=LOGIN),
        lambda: Client(apikey=APIKEY, url=f"https://{LOGIN}:{PASSWORD}@sms.test/"),
        lambda: Client(apikey=APIKEY, retries=-1),
        lambda: Login.model_validate({"login": LOGIN, "password": [PASSWORD]}),
        lambda: ApiKey.model_validate({"key": [APIKEY]}),
        lambda: ApiKey.model_validate({"key": APIKEY, "more": APIKEY}),
    ],
)
def test_client_that_cannot_be_made_reveals_nothing_private(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        make()
    assert not CANARIES.search("".join([str(caught.value), repr(caught.value)]))
    shown = [line for line in traceback.format_exception(caught.value) if not line.lstrip().startswith("File")]
    assert not CANARIES.search("".join(shown))


def test_credentials_do_not_print() -> None:
    for credentials in (
        ApiKey.model_validate({"key": APIKEY}),
        Login.model_validate({"login": LOGIN, "password": PASSWORD}),
    ):
        assert not CANARIES.search(f"{credentials} {credentials!r}")
