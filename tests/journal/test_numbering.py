"""The messages of a plan: in the order of their rows, on the disk, a few bytes each in memory."""

import errno
import io
import tempfile
import tracemalloc
from collections.abc import Callable
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


class Text(str):
    """A string of a template engine."""

    __slots__ = ()


@pytest.mark.parametrize("changed", [{"text": None}, {"phone": 7}, {"sender": b"a"}, {"tz": "1"}])
@pytest.mark.parametrize(
    "wrap", [lambda message: message, lambda message: PlannedMessage.model_construct(message=message)]
)
async def test_a_copy_with_values_of_other_types_is_refused(
    path: Path, changed: dict[str, object], wrap: Callable[[Message], Message | PlannedMessage]
) -> None:
    async with Journal(path) as journal:
        with pytest.raises(ValueError, match="model_copy checks nothing"):
            await journal.plan([wrap(message(1).model_copy(update=changed)), message(2)])
        assert (await journal.summary()).total == 0


async def test_a_copy_with_a_string_of_another_class_is_planned(path: Path) -> None:
    async with Journal(path) as journal:
        assert await journal.plan([message(1).model_copy(update={"text": Text("Hi"), "phone": Text("+79160000001")})])
        assert [row.phone for row in await journal.rows()] == ["+79160000001"]


async def test_a_disk_that_is_full_while_rows_are_written_is_a_journal_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            super().close()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    async with Journal(path) as journal:
        with pytest.raises(JournalError, match="disk"):
            await journal.plan([message(1)])


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
