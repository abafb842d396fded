"""An application of each framework, as users write them, and an error for each line of the table."""

import warnings
from typing import Any, Final

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

from smsc_async import (
    AddressBlocked,
    ApiError,
    AuthenticationFailed,
    BalanceTooOften,
    BreakerOpen,
    Client,
    ClientClosed,
    ConnectError,
    ConnectionLost,
    CostTooOften,
    DeliveryFailed,
    DeliveryReport,
    DuplicateSend,
    GuardError,
    GuardStoreError,
    HTTPStatusError,
    InsufficientFunds,
    InvalidDate,
    InvalidParameters,
    InvalidPhone,
    MalformedEnvelope,
    MessageForbidden,
    MessageNotFound,
    MessageRef,
    MessageStatus,
    Outcome,
    Phone,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    SendingPaused,
    SendOutcomeUnknown,
    SentMessage,
    SmscError,
    SoapFault,
    SpendLimitReached,
    StatusTooOften,
    SubscriberFlood,
    TooManyInFlight,
    TooManyRequests,
    TransportError,
    Undeliverable,
)
from smsc_async.fastapi import MessageRefText, SmscClient, exception_handlers, lifespan
from tests.callbacks.samples import PHONE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about the version of httpx
    from fastapi.testclient import TestClient

__all__ = ["ERRORS", "SECRETS", "TestClient", "browser", "fastapi_shop", "identified", "unknown_send"]

REF: Final = MessageRef(f"+{PHONE}", "a1")
SECRETS: Final = (PHONE, "balance", "1.25", "login", "password", "apikey", "blocks", "store", "spend")
"""What no answer may hold."""
WORDS: Final = f"the balance of login ivan is 1.25, his password and apikey block +{PHONE}: spend, store"


def identified(error: SmscError, outcome: Outcome) -> SmscError:
    """Return the error of a send."""
    error.id, error.refs = "a1", (REF,)
    return error.replace(outcome=outcome)


def unknown_send(kind: type[SmscError]) -> SmscError:
    """Return the error of a send that may have been executed."""
    return identified(kind(WORDS), Outcome.UNKNOWN)


ERRORS: Final[list[tuple[SmscError, int, str | None]]] = [
    (DuplicateSend(WORDS, retry_after=41.2), 429, "42"),
    (SubscriberFlood(WORDS, retry_after=0.0), 429, "1"),
    (StatusTooOften(WORDS, retry_after=12.0), 503, "12"),
    (CostTooOften(WORDS), 503, None),
    (BalanceTooOften(WORDS, retry_after=float("inf")), 503, None),
    (TooManyInFlight(WORDS), 503, None),
    (BreakerOpen(WORDS, retry_after=600), 503, "600"),
    (GuardStoreError(WORDS), 503, None),
    (SendingPaused(WORDS), 503, None),
    (SpendLimitReached(WORDS, retry_after=3600.5), 503, "3601"),
    (GuardError(WORDS), 503, None),
    (InsufficientFunds(WORDS, code=3), 503, None),
    (AuthenticationFailed(WORDS, code=2), 503, None),
    (AddressBlocked(WORDS, code=4), 503, None),
    (TooManyRequests(WORDS, code=9), 503, None),
    (ClientClosed(WORDS), 503, None),
    (ConnectError(WORDS), 502, None),
    (PoolTimeout(WORDS), 502, None),
    (ConnectionLost(WORDS), 502, None),
    (ReadTimeout(WORDS), 502, None),
    (HTTPStatusError(WORDS, status_code=500), 502, None),
    (TransportError(WORDS), 502, None),
    (MalformedEnvelope(WORDS), 502, None),
    (SoapFault(WORDS, fault_string=WORDS), 502, None),
    (ProtocolError(WORDS), 502, None),
    (SendOutcomeUnknown(WORDS), 502, None),
    (ApiError(WORDS, code=77), 502, None),
    (DeliveryFailed(WORDS, report=DeliveryReport(ref=REF, status=MessageStatus.EXPIRED)), 502, None),
    (MessageNotFound(WORDS, code=3), 404, None),
    (InvalidPhone(WORDS, code=7), 422, None),
    (Undeliverable(WORDS, code=8), 422, None),
    (MessageForbidden(WORDS, code=6), 422, None),
    (InvalidParameters(WORDS, code=1), 422, None),
    (InvalidDate(WORDS, code=5), 422, None),
    (unknown_send(ReadTimeout), 202, None),
    (unknown_send(ConnectionLost), 202, None),
    (unknown_send(SendOutcomeUnknown), 202, None),
    (unknown_send(MalformedEnvelope), 202, None),
    (unknown_send(DuplicateSend), 202, None),
    (unknown_send(ClientClosed), 202, None),
    (identified(ConnectError(WORDS), Outcome.NOT_SENT), 502, None),
]
"""An error, the HTTP status that answers it, and `Retry-After`."""


class Order(BaseModel):
    """What a customer has ordered."""

    phone: Phone
    number: int


def fastapi_shop(make_client: Any = Client) -> FastAPI:
    """Return an application as users write it."""
    app = FastAPI(lifespan=lifespan(make_client))
    exception_handlers(app)

    @app.post("/orders")
    async def order(order: Order, client: SmscClient) -> SentMessage:
        return await client.send(order.phone, f"Order {order.number} is on its way", id=f"order-{order.number}")

    @app.get("/messages/{ref}")
    async def status(ref: MessageRefText, client: SmscClient) -> DeliveryReport:
        return await client.status(ref)

    return app


def browser(app: Any) -> httpx.AsyncClient:
    """Return a client of an application in this process, without its lifespan."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test")
