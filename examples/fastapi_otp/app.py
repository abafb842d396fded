"""Login by a code; see the package for how to run it."""

import logging
import math
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import anyio
from anyio.abc import TaskGroup
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from smsc_async import Client, Guards, Phone, Rules, SentMessage, SmscError, Spend, Voice
from smsc_async.fastapi import SmscClient, exception_handlers, lifespan
from smsc_async.guards import MemoryStore, RedisStore

from .codes import DIGITS, VALID, Codes, CountryRefused, TooManyCodes

log = logging.getLogger(__name__)

CALL_AFTER = 30.0  # seconds without a delivery
RULES = Rules(spend=Spend(Decimal(50)))  # in 24 hours, in the account's currency: somebody may get around the limits


def make_client() -> Client:
    """Return the client, which takes the credentials from the environment."""
    redis = os.environ.get("REDIS_URL")
    store = RedisStore.from_url(redis) if redis else MemoryStore()
    return Client(url=os.environ["SMSC_URL"], guards=Guards(store, rules=RULES, max_wait=5.0))


def make_codes() -> Codes:
    """Return the codes."""
    return Codes(Path(os.environ.get("OTP_DATABASE", "codes.db")), os.environ["OTP_SECRET"].encode())


smsc = lifespan(make_client)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncGenerator[None, None]:
    """Keep the client, the codes and the tasks that wait for deliveries while the application runs."""
    with closing(make_codes()) as app.state.codes:
        async with smsc(app), anyio.create_task_group() as app.state.waiting:
            yield
            app.state.waiting.cancel_scope.cancel()


app = FastAPI(title="Login by a code", lifespan=running)
exception_handlers(app)


def get_codes(request: Request) -> Codes:
    """Return the codes of the application."""
    codes: Codes = request.app.state.codes
    return codes


def get_waiting(request: Request) -> TaskGroup:
    """Return the task group of what goes on after an answer."""
    waiting: TaskGroup = request.app.state.waiting
    return waiting


TheCodes = Annotated[Codes, Depends(get_codes)]
Waiting = Annotated[TaskGroup, Depends(get_waiting)]


class Wanted(BaseModel):
    """Who wants to log in."""

    phone: Phone


class Guess(Wanted):
    """A code that somebody has received."""

    code: Annotated[str, Field(pattern=rf"^[0-9]{{{DIGITS}}}$")]


class OnItsWay(BaseModel):
    """How long the code is valid and when another one may be sent, in seconds."""

    expires_in: float
    resend_in: float


class User(BaseModel):
    """Who has logged in; your session begins here."""

    phone: Phone


@app.post("/login/codes", status_code=202)
async def send_code(
    wanted: Wanted, request: Request, client: SmscClient, codes: TheCodes, waiting: Waiting
) -> OnItsWay:
    """Send a code; the same answer whether or not anybody with this phone has an account."""
    address = request.client.host if request.client else "127.0.0.1"
    try:
        code, resend_in = codes.issue(wanted.phone, address)
    except CountryRefused:
        raise HTTPException(403, "no codes are sent to this country") from None
    except TooManyCodes as error:
        after = {"Retry-After": str(math.ceil(error.retry_after))}
        raise HTTPException(429, "wait before you ask for another code", after) from None
    text = f"{code} is your code. Tell it to nobody."
    sent = await client.send(wanted.phone, text, userip=address, valid=timedelta(seconds=VALID))
    waiting.start_soon(call_unless_delivered, client, codes, sent, code, address)
    return OnItsWay(expires_in=VALID, resend_in=resend_in)


@app.post("/login")
async def log_in(guess: Guess, codes: TheCodes) -> User:
    """Log in with the code."""
    if not codes.redeem(guess.phone, guess.code):
        raise HTTPException(403, "this code is wrong or no longer valid")
    return User(phone=guess.phone)


async def call_unless_delivered(client: Client, codes: Codes, sent: SentMessage, code: str, address: str) -> None:
    """Read the code out in a call if the message with it does not arrive soon."""
    (ref,) = sent.refs
    try:
        report = await client.wait_final(ref, timeout=CALL_AFTER)
        is_delivered = report.is_delivered
    except TimeoutError:
        is_delivered = False
    except SmscError as error:
        log.warning("the delivery of message %s is unknown: %s", ref.id, error)
        return
    if is_delivered or not codes.is_current(Phone.parse(ref.phone), code):
        return
    text = f"Your code is {', '.join(code)}. Once more: {', '.join(code)}."
    try:
        await client.send(ref.phone, text, via=Voice(language="en"), userip=address)
    except SmscError as error:
        log.warning("no call after message %s: %s", ref.id, error)
