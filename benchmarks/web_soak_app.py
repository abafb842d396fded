"""The application that `web_soak` loads: sends in handlers, some of which end when their client goes away."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import anyio
from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel

from smsc_async import Client, Guards
from smsc_async.fastapi import SmscClient, exception_handlers, lifespan
from smsc_async.guards import RedisStore

GONE = 499


class Gauges(BaseModel):
    """What a worker process holds."""

    process: int
    tasks: int
    sockets: int
    memory: int


def make_client() -> Client:
    """Return the client of a worker, which shares its guards with the other ones."""
    return Client(url=os.environ["SMSC_URL"], guards=Guards(RedisStore.from_url(os.environ["REDIS_URL"])))


app = FastAPI(lifespan=lifespan(make_client))
exception_handlers(app)


@app.put("/messages/{number}")
async def send(
    number: int, attempt: Annotated[int, Query(ge=1)], ends: bool, request: Request, client: SmscClient
) -> Response:
    """Send a message; if it `ends`, the send is cancelled when the client goes away."""

    async def work() -> None:
        await client.send(f"+7999{number:07}", f"Message {number}", id=f"soak-{number}", attempt=attempt)

    if ends:
        return Response(status_code=200 if await unless_gone(request, work) else GONE)
    await work()
    return Response()


async def unless_gone(request: Request, work: Callable[[], Awaitable[None]]) -> bool:
    """Work until the client goes away; return whether the work was done."""
    is_done = False
    error: Exception | None = None

    async def run() -> None:
        nonlocal is_done, error
        try:
            await work()
            is_done = True
        except Exception as failure:  # noqa: BLE001 - raised below, and not in a group of exceptions
            error = failure
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        while (await request.receive())["type"] != "http.disconnect":
            pass
        group.cancel_scope.cancel()
    if error is not None:
        raise error
    return is_done


@app.get("/gauges")
async def gauges() -> Gauges:
    """Return what this worker holds: its tasks, its sockets, and its memory in KiB."""
    return Gauges(process=os.getpid(), tasks=len(asyncio.all_tasks()), sockets=_sockets(), memory=_memory())


def _sockets() -> int:
    count = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the folder itself, while it is listed
            count += str(each.readlink()).startswith("socket:")
    return count


def _memory() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])
