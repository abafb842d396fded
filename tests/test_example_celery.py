"""The example with Celery: a task that runs again sends nothing twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import signals
from celery.contrib.testing.worker import start_worker
from redis import Redis

from examples import celery_orders
from examples.celery_orders import notify
from smsc_async import Guards, InvalidPhone
from smsc_async.guards import RedisStore
from smsc_async.sandbox import Sandbox
from smsc_async.sync import Client
from smsc_async.testing import ServedSandbox
from tests.redis_server import RedisServer

signals.setup_logging.connect(lambda **_: None, weak=False)  # else a worker takes away the handlers of pytest
PHONE = "+79991234567"
ROOT = Path(__file__).parent.parent
KILLS = 8
TASKS = 60


@pytest.fixture
def smsc_sandbox() -> Sandbox:
    return Sandbox(latency=0.1)  # time to be killed in


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _environment(
    redis: RedisServer, smsc_sandbox_server: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    for name, value in smsc_sandbox_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(celery_orders.app.conf, "broker_url", "memory://")
    guards = Guards(RedisStore.from_url(redis.url))
    with Client(url=smsc_sandbox_server.url, guards=guards) as client, Redis.from_url(redis.url) as connection:
        monkeypatch.setattr(celery_orders, "get_client", lambda: client)
        monkeypatch.setattr(celery_orders, "redis", connection)
        yield


def test_a_task_that_runs_again_after_its_worker_died_sends_nothing_twice(smsc_sandbox: Sandbox) -> None:
    for _ in range(2):
        notify.apply((PHONE, "Order 17 is on its way"), task_id="order-17", throw=True)
    assert [message.id for message in smsc_sandbox.messages] == ["order-17"]


def test_a_message_that_can_not_be_sent_fails_and_is_not_repeated(smsc_sandbox: Sandbox) -> None:
    smsc_sandbox.faults.add("error code=7 times=1")
    with pytest.raises(InvalidPhone):
        notify.apply((PHONE, "Order 17 is on its way"), throw=True)
    assert not smsc_sandbox.messages


@pytest.mark.slow
def test_tasks_of_a_worker_share_one_client_and_a_task_that_is_queued_twice_sends_once(smsc_sandbox: Sandbox) -> None:
    with start_worker(celery_orders.app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        for number in (16, 17, 17):
            notify.apply_async((PHONE, f"Order {number} is on its way"), task_id=f"order-{number}")
        _until(lambda: len(smsc_sandbox.requests) >= 3)  # the last one is for a status
    assert [message.id for message in smsc_sandbox.messages] == ["order-16", "order-17"]


@pytest.mark.slow
def test_killed_workers_lose_nothing_and_send_nothing_twice(redis: RedisServer, smsc_sandbox: Sandbox) -> None:
    smsc_sandbox.faults.add("lose_answer operation=send probability=0.1")
    command = [sys.executable, "-m", "celery", "-A", "examples.celery_orders", "worker", "--concurrency", "2"]
    environment = {**os.environ, "REDIS_URL": redis.url, "PYTHONPATH": str(ROOT)}
    worker = subprocess.Popen([*command, "--loglevel", "ERROR"], env=environment, cwd=ROOT)  # noqa: S603 - our own words
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    try:
        with celery_orders.app.connection_for_write(redis.url) as connection:
            for number in range(TASKS):
                order = (f"+7999{number:07}", f"Order {number}")
                celery_orders.app.send_task(notify.name, order, task_id=f"order-{number}", connection=connection)
        for kill in range(KILLS):
            _until_sent(smsc_sandbox, (kill + 1) * TASKS // (KILLS + 1))
            time.sleep(chance.uniform(0, 0.3))
            os.kill(chance.choice(_children(worker.pid)), signal.SIGKILL)
        _until_sent(smsc_sandbox, TASKS)
    finally:
        worker.terminate()
        worker.wait(60)
    accepted = Counter(message.id for message in smsc_sandbox.messages)
    assert accepted == Counter(f"order-{number}" for number in range(TASKS))
    assert sum(count for (_, code), count in smsc_sandbox.counts.items() if code == 9) == 0


def _until(is_so: Callable[[], bool]) -> None:
    # A message whose worker died while it sent it stays reserved for its deadline, and then for the minute of its rule.
    end = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def _until_sent(sandbox: Sandbox, number: int) -> None:
    _until(lambda: len(sandbox.messages) >= number)


def _children(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children")
    _until(lambda: bool(children.read_text()))
    return [int(each) for each in children.read_text().split()]
