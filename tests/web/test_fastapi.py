"""A FastAPI application: its client, its tests, and errors as answers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import phonenumbers  # noqa: F401 - without it, no phone is read
import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, StreamingResponse

from smsc_async import (
    Client,
    ConnectError,
    DuplicateSend,
    JournalError,
    ReadTimeout,
    SmscError,
    TransportError,
    WrongEventLoop,
)
from smsc_async.fastapi import SmscClient, exception_handlers, get_client, lifespan
from smsc_async.sandbox import Sandbox
from tests.web.shop import ERRORS, SECRETS, TestClient, browser, fastapi_shop, unknown_send

app = fastapi_shop()
ORDER = {"phone": "+7 999 123-45-67", "number": 17}


@pytest.fixture(autouse=True)
def _without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMSC_APIKEY", "SMSC_LOGIN", "SMSC_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    app.dependency_overrides.clear()


def _failing(error: Exception, app: FastAPI | None = None) -> FastAPI:
    app = app or FastAPI()
    exception_handlers(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    return app


def test_an_application_is_tested_without_network_in_five_lines(smsc_client: Client, smsc_sandbox: Sandbox) -> None:
    app.dependency_overrides[get_client] = lambda: smsc_client
    with TestClient(app) as http:
        assert http.post("/orders", json=ORDER).status_code == 200
    smsc_sandbox.assert_sent("+79991234567", contains="Order 17")


async def test_the_client_of_a_test_stays_open_and_serves_without_a_lifespan_too(
    smsc_client: Client, smsc_sandbox: Sandbox
) -> None:
    app.dependency_overrides[get_client] = lambda: smsc_client
    with TestClient(app) as http:
        await asyncio.to_thread(http.post, "/orders", json=ORDER)
        assert app.state.smsc_client is smsc_client
    async with browser(app) as http:
        answer = await http.get("/messages/+79991234567:order-17")
    assert (answer.status_code, answer.json()["ref"]["id"]) == (200, smsc_sandbox.messages[0].id)


def test_an_override_that_only_a_request_can_resolve_is_used_there(smsc_client: Client) -> None:
    async def later() -> Client:
        return smsc_client

    def with_parameters(number: int = 1) -> Client:
        assert number == 1
        return smsc_client

    for override in (later, with_parameters):
        app.dependency_overrides[get_client] = override
        with TestClient(app) as http:
            assert http.post("/orders", json={**ORDER, "number": hash(override) % 1000}).status_code == 200
            assert app.state.smsc_client is None


@pytest.mark.smsc(faults=["lose_answer operation=send", "lose_answer operation=status"])
def test_a_lost_answer_is_accepted_with_the_id_of_the_message(smsc_client: Client, smsc_sandbox: Sandbox) -> None:
    app.dependency_overrides[get_client] = lambda: smsc_client.with_options(deadline=0.05)
    with TestClient(app) as http:
        answer = http.post("/orders", json=ORDER)
        lost = http.get("/messages/+79991234567:a1")
    assert (answer.status_code, answer.json()["message_id"]) == (202, "order-17")
    assert (lost.status_code, "message_id" in lost.json()) == (502, False)
    smsc_sandbox.assert_sent("+79991234567")


def test_the_client_lives_as_long_as_the_application_and_is_made_anew_at_each_start() -> None:
    made: list[Client] = []

    def make() -> Client:
        made.append(Client(apikey="demo", transport=Sandbox().transport()))
        return made[-1]

    shop = fastapi_shop(make)
    for number in (1, 2):
        with TestClient(shop) as http:
            assert http.post("/orders", json=ORDER).status_code == 200
            assert len(made) == number
    assert shop.state.smsc_client is None


async def test_the_lifespan_goes_into_one_of_your_own_and_closes_the_client_after_it() -> None:
    client = Client(apikey="demo", transport=Sandbox().transport())
    smsc = lifespan(lambda: client)

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with smsc(app):
            yield {"balance": await app.state.smsc_client.balance()}
            await client.balance()

    shop = FastAPI()
    async with own(shop) as state:
        assert state["balance"].amount == 10_000
    with pytest.raises(SmscError, match="closed"):
        await client.balance()


def test_missing_credentials_fail_the_start_in_one_sentence() -> None:
    with (
        pytest.raises(ValueError, match=r"^credentials are missing; pass apikey=.* in the environment$") as caught,
        TestClient(app),
    ):
        raise AssertionError
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_function_that_makes_no_client_is_refused() -> None:
    words = "make_client must be a function that returns a smsc_async.Client, or Client itself, not Client"
    with pytest.raises(ValueError, match=words):
        lifespan(Client(apikey="demo"))  # type: ignore[arg-type]
    with (
        pytest.raises(ValueError, match=r"what make_client returns must be a smsc_async\.Client, not None"),
        TestClient(fastapi_shop(lambda: None)),
    ):
        raise AssertionError


async def test_an_application_without_a_lifespan_says_what_is_missing() -> None:
    async with browser(fastapi_shop()) as http:
        with pytest.raises(RuntimeError, match=r"has no client: pass FastAPI\(lifespan="):
            await http.post("/orders", json=ORDER)


def test_a_websocket_has_the_client_too_and_keeps_its_errors(smsc_client: Client) -> None:
    chat = FastAPI()
    exception_handlers(chat)
    chat.dependency_overrides[get_client] = lambda: smsc_client

    @chat.websocket("/")
    async def talk(socket: WebSocket, client: SmscClient) -> None:
        await socket.accept()
        await socket.send_text(str((await client.balance()).amount))
        await socket.receive_text()
        raise ConnectError("refused")

    http = TestClient(chat)
    received: list[str] = []

    def converse() -> None:
        with http.websocket_connect("/") as socket:
            received.append(socket.receive_text())
            socket.send_text("thanks")
            socket.receive_text()

    with pytest.raises((ConnectError, WebSocketDisconnect)):
        converse()
    assert received == ["10000"]


@pytest.mark.parametrize(
    ("error", "status", "retry_after"), ERRORS, ids=lambda value: type(value).__name__ if value else "-"
)
async def test_each_error_has_its_answer_without_a_private_word(
    error: SmscError, status: int, retry_after: str | None
) -> None:
    async with browser(_failing(error)) as http:
        answer = await http.get("/")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, retry_after)
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert body["title"] == HTTPStatus(status).phrase
    assert body.get("message_id") == ("a1" if status == 202 else None)
    assert body.keys() <= {"type", "title", "status", "detail", "message_id"}
    assert not [word for word in SECRETS if word in answer.text.casefold()]


async def test_what_the_service_did_is_logged_for_those_who_run_the_application(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for error in (ConnectError("no route to the service"), unknown_send(ReadTimeout), DuplicateSend("again")):
        async with browser(_failing(error)) as http:
            await http.get("/")
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings[0] == "answered 502 after ConnectError: no route to the service"
    assert warnings[1].startswith("answered 202 after ReadTimeout: ")
    assert len(warnings) == 2


async def test_handlers_of_your_own_are_kept_whether_registered_before_or_after() -> None:
    shop = FastAPI()

    async def mine(_request: object, error: Exception) -> JSONResponse:
        return JSONResponse(type(error).__name__, 418)

    shop.add_exception_handler(DuplicateSend, mine)
    _failing(DuplicateSend("again"), shop)
    shop.add_exception_handler(TransportError, mine)
    shop.add_exception_handler(ValueError, mine)
    for number, error in enumerate((ConnectError("refused"), ValueError("wrong"))):
        shop.add_api_route(f"/{number}", _raising(error))
    async with browser(shop) as http:
        answers = [(await http.get(path)).json() for path in ("/", "/0", "/1")]
    assert answers == ["DuplicateSend", "ConnectError", "ValueError"]


def _raising(error: Exception) -> Any:
    async def fail() -> None:
        raise error

    return fail


async def test_a_handler_of_all_errors_of_your_own_stays() -> None:
    shop = FastAPI()

    async def mine(_request: object, _error: Exception) -> JSONResponse:
        return JSONResponse("mine", 418)

    shop.add_exception_handler(SmscError, mine)
    async with browser(_failing(DuplicateSend("again"), shop)) as http:
        assert (await http.get("/")).json() == "mine"


@pytest.mark.parametrize("error", [ValueError("wrong"), WrongEventLoop("two loops"), JournalError("gone"), KeyError()])
async def test_a_mistake_of_the_program_stays_an_error_of_the_application(error: Exception) -> None:
    async with browser(_failing(error)) as http:
        with pytest.raises(type(error)):
            await http.get("/")


async def test_an_error_after_the_answer_has_begun_is_not_answered_twice() -> None:
    shop = FastAPI()
    exception_handlers(shop)

    async def lines() -> AsyncIterator[str]:
        yield "first"
        raise ConnectError("refused")

    @shop.get("/")
    async def stream() -> StreamingResponse:
        return StreamingResponse(lines())

    async with browser(shop) as http:
        with pytest.raises((ConnectError, RuntimeError, ExceptionGroup)):
            await http.get("/")
