"""For aiohttp servers: a client for the application, errors as answers, and callbacks.

    app = web.Application(middlewares=[error_middleware])
    app.cleanup_ctx.append(context(Client))  # the credentials are in the environment
    add_callback_routes(app, Callbacks(secrets=[SECRET]))

    async def notify(request: web.Request) -> web.Response:
        sent = await request.app[client_key].send(await request.text(), "Your order is on its way")
        return web.json_response({"id": sent.id})

The transport that sends over aiohttp is `Client(transport="aiohttp")`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from . import Client, SmscError
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
    from aiohttp import ClientError, web
except ModuleNotFoundError as _missing:
    if _missing.name != "aiohttp":
        raise
    raise ModuleNotFoundError(
        "smsc_async.aiohttp needs an extra package: pip install 'smsc-async[aiohttp]'", name=_missing.name
    ) from None

__all__ = ["add_callback_routes", "client_key", "context", "error_middleware"]

client_key: Final[web.AppKey[Client]] = web.AppKey("smsc_client", Client)
"""The client of the application: `app[client_key]`, in an application within it `request.config_dict[client_key]`."""


def context(make_client: Callable[[], Client]) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return what keeps one client open while an application runs: `app.cleanup_ctx.append(context(make_client))`.

    Args:
        make_client: Returns the client; called at each start. `Client` itself takes the credentials of the environment,
            and a test passes `lambda: smsc_client`.

    Raises:
        ValueError: It can't be called. At the start: the credentials are missing, or it returned something else.
    """
    check_make_client(make_client)

    async def running(app: web.Application) -> AsyncIterator[None]:
        async with checked_client(make_client()) as client:
            app[client_key] = client
            yield

    return running


@web.middleware
async def error_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer the errors of the client with `application/problem+json` (RFC 9457), and log those of the service.

        429   DuplicateSend, SubscriberFlood
        503   the other guards, InsufficientFunds, AuthenticationFailed, AddressBlocked, TooManyRequests, ClientClosed
        202   a send whose outcome is unknown, with its `message_id`
        502   network, protocol, undocumented errors; a read whose answer is lost; DeliveryFailed
        404   MessageNotFound
        422   the other errors of the service about a message: InvalidPhone, Undeliverable, MessageForbidden, ...

    `Retry-After` is there where the end is known. No answer holds a phone, a text or a detail of the account.

    A middleware of your own that is later in the list sees the errors first. What is no failure of the service stays an
    error of the application: `ValueError`, `WrongEventLoop`, `JournalError`; also any error after an answer has begun.
    """
    try:
        return await handler(request)
    except SmscError as error:
        if request.writer.output_size:
            raise
        problem = problem_of(error)
        if problem is None:
            raise
    return web.json_response(problem.body, status=problem.status, headers=problem.headers, content_type=PROBLEM_JSON)


def add_callback_routes(
    app: web.Application,
    callbacks: Callbacks,
    *,
    on_status: OnStatus | None = None,
    on_incoming: OnIncoming | None = None,
    on_call: OnCall | None = None,
    path: str = "/smsc/callback",
) -> None:
    """Add the route of the URL that is entered in the account's settings; it takes GET and POST.

    Each status goes at once to the watches of the application's client, and then to `on_status`, through a queue of at
    most 1,000 in the order of their arrival. At shutdown the queue is drained, for at most 10 seconds. `on_incoming`
    and `on_call` are awaited before the answer.

        200   it was passed on, or queued
        400   the client sent no complete body
        403   it is not signed with one of the secrets
        413   its body is larger than `Callbacks.max_bytes`
        503   the function failed (the exception is logged), there is none, the queue is full, or the application ends

    The service may repeat what was not answered with 200, and also what was: the functions must be idempotent.

    Args:
        app: The application.
        callbacks: Verifies the callbacks.
        on_status: Called with each status: a function that returns at once, or an async function.
        on_incoming: Called with each incoming message.
        on_call: Called with each confirmation call.
        path: The path of the route.

    Raises:
        ValueError: An argument is wrong.
    """
    receiver = CallbackReceiver(callbacks, on_status=on_status, on_incoming=on_incoming, on_call=on_call)

    async def receive(request: web.Request) -> web.Response:
        try:
            body = await read_body(request.content.iter_any())
        except (web.RequestPayloadError, ClientError, OSError):
            return web.Response(status=400, text="the body is not complete")
        if body is None:
            return web.Response(status=413, text="the body is too large")
        client = request.config_dict.get(client_key)
        status = await receiver.receive(
            request.raw_path.partition("?")[2].encode(errors="surrogateescape"),
            body,
            request.headers.get("Content-Type", ""),
            None if client is None else client.notify,
        )
        return web.Response(status=status, text=status.phrase)

    async def running(_app: web.Application) -> AsyncIterator[None]:
        with receiver.queueing() as queue:
            worker = asyncio.create_task(queue.work())
            try:
                yield
            finally:
                queue.close()
                await worker

    async def drain(_app: web.Application) -> None:
        await receiver.drain()  # before the client is closed, wherever its context is in the list

    app.router.add_get(path, receive, allow_head=False)
    app.router.add_post(path, receive)
    app.cleanup_ctx.append(running)
    app.on_shutdown.append(drain)
