"""The shop, with a sandbox in place of the service; no test sleeps or needs a network."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from smsc_async import Client
from smsc_async.callbacks import Callbacks
from smsc_async.fastapi import callback_router, get_client
from smsc_async.sandbox import Sandbox

from .app import app, on_status
from .outbox import Outbox

pytestmark = pytest.mark.anyio
SECRET = "the secret of the account's settings"
KETTLE = {"phone": "+7 999 123-45-67", "item": "a <kettle>"}

app.include_router(callback_router(Callbacks(secrets=[SECRET]), on_status=on_status))


@pytest.fixture(autouse=True)
def database(smsc_client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(app.dependency_overrides, get_client, lambda: smsc_client)
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.db"))
    return tmp_path / "shop.db"


@asynccontextmanager
async def browser() -> AsyncGenerator[httpx.AsyncClient, None]:
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        yield http


async def order_with(http: httpx.AsyncClient, name: str, value: str) -> dict[str, Any]:
    """Return the order when this field of it has this value."""
    order: dict[str, Any] = {}
    with anyio.fail_after(10):
        while order.get(name) != value:
            order = (await http.get("/orders/17")).json()
    return order


def callback(status: int, secret: str = SECRET) -> dict[str, str]:
    signed = f"order-17-placed:79991234567:{status}:{secret}"
    md5 = hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest()
    return {"id": "order-17-placed", "phone": "79991234567", "status": str(status), "md5": md5}


async def test_an_order_is_confirmed_once_however_often_it_is_placed(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        for _ in range(3):
            assert (await http.put("/orders/17", json=KETTLE)).json()["number"] == 17
        assert (await http.put("/orders/17", json={**KETTLE, "item": "a pan"})).status_code == 409
        await order_with(http, "state", "sent")
    assert [message.id for message in smsc_sandbox.messages] == ["order-17-placed"]


@pytest.mark.smsc(faults=["lose_answer operation=send times=1"])
async def test_a_lost_answer_does_not_send_twice(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        await http.put("/orders/17", json=KETTLE)
        await order_with(http, "state", "sent")
    assert len(smsc_sandbox.messages) == 1


async def test_what_a_killed_process_has_sent_is_not_sent_again(
    smsc_client: Client, smsc_sandbox: Sandbox, database: Path
) -> None:
    with closing(Outbox(database)) as outbox:
        outbox.add(17, "+79991234567", "a kettle")
        claim = outbox.claim()
        assert claim is not None
        await smsc_client.send(claim.phone, claim.text, id=claim.id, attempt=claim.attempt)
    async with browser() as http:
        await order_with(http, "state", "sent")
    assert len(smsc_sandbox.messages) == 1


async def test_what_a_killed_process_was_about_to_send_is_sent(smsc_sandbox: Sandbox, database: Path) -> None:
    with closing(Outbox(database)) as outbox:
        outbox.add(17, "+79991234567", "a kettle")
        assert outbox.claim()
    async with browser() as http:
        await smsc_sandbox.advance(6)  # seconds, in which an earlier request might still arrive
        await order_with(http, "state", "sent")
    assert len(smsc_sandbox.messages) == 1


async def test_a_number_that_the_service_refuses_stops_no_other_message(smsc_sandbox: Sandbox) -> None:
    async with browser() as http:
        await http.put("/orders/16", json={"phone": "+79991234568", "item": "a pan"})
        smsc_sandbox.faults.add("error code=7 phone=+79991234567 times=1")
        await http.put("/orders/17", json=KETTLE)
        assert (await order_with(http, "state", "refused"))["status"] == "InvalidPhone"
        assert (await http.get("/outbox")).json() == {"unsent": 0}
    assert [message.id for message in smsc_sandbox.messages] == ["order-16-placed"]


async def test_callbacks_in_any_order_end_with_the_final_status() -> None:
    async with browser() as http:
        await http.put("/orders/17", json=KETTLE)
        await order_with(http, "state", "sent")
        assert (await http.post("/smsc/callback", data=callback(1))).status_code == 200
        assert (await http.post("/smsc/callback", data=callback(0))).status_code == 200
        assert (await http.post("/smsc/callback", data=callback(3, secret="another"))).status_code == 403
        order = await order_with(http, "status", "delivered")
        assert order["is_final"]


async def test_the_page_shows_the_status_and_escapes_what_the_customer_wrote() -> None:
    async with browser() as http:
        await http.put("/orders/17", json=KETTLE)
        await order_with(http, "state", "sent")
        page = (await http.get("/orders/17/page")).text
        assert "a &lt;kettle&gt;" in page
        assert (await http.get("/orders/18/page")).status_code == 404


async def test_a_second_process_with_the_same_file_does_not_start(database: Path) -> None:
    with closing(Outbox(database)), pytest.raises(Exception, match="locked"):
        Outbox(database)
