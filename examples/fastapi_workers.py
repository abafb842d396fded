"""One-time codes over SMS, served by several workers that share the limits of one account.

    pip install 'smsc-async[redis]' fastapi uvicorn
    export SMSC_APIKEY=... REDIS_URL=redis://localhost/0
    uvicorn fastapi_workers:app --workers 4

Without REDIS_URL each worker counts for itself, which is right for one worker only.
"""

import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, Field

from smsc_async import Client, GuardError, Guards, MessageNotFound, MessageRef, SmscError
from smsc_async.guards import MemoryStore, RedisStore


class Code(BaseModel):
    """Who gets which code."""

    phone: Annotated[str, Field(pattern=r"^\+[0-9]{8,15}$")]
    code: Annotated[str, Field(pattern=r"^[0-9]{4,8}$")]


class Sent(BaseModel):
    """What to ask for later."""

    ref: str


class Report(BaseModel):
    """Where a message is."""

    status: int
    is_final: bool


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep one client for the life of the worker."""
    redis_url = os.environ.get("REDIS_URL")
    store = RedisStore.from_url(redis_url) if redis_url else MemoryStore()
    # Somebody waits for the answer, so a limit that isn't free in two seconds is told to them.
    async with Client(guards=Guards(store, max_wait=2.0)) as client:
        app.state.client = client
        yield


def the_client(request: Request) -> Client:
    """Return the client of this worker."""
    client: Client = request.app.state.client
    return client


app = FastAPI(lifespan=lifespan)
SharedClient = Annotated[Client, Depends(the_client)]


@app.middleware("http")
async def name_the_worker(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Say which process answered."""
    response = await call_next(request)
    response.headers["X-Worker"] = str(os.getpid())
    return response


@app.exception_handler(GuardError)
async def too_often(request: Request, error: GuardError) -> Response:  # noqa: ARG001 - FastAPI's signature
    """Tell when it is worth asking again."""
    after = {} if error.retry_after is None else {"Retry-After": str(math.ceil(error.retry_after))}
    return Response(str(error), 429, headers=after, media_type="text/plain")


@app.exception_handler(SmscError)
async def not_done(request: Request, error: SmscError) -> Response:  # noqa: ARG001 - FastAPI's signature
    """Tell whether it may be asked again."""
    return Response(f"{type(error).__name__}: {error.outcome}", 502, media_type="text/plain")


@app.post("/codes")
async def send_code(wanted: Code, client: SharedClient) -> Sent:
    """Send a code."""
    sent = await client.send(wanted.phone, f"Your code is {wanted.code}")
    return Sent(ref=str(sent.ref))


@app.get("/codes/{ref}")
async def report(ref: str, client: SharedClient) -> Report:
    """Tell where a code is."""
    try:
        message = MessageRef.parse(ref)
        found = await client.status(message)
    except (ValueError, MessageNotFound):
        raise HTTPException(404) from None
    return Report(status=int(found.status), is_final=found.is_final)
