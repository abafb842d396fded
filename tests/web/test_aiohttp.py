"""An aiohttp application, tested as its users do: with pytest-aiohttp."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import pytest_aiohttp  # noqa: F401 - or skip the tests
from aiohttp import ServerDisconnectedError, web
from aiohttp.test_utils import TestClient, TestServer

from smsc_async import Client, ConnectError, DuplicateSend, JournalError, SmscError, WrongEventLoop
from smsc_async.aiohttp import add_callback_routes, client_key, context, error_middleware
from smsc_async.callbacks import Callbacks, CallConfirmed, IncomingMessage, StatusPush
from smsc_async.sandbox import Sandbox
from tests.callbacks.samples import CALL, INCOMING, SECRET, STATUS, signed
from tests.doubles import FakeService, make_client
from tests.watching.life import ONE
from tests.web.shop import ERRORS, SECRETS

Http = Callable[[web.Application], Awaitable[TestClient[web.Request, web.Application]]]

CALLBACKS = Callbacks(secrets=[SECRET])
URL = "/smsc/callback"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def _order(request: web.Request) -> web.Response:
    order = await request.json()
    text, id_ = f"Order {order['number']} is on its way", f"order-{order['number']}"
    sent = await request.app[client_key].send(order["phone"], text, id=id_)
    return web.Response(text=sent.model_dump_json(), content_type="application/json")


def _shop(make_client: Callable[[], Client] = Client) -> web.Application:
    app = web.Application(middlewares=[error_middleware])
    app.cleanup_ctx.append(context(make_client))
    app.router.add_post("/orders", _order)
    return app


def _failing(error: Exception) -> web.Application:
    app = web.Application(middlewares=[error_middleware])

    async def fail(_request: web.Request) -> web.Response:
        raise error

    app.router.add_get("/", fail)
    return app


def _receiving(**functions: Any) -> web.Application:
    app = web.Application()
    add_callback_routes(app, CALLBACKS, **functions)
    return app


async def test_an_application_is_tested_without_network_in_five_lines(
    aiohttp_client: Http, smsc_client: Client, smsc_sandbox: Sandbox
) -> None:
    http = await aiohttp_client(_shop(lambda: smsc_client))
    answer = await http.post("/orders", json={"phone": "+79991234567", "number": 17})
    assert answer.status == 200
    smsc_sandbox.assert_sent("+79991234567", contains="Order 17")


@pytest.mark.smsc(faults=["lose_answer operation=send", "lose_answer operation=status"])
async def test_a_lost_answer_is_accepted_with_the_id_of_the_message(aiohttp_client: Http, smsc_client: Client) -> None:
    app = _shop(lambda: smsc_client.with_options(deadline=0.05))

    async def status(request: web.Request) -> web.Response:
        return web.json_response((await request.app[client_key].status("+79991234567:a1")).status)

    app.router.add_get("/status", status)
    http = await aiohttp_client(app)
    answer = await http.post("/orders", json={"phone": "+79991234567", "number": 17})
    assert (answer.status, (await answer.json(content_type=None))["message_id"]) == (202, "order-17")
    assert (await http.get("/status")).status == 502


async def test_the_client_is_closed_with_the_application(aiohttp_client: Http) -> None:
    client = Client(apikey="demo", transport=Sandbox().transport())
    http = await aiohttp_client(_shop(lambda: client))
    assert http.app is not None
    assert http.app[client_key] is client
    await http.close()
    with pytest.raises(SmscError, match="closed"):
        await client.balance()


async def test_missing_credentials_fail_the_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMSC_APIKEY", "SMSC_LOGIN", "SMSC_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    app = _shop()
    add_callback_routes(app, CALLBACKS, on_status=print)
    with pytest.raises(ValueError, match=r"^credentials are missing; pass apikey=.* in the environment$"):
        await _fail_to_start(app)


async def _fail_to_start(app: web.Application) -> None:
    runner = web.AppRunner(app)
    try:
        await runner.setup()
    finally:
        await runner.cleanup()


async def test_a_function_that_makes_no_client_is_refused() -> None:
    with pytest.raises(ValueError, match="make_client must be a function that returns"):
        context(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"what make_client returns must be a smsc_async\.Client, not None"):
        await _fail_to_start(_shop(lambda: None))  # type: ignore[arg-type,return-value]


async def test_each_error_has_its_answer_without_a_private_word(aiohttp_client: Http) -> None:
    app = web.Application(middlewares=[error_middleware])

    async def fail(request: web.Request) -> web.Response:
        raise ERRORS[int(request.match_info["number"])][0]

    app.router.add_get("/{number}", fail)
    http = await aiohttp_client(app)
    for number, (_, status, retry_after) in enumerate(ERRORS):
        answer = await http.get(f"/{number}")
        text = await answer.text()
        assert (answer.status, answer.headers.get("Retry-After")) == (status, retry_after)
        assert answer.content_type == "application/problem+json"
        assert json.loads(text).get("message_id") == ("a1" if status == 202 else None)
        assert not [word for word in SECRETS if word in text.casefold()]


@pytest.mark.parametrize("error", [ValueError("wrong"), WrongEventLoop("two loops"), JournalError("gone"), KeyError()])
async def test_a_mistake_of_the_program_stays_an_error_of_the_application(
    aiohttp_client: Http, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    http = await aiohttp_client(_failing(error))
    answer = await http.get("/")
    assert (answer.status, answer.content_type) == (500, "text/plain")
    assert any(record.exc_info and record.exc_info[1] is error for record in caplog.records)


async def test_a_middleware_of_your_own_sees_the_errors_first_and_http_errors_pass(aiohttp_client: Http) -> None:
    @web.middleware
    async def mine(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except DuplicateSend:
            return web.Response(status=418)

    async def missing(_request: web.Request) -> web.Response:
        raise web.HTTPNotFound

    app = _failing(DuplicateSend("again"))
    app.middlewares.append(mine)
    app.router.add_get("/missing", missing)
    http = await aiohttp_client(app)
    assert [(await http.get(path)).status for path in ("/", "/missing")] == [418, 404]


async def test_an_error_after_the_answer_has_begun_is_not_answered_twice(
    aiohttp_client: Http, caplog: pytest.LogCaptureFixture
) -> None:
    app = web.Application(middlewares=[error_middleware])

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"first")
        raise ConnectError("refused")

    async def talk(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        raise ConnectError("refused")

    app.router.add_get("/stream", stream)
    app.router.add_get("/talk", talk)
    http = await aiohttp_client(app)
    answer = await http.get("/stream")
    with pytest.raises(Exception, match=r"payload|closed|disconnected"):
        raise AssertionError(await answer.read())
    async with http.ws_connect("/talk") as socket:
        assert await socket.receive_str() == "hello"
        assert (await socket.receive()).type.name in {"CLOSED", "CLOSE", "ERROR"}
    assert "answered 502" not in caplog.text


async def test_a_callback_by_get_or_post_is_passed_on_and_reaches_the_loop_of_a_watch(aiohttp_client: Http) -> None:
    pushes: list[object] = []
    client = make_client(FakeService(latency=9999))
    inner = web.Application()
    add_callback_routes(inner, CALLBACKS, on_status=pushes.append, on_incoming=pushes.append, on_call=pushes.append)
    app = web.Application()
    app.cleanup_ctx.append(context(lambda: client))
    app.add_subapp("/sms", inner)
    http = await aiohttp_client(app)
    async with client.watch([ONE]) as updates:
        while not updates.total:
            await anyio.lowlevel.checkpoint()
        body = signed({"id": ONE.id, "phone": ONE.phone.removeprefix("+")}, status="1")
        answers = [
            await http.get(f"/sms{URL}?{signed(INCOMING).decode()}"),
            await http.post(f"/sms{URL}", data=signed(CALL), headers=FORM),
            await http.post(f"/sms{URL}?{signed(CALL).decode()}", data=body, headers=FORM),
        ]
        async with asyncio.timeout(10):
            taken = [update.source async for update in updates]
    assert [(answer.status, await answer.text()) for answer in answers] == [(200, "OK")] * 3
    await http.close()
    assert taken == ["push"]
    assert [type(push) for push in pushes] == [IncomingMessage, CallConfirmed, StatusPush]
    assert isinstance(pushes[0], IncomingMessage)
    assert pushes[0].text == INCOMING["mes"]


async def test_what_is_forged_or_too_large_or_not_to_be_read_is_refused(aiohttp_client: Http) -> None:
    messages: list[IncomingMessage] = []
    http = await aiohttp_client(_receiving(on_incoming=messages.append))
    statuses = [
        (await http.post(URL, data=signed(secret="guessed"), headers=FORM)).status,
        (await http.get(URL)).status,
        (await http.get(f"{URL}?%ff%%%&=&=")).status,
        (await http.post(URL, data=b"x" * 65_537)).status,
        (await http.put(URL, data=signed())).status,
        (await http.head(URL)).status,
    ]
    assert statuses == [403, 403, 403, 413, 405, 405]
    try:
        answer = await http.post(URL, data=signed(INCOMING), headers={**FORM, "Content-Encoding": "gzip"})
        assert answer.status == 400
    except ServerDisconnectedError:  # aiohttp drops a connection with such a body, and the answer with it
        pass
    assert messages == []


async def test_a_client_that_goes_away_within_the_body_is_no_error_of_the_application(
    aiohttp_client: Http, caplog: pytest.LogCaptureFixture
) -> None:
    http = await aiohttp_client(_receiving(on_incoming=print))
    reader, writer = await asyncio.open_connection(http.host, http.port)
    writer.write(f"POST {URL} HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 100\r\n\r\nid=1".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    assert (await http.get(URL)).status == 403
    await http.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_failure_is_503_and_the_exception_is_logged(
    aiohttp_client: Http, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_message: IncomingMessage) -> None:
        raise OSError("the database is gone")

    http = await aiohttp_client(_receiving(on_incoming=fail))
    assert (await http.post(URL, data=signed(INCOMING), headers=FORM)).status == 503
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "on_incoming failed"


@pytest.mark.parametrize("is_client_first", [True, False])
async def test_statuses_are_drained_at_shutdown_while_the_client_is_open(
    aiohttp_client: Http, *, is_client_first: bool
) -> None:
    balances: list[object] = []
    app = web.Application()

    async def ask(_push: StatusPush) -> None:
        await asyncio.sleep(0)
        balances.append(await app[client_key].balance())

    steps: list[Callable[[], object]] = [
        lambda: app.cleanup_ctx.append(context(lambda: make_client(FakeService()))),
        lambda: add_callback_routes(app, CALLBACKS, on_status=ask),
    ]
    for step in steps if is_client_first else reversed(steps):
        step()
    http = await aiohttp_client(app)
    for _ in range(20):
        assert (await http.post(URL, data=signed(STATUS), headers=FORM)).status == 200
    await http.close()
    assert len(balances) == 20


async def test_the_routes_start_again_with_the_application() -> None:
    pushes: list[StatusPush] = []
    app = _receiving(on_status=pushes.append, path="/hook")
    async with TestClient(TestServer(app)) as http:
        assert (await http.get(f"/hook?{signed().decode()}")).status == 200
    assert len(pushes) == 1
