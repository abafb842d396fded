"""Work on a caller's many items lets other tasks run after each fifty of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel
import pytest
import trio

from smsc_async import Client, Journal, Message, MessageRef
from smsc_async._sending import each_item
from tests.doubles import FakeService, answer, make_client

T = TypeVar("T")
COUNT = 1_000


class Turns:
    """How often another task could run, by the item that was worked on."""

    def __init__(self) -> None:
        self.now = 0
        self.seen: list[int] = []

    def note(self, *_: object) -> None:
        self.seen.append(self.now)

    def noting(self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            self.note()
            yield item

    async def noting_async(self, items: Iterable[T]) -> AsyncIterator[T]:
        for item in self.noting(items):
            yield item

    async def during(self, work: Awaitable[object]) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._run)
            await anyio.lowlevel.checkpoint()
            await work
            group.cancel_scope.cancel()

    async def _run(self) -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            self.now += 1

    @property
    def longest(self) -> int:
        """The most items in a row without a turn of the other task."""
        assert len(self.seen) >= COUNT
        return max(map(self.seen.count, set(self.seen)))


class Immediate(FakeService):
    """A service that answers without a turn of the event loop."""

    async def post(self, *_: object) -> object:  # type: ignore[override]
        return answer("get_status", status="1")


async def _exhaust(items: AsyncIterator[object]) -> None:
    async for _ in items:
        pass


@pytest.mark.parametrize("run", [anyio.run, trio.run])
@pytest.mark.parametrize("is_async", [False, True])
def test_each_fifty_items_take_turns_with_other_tasks(run: Callable[..., object], is_async: bool) -> None:
    async def main() -> None:
        turns = Turns()
        items = turns.noting_async(range(COUNT)) if is_async else turns.noting(range(COUNT))
        async with aclosing(each_item(items)) as each:
            await turns.during(_exhaust(each))
        assert turns.longest <= 100  # trio runs the tasks of a turn in any order

    run(main)


async def test_no_item_is_lost_when_its_turn_is_cancelled() -> None:
    source, taken = iter(range(COUNT)), []
    with anyio.CancelScope() as scope:
        async with aclosing(each_item(source)) as each:
            async for item in each:
                taken.append(item)
                if item == 49:
                    scope.cancel()
    assert [*taken, *source] == list(range(COUNT))


def _messages() -> Iterator[Message]:
    return (Message(f"+7916{number:07}", f"text {number}") for number in range(COUNT))


@pytest.mark.parametrize("work", [Client.send_batch, Client.cost_batch])
async def test_a_batch_is_divided_in_turns(work: Callable[[Client, Iterator[Message]], AsyncIterator[object]]) -> None:
    turns = Turns()
    client = make_client(Immediate(), guards=None)
    await turns.during(_exhaust(work(client, turns.noting(_messages()))))
    assert turns.longest <= 50


async def test_statuses_are_prepared_and_requested_in_turns() -> None:
    prepared, requested = Turns(), Turns()
    client = make_client(Immediate(), guards=None)
    refs = prepared.noting(MessageRef(message.phone, 1) for message in _messages())
    work = client.statuses(refs, on_progress=requested.note)
    await prepared.during(requested.during(work))
    assert prepared.longest <= 50
    assert requested.longest <= 50


async def test_a_watch_takes_its_messages_in_turns() -> None:
    turns = Turns()
    client = make_client(Immediate(), guards=None)
    async with client.watch(turns.noting(MessageRef(message.phone, 1) for message in _messages())) as updates:

        async def all_are_watched() -> None:
            while updates.total < COUNT:
                await anyio.lowlevel.checkpoint()

        await turns.during(all_are_watched())
    assert turns.longest <= 100


async def test_a_journal_is_planned_in_turns(tmp_path: Path) -> None:
    turns = Turns()
    async with Journal(tmp_path / "job.db") as journal:
        await turns.during(journal.plan(turns.noting(_messages())))
        assert [row.row for row in await journal.rows()] == list(range(1, COUNT + 1))
    assert turns.longest <= 50
