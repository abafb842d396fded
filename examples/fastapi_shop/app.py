"""The shop; see the package for how to run it."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from html import escape
from pathlib import Path
from typing import Annotated

import anyio
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from smsc_async import Client, Journal, MessageRef, Phone, SmscError
from smsc_async.callbacks import Callbacks, StatusPush
from smsc_async.fastapi import SmscClient, callback_router, exception_handlers, lifespan

from .outbox import Order, Outbox, State
from .sender import send_all


@asynccontextmanager
async def running(app: FastAPI) -> AsyncGenerator[None, None]:
    """Keep the database and the client open, and send, while the application runs."""
    path = Path(os.environ.get("SHOP_DATABASE", "shop.db"))
    with closing(Outbox(path)) as app.state.outbox:
        async with Journal(path.with_suffix(".limits")) as journal:  # keeps the limits of the service over restarts
            smsc = lifespan(lambda: Client(url=os.environ["SMSC_URL"], guards=journal.guards()))
            async with smsc(app), anyio.create_task_group() as group:
                group.start_soon(send_all, app.state.smsc_client, app.state.outbox)
                yield
                group.cancel_scope.cancel()  # what was being sent has an attempt more when the shop starts again


app = FastAPI(title="A shop", lifespan=running)
exception_handlers(app)


def get_outbox(request: Request) -> Outbox:
    """Return the database of the application."""
    outbox: Outbox = request.app.state.outbox
    return outbox


TheOutbox = Annotated[Outbox, Depends(get_outbox)]
Number = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]


class NewOrder(BaseModel):
    """What a customer orders."""

    phone: Phone
    item: Annotated[str, Field(min_length=1, max_length=200)]


@app.put("/orders/{number}")
async def place(number: Number, new: NewOrder, outbox: TheOutbox) -> Order:
    """Place an order; the same request may be repeated until it is answered."""
    order = outbox.add(number, new.phone, new.item)
    if (order.phone, order.item) != (new.phone, new.item):
        raise HTTPException(409, "another order has this number")
    return order


async def get_order(number: Number, outbox: TheOutbox, client: SmscClient) -> Order:
    """Return an order, with a new status if no callback has reported the final one."""
    order = outbox.order(number)
    if order is None:
        raise HTTPException(404, "there is no such order")
    if order.state is not State.SENT or order.is_final:
        return order
    try:
        report = await client.status(MessageRef(phone=order.phone, id=order.message_id), deadline=3.0)
    except SmscError:
        return order  # asked too often, for example; the status that is known will do
    outbox.report(order.message_id, report.phrase, is_final=report.is_final)
    return outbox.order(number) or order


TheOrder = Annotated[Order, Depends(get_order)]


@app.get("/orders/{number}")  # noqa: FAST003 - TheOrder has the parameter
async def show(order: TheOrder) -> Order:
    """Return an order."""
    return order


@app.get("/orders/{number}/page")  # noqa: FAST003 - as above
async def page(order: TheOrder) -> HTMLResponse:
    """Return the page on which a customer sees what became of the message."""
    reload = "" if order.is_final else '<meta http-equiv="refresh" content="15">'
    return HTMLResponse(
        f"<!doctype html><title>Order {order.number}</title>{reload}"
        f"<h1>Order {order.number}</h1><p>{escape(order.item)}<p>SMS: {escape(order.status or order.state)}"
    )


@app.get("/outbox")
async def backlog(outbox: TheOutbox) -> dict[str, int]:
    """Return how many messages are still to be sent, for those who watch over the shop."""
    return {"unsent": outbox.unsent()}


async def on_status(push: StatusPush) -> None:
    """Record a status that the service reports; a message of another program is in no row."""
    outbox: Outbox = app.state.outbox
    outbox.report(push.ref.id, push.phrase, is_final=push.is_final)


if secret := os.environ.get("SMSC_CALLBACK_SECRET"):  # of the account's settings, beside the URL .../smsc/callback
    app.include_router(callback_router(Callbacks(secrets=[secret]), on_status=on_status))
