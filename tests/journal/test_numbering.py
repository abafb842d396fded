"""The messages of a plan: in the order of their rows, on the disk, a few bytes each in memory."""

import errno
import tempfile
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from smsc_async import Journal, JournalError, Message, PlannedMessage
from smsc_async._journal.numbering import Numbering


def message(number: int) -> Message:
    return Message(f"+7916{number:07}", f"{number} {'Hi' * 400}")


@pytest.mark.parametrize("step", [1, 7, 5_003])
def test_messages_are_in_the_order_of_their_rows(path: Path, step: int) -> None:
    count = 5_004
    with closing(Numbering(path)) as rows:
        for number in range(count):
            row = number * step % count
            rows.add(PlannedMessage(message=message(row), row=row))
        rows.arrange()
        for _ in range(2):
            assert [(each.row, each.message) for each in rows] == [(row, message(row)) for row in range(count)]


def test_a_message_takes_a_few_bytes_of_memory(path: Path) -> None:
    with closing(Numbering(path)) as rows:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2_000):
            rows.add(message(number))
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert grown < 64 * 2_000 + 2 * 65_536


async def test_a_plan_that_does_not_fit_on_the_disk_stores_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with Journal(path) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "TemporaryFile", full)
            with pytest.raises(JournalError, match="disk"):
                await journal.plan([message(1)])
        assert (await journal.summary()).total == 0
        assert await journal.plan([message(1)])
