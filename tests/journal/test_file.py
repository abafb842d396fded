"""A journal's file is locked while it is open, and a damaged or foreign file is refused."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from smsc_async import JournalError, JournalInUse
from smsc_async._clock import disk_time
from smsc_async._journal.file import JOURNAL, connect
from smsc_async._journal.rows import ChunkPlan, ChunkState, KeyHistory, RowPlan
from smsc_async._journal.store import JournalStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "job.db"
    with closing(JournalStore(path)) as store:
        chunks = [
            ChunkPlan(f'{{"n": {n}}}', f"id{n}", True, True, (RowPlan(n, f"+7916{n:07}"),)) for n in range(1, 400)
        ]
        store.plan("me", chunks, [])
    return path


def test_a_second_connection_is_refused_until_the_first_is_closed(path: Path) -> None:
    first = connect(path)
    with pytest.raises(JournalInUse, match="another process is using the journal"):
        connect(path)
    first.close()
    connect(path).close()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_the_lock_goes_with_a_killed_process(path: Path) -> None:
    code = f"from pathlib import Path; from smsc_async._journal.file import connect; c = connect(Path({str(path)!r}));"
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", f"{code} print('open', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(JournalInUse):
            connect(path)
        process.send_signal(signal.SIGKILL)
    connect(path).close()


def middle(data: bytes) -> bytes:
    """Overwrite the inner pages."""
    return data[:8192] + bytes(range(256)) * 64 + data[8192 + 256 * 64 :]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE chunk SET attempted_at = 'x'",
        "UPDATE message SET cost = 'x', state = 'accepted', accepted_at = 'x'",
        "UPDATE job SET value = 'x' WHERE name = 'planned_at'",
        "UPDATE history SET ages = 'x'",
        "DELETE FROM chunk WHERE key = 1; UPDATE job SET value = '398 399' WHERE name = 'size'",
    ],
)
def test_values_that_can_not_be_read_are_damage(path: Path, damage: str) -> None:
    with closing(JournalStore(path)) as store:
        store.put_histories([KeyHistory("status", b"x", 1e9, disk_time(), (-1e12,))])
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(damage)
    with closing(JournalStore(path)) as store:
        errors = []
        reads: list[Callable[[], object]] = [store.planned_at, store.rows, store.summary, store.pending]
        reads += [partial(store.chunk, 1), store.histories]
        for read in reads:
            try:
                read()
            except JournalError as error:
                errors.append(str(error))
    assert errors
    assert all("is damaged: its values can't be read" in error for error in errors)


def test_a_message_of_sqlite_that_is_not_text_is_damage() -> None:
    with pytest.raises(JournalError, match="is damaged: its pages can't be read"), JOURNAL.explained(Path("job.db")):
        b"malformed \xa1".decode()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "garbage in the middle": middle,
    "garbage at the beginning": lambda data: bytes(range(256)) * 8 + data[2048:],
    "cut": lambda data: data[: len(data) // 2],
    "another word for a state": lambda data: data.replace(b"planned{", b"plannes{"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_and_left_as_it_is(path: Path, damage: str) -> None:
    damaged = DAMAGES[damage](path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(JournalError, match=r"is damaged: .* nothing more is sent"):
        connect(path)
    assert path.read_bytes() == damaged


def test_a_request_that_differs_from_the_planned_one_is_never_sent(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'{"n": 7}', b'{"n": 8}'))
    with closing(JournalStore(path)) as store:
        assert len(store.chunks(ChunkState.PLANNED)) == 399
        assert store.chunk(8).content == '{"n": 8}'
        with pytest.raises(JournalError, match="a request in it differs from the one that was planned"):
            store.chunk(7)


def test_a_foreign_database_and_another_version_are_refused(tmp_path: Path, path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(JournalError, match="is not a journal; choose another file"):
        connect(other)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(JournalError, match=r"another version of this package \(format 9, this one writes 5\)"):
        connect(path)


def test_a_file_that_can_not_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"missing/job.db can't be opened \(No such file or directory\)"):
        JournalStore(tmp_path / "missing" / "job.db")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permission bits")
def test_only_the_owner_can_read_the_file(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_unknown_error_of_sqlite_is_quoted() -> None:
    with (
        pytest.raises(JournalError, match=r"journal job.db can't be used \(odd\); nothing more is sent and nothing"),
        JOURNAL.explained(Path("job.db")),
    ):
        raise sqlite3.OperationalError("odd")


def test_every_known_error_of_sqlite_has_its_message() -> None:
    for name, words in {
        "SQLITE_FULL": "the disk is full; nothing more is sent and nothing is lost",
        "SQLITE_IOERR_WRITE": "the disk is full",
        "SQLITE_CORRUPT_INDEX": "is damaged: its pages can't be read",
        "SQLITE_CONSTRAINT_CHECK": "is damaged: its tables are inconsistent",
        "SQLITE_LOCKED": "another process is using the journal",
    }.items():
        error = sqlite3.OperationalError("x")
        error.sqlite_errorname = name
        with pytest.raises(JournalError, match=words), JOURNAL.explained(Path("job.db")):
            raise error
