"""A Django shop in one file: a page that sends a one-time code, and a page with its status, over one client.

    pip install 'smsc-async[cli,redis,sandbox]' 'django>=5.2' gunicorn
    smsc-async sandbox --port 8025                                           # in another terminal
    export SMSC_URL=http://127.0.0.1:8025/sys/soap.php SMSC_APIKEY=demo      # or yours, and your credentials
    gunicorn shop:application --preload --workers 4 --threads 8
    curl --data-urlencode phone=+79991234567 -d code=4821 http://127.0.0.1:8000/codes   # returns the path of its status

The client is made once, without a connection. Each worker makes its connections at its first call. Set REDIS_URL so
that the workers share the limits of the account; without it each one counts for itself, and with --preload a warning
says so.
"""

import math
import os

import django
from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from smsc_async import GuardError, Guards, MessageNotFound, SmscError
from smsc_async.guards import RedisStore
from smsc_async.sync import Client

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
    return Client(url=url, guards=Guards(store, max_wait=1.0))  # a page that waits longer keeps a thread busy


client = make_client()


@csrf_exempt  # an API for programs; the forms of a site keep their token
@require_POST
def send_code(request: HttpRequest) -> HttpResponse:
    """Send a code, and return the path of its status."""
    try:
        sent = client.send(request.POST.get("phone", ""), f"Your code is {request.POST.get('code', '')}")
    except ValueError as error:
        return HttpResponse(str(error), status=400)
    except GuardError as error:
        return _too_often(error)
    except SmscError as error:  # its text holds no phone and no text of the message
        return HttpResponse(str(error), status=502)
    # The reference holds the phone, so a URL has it signed; for secrecy too, store it and pass a key instead.
    return HttpResponse(f"/codes/{Signer().sign_object(str(sent.ref))}", status=201)


@require_GET
def show_status(request: HttpRequest, signed: str) -> HttpResponse:  # noqa: ARG001 - Django passes it
    """Return the status of a code."""
    try:
        report = client.status(Signer().unsign_object(signed))
    except (BadSignature, MessageNotFound):
        return HttpResponse("no such message", status=404)
    except GuardError as error:
        return _too_often(error)
    except SmscError as error:
        return HttpResponse(str(error), status=502)
    return HttpResponse(report.status.phrase)


def _too_often(error: GuardError) -> HttpResponse:
    seconds = str(math.ceil(error.retry_after or 1))
    return HttpResponse(str(error), status=429, headers={"Retry-After": seconds})


urlpatterns = [path("codes", send_code), path("codes/<path:signed>", show_status)]
application = get_wsgi_application()
