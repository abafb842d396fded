"""The route of FastAPI for callbacks."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import anyio
import pytest
from fastapi import APIRouter, FastAPI

from smsc_async import Client, MessageStatus, Update
from smsc_async.callbacks import Callbacks, CallConfirmed, IncomingMessage, StatusPush
from smsc_async.fastapi import callback_router, get_client, lifespan
from tests.callbacks.samples import CALL, INCOMING, SECRET, STATUS, signed
from tests.doubles import FakeService, make_client
from tests.watching.life import ONE
from tests.web.shop import TestClient, browser

CALLBACKS = Callbacks(secrets=[SECRET])
URL = "/smsc/callback"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _shop(router: APIRouter | None = None, **functions: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(router or callback_router(CALLBACKS, **functions))
    return app


async def test_a_callback_by_get_post_or_json_is_passed_on() -> None:
    pushes: list[object] = []

    async def keep(push: object) -> None:
        pushes.append(push)

    fields = dict(parse_qsl(signed(STATUS).decode(), encoding="cp1251"))
    async with browser(_shop(on_status=keep, on_incoming=keep, on_call=pushes.append)) as service:
        answers = [
            await service.get(f"{URL}?{signed(INCOMING).decode()}"),
            await service.post(URL, content=signed(CALL), headers=FORM),
            await service.post(URL, content=json.dumps(fields), headers={"Content-Type": "application/json"}),
            await service.post(f"{URL}?{signed(CALL).decode()}", content=signed(), headers=FORM),
        ]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "OK")] * 4
    assert [type(push) for push in pushes] == [IncomingMessage, CallConfirmed, StatusPush, StatusPush]
    assert isinstance(pushes[0], IncomingMessage)
    assert pushes[0].text == INCOMING["mes"]


async def test_a_callback_reaches_the_loop_of_a_watch_also_with_an_overridden_client() -> None:
    for is_overridden in (False, True):
        client = make_client(FakeService(latency=9999))
        app = _shop()
        if is_overridden:
            app.dependency_overrides[get_client] = _returning(client)
        else:
            app.state.smsc_client = client
        async with client.watch([ONE]) as updates, browser(app) as service:
            while not updates.total:
                await anyio.lowlevel.checkpoint()
            body = signed({"id": ONE.id, "phone": ONE.phone.removeprefix("+")}, status="1")
            assert (await service.post(URL, content=body, headers=FORM)).status_code == 200
            with anyio.fail_after(10):
                taken: list[Update] = [update async for update in updates]
        assert [(update.source, update.status) for update in taken] == [("push", MessageStatus.DELIVERED)]


def _returning(client: Client) -> Any:
    return lambda: client


async def test_what_is_forged_or_too_large_is_refused_before_a_function_is_called() -> None:
    async def unexpected(_push: object) -> None:
        raise AssertionError

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 16_384

    app = _shop(on_status=unexpected, on_incoming=unexpected, on_call=unexpected)
    async with browser(app) as service:
        statuses = [
            (await service.post(URL, content=signed(secret="guessed"), headers=FORM)).status_code,
            (await service.get(URL)).status_code,
            (await service.post(URL, content=b"x" * 65_537)).status_code,
            (await service.post(URL, content=endless())).status_code,
            (await service.put(URL, content=signed())).status_code,
        ]
    assert statuses == [403, 403, 413, 413, 405]


async def test_a_client_that_goes_away_within_the_body_is_no_error_of_the_application() -> None:
    messages = iter([{"type": "http.request", "body": b"id=1", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": URL,
        "raw_path": URL.encode(),
        "query_string": b"",
        "headers": [],
    }
    await _shop()({**scope, "http_version": "1.1", "scheme": "http", "server": ("shop.test", 80)}, receive, send)
    assert sent[0]["status"] == 400


async def test_a_function_that_is_cancelled_with_its_request_leaves_nothing_behind() -> None:
    began = anyio.Event()
    is_cancelled = False

    async def slow(_message: IncomingMessage) -> None:
        nonlocal is_cancelled
        began.set()
        try:
            await anyio.sleep_forever()
        except BaseException:
            is_cancelled = True
            raise

    app = _shop(on_incoming=slow)
    async with browser(app) as service, anyio.create_task_group() as group:
        group.start_soon(service.get, f"{URL}?{signed(INCOMING).decode()}")
        await began.wait()
        group.cancel_scope.cancel()
    assert is_cancelled


def test_statuses_are_drained_at_shutdown_while_the_client_is_open_and_the_application_may_start_again() -> None:
    balances: list[object] = []
    failures: list[Exception] = []
    router_shop: list[FastAPI] = []

    async def ask(_push: StatusPush) -> None:
        await anyio.lowlevel.checkpoint()
        try:
            balances.append(await router_shop[0].state.smsc_client.balance())
        except Exception as error:  # noqa: BLE001 - it is asserted that there is none
            failures.append(error)

    app = FastAPI(lifespan=lifespan(lambda: make_client(FakeService())))
    app.include_router(callback_router(CALLBACKS, on_status=ask))
    router_shop.append(app)
    for number in (1, 2):
        with TestClient(app) as service:
            for _ in range(20):
                assert service.post(URL, content=signed(), headers=FORM).status_code == 200
        assert (len(balances), failures) == (20 * number, [])


def test_an_error_of_the_application_is_not_wrapped_by_the_route() -> None:
    @asynccontextmanager
    async def failing(_app: FastAPI) -> AsyncIterator[None]:
        yield
        raise OSError("the database is gone")

    inner = APIRouter(lifespan=failing)
    router = callback_router(CALLBACKS, on_status=print)
    router.include_router(inner, prefix="/inner")
    with pytest.raises(OSError, match="the database is gone"), TestClient(_shop(router)):
        pass


def test_the_route_has_the_path_you_choose_and_is_not_in_the_schema() -> None:
    app = FastAPI()
    app.include_router(callback_router(CALLBACKS, path="/hook"), prefix="/sms")
    with TestClient(app) as service:
        assert service.get(f"/sms/hook?{signed().decode()}").status_code == 200
    assert app.openapi()["paths"] == {}
