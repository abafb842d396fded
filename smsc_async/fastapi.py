"""For FastAPI: a client for the application, errors as answers, callbacks, and parameters.

    app = FastAPI(lifespan=lifespan(Client))  # the credentials are in the environment
    exception_handlers(app)
    app.include_router(callback_router(Callbacks(secrets=[SECRET])))

    @app.post("/orders/{number}/notification")
    async def notify(number: int, phone: Annotated[Phone, Body()], client: SmscClient) -> SentMessage:
        return await client.send(phone, f"Order {number} is on its way")

It needs `pip install 'smsc-async[fastapi]'`.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from inspect import iscoroutinefunction, signature
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import anyio
from pydantic import PlainSerializer, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError

from . import Client, MessageRef, SmscError
from ._web import (
    PROBLEM_JSON,
    CallbackReceiver,
    OnCall,
    OnIncoming,
    OnStatus,
    check_make_client,
    checked_client,
    problem_of,
    read_body,
)
from .callbacks import Callbacks

try:
    from fastapi import APIRouter, Depends, FastAPI, Request, Response
    from fastapi.requests import HTTPConnection
    from fastapi.responses import JSONResponse, PlainTextResponse
    from starlette.requests import ClientDisconnect
except ModuleNotFoundError as _missing:
    if _missing.name != "fastapi":
        raise
    raise ModuleNotFoundError(
        "smsc_async.fastapi needs an extra package: pip install 'smsc-async[fastapi]'", name=_missing.name
    ) from None

__all__ = ["MessageRefText", "SmscClient", "callback_router", "exception_handlers", "get_client", "lifespan"]

_NAME: Final = "smsc_client"


def get_client(connection: HTTPConnection) -> Client:
    """Return the client of the application, `app.state.smsc_client`; the dependency that tests override.

    Raises:
        RuntimeError: The application has none.
    """
    client = getattr(connection.app.state, _NAME, None)
    if not isinstance(client, Client):
        raise RuntimeError(  # noqa: TRY004 - nobody has passed it
            "the application has no client: pass FastAPI(lifespan=smsc_async.fastapi.lifespan(make_client)), or enter "
            "that in a lifespan of your own"
        )
    return client


SmscClient: TypeAlias = Annotated[Client, Depends(get_client)]
"""The client of the application, as the parameter of a path operation."""


def lifespan(make_client: Callable[[], Client]) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return a lifespan that keeps one client open while the application runs.

    In a lifespan of your own, `async with lifespan(make_client)(app):` does the same.

    If `app.dependency_overrides[get_client]` is set, no client is made, so that a test needs no credentials. The
    application uses the client that this function returns, and doesn't close it.

    Args:
        make_client: Returns the client; called at each start. `Client` itself takes the credentials of the environment.

    Raises:
        ValueError: It can't be called. At the start: the credentials are missing, or it returned something else.
    """
    check_make_client(make_client)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncGenerator[None, None]:
        override = app.dependency_overrides.get(get_client)
        client = checked_client(make_client()) if override is None else _overriding(override)
        async with client if override is None and client else nullcontext():
            setattr(app.state, _NAME, client)
            try:
                yield
            finally:
                setattr(app.state, _NAME, None)

    return running


def _client_of(app: FastAPI) -> Client | None:
    override = app.dependency_overrides.get(get_client)
    return getattr(app.state, _NAME, None) if override is None else _overriding(override)


def _overriding(override: Callable[..., Any]) -> Client | None:
    """Return the client that an override returns, None if only a request can find it out."""
    if iscoroutinefunction(override) or signature(override).parameters:
        return None
    client = override()
    return client if isinstance(client, Client) else None


def exception_handlers(app: FastAPI) -> None:
    """Answer the errors of the client with `application/problem+json` (RFC 9457), and log those of the service.

        429   DuplicateSend, SubscriberFlood
        503   the other guards, InsufficientFunds, AuthenticationFailed, AddressBlocked, TooManyRequests, ClientClosed
        202   a send whose outcome is unknown, with its `message_id`
        502   network, protocol, undocumented errors; a read whose answer is lost; DeliveryFailed
        404   MessageNotFound
        422   the other errors of the service about a message: InvalidPhone, Undeliverable, MessageForbidden, ...

    `Retry-After` is there where the end is known. No answer holds a phone, a text or a detail of the account.

    A handler of your own for a class of errors goes first, and one for `SmscError` stays. What is no failure of the
    service remains an error of the application: `ValueError`, `WrongEventLoop`, `JournalError`.
    """
    app.exception_handlers.setdefault(SmscError, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    problem = problem_of(error) if isinstance(error, SmscError) and request.scope["type"] == "http" else None
    if problem is None:
        raise error
    return JSONResponse(problem.body, problem.status, problem.headers, PROBLEM_JSON)


def callback_router(
    callbacks: Callbacks,
    *,
    on_status: OnStatus | None = None,
    on_incoming: OnIncoming | None = None,
    on_call: OnCall | None = None,
    path: str = "/smsc/callback",
) -> APIRouter:
    """Return a router for the URL that is entered in the account's settings; it takes GET and POST.

    Each status goes at once to the watches of the application's client, and then to `on_status`, through a queue of at
    most 1,000 in the order of their arrival. At shutdown the queue is drained, for at most 10 seconds. Where no
    lifespan runs, `on_status` is awaited instead. `on_incoming` and `on_call` are awaited before the answer.

        200   it was passed on, or queued
        400   the client sent no complete body
        403   it is not signed with one of the secrets
        413   its body is larger than `Callbacks.max_bytes`
        503   the function failed (the exception is logged), there is none, the queue is full, or the application ends

    The service may repeat what was not answered with 200, and also what was: the functions must be idempotent.

    Args:
        callbacks: Verifies the callbacks.
        on_status: Called with each status: a function that returns at once, or an async function.
        on_incoming: Called with each incoming message.
        on_call: Called with each confirmation call.
        path: The path of the route.

    Raises:
        ValueError: An argument is wrong.
    """
    receiver = CallbackReceiver(callbacks, on_status=on_status, on_incoming=on_incoming, on_call=on_call)
    router = APIRouter(lifespan=_draining(receiver))

    @router.api_route(path, methods=["GET", "POST"], include_in_schema=False)
    async def receive(request: Request) -> Response:
        try:
            async with aclosing(request.stream()) as chunks:
                body = await read_body(chunks)
        except ClientDisconnect:
            return PlainTextResponse("the body is not complete", 400)
        if body is None:
            return PlainTextResponse("the body is too large", 413)
        client = _client_of(request.app)
        status = await receiver.receive(
            request.scope["query_string"],
            body,
            request.headers.get("content-type", ""),
            None if client is None else client.notify,
        )
        return PlainTextResponse(status.phrase, status)

    return router


def _draining(receiver: CallbackReceiver) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan that passes on what the receiver has queued."""

    @asynccontextmanager
    async def running(_app: Any) -> AsyncGenerator[None, None]:
        failed: Exception | None = None
        with receiver.queueing() as queue:
            async with anyio.create_task_group() as group:
                group.start_soon(queue.work)
                try:
                    yield
                except Exception as error:  # noqa: BLE001 - raised below, and not in a group of exceptions
                    failed = error
                finally:
                    queue.close()
        if failed is not None:
            raise failed

    return running


def _read_text(value: object) -> MessageRef:
    if isinstance(value, MessageRef):
        return value
    try:
        return MessageRef.parse(value)  # type: ignore[arg-type]
    except ValueError as error:
        words = str(error)
    explained = InitErrorDetails(type=PydanticCustomError("wrong_argument", "{text}", {"text": words}), input=None)
    raise ValidationError.from_exception_data("MessageRef", [explained], hide_input=True)


if TYPE_CHECKING:
    MessageRefText: TypeAlias = MessageRef
    """A `MessageRef` as text, `phone:id`: a path or query parameter, or a field of a body or an answer."""
else:  # FastAPI takes no model in a path
    MessageRefText = Annotated[
        str,
        PlainValidator(_read_text),
        PlainSerializer(str),
        WithJsonSchema({"type": "string", "pattern": "^.+:[A-Za-z0-9._-]{1,40}$", "examples": ["+79991234567:a1"]}),
    ]
