"""Messages about orders as tasks of Celery: a task that runs again, for whatever reason, sends nothing twice.

    pip install 'smsc-async[cli,redis,sandbox]' 'celery[redis]'
    smsc-async sandbox --port 8025                                           # in another terminal
    export SMSC_URL=http://127.0.0.1:8025/sys/soap.php SMSC_APIKEY=demo      # or yours, and your credentials
    export REDIS_URL=redis://localhost/0                                     # which must keep its data: appendonly yes
    celery -A examples.celery_orders worker
    python -c 'from examples.celery_orders import notify; notify.delay("+79991234567", "Order 17 is on its way")'

The id of the message is that of the task, and Redis counts its attempts: from the second one on, the client asks the
service first. (Not every broker marks what it delivers again.) Late acknowledgements hand the task of a worker that
died to another one. Each process has one client, and all share the limits of the account in Redis.
"""

import logging
import os
from functools import cache
from typing import Any

from celery import Celery, Task
from redis import Redis

from smsc_async import GuardError, Guards, Scope, SmscError
from smsc_async.guards import RedisStore
from smsc_async.sync import Client

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
redis = Redis.from_url(REDIS)


@cache
def get_client() -> Client:
    """Return the client of this process; one that only queues tasks needs none."""
    return Client(url=os.environ["SMSC_URL"], guards=Guards(RedisStore.from_url(REDIS)))


@app.task(bind=True, max_retries=None)
def notify(task: Task[Any, None], phone: str, text: str) -> None:
    """Send a message; what fails for the moment is repeated until it is sent."""
    task_id = str(task.request.id)
    attempt = count_attempt(task_id)
    try:
        get_client().send(phone, text, id=task_id, attempt=attempt)
    except SmscError as error:
        log.warning("message %s, attempt %d: %s", task_id, attempt, error)
        if error.scope is Scope.MESSAGE:  # this message can't be sent at all
            raise
        known = error.retry_after if isinstance(error, GuardError) else None
        raise task.retry(countdown=max(known or 0.0, AGAIN)) from None


def count_attempt(task_id: str) -> int:
    """Return the number of this attempt, which Redis remembers before anything is sent."""
    key = f"attempts:{task_id}"
    attempt = int(redis.incr(key))
    redis.expire(key, WEEK)
    return attempt
