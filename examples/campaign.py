"""A campaign over several workers that are killed at random; the service counts the messages that it accepted.

    pip install 'smsc-async[taskiq,sandbox]'
    python examples/campaign.py --messages 50000 --workers 4 --kills 40
    python examples/campaign.py --messages 12000 --singles 1 --kills 200 --latency 0.06 --seed 3
    python examples/campaign.py --messages 1000 --workers 2 --kills 3 --restarts 1 --service-kills 2

Needs redis-server on this machine, and starts its own. The service is the sandbox on loopback, in a process of its
own, with its state in a file. Its network delays each request, so that kills happen before, at and after the
acceptance of requests. Exits with 1 if a message was accepted twice or not at all, or if the service ever returned
error 9.

Requests of several messages may have to wait for ten minutes, or until a message alone is accepted: after a restart of
Redis, because the guards may have lost what they have counted, and after four of them were left by killed workers,
because 88 messages that may be bad leave no room for 22 more. Therefore a message is queued alone whenever none was
accepted for a while, as the one-time codes of an application would be. After a restart it waits for 30 s and twice the
window; the others follow within a minute. So a restart adds up to four minutes by default, a wait for killed workers
one or two, and the last message may wait for the lease of a killed worker and for the window. How far the campaign is,
and the wait after a restart, is written to stderr every ten seconds.
"""

import argparse
import asyncio
import contextlib
import logging
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from ctypes import c_longlong
from dataclasses import dataclass, replace
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, Self

import uvicorn
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from taskiq import AsyncTaskiqTask
from taskiq.api import run_receiver_task
from taskiq.exceptions import SendTaskError, TaskiqError
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from smsc_async import Client, GuardStoreError, Message, Rule, Rules
from smsc_async.guards import GuardReport, RedisAdmin
from smsc_async.sandbox import Account, Limits, Sandbox, Streak, Window
from smsc_async.taskiq import SendResult, SmscTasks

LATE: Final = 1.0
SLACK: Final = 5.0
"""Seconds by which the lease of a task is longer than its deadline and LATE."""
AT_ONCE: Final = 2
REPORT_EVERY: Final = 10.0
STALLED: Final = 10.0
"""Seconds without an accepted message after which one is queued alone."""
TRIED_EVERY: Final = 60.0
"""Seconds within which each postponed task is tried again."""
NOTICED: Final = 30.0
"""Seconds for which all rules of the guards wait after a loss of what they have counted; see `RedisStore`."""
MARGIN: Final = 1.2
FIRST_PHONE: Final = 79_100_000_000
SPAWN: Final = multiprocessing.get_context("spawn")
Task = AsyncTaskiqTask[SendResult]


@dataclass(frozen=True)
class Plan:
    """The options of the command.

    Attributes:
        messages: The number of messages.
        workers: The number of worker processes.
        kills: How often a worker is killed and replaced.
        restarts: How often Redis is killed and started again; the guards then wait until lost reservations expire.
        service_kills: How often the service is killed and started again.
        seed: Seed of the random numbers.
        batch: The maximum of messages in one request.
        singles: The share of the messages that are sent alone.
        window: Seconds in which the service refuses a duplicate, and a sixth status request for one message. Messages
            to one subscriber are in a row if they have gaps shorter than twice as many.
        deadline: Seconds in which a worker completes a send, or gives up until the next try.
        latency: Seconds that the service takes for an answer; its network adds a delay of up to as many.
    """

    messages: int = 50_000
    workers: int = 4
    kills: int = 40
    restarts: int = 0
    service_kills: int = 0
    seed: int = 1
    batch: int = 22
    singles: float = 0.02
    window: float = 60.0
    deadline: float = 6.0
    latency: float = 0.04

    @property
    def at_first(self) -> int:
        """The number of messages that are queued at first; the others are queued alone, as codes."""
        return self.messages - min(self.restarts + self.kills + self.service_kills, self.messages // 10)

    def chance(self) -> random.Random:
        """Return a generator of random numbers."""
        return random.Random(self.seed)  # noqa: S311 - repeatable on purpose


@dataclass(frozen=True)
class Outcome:
    """The result of the campaign.

    Attributes:
        accepted: Messages that the service accepted once or more often.
        doubled: How many it accepted more often than once.
        lost: Messages that it never accepted.
        error_9: How often it returned error 9 (too often).
        wrong: Requests whose result does not report all messages as accepted.
        reconciled: Requests whose answer was lost, and whose status proved that they were accepted.
        kills: Workers killed.
        seconds: The duration.
    """

    accepted: int
    doubled: int
    lost: int
    error_9: int
    wrong: int
    reconciled: int
    kills: int
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether each message was accepted exactly once, and no limit was broken."""
        return not (self.doubled or self.lost or self.error_9 or self.wrong)


def make_tasks(redis_url: str, service_url: str, plan: Plan) -> tuple[RedisStreamBroker, SmscTasks]:
    """Make the broker and the tasks; in your program this is in the module that the workers import."""
    broker = RedisStreamBroker(
        redis_url,
        consumer_id="0",
        consumer_name=str(os.getpid()),
        idle_timeout=round(1000 * (plan.deadline + LATE + SLACK + 1)),
        xread_count=AT_ONCE,  # tasks that a worker has fetched but not started are kept from the others
    )
    broker = broker.with_result_backend(RedisAsyncResultBackend(redis_url))
    rules = replace(
        Rules(),
        identical_send=Rule(1, plan.window, "raise"),
        status=Rule(5, plan.window),
        subscriber=Rule(50, 2 * plan.window, "raise"),
    )
    tasks = SmscTasks(
        broker,
        lambda guards: Client(apikey="demo", url=service_url, guards=guards),
        deadline=plan.deadline,
        late_arrival=LATE,
        rules=rules,
        tries=1000,
        batch_size=plan.batch,
    )
    return broker, tasks


def work(redis_url: str, service_url: str, plan: Plan) -> None:
    """Run a worker until it is killed; `taskiq worker campaign:broker` does the same."""
    broker, _ = make_tasks(redis_url, service_url, plan)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run_receiver_task(broker, run_startup=True, max_async_tasks=AT_ONCE))


def slow_network(app: ASGIApp, longest: float, chance: random.Random) -> ASGIApp:
    """Delay each request; it arrives even if its sender is dead by then."""

    async def held_up(scope: Scope, receive: Receive, send: Send) -> None:
        request = await receive()
        await asyncio.sleep(chance.uniform(0, longest))
        waiting = [request]

        async def arrived() -> dict[str, object]:
            return dict(waiting.pop()) if waiting else dict(await receive())

        with contextlib.suppress(OSError, ClientDisconnect):
            await app(scope, arrived, send)

    return held_up


def make_sandbox(plan: Plan, state: Path) -> Sandbox:
    """Make the service, or continue the one that was killed."""
    limits = replace(
        Limits(),
        identical_send=Window(1, plan.window),
        status=Window(5, plan.window),
        subscriber=Streak(50, 2 * plan.window),
    )
    account = replace(Account.demo(), balance=Decimal(100 * plan.messages))
    return Sandbox(accounts=[account], limits=limits, latency=plan.latency, state=state)


def serve(plan: Plan, state: Path, port: int, accepted: c_longlong) -> None:
    """Serve until killed, and publish how many messages are accepted."""
    sandbox = make_sandbox(plan, state)

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        await sandbox.app(scope, receive, send)
        accepted.value = len(sandbox.messages)

    app = slow_network(counted, plan.latency, plan.chance())
    logging.disable(logging.CRITICAL)  # workers that are killed leave requests behind
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(app, host="127.0.0.1", port=port, lifespan="off", ws="none", log_config=None)


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """The sandbox in a process of its own, with its state on the disk.

    Args:
        plan: The options of the command.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder = tempfile.TemporaryDirectory()
        self._port = free_port()
        self._accepted = SPAWN.RawValue("q", 0)  # a lock would stay locked if its holder is killed
        self.url = f"http://127.0.0.1:{self._port}/sys/soap.php"

    @property
    def accepted(self) -> int:
        """The number of messages that it has accepted."""
        accepted: int = self._accepted.value
        return accepted

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._folder.cleanup()

    def restart(self) -> None:
        """Kill it, and start it again with the data on its disk."""
        self._end()
        self._start()

    def ended(self) -> Sandbox:
        """Kill it and return a sandbox with its last state."""
        self._end()
        return make_sandbox(self._plan, self._state)

    @property
    def _state(self) -> Path:
        return Path(self._folder.name, "state")

    def _start(self) -> None:
        arguments = (self._plan, self._state, self._port, self._accepted)
        self._process = SPAWN.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        while self._process.is_alive():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            time.sleep(0.05)
        raise RuntimeError("the service has not started")

    def _end(self) -> None:
        self._process.kill()
        self._process.join()


class RedisServer:
    """A redis-server that writes each command to the disk before it answers."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def restart(self) -> None:
        """Kill it, and start it again with the data on its disk."""
        self._process.kill()
        self._process.wait()
        self._start()

    def _start(self) -> None:
        durable = ["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self._port), "--dir", self._folder.name]
        self._process = subprocess.Popen([*command, *durable], stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        while not _answers(self._port):
            time.sleep(0.05)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
    return False


def message_of(number: int) -> Message:
    """Return one of the messages."""
    return Message(f"+{FIRST_PHONE + number}", f"Your lot is {number}")


async def queue(tasks: SmscTasks, plan: Plan) -> list[Task]:
    """Queue the messages, most of them in batches, and some alone between the batches."""
    chance = plan.chance()
    messages = [message_of(number) for number in range(plan.at_first)]
    alone = {number for number in range(plan.at_first) if chance.random() < plan.singles}
    queued: list[Task] = []
    batch: list[Message] = []
    for number, message in enumerate(messages):
        if number in alone:
            queued.append(await tasks.send(message.phone, message.text))
        else:
            batch.append(message)
        if len(batch) == plan.batch or number == plan.at_first - 1:
            queued += [task async for task in tasks.send_batch(batch)]
            batch = []
    return queued


async def queue_alone(tasks: SmscTasks, number: int) -> Task:
    """Queue one message, also if Redis does not confirm it at once: its id makes that safe."""
    message = message_of(number)
    while True:
        with contextlib.suppress(SendTaskError):  # the connections to the Redis that was killed are closed
            return await tasks.send(message.phone, message.text, id=f"alone-{number}")
        await asyncio.sleep(0.1)


async def queue_codes(codes: list[Task], tasks: SmscTasks, service: Service, plan: Plan) -> None:
    """Queue a message alone whenever none was accepted for a while, and wait until the lists can go on."""
    for number in range(plan.at_first, plan.messages):
        accepted = -1
        while accepted < service.accepted:
            accepted = service.accepted
            await asyncio.sleep(STALLED)
        codes.append(await queue_alone(tasks, number))
        await results(codes[-1:])
        await asyncio.sleep(TRIED_EVERY)


async def kill_now_and_then(
    running: list[BaseProcess], add_worker: Callable[[], BaseProcess], service: Service, redis_url: str, plan: Plan
) -> None:
    """Kill a worker whenever the service has accepted a random number of messages, and start another one."""
    chance = plan.chance()
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        for moment in sorted(chance.uniform(0, 0.95) * plan.at_first for _ in range(plan.kills)):
            index = chance.randrange(len(running))
            # Neither the service nor Redis has an event for this.
            while service.accepted < moment or not await is_at_work(running[index], redis):  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.02)
            await asyncio.sleep(chance.uniform(0, 2 * plan.latency))
            running[index].kill()  # SIGKILL: no slot is released
            running[index].join()
            running[index] = add_worker()


async def is_at_work(worker: BaseProcess, redis: Redis) -> bool:
    """Return whether a worker has begun to take tasks."""
    with contextlib.suppress(RedisError):
        consumers = await redis.xinfo_consumers("taskiq", "taskiq")
        return any(each["name"] == str(worker.pid) for each in consumers)
    return False


async def restart_now_and_then(server: RedisServer | Service, times: int, service: Service, plan: Plan) -> None:
    """Kill a server whenever the service has accepted a random number of messages, and start it again."""
    chance = random.Random(f"{type(server).__name__} {plan.seed}")  # noqa: S311 - repeatable on purpose
    for moment in sorted(chance.uniform(0.2, 0.8) * plan.at_first for _ in range(times)):
        while service.accepted < moment:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0.02)
        server.restart()


async def report(redis_url: str, service: Service, plan: Plan) -> None:
    """Write now and then how far the campaign is, and what it waits for."""
    admin, start = RedisAdmin.from_url(redis_url), time.monotonic()
    while True:
        await asyncio.sleep(REPORT_EVERY)
        words = f"{time.monotonic() - start:.0f} s: {service.accepted} of {plan.messages} messages accepted"
        with contextlib.suppress(GuardStoreError):  # Redis is being started
            words += wait_after_loss(await admin.report(), plan)
        print(words, file=sys.stderr)


def wait_after_loss(guards: GuardReport, plan: Plan) -> str:
    """Return what the campaign waits for after a restart of Redis, in words."""
    if guards.lost_at is None:
        return ""
    passed = (guards.taken_at - guards.lost_at).total_seconds()
    left = NOTICED + 2 * plan.window + MARGIN - passed
    single = f"single messages are sent in {left:.0f} s, " if left > 0 else ""
    lists = "lists when one was accepted and their task is tried again (once a minute)"
    return f"; Redis was restarted {passed:.0f} s ago: {single}{lists}"


async def results(tasks: list[Task]) -> list[SendResult]:
    """Wait for the results of all tasks."""
    found: list[SendResult] = []
    for task in tasks:
        while True:
            with contextlib.suppress(TaskiqError):  # Redis is being started
                found.append((await task.wait_result(check_interval=0.1)).return_value)
                break
            await asyncio.sleep(0.1)
    return found


async def run(plan: Plan) -> Outcome:
    """Run the campaign and return its result."""
    added: list[BaseProcess] = []
    with RedisServer() as server, Service(plan) as service:
        broker, tasks = make_tasks(server.url, service.url, plan)
        await broker.startup()

        def add_worker() -> BaseProcess:
            added.append(SPAWN.Process(target=work, args=(server.url, service.url, plan), daemon=True))
            added[-1].start()
            return added[-1]

        try:
            running = [add_worker() for _ in range(plan.workers)]
            start = time.monotonic()
            beside = [
                asyncio.create_task(kill_now_and_then(running, add_worker, service, server.url, plan)),
                asyncio.create_task(report(server.url, service, plan)),
            ]
            queued = await queue(tasks, plan)
            codes: list[Task] = []
            coding = asyncio.create_task(queue_codes(codes, tasks, service, plan))
            for victim, times in ((server, plan.restarts), (service, plan.service_kills)):
                beside.append(asyncio.create_task(restart_now_and_then(victim, times, service, plan)))
            done = await results(queued)
            coding.cancel()
            # If that was between queueing one and noting it, it is queued twice under one id, and so sent once.
            codes += [await queue_alone(tasks, number) for number in range(plan.at_first + len(codes), plan.messages)]
            done += await results(codes)
            seconds = time.monotonic() - start
            for each in beside:
                each.cancel()
        finally:
            for worker in added:
                worker.kill()
            await broker.shutdown()
        return count(service.ended(), done, plan, len(added) - plan.workers, seconds)


def count(sandbox: Sandbox, results: list[SendResult], plan: Plan, kills: int, seconds: float) -> Outcome:
    """Compare what the service has accepted with the messages and with the results of the tasks."""
    accepted = Counter(message.phone.removeprefix("+") for message in sandbox.messages)
    wanted = {str(FIRST_PHONE + number) for number in range(plan.messages)}
    return Outcome(
        accepted=len(accepted.keys() & wanted),
        doubled=accepted.total() - len(accepted),
        lost=len(wanted - accepted.keys()),
        error_9=sum(count for (_, code), count in sandbox.counts.items() if code == 9),  # noqa: PLR2004 - its number
        wrong=sum(result.sent is None or bool(result.sent.errors or result.sent.missing) for result in results),
        reconciled=sum(result.sent is not None and result.sent.reconciled for result in results),
        kills=kills,
        seconds=seconds,
    )


def main() -> int:
    """Run the campaign and print its result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults: dict[str, float] = vars(Plan())
    for name, default in defaults.items():
        options.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    plan = Plan(**vars(options.parse_args()))
    outcome = asyncio.run(run(plan))
    print(
        f"messages {plan.messages}, workers {plan.workers}, kills {outcome.kills}, restarts of Redis {plan.restarts}, "
        f"of the service {plan.service_kills}\n"
        f"accepted {outcome.accepted}, doubled {outcome.doubled}, lost {outcome.lost}, error 9: {outcome.error_9}, "
        f"wrong results {outcome.wrong}, requests reconciled by status {outcome.reconciled}\n"
        f"{outcome.seconds:.1f} s, {plan.messages / outcome.seconds:.0f} messages a second"
    )
    return 0 if outcome.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
