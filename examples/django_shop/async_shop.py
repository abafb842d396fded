"""The Django shop with asynchronous views and the callbacks of the service, on ASGI.

    pip install 'smsc-async[cli,redis,sandbox]' 'django>=5.2' uvicorn
    smsc-async sandbox --port 8025                                           # in another terminal
    export SMSC_URL=http://127.0.0.1:8025/sys/soap.php SMSC_APIKEY=demo      # or yours, and your credentials
    export SMSC_CALLBACK_SECRET=secret                                       # of the account's settings
    uvicorn async_shop:application --workers 4
    curl --data-urlencode phone=+79991234567 -d code=4821 http://127.0.0.1:8000/codes   # returns the path of its status

Each worker has a client, which is closed when the worker ends. Set REDIS_URL so that the workers share the
limits of the account; without it each one counts for itself.
"""

import math
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from smsc_async import Client, GuardError, Guards, MessageNotFound, SmscError
from smsc_async.callbacks import Callbacks, InvalidCallbackSignature, StatusPush
from smsc_async.guards import RedisStore

if not settings.configured:
    settings.configure(
        SECRET_KEY=os.environ.get("SECRET_KEY", "only-for-tests"),
        ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"],
        ROOT_URLCONF=__name__,
    )
    django.setup()


def make_client() -> Client:
    """Return a client for the URL and the credentials of the environment."""
    redis = os.environ.get("REDIS_URL")
    url = os.environ.get("SMSC_URL", "http://127.0.0.1:8025/sys/soap.php")
    store = RedisStore.from_url(redis) if redis else None
    return Client(url=url, guards=Guards(store, max_wait=1.0))


client = make_client()
callbacks = Callbacks(secrets=[os.environ["SMSC_CALLBACK_SECRET"]])


@csrf_exempt  # an API for programs; the forms of a site keep their token
@require_POST
async def send_code(request: HttpRequest) -> HttpResponse:
    """Send a code, and return the path of its status."""
    try:
        sent = await client.send(request.POST.get("phone", ""), f"Your code is {request.POST.get('code', '')}")
    except ValueError as error:
        return HttpResponse(str(error), status=400)
    except GuardError as error:
        return _too_often(error)
    except SmscError as error:  # its text holds no phone and no text of the message
        return HttpResponse(str(error), status=502)
    # The reference holds the phone, so a URL has it signed; for secrecy too, store it and pass a key instead.
    return HttpResponse(f"/codes/{Signer().sign_object(str(sent.ref))}", status=201)


@require_GET
async def show_status(request: HttpRequest, signed: str) -> HttpResponse:  # noqa: ARG001 - Django passes it
    """Return the status of a code."""
    try:
        report = await client.status(Signer().unsign_object(signed))
    except (BadSignature, MessageNotFound):
        return HttpResponse("no such message", status=404)
    except GuardError as error:
        return _too_often(error)
    except SmscError as error:
        return HttpResponse(str(error), status=502)
    return HttpResponse(report.phrase)


@csrf_exempt  # the service signs its callbacks
async def callback(request: HttpRequest) -> HttpResponse:
    """Pass a status on to the watches of this process; write it to your database here."""
    try:
        push = callbacks.unwrap(
            request.META["QUERY_STRING"].encode(), request.body, request.headers.get("Content-Type", "")
        )
    except InvalidCallbackSignature:
        return HttpResponse(status=403)
    if not isinstance(push, StatusPush):
        return HttpResponse(status=503)  # nothing here keeps incoming messages, so the service has to
    client.notify(push)
    return HttpResponse("OK")


def _too_often(error: GuardError) -> HttpResponse:
    seconds = str(math.ceil(error.retry_after or 1))
    return HttpResponse(str(error), status=429, headers={"Retry-After": seconds})


urlpatterns = [path("codes", send_code), path("codes/<path:signed>", show_status), path("smsc/callback", callback)]
views = get_asgi_application()


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """Serve the views, and close the client when the server ends; Django itself has no hook for that."""
    if scope["type"] != "lifespan":
        await views(scope, receive, send)
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await client.aclose()
    await send({"type": "lifespan.shutdown.complete"})
