"""One-time codes over SMS, served by several workers that share the limits of one account.

    pip install 'smsc-async[cli,redis,sandbox]' fastapi uvicorn
    smsc-async sandbox --port 8025                                           # in another terminal
    export SMSC_URL=http://127.0.0.1:8025/sys/soap.php SMSC_APIKEY=demo      # or yours, and your credentials
    export REDIS_URL=redis://localhost/0
    uvicorn fastapi_workers:app --workers 4

Without REDIS_URL each worker counts its own requests only, which is correct for a single worker.
"""

import math
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, Field

from smsc_async import Client, GuardError, Guards, MessageNotFound, MessageRef, SmscError
from smsc_async.guards import MemoryStore, RedisStore


class Code(BaseModel):
    """A code and its recipient."""

    phone: Annotated[str, Field(pattern=r"^\+[0-9]{8,15}$")]
    code: Annotated[str, Field(pattern=r"^[0-9]{4,8}$")]


class Sent(BaseModel):
    """The reference for a later status request."""

    ref: str


class Report(BaseModel):
    """The status of a message."""

    status: int
    is_final: bool


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """Keep one client while the worker runs."""
    redis_url = os.environ.get("REDIS_URL")
    store = RedisStore.from_url(redis_url) if redis_url else MemoryStore()
    # The caller waits for the answer, so a limit that is not free within two seconds is reported as an error.
    async with Client(url=os.environ["SMSC_URL"], guards=Guards(store, max_wait=2.0)) as client:
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
    """Add a header with the process that answered."""
    response = await call_next(request)
    response.headers["X-Worker"] = str(os.getpid())
    return response


@app.exception_handler(GuardError)
async def too_often(request: Request, error: GuardError) -> Response:  # noqa: ARG001 - FastAPI's signature
    """Return HTTP 429 with the time after which to try again."""
    after = {} if error.retry_after is None else {"Retry-After": str(math.ceil(error.retry_after))}
    return Response(str(error), 429, headers=after, media_type="text/plain")


@app.exception_handler(SmscError)
async def not_done(request: Request, error: SmscError) -> Response:  # noqa: ARG001 - FastAPI's signature
    """Return HTTP 502 with the outcome, which shows whether to try again."""
    return Response(f"{type(error).__name__}: {error.outcome}", 502, media_type="text/plain")


@app.post("/codes")
async def send_code(wanted: Code, client: SharedClient) -> Sent:
    """Send a code."""
    sent = await client.send(wanted.phone, f"Your code is {wanted.code}")
    return Sent(ref=str(sent.ref))


@app.get("/codes/{ref}")
async def report(ref: str, client: SharedClient) -> Report:
    """Return the status of a code."""
    try:
        message = MessageRef.parse(ref)
        found = await client.status(message)
    except (ValueError, MessageNotFound):
        raise HTTPException(404) from None
    return Report(status=int(found.status), is_final=found.is_final)
