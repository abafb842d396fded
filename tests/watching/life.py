"""A service whose messages change their status at given times."""

from typing import TypeVar

import anyio
import anyio.lowlevel

from smsc_async import (
    Client,
    MessageRef,
    Reply,
    Update,
    Watcher,
)
from smsc_async._protocol.binding import Incoming
from tests.doubles import FakeService, answer

T = TypeVar("T")

REFS = [MessageRef(f"+7999123456{number}", f"a{number}") for number in range(5)]

ONE = REFS[0]

LIMIT = (5, 61.2)


class Life:
    """Answers with the status that belongs to the age of the messages: (seconds, status) until that age.

    They are sent at the time `since`, or when they are requested first.
    """

    def __init__(self, *stages: tuple[float, int], since: float | None = None) -> None:
        self._stages = stages
        self._start = since

    def __call__(self, request: Incoming) -> Reply:
        if self._start is None:
            self._start = anyio.current_time()
        age = anyio.current_time() - self._start
        status = next((status for until, status in self._stages if age < until), 1)
        return answer(request.method, status=str(status))


def service(*stages: tuple[float, int]) -> FakeService:
    life = Life(*stages)
    return FakeService([life] * 10_000, latency=0.06)


async def take(watcher: Watcher, taken: list[Update]) -> None:
    async with watcher:
        async for update in watcher:
            taken.append(update)  # noqa: PERF401 - the watch may fail in between


async def collect(client: Client, messages: object = None, **options: object) -> list[Update]:
    async with client.watch(REFS if messages is None else messages, **options) as updates:  # type: ignore[arg-type]
        return [update async for update in updates]
