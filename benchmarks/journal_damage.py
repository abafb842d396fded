"""Put back older copies of a job's journal, or damage it; run the job again; count what is sent twice or not at all.

    python -m benchmarks.journal_damage --cases 1000

Each case plans a job at random: single messages and batches, numbers with and without +, runs of 100 numbers that the
service refuses, chunks with some such numbers, scheduled messages, ids of the user's own. The job runs to a random
point. Meanwhile its files are copied, also in the middle of a transaction. Then they are restored in part, cut,
emptied, removed or overwritten, and the job runs to its end. Where a damaged journal is refused, the intact one is put
back, and the job runs to its end with that. The expected result: doubled 0, lost 0. Time is virtual.
"""

import argparse
import itertools
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import trio
from trio.testing import MockClock

from smsc_async import At, Client, Journal, JournalError, Message, PlannedMessage
from smsc_async._journal.store import JournalStore
from smsc_async.sandbox import Account, Limits, Sandbox

T = TypeVar("T")
REFUSED = "+79000009007"  # refused with error 7
FILES = "job.db", "job.db-journal", "job.db.lock"


@dataclass
class Figures:
    """The counts of a measurement."""

    cases: int = 0
    messages: int = 0
    copies: int = 0
    refused: int = 0
    doubled: int = 0
    lost: int = 0
    damages: Counter[str] = field(default_factory=Counter)

    @property
    def are_right(self) -> bool:
        """Whether each message was sent exactly once."""
        return not self.doubled and not self.lost


async def _without_thread(function: Callable[..., T], *arguments: Any, **_: Any) -> T:
    await anyio.lowlevel.checkpoint()
    return function(*arguments)


class Case:
    """One job, its files and what becomes of them.

    Args:
        seed: The seed of all that is random.
        folder: An empty folder.
        figures: The counts to update.
    """

    def __init__(self, seed: int, folder: Path, figures: Figures) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.figures = figures
        self.copies: list[Path] = []
        self.numbers = itertools.count()
        started = datetime.now(UTC).timestamp()
        self.sandbox = Sandbox(
            accounts=[Account.demo()], limits=Limits.off(), clock=lambda: started + anyio.current_time()
        )
        self.messages = self._messages()
        at = At(datetime.now(UTC) + timedelta(days=2)) if self.random.random() < 0.25 else None
        self.options: dict[str, Any] = {"batch_size": self.random.choice([1, 3, 10, 49]), "at": at}

    def _messages(self) -> list[PlannedMessage]:
        draw = self.random
        start = draw.choice(["+7", "7"])
        good = iter(range(10_000))
        kinds = draw.choice([[0], [0, 100, 0], [20, 100], [0, 3, 5, 7], [60, 99, 1, 100]])
        phones: list[tuple[str, bool]] = []
        for refused in kinds:
            phones += [(REFUSED, False)] * refused
            phones += [(f"{start}9161{next(good):06}", True) for _ in range(draw.randint(1, 60))]
        if kinds == [0, 3, 5, 7]:
            draw.shuffle(phones)  # chunks with some numbers that are refused
        own_ids = draw.random() < 0.2
        return [
            PlannedMessage(
                message=Message(phone, f"{'Hi' if is_good else 'No'} {number}"), id=f"o-{number}" if own_ids else None
            )
            for number, (phone, is_good) in enumerate(phones)
        ]

    async def run(self) -> None:
        """Run the job to a random point, damage its files, run it to its end, and count."""
        good = [each.message.text for each in self.messages if each.message and each.message.text.startswith("Hi")]
        self.copy("planned")
        await self._send(stop_after=self.random.randint(0, len(good) + 10))
        true = self.copy("true")
        self.figures.damages[self._damage()] += 1
        try:
            await self._send()
        except (JournalError, ValueError):  # a `ValueError` if the name of the job is damaged
            self.figures.refused += 1
            for file in self.folder.glob("job.db*"):
                file.unlink()
            shutil.copytree(true, self.folder, dirs_exist_ok=True)
            await self._send()
        sent = Counter(message.text for message in self.sandbox.messages)
        self.figures.cases += 1
        self.figures.messages += len(self.messages)
        self.figures.copies += len(self.copies)
        self.figures.doubled += sum(count - 1 for count in sent.values())
        self.figures.lost += len(set(good) - set(sent))

    def copy(self, name: str = "") -> Path:
        """Copy the files as they are, and return the folder of the copy."""
        folder = self.folder / "copies" / (name or str(next(self.numbers)))
        folder.mkdir(parents=True)
        for file in FILES:
            with suppress(FileNotFoundError):
                shutil.copy(self.folder / file, folder)
        if name != "true":
            self.copies.append(folder)
        return folder

    async def _send(self, stop_after: int | None = None) -> None:
        with anyio.CancelScope() as scope:
            async with Journal(self.folder / "job.db") as journal:
                if await journal.plan(self.messages, **self.options):
                    shutil.rmtree(self.folder / "copies" / "planned")
                    self.copies.clear()
                    self.copy("planned")
                async with Client(apikey="demo", transport=self.sandbox.transport(), guards=None) as client:

                    def note(_done: int, _total: int) -> None:
                        if stop_after is None:
                            return
                        if self.random.random() < 0.05:
                            self.copy()
                        if len(self.sandbox.messages) >= stop_after:
                            scope.cancel()

                    await journal.send(client, on_progress=note)

    def _damage(self) -> str:
        """Damage the files, and return how."""
        draw = self.random
        copy = draw.choice(self.copies)
        damages = {"all": self._restore, "database": self._restore_database, "log": self._restore_log, "cut": self._cut}
        damages |= {"noise": self._noise, "nothing": lambda _: None}
        kind = draw.choice([*damages])
        damages[kind](copy)
        for file, share in ((FILES[1], 0.2), (FILES[2], 0.4)):
            if draw.random() < share:
                (self.folder / file).unlink(missing_ok=True)
        return kind

    def _restore(self, copy: Path) -> None:
        for file in FILES:
            (self.folder / file).unlink(missing_ok=True)
        shutil.copytree(copy, self.folder, dirs_exist_ok=True)

    def _restore_database(self, copy: Path) -> None:
        shutil.copy(copy / FILES[0], self.folder)

    def _restore_log(self, copy: Path) -> None:
        if (copy / FILES[1]).exists():
            shutil.copy(copy / FILES[1], self.folder)
            if self.random.random() < 0.5:
                self._restore_database(copy)

    def _cut(self, _: Path) -> None:
        target = self.folder / self.random.choice(FILES)
        if target.exists():
            content = target.read_bytes()
            target.write_bytes(content[: self.random.choice([0, self.random.randrange(len(content) + 1)])])

    def _noise(self, _: Path) -> None:
        target = self.folder / FILES[0]
        content = bytearray(target.read_bytes())
        for _number in range(self.random.randint(1, 8)):
            content[self.random.randrange(len(content))] ^= self.random.randrange(1, 256)
        target.write_bytes(content)


def _copy_in_transactions(case: Case) -> Callable[[], None]:
    """Let a case's files be copied in the middle of transactions too; return what ends that."""
    original = JournalStore.change

    @contextmanager
    def change(self: JournalStore) -> Iterator[Connection]:
        with original(self) as connection:
            # With a cache of one page, changes are written to the file before they are committed.
            connection.execute("PRAGMA cache_size = 1")
            yield connection
            if case.copies and case.random.random() < 0.02:
                case.copy()

    JournalStore.change = change  # type: ignore[method-assign]

    def end() -> None:
        JournalStore.change = original  # type: ignore[method-assign]

    return end


def virtually(main: Callable[[], Awaitable[T]]) -> T:
    """Run on a virtual clock that jumps to the next timer when all tasks wait."""
    return trio.run(main, clock=MockClock(autojump_threshold=0))


def measure(cases: int, first: int = 0) -> Figures:
    """Run this many cases, and return the counts."""
    figures, run_sync = Figures(), anyio.to_thread.run_sync
    anyio.to_thread.run_sync = _without_thread  # type: ignore[assignment]
    try:
        for seed in range(first, first + cases):
            with tempfile.TemporaryDirectory() as folder:
                case = Case(seed, Path(folder), figures)
                end = _copy_in_transactions(case)
                doubled, lost = figures.doubled, figures.lost
                try:
                    virtually(case.run)
                finally:
                    end()
                if (figures.doubled, figures.lost) != (doubled, lost):
                    print(f"seed {seed}: {figures.doubled - doubled} doubled, {figures.lost - lost} lost")
    finally:
        anyio.to_thread.run_sync = run_sync
    return figures


def main() -> None:
    """Measure, print the counts, and fail if a message was lost or doubled."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first case")
    arguments = parser.parse_args()
    figures = measure(arguments.cases, arguments.first)
    print(f"{figures.cases} cases, {figures.messages} messages, {figures.copies} copies; {dict(figures.damages)}")
    print(f"refused {figures.refused}, doubled {figures.doubled}, lost {figures.lost}")
    sys.exit(not figures.are_right)


if __name__ == "__main__":
    main()
