"""Messages about orders as tasks of Celery: a task that runs again, for whatever reason, sends nothing twice.

    pip install 'smsc-async[redis,sandbox]' 'celery[redis]'
    smsc-async sandbox --port 8025                                           # in another terminal
    export SMSC_URL=http://127.0.0.1:8025/sys/soap.php SMSC_APIKEY=demo      # or yours, and your credentials
    export REDIS_URL=redis://localhost/0                                     # which must keep its data: appendonly yes
    celery -A examples.celery_orders worker
    python -c 'from examples.celery_orders import notify; notify.delay("+79991234567", "Order 17 is on its way")'

The id of the message is that of the task, and Redis counts its attempts: the second one asks the service first. Late
acknowledgements hand a task whose worker died to another one. All worker processes share the limits of the account in
Redis, and each has one client on one thread with an event loop: a loop for each task would need new connections and
could share nothing.
"""

import logging
import os
from contextlib import ExitStack
from functools import cache, partial
from threading import Lock
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from celery import Celery, Task
from celery.signals import worker_process_shutdown, worker_shutdown
from redis import Redis

from smsc_async import Client, GuardError, Guards, Scope, SmscError
from smsc_async.guards import RedisStore

REDIS = os.environ.get("REDIS_URL", "redis://localhost/0")
WEEK = 7 * 24 * 3600  # seconds for which a task may come back
AGAIN = 10.0  # seconds

log = logging.getLogger(__name__)

app = Celery("orders", broker=REDIS)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)


@app.task(bind=True, max_retries=None)
def notify(task: Task[Any, None], phone: str, text: str) -> None:
    """Send a message; what fails for the moment is repeated until it is sent."""
    portal, client, redis = resources()
    key = f"attempts:{task.request.id}"
    attempt = int(redis.incr(key))  # before anything is sent, so that no attempt is forgotten
    redis.expire(key, WEEK)
    try:
        portal.call(partial(client.send, phone, text, id=task.request.id, attempt=attempt))
    except SmscError as error:
        log.warning("message %s, attempt %d: %s", task.request.id, attempt, error)
        if error.scope is Scope.MESSAGE:  # this message can't be sent at all
            raise
        known = error.retry_after if isinstance(error, GuardError) else None
        raise task.retry(countdown=max(known or 0.0, AGAIN)) from None


def make_client() -> Client:
    """Return the client of a process; the limits in Redis are those of all processes."""
    return Client(url=os.environ["SMSC_URL"], guards=Guards(RedisStore.from_url(REDIS)))


_open = ExitStack()
_lock = Lock()


def resources() -> tuple[BlockingPortal, Client, Redis]:
    """Return the event loop's portal, the client and the Redis of this process, which the first task makes."""
    with _lock:
        return _resources()


@cache
def _resources() -> tuple[BlockingPortal, Client, Redis]:
    redis = _open.enter_context(Redis.from_url(REDIS))
    portal = _open.enter_context(start_blocking_portal())
    client = _open.enter_context(portal.wrap_async_context_manager(make_client()))
    return portal, client, redis


@worker_process_shutdown.connect  # of each process of the pool
@worker_shutdown.connect  # with --pool solo or threads
def close(**_: object) -> None:
    """Close the client and end the thread of its event loop."""
    with _lock:
        _open.close()
        _resources.cache_clear()
