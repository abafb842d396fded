"""A job whose journal is put back to its state after planning."""

import shutil
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import anyio

from smsc_async import (
    Client,
    Journal,
    Message,
    PlannedMessage,
)
from smsc_async.sandbox import Limits
from tests.sending.lossy_service import BAD, Network
from tests.virtual import virtual_time


def good(number: int, start: str = "+7") -> Message:
    return Message(f"{start}9161{number:06}", f"Hi {number}")


def refused(number: int) -> Message:
    """Return a message that the service refuses with error 7."""
    return Message(BAD, f"No {number}")


class Job:
    """A job whose journal is put back to its state after planning, after some of its messages were sent.

    Args:
        path: The journal.
        messages: What is planned.
        options: The arguments of `plan`.
    """

    def __init__(self, path: Path, messages: Iterable[Message | PlannedMessage], **options: Any) -> None:
        self.path = path
        self.messages = list(messages)
        self.options = {"batch_size": 1, **options}
        self.network = Network(limits=Limits.off())
        self.lock = path.with_name("job.db.lock")
        self.copy = path.with_name("copy.db")

    async def plan(self) -> None:
        async with Journal(self.path) as journal:
            assert await journal.plan(self.messages, **self.options)
        shutil.copy(self.path, self.copy)

    async def send(self, client: Client | None = None, *, stop_after: int | None = None, **options: Any) -> Journal:
        journal = Journal(self.path, **options)
        with anyio.CancelScope() as scope:
            async with journal:
                await journal.plan(self.messages, **self.options)
                journal._is_current = stop_after is not None

                def count(_done: int, _total: int) -> None:
                    if stop_after is not None and len(self.network.sandbox.messages) >= stop_after:
                        scope.cancel()

                await journal.send(client or self.network.client(guards=journal.guards()), on_progress=count)
        return journal

    def put_back(self, *, without_lock: bool = True) -> None:
        """Restore the copy, made before anything was sent."""
        shutil.copy(self.copy, self.path)
        if without_lock:
            self.lock.unlink()

    @property
    def texts(self) -> list[str]:
        return sorted(message.text for message in self.network.sandbox.messages)

    @property
    def expected(self) -> list[str]:
        messages = [each.message if isinstance(each, PlannedMessage) else each for each in self.messages]
        return sorted(each.text for each in messages if each is not None and not each.text.startswith("No"))


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run on a virtual clock."""
    virtual_time(main)()
