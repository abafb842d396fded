"""Invoices over SMS from a handler that is cancelled when its client disconnects: none is lost or sent twice.

    pip install 'smsc-async[cli,sandbox]' fastapi uvicorn
    smsc-async sandbox --port 8025                                           # in another terminal
    export SMSC_URL=http://127.0.0.1:8025/sys/soap.php SMSC_APIKEY=demo      # or yours, and your credentials
    uvicorn fastapi_cancelled:app

A send that is cancelled may have been executed. Its `UnresolvedSend` goes to a task that runs as long as the
application and resolves it. A program that must keep unresolved sends over a restart uses a `Journal`.
"""

import math
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, Field

from smsc_async import Client, SendOutcomeUnknown, UnresolvedSend

AGAIN = 60.0  # seconds


class Invoice(BaseModel):
    """A request for payment; `number` is the message's id."""

    number: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,40}$")]
    phone: Annotated[str, Field(pattern=r"^\+[0-9]{8,15}$")]
    amount: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}$")]


async def reconcile(
    client: Client, unresolved_sends: MemoryObjectReceiveStream[UnresolvedSend], outcomes: dict[str, str]
) -> None:
    """Resolve each unresolved send."""
    async with anyio.create_task_group() as group:
        async for unresolved in unresolved_sends:
            group.start_soon(reconcile_one, client, unresolved, outcomes)


async def reconcile_one(client: Client, unresolved: UnresolvedSend, outcomes: dict[str, str]) -> None:
    """Resolve one send, with a new try each minute until its outcome is known."""
    while True:
        try:
            found = await client.resolve(unresolved)
        except SendOutcomeUnknown:
            await anyio.sleep(AGAIN)
        else:
            outcomes[unresolved.id] = "sent" if found else "not sent"
            return


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """Keep one client, and one task for unresolved sends, while the application runs."""
    hand_over, unresolved_sends = anyio.create_memory_object_stream[UnresolvedSend](math.inf)
    outcomes: dict[str, str] = {}
    app.state.outcomes = outcomes

    def remember(unresolved: UnresolvedSend) -> None:
        outcomes[unresolved.id] = "unresolved"
        hand_over.send_nowait(unresolved)

    async with Client(url=os.environ["SMSC_URL"], on_unresolved=remember) as client, anyio.create_task_group() as group:
        app.state.client = client
        group.start_soon(reconcile, client, unresolved_sends, outcomes)
        yield
        group.cancel_scope.cancel()


app = FastAPI(lifespan=lifespan)


async def unless_gone(request: Request, work: Callable[[], Awaitable[Any]]) -> None:
    """Run `work`, and cancel it if the client disconnects."""

    async def watch() -> None:
        while not await request.is_disconnected():  # noqa: ASYNC110 - ASGI has no event for it
            await anyio.sleep(0.05)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await work()
        group.cancel_scope.cancel()


@app.post("/invoices")
async def send_invoice(invoice: Invoice, request: Request) -> Response:
    """Send an invoice, once: a client that disconnected and tries again receives the outcome."""
    outcomes: dict[str, str] = request.app.state.outcomes
    if outcomes.get(invoice.number, "not sent") != "not sent":
        return Response(outcomes[invoice.number], media_type="text/plain")
    outcomes[invoice.number] = "being sent"

    async def send() -> None:
        text = f"Please pay {invoice.amount} for invoice {invoice.number}"
        await request.app.state.client.send(invoice.phone, text, id=invoice.number)
        outcomes[invoice.number] = "sent"

    try:
        await unless_gone(request, send)
    finally:
        if outcomes[invoice.number] == "being sent":  # it failed or was cancelled, and its outcome is known
            outcomes[invoice.number] = "not sent"
    return Response(outcomes[invoice.number], media_type="text/plain")


@app.get("/invoices/{number}")
async def outcome(number: str, request: Request) -> Response:
    """Return the outcome of an invoice."""
    outcomes: dict[str, str] = request.app.state.outcomes
    if number not in outcomes:
        raise HTTPException(404)
    return Response(outcomes[number], media_type="text/plain")
