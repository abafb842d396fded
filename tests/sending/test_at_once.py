"""Several requests at once: what else than an error of the package ends one of them is raised as it is."""

import asyncio
from typing import Any

import anyio
import pytest

from smsc_async import Message, MessageRef, Reply, UnresolvedSend
from smsc_async._protocol.binding import Incoming
from tests.doubles import FakeService, answer, make_client

on_each_loop = pytest.mark.parametrize("loop", ["asyncio", "trio"])


class _Cancelled(FakeService):
    """Its third request awaits a future that somebody has cancelled, after the other ones are answered."""

    async def post(self, *args: Any) -> Reply:
        number = len(self.urls) + 1
        reply = await super().post(*args)
        if number == 3:
            await anyio.wait_all_tasks_blocked()
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        return reply


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_request_that_ends_as_cancelled_by_itself_loses_no_outcome_of_a_wave(workers: int) -> None:
    service = _Cancelled()
    kept: list[UnresolvedSend] = []
    got: list[Message] = []

    async def consume() -> None:
        messages = [Message(f"+7999{number:07d}", f"text {number}") for number in range(12)]
        client = make_client(service, batch_size=2, on_unresolved=kept.append)
        async for outcome in client.send_batch(messages, workers=workers):
            got.append(outcome.message)  # noqa: PERF401 - cancelled in the middle

    with pytest.raises(asyncio.CancelledError):
        await consume()
    sent = [str(request.fields["id"]) for request in service.requests]
    assert len(sent) == (4 if workers == 3 else 3)
    assert len(got) == 2 * (len(sent) - len(kept))
    assert sorted(each.id for each in kept) == sorted(sent[len(sent) - len(kept) :])


async def test_a_status_request_that_ends_as_cancelled_by_itself_is_a_cancellation() -> None:
    with pytest.raises(asyncio.CancelledError):
        await make_client(_Cancelled()).statuses([MessageRef(f"+7999{number:07d}", 1) for number in range(6)])


def _interrupted(_: Incoming) -> Reply:
    raise KeyboardInterrupt


@on_each_loop
def test_an_interrupted_status_request_is_an_interrupt(loop: str) -> None:
    async def main() -> None:
        service = FakeService([answer("get_status", status="1"), _interrupted])
        await make_client(service).statuses([MessageRef(f"+7999{number:07d}", 1) for number in range(6)])

    with pytest.raises(KeyboardInterrupt):
        anyio.run(main, backend=loop)
